package main

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/snapshot"
)

func TestDeadlines(t *testing.T) {
	snapshot.Restore(t, "baseline")
	var office string
	require.NoError(t, fixtures.DB(t).QueryRow(t.Context(), "SELECT id FROM offices WHERE name = 'テスト事業所0003'").Scan(&office))

	for query, total := range map[string]int{
		"":                           410,
		"?days=0":                    110,
		"?days=365":                  1000,
		"?office=" + office:          41,
		"?days=1&office=" + office:   12,
		"?office=" + noOffice:        0,
		"?days=0&days=1&verbose=yes": 110,
	} {
		status, answer := call(t, http.MethodGet, "/deadlines"+query, "")
		require.Equal(t, http.StatusOK, status, answer)
		var got due
		require.NoError(t, json.Unmarshal([]byte(answer), &got))
		require.Equal(t, total, got.Total, query)
		require.Len(t, got.Plans, min(total, mostPlans), query)
	}
	snapshot.RequireUnchanged(t)
}

const noOffice = "00000000-0000-0000-0000-000000000000"

func TestTheMostUrgentPlanIsTheFirst(t *testing.T) {
	snapshot.Restore(t, "baseline")
	_, err := fixtures.DB(t).Exec(t.Context(), "UPDATE support_plan_cycles SET next_renewal_deadline = '2026-01-31' WHERE id = 250")
	require.NoError(t, err)

	_, answer := call(t, http.MethodGet, "/deadlines", "")
	var got due
	require.NoError(t, json.Unmarshal([]byte(answer), &got))
	require.Equal(t, duePlan{Plan: 250, Recipient: "事業所0002 利用者049", Office: "テスト事業所0002", Deadline: "2026-01-31", DaysLeft: -60}, got.Plans[0])
}

// What a request may say wrong. Nothing of it reaches the database.
func TestRefusedDeadlines(t *testing.T) {
	snapshot.Restore(t, "baseline")
	for path, why := range map[string]string{
		"/deadlines?days=-1":                    `days must be a number from 0 to 365, not "-1"`,
		"/deadlines?days=366":                   `days must be a number from 0 to 365, not "366"`,
		"/deadlines?days=1e2":                   `days must be a number from 0 to 365, not "1e2"`,
		"/deadlines?office=3%27%20OR%201%3D1--": `office must be an office's id, not "3' OR 1=1--"`,
	} {
		status, answer := call(t, http.MethodGet, path, "")
		require.Equal(t, http.StatusBadRequest, status, path)
		require.Equal(t, why, errorOf(t, answer))
	}
	snapshot.RequireUnchanged(t)
}

// errorOf returns the text of a refusal.
func errorOf(t testing.TB, answer string) string {
	t.Helper()
	var refused struct{ Error string }
	require.NoError(t, json.Unmarshal([]byte(answer), &refused), answer)
	return refused.Error
}
