package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A plan is renewed after renewalDays; mostPlans are listed at a time.
const renewalDays, mostPlans = 180, 100

// due lists plans that are to be renewed.
type due struct {
	Total int       `json:"total"` // also of those beyond mostPlans
	Plans []duePlan `json:"plans"`
}

type duePlan struct {
	Plan      int32  `json:"plan"`
	Recipient string `json:"recipient"`
	Office    string `json:"office"`
	Deadline  string `json:"deadline"`
	DaysLeft  int    `json:"days_left"` // negative: it is past
}

// plansDue returns the plans to be renewed within so many days, of one office or of all.
func plansDue(ctx context.Context, db *pgxpool.Pool, today time.Time, days int, office uuid.NullUUID) (due, error) {
	out := due{Plans: []duePlan{}}
	rows, err := db.Query(ctx, `
		SELECT c.id, r.last_name || ' ' || r.first_name, o.name, c.next_renewal_deadline::text, c.next_renewal_deadline - $1, count(*) OVER ()
		FROM support_plan_cycles c JOIN offices o ON o.id = c.office_id JOIN welfare_recipients r ON r.id = c.welfare_recipient_id
		WHERE c.is_latest_cycle AND c.next_renewal_deadline <= $1::date + $2::int AND ($3::uuid IS NULL OR c.office_id = $3)
		ORDER BY c.next_renewal_deadline, c.id LIMIT $4`, today, days, office, mostPlans)
	if err != nil {
		return due{}, err
	}
	var p duePlan
	_, err = pgx.ForEachRow(rows, []any{&p.Plan, &p.Recipient, &p.Office, &p.Deadline, &p.DaysLeft, &out.Total}, func() error {
		out.Plans = append(out.Plans, p)
		return nil
	})
	return out, err
}

// plan is one that just began.
type plan struct {
	Plan        int32  `json:"plan"`
	CycleNumber int    `json:"cycle_number"`
	Begins      string `json:"begins"`
	Deadline    string `json:"deadline"`
}

// renewPlan ends the plan, which was signed on that day, and begins the next one.
func renewPlan(ctx context.Context, db *pgxpool.Pool, id int32, signed time.Time) (next plan, err error) {
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		var latest, early bool
		// Of two who renew one plan at once the second waits here, and finds it renewed.
		err := tx.QueryRow(ctx, `
			SELECT is_latest_cycle, coalesce($2 < plan_cycle_start_date, false) FROM support_plan_cycles WHERE id = $1 FOR UPDATE`,
			id, signed).Scan(&latest, &early)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return refuse(http.StatusNotFound, "there is no plan %d", id)
		case err != nil:
			return err
		case !latest:
			return refuse(http.StatusConflict, "plan %d is not the latest of its recipient: it was renewed already", id)
		case early:
			return refuse(http.StatusConflict, "plan %d began after %s", id, signed.Format(time.DateOnly))
		}
		if _, err := tx.Exec(ctx, `
			UPDATE support_plan_cycles SET is_latest_cycle = false, final_plan_signed_date = $2, updated_at = now() WHERE id = $1`,
			id, signed); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `
			INSERT INTO support_plan_cycles (welfare_recipient_id, office_id, plan_cycle_start_date, next_renewal_deadline,
				is_latest_cycle, cycle_number, is_test_data)
			SELECT welfare_recipient_id, office_id, $2, $2::date + $3::int, true, coalesce(cycle_number, 1) + 1, is_test_data
			FROM support_plan_cycles WHERE id = $1
			RETURNING id, cycle_number, plan_cycle_start_date::text, next_renewal_deadline::text`,
			id, signed, renewalDays).Scan(&next.Plan, &next.CycleNumber, &next.Begins, &next.Deadline)
	})
	return next, err
}
