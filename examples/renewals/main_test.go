package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/bulk"
	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/snapshot"
)

// What to copy, and from where:
//
//   - this file: TestMain starts PostgreSQL, fills a database and keeps its state as
//     the snapshot that every test wakes up to;
//   - deadlines_test.go: requests that must write nothing;
//   - renew_test.go: a request that must write just this; a restore in t.Cleanup;
//   - parallel_test.go: tests side by side, each on a database of its own;
//   - bench_test.go: benchmarks that seed in their set-up, and that restore.

// today is a fixed day, so that the snapshot is as good next year, and tests can
// tell the dates that they expect.
var today = time.Date(2026, time.April, 1, 9, 0, 0, 0, time.UTC)

// TestMain runs once. The first run seeds and writes testdata/snapshots; the next
// ones load it from there, until a Go file of this package or the schema changes.
func TestMain(m *testing.M) {
	fixtures.Main(m, func(t testing.TB) {
		db := fixtures.Open(t, fixtures.WithSchema(fixtures.WelfareSchema))
		snapshot.Ensure(t, "baseline", func(t testing.TB) { seed(t, db) }, snapshot.Forever)
	})
}

// seed makes ten offices with a hundred plans each. Of the plans of an office the
// first is due since ten days, the next since nine, and so on: plan 11 is due today.
func seed(t testing.TB, db bulk.DB) {
	t.Helper()
	db = bulk.With(db, bulk.Clock(today))
	offices := bulk.Offices(t, db, 10)
	recipients := bulk.WelfareRecipients(t, db, offices, 100)
	bulk.SupportPlanCycles(t, db, recipients, func(i int, c *bulk.SupportPlanCycle) {
		deadline := today.AddDate(0, 0, i%100-10)
		begins := deadline.AddDate(0, 0, -renewalDays)
		c.PlanCycleStartDate, c.NextRenewalDeadline = &begins, &deadline
	})
}

// call sends a request to the service, on the database of t.
func call(t testing.TB, method, path, body string) (status int, answer string) {
	t.Helper()
	service := newService(fixtures.DB(t), func() time.Time { return today })
	w := httptest.NewRecorder()
	service.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return w.Code, w.Body.String()
}

func TestServe(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- serve(t.Context(), listener, newService(nil, time.Now)) }()
	t.Cleanup(func() { // t's context is over by then
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})

	response, err := http.Get("http://" + listener.Addr().String() + "/nothing")
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusNotFound, response.StatusCode)
	require.Equal(t, "application/json", response.Header.Get("Content-Type"))
}
