package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/snapshot"
)

const signedToday = `{"signed_on": "2026-04-01"}`

// ignored are the columns that this suite does not look at: times, random keys, what
// the service leaves alone.
var ignored = snapshot.Ignoring("created_at", "updated_at", "*_id", "next_plan_*", "google_*")

// A request wrote exactly this, in whatever tables. Keys from sequences are the same
// in every run, since the baseline has the sequences' state too.
func TestRenew(t *testing.T) {
	snapshot.Restore(t, "baseline")

	status, answer := call(t, http.MethodPost, "/plans/7/renew", signedToday)
	require.Equal(t, http.StatusCreated, status, answer)
	require.JSONEq(t, `{"plan": 1001, "cycle_number": 2, "begins": "2026-04-01", "deadline": "2026-09-28"}`, answer)
	snapshot.RequireChanges(t, renewed7, ignored)

	status, answer = call(t, http.MethodPost, "/plans/7/renew", signedToday)
	require.Equal(t, http.StatusConflict, status, answer)
	require.Equal(t, "plan 7 is not the latest of its recipient: it was renewed already", errorOf(t, answer))
	snapshot.RequireChanges(t, renewed7, ignored) // nothing more
}

const renewed7 = `
	public.support_plan_cycles +1 ~1
	  ~ id=7     final_plan_signed_date: NULL → 2026-04-01  is_latest_cycle: t → f
	  + id=1001  plan_cycle_start_date=2026-04-01  final_plan_signed_date=NULL  next_renewal_deadline=2026-09-28
	             is_latest_cycle=t  cycle_number=2  is_test_data=t
`

// Of two who renew a plan at once one is refused, and has written nothing. Both are
// held up at the plan until both are there.
func TestRenewTwiceAtOnce(t *testing.T) {
	snapshot.Restore(t, "baseline")
	db := fixtures.DB(t)
	hold, err := db.Begin(t.Context())
	require.NoError(t, err)
	_, err = hold.Exec(t.Context(), "SELECT FROM support_plan_cycles WHERE id = 7 FOR UPDATE")
	require.NoError(t, err)

	statuses := make([]int, 2)
	var both sync.WaitGroup
	for i := range statuses {
		both.Go(func() { statuses[i], _ = call(t, http.MethodPost, "/plans/7/renew", signedToday) })
	}
	require.Eventually(t, func() bool {
		var waiting int
		err := db.QueryRow(t.Context(), `
			SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting)
		return err == nil && waiting == 2
	}, time.Minute, time.Millisecond)
	require.NoError(t, hold.Rollback(t.Context()))
	both.Wait()

	require.ElementsMatch(t, []int{http.StatusCreated, http.StatusConflict}, statuses)
	snapshot.RequireChanges(t, renewed7, ignored)
}

// What is refused writes nothing.
func TestRefusedRenewals(t *testing.T) {
	snapshot.Restore(t, "baseline")
	for _, tc := range []struct {
		path, body string
		status     int
		why        string
	}{
		{"/plans/0/renew", signedToday, http.StatusNotFound, "there is no plan 0"},
		{"/plans/7th/renew", signedToday, http.StatusBadRequest, `a plan's id is a number, not "7th"`},
		{"/plans/2147483648/renew", signedToday, http.StatusBadRequest, `a plan's id is a number, not "2147483648"`},
		{"/plans/7/renew", ``, http.StatusBadRequest, `the body must be {"signed_on": "2026-04-01"}: EOF`},
		{"/plans/7/renew", `{"signed": "2026-04-01"}`, http.StatusBadRequest, `the body must be {"signed_on": "2026-04-01"}: json: unknown field "signed"`},
		{"/plans/7/renew", `{"signed_on": "` + strings.Repeat("9", 2000), http.StatusBadRequest, `the body must be {"signed_on": "2026-04-01"}: http: request body too large`},
		{"/plans/7/renew", `{"signed_on": "1 April"}`, http.StatusBadRequest, `signed_on must be a day like 2026-04-01, at the latest today, not "1 April"`},
		{"/plans/7/renew", `{"signed_on": "2026-04-02"}`, http.StatusBadRequest, `signed_on must be a day like 2026-04-01, at the latest today, not "2026-04-02"`},
		{"/plans/7/renew", `{"signed_on": "2025-09-01"}`, http.StatusConflict, "plan 7 began after 2025-09-01"},
		{"/plans/7", signedToday, http.StatusNotFound, "there is no POST /plans/7"},
	} {
		status, answer := call(t, http.MethodPost, tc.path, tc.body)
		require.Equal(t, tc.status, status, answer)
		require.Equal(t, tc.why, errorOf(t, answer))
	}
	snapshot.RequireUnchanged(t)
}

// Subtests use the database of the test above them, one after the other. One that
// restores when it ends leaves it as it found it, also for those that restore nothing.
func TestARenewedPlanIsNotDue(t *testing.T) {
	snapshot.Restore(t, "baseline")

	for id, left := range map[int]int{1: 409, 11: 409, 41: 409, 42: 410} { // 42 is due in 31 days
		t.Run(fmt.Sprint(id), func(t *testing.T) {
			t.Cleanup(func() { snapshot.Restore(t, "baseline") })
			status, answer := call(t, http.MethodPost, fmt.Sprintf("/plans/%d/renew", id), signedToday)
			require.Equal(t, http.StatusCreated, status, answer)
			_, answer = call(t, http.MethodGet, "/deadlines?days=30", "")
			require.Contains(t, answer, fmt.Sprintf(`{"total":%d,`, left))
		})
	}
	t.Run("none", func(t *testing.T) {
		_, answer := call(t, http.MethodGet, "/deadlines?days=30", "")
		require.Contains(t, answer, `{"total":410,`)
	})
}
