package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
)

// service answers requests about plans.
type service struct {
	db  *pgxpool.Pool
	now func() time.Time // which tests set
}

func newService(db *pgxpool.Pool, now func() time.Time) http.Handler {
	s := &service{db, now}
	mux := http.NewServeMux()
	mux.Handle("GET /deadlines", answer(s.deadlines))
	mux.Handle("POST /plans/{id}/renew", answer(s.renew))
	mux.Handle("/", answer(func(r *http.Request) (int, any, error) {
		return 0, nil, refuse(http.StatusNotFound, "there is no %s %s", r.Method, r.URL.Path)
	}))
	return mux
}

func (s *service) deadlines(r *http.Request) (status int, body any, err error) {
	days, office := 30, uuid.NullUUID{}
	if text := r.FormValue("days"); text != "" {
		if days, err = strconv.Atoi(text); err != nil || days < 0 || days > 365 {
			return 0, nil, refuse(http.StatusBadRequest, "days must be a number from 0 to 365, not %q", text)
		}
	}
	if text := r.FormValue("office"); text != "" {
		if office.UUID, err = uuid.Parse(text); err != nil {
			return 0, nil, refuse(http.StatusBadRequest, "office must be an office's id, not %q", text)
		}
		office.Valid = true
	}
	due, err := plansDue(r.Context(), s.db, s.today(), days, office)
	return http.StatusOK, due, err
}

func (s *service) renew(r *http.Request) (status int, body any, err error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 32)
	if err != nil {
		return 0, nil, refuse(http.StatusBadRequest, "a plan's id is a number, not %q", r.PathValue("id"))
	}
	var in struct {
		SignedOn string `json:"signed_on"`
	}
	from := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 1<<10))
	from.DisallowUnknownFields()
	if err := from.Decode(&in); err != nil {
		return 0, nil, refuse(http.StatusBadRequest, `the body must be {"signed_on": "2026-04-01"}: %v`, err)
	}
	signed, err := time.Parse(time.DateOnly, in.SignedOn)
	if err != nil || signed.After(s.today()) {
		return 0, nil, refuse(http.StatusBadRequest, "signed_on must be a day like 2026-04-01, at the latest today, not %q", in.SignedOn)
	}
	next, err := renewPlan(r.Context(), s.db, int32(id), signed)
	return http.StatusCreated, next, err
}

// today is the date where the service runs, as pgx writes and reads dates.
func (s *service) today() time.Time {
	y, m, d := s.now().Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// answer is a handler that returns what it answers, which is written as JSON. A
// refusal is {"error": "…"}; any other error is logged, and not told to the client.
type answer func(*http.Request) (status int, body any, err error)

func (f answer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status, body, err := f(r)
	if err != nil {
		var refused *refusal
		if !errors.As(err, &refused) {
			slog.ErrorContext(r.Context(), "request failed", "method", r.Method, "path", r.URL.Path, "error", err)
			refused = &refusal{http.StatusInternalServerError, "that is our fault; try again later"}
		}
		status, body = refused.status, map[string]string{"error": refused.text}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // who went away needs no answer
}

// refusal is an error that the client can do something about.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

func refuse(status int, format string, args ...any) error {
	return &refusal{status, fmt.Sprintf(format, args...)}
}
