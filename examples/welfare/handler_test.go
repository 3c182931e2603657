package welfare

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/snapshot"
)

// signing stands for a service under test: POST /cycles/{id}/sign?on=2026-04-01
// signs the plan of a cycle and begins the next one.
func signing(db *pgxpool.Pool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /cycles/{id}/sign", func(w http.ResponseWriter, r *http.Request) {
		tag, err := db.Exec(r.Context(), `
			WITH signed AS (
				UPDATE support_plan_cycles SET is_latest_cycle = false, final_plan_signed_date = $2::text::date, updated_at = now()
				WHERE id = $1::text::int AND is_latest_cycle
				RETURNING *
			)
			INSERT INTO support_plan_cycles
				(welfare_recipient_id, office_id, plan_cycle_start_date, next_renewal_deadline, is_latest_cycle, cycle_number)
			SELECT welfare_recipient_id, office_id, $2::text::date, $2::text::date + 180, true, cycle_number + 1 FROM signed`,
			r.PathValue("id"), r.FormValue("on"))
		switch {
		case err != nil:
			http.Error(w, err.Error(), http.StatusInternalServerError)
		case tag.RowsAffected() == 0:
			http.Error(w, "no such cycle", http.StatusNotFound)
		}
	})
	return mux
}

func post(db *pgxpool.Pool, path string) int {
	w := httptest.NewRecorder()
	signing(db).ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, strings.NewReader("")))
	return w.Code
}

// A request wrote exactly this, in whatever tables. What differs from run to run is
// left out; keys from sequences do not, since the baseline has their state too.
func TestSigningWritesTwoRows(t *testing.T) {
	snapshot.Restore(t, "baseline")
	require.Equal(t, http.StatusOK, post(fixtures.DB(t), "/cycles/7/sign?on=2026-04-01"))
	snapshot.RequireChanges(t, `
		public.support_plan_cycles +1 ~1
		  ~ id=7      final_plan_signed_date: NULL → 2026-04-01  is_latest_cycle: t → f
		  + id=10001  plan_cycle_start_date=2026-04-01  final_plan_signed_date=NULL  next_renewal_deadline=2026-09-28
		              is_latest_cycle=t  cycle_number=2  is_test_data=f
	`, ignored)
}

// ignored are the columns that this suite does not look at.
var ignored = snapshot.Ignoring("created_at", "updated_at", "*_id", "next_plan_*", "google_*", "monitoring_*")

// A request that is refused writes nothing.
func TestSigningTwice(t *testing.T) {
	snapshot.Restore(t, "baseline")
	db := fixtures.DB(t)
	require.Equal(t, http.StatusNotFound, post(db, "/cycles/0/sign?on=2026-04-01"))
	require.Equal(t, http.StatusInternalServerError, post(db, "/cycles/7/sign?on=never"))
	snapshot.RequireUnchanged(t)
}

// The rows that changed can be read like those of a query.
func TestSigningBeginsTheNextCycle(t *testing.T) {
	snapshot.Restore(t, "baseline")
	require.Equal(t, http.StatusOK, post(fixtures.DB(t), "/cycles/7/sign?on=2026-04-01"))

	changes := snapshot.Changes(t).Table("support_plan_cycles")
	require.Len(t, changes.Inserted(), 1)
	require.Contains(t, changes.Updated()[0].Columns, "final_plan_signed_date")

	next, err := pgx.RowToMap(changes.Inserted()[0].New)
	require.NoError(t, err)
	require.EqualValues(t, 2, next["cycle_number"])
	require.Equal(t, true, next["is_latest_cycle"])
}
