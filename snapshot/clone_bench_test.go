package snapshot_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/snapshot"
)

// firstStatement is what a test does: it changes ten rows.
const firstStatement = `UPDATE offices SET name = name || 'x' WHERE id IN (SELECT id FROM offices LIMIT 10)`

// BenchmarkClone gives a test a database of the welfare schema: cold, from a template
// that is there; made ahead; and used before by a test that changed 10 rows. "whole" is the
// time from the call of Clone until the first statement has its answer, and that of giving the
// database back; "wait" is that of Clone alone, "back" that of giving back. In the same
// run it measures the same test with Restore; and pgtestdb's way: CREATE DATABASE from a template,
// connect, and DROP DATABASE. The larger one takes
// GROUNDHOG_BENCH_LARGE=1.
func BenchmarkClone(b *testing.B) {
	sizes := []struct {
		name    string
		offices int
	}{{"32k", 100}, {"1M", 3200}}
	if os.Getenv("GROUNDHOG_BENCH_LARGE") == "" {
		sizes = sizes[:1]
	}
	for _, size := range sizes {
		b.Run("rows="+size.name, func(b *testing.B) {
			r := newWelfare(b, size.offices)
			peer := pgtestdb(b, r)
			_, err := r.store.Create(b.Context(), "bench")
			require.NoError(b, err)
			run := func(name string, before func() (after func())) {
				b.Run(name, func(b *testing.B) {
					var wait, whole, back, restored timer
					for b.Loop() {
						b.StopTimer()
						after := before()
						b.StartTimer()
						var c *snapshot.Cloned
						began := time.Now()
						wait.time(func() { c, err = r.store.Clone(b.Context(), "bench") })
						require.NoError(b, err)
						_, err = c.Pool.Exec(b.Context(), firstStatement)
						require.NoError(b, err)
						back.time(func() { err = c.Close() })
						require.NoError(b, err)
						whole = append(whole, time.Since(began))
						b.StopTimer()
						after()
						restored.time(func() {
							_, err = r.store.Restore(b.Context(), "bench")
							require.NoError(b, err)
							_, err = r.pool.Exec(b.Context(), firstStatement)
						})
						require.NoError(b, err)
						b.StartTimer()
					}
					b.ReportMetric(milliseconds(wait.median()), "ms-wait")
					b.ReportMetric(milliseconds(whole.median()), "ms-whole")
					b.ReportMetric(milliseconds(back.median()), "ms-back")
					b.ReportMetric(milliseconds(restored.median()), "ms-restore")
					b.ReportMetric(float64(whole.median())/float64(restored.median()), "x-restore")
					b.ReportMetric(float64(peer)/float64(whole.median()), "x-pgtestdb")
				})
			}
			run("cold", func() func() { return func() { _ = r.store.EndClones() } })
			run("ahead", func() func() { r.store.CloneAhead("bench"); return func() { _ = r.store.EndClones() } })
			run("recycled", func() func() { return func() {} })
		})
	}
}

// pgtestdb measures its way, on a database that is not tracked.
func pgtestdb(b *testing.B, r bundle) time.Duration {
	hand := newByHand(b, r.pool)
	defer hand.end()
	hand.pool.Close()
	var whole timer
	for range 5 {
		whole.time(func() {
			hand.do(b, "DROP DATABASE %s WITH (FORCE)", hand.name)
			hand.do(b, "CREATE DATABASE %s WITH TEMPLATE %s", hand.name, hand.templates[0])
			test, err := pgx.ConnectConfig(b.Context(), hand.config.ConnConfig)
			require.NoError(b, err)
			require.NoError(b, test.Ping(b.Context()))
			require.NoError(b, test.Close(b.Context()))
		})
	}
	return whole.median()
}

// BenchmarkChanges tells what a test changed in three tables.
func BenchmarkChanges(b *testing.B) {
	r := newWelfare(b, 100)
	_, err := r.store.Create(b.Context(), "bench")
	require.NoError(b, err)
	for _, rows := range []int{0, 10, 1000} {
		b.Run(fmt.Sprintf("changed=%d", rows), func(b *testing.B) {
			_, err := r.store.Restore(b.Context(), "bench")
			require.NoError(b, err)
			(&restoring{bundle: r}).change(b, rows)
			var tell timer
			for b.Loop() {
				var set snapshot.ChangeSet
				tell.time(func() { set, err = r.store.Changes(b.Context()) })
				require.NoError(b, err)
				require.Len(b, set.Tables, cond(rows > 0, 3, 0))
			}
			b.ReportMetric(milliseconds(tell.median()), "ms-median")
		})
	}
}

// newWelfare makes a database of the welfare schema with so many offices.
func newWelfare(b *testing.B, offices int) bundle {
	r := setupCopied(b, fixtures.WithSchema(fixtures.WelfareSchema))
	seedWelfare(b, r.pool, offices)
	return r
}
