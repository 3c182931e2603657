package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/bulk"
	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/snapshot"
)

// A benchmark that needs other data than the tests has a database of its own. What
// comes before b.Loop is not measured.
func BenchmarkDeadlines(b *testing.B) {
	db := fixtures.Open(b, fixtures.WithSchema(fixtures.WelfareSchema))
	bulk.Welfare(b, bulk.With(db, bulk.Clock(today)), bulk.Medium)

	for b.Loop() {
		status, answer := call(b, http.MethodGet, "/deadlines", "")
		require.Equal(b, http.StatusOK, status, answer)
	}
}

// A benchmark of what writes goes back to the baseline when there is nothing left to
// write to, and does not measure that.
func BenchmarkRenew(b *testing.B) {
	silent := snapshot.WithLogger(slog.New(slog.DiscardHandler)) // else each restore is a line of the benchmark's log
	plan := 0
	for b.Loop() {
		if plan%1000 == 0 {
			b.StopTimer()
			snapshot.Restore(b, "baseline", silent)
			b.StartTimer()
		}
		status, answer := call(b, http.MethodPost, fmt.Sprintf("/plans/%d/renew", plan%1000+1), signedToday)
		require.Equal(b, http.StatusCreated, status, answer)
		plan++
	}
}
