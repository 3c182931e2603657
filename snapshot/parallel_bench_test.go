package snapshot_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/workload"
)

// inWorkers has so many workers do work for each test, as go test -parallel does.
func inWorkers(b *testing.B, workers, tests int, test func(ctx context.Context, i int) error) {
	b.Helper()
	group, ctx := errgroup.WithContext(b.Context())
	group.SetLimit(workers)
	for i := range tests {
		group.Go(func() error { return test(ctx, i) })
	}
	require.NoError(b, group.Wait())
}

// BenchmarkParallelTests runs 100 tests, eight at a time, each of which inserts a row into
// five empty tables. With groundhog each test has a clone. The other way is a pool of eight
// schemas in one database: the schemas and a pool of connections for each are there, and a
// test takes one, inserts, empties the tables by TRUNCATE and gives it back. "x-schemapool"
// is the time of the round with clones by that of the round with schemas, at most 1.0.
func BenchmarkParallelTests(b *testing.B) {
	const tests, workers = 100, 8
	r := setupCopied(b, fixtures.WithSchema(workload.Five))
	_, err := r.store.Create(b.Context(), "bench")
	require.NoError(b, err)
	r.store.AwaitCopies()
	schemas := newSchemaPool(b, workers)
	inserts := func(ctx context.Context, pool *pgxpool.Pool) error {
		for _, sql := range workload.FiveInserts() {
			if _, err := pool.Exec(ctx, sql); err != nil {
				return fmt.Errorf("%s: %w", sql, err)
			}
		}
		return nil
	}
	ways := []func(ctx context.Context, _ int) error{
		func(ctx context.Context, _ int) error {
			c, err := r.store.Clone(ctx, "bench")
			if err != nil {
				return err
			}
			if err := inserts(ctx, c.Pool); err != nil {
				return err
			}
			return c.Close()
		},
		func(ctx context.Context, _ int) error {
			pool := <-schemas
			defer func() { schemas <- pool }()
			if err := inserts(ctx, pool); err != nil {
				return err
			}
			_, err := pool.Exec(ctx, workload.FiveEmptied)
			return err
		},
	}
	for _, way := range ways { // what is made once is made
		inWorkers(b, workers, tests, way)
	}
	var took [2]timer
	inTurns(b, func(i int) {
		b.StartTimer()
		took[i].time(func() { inWorkers(b, workers, tests, ways[i]) })
		b.StopTimer()
	})
	clones, schema := took[0].median(), took[1].median()
	b.ReportMetric(milliseconds(clones)/tests, "ms-test")
	b.ReportMetric(milliseconds(schema)/tests, "ms-test-schemapool")
	b.ReportMetric(float64(clones)/float64(schema), "x-schemapool")
}

// newSchemaPool makes so many schemas with the five tables in a database that groundhog
// does not track, each with a pool.
func newSchemaPool(b *testing.B, n int) chan *pgxpool.Pool {
	b.Helper()
	db := fixtures.Open(b)
	free := make(chan *pgxpool.Pool, n)
	for i := range n {
		schema := fmt.Sprintf("schema_%d", i)
		exec(b, db, "CREATE SCHEMA "+schema+"; SET search_path = "+schema+";"+workload.Five+" RESET search_path")
		config := plainConfig(b, db.Config())
		config.ConnConfig.RuntimeParams["search_path"] = schema
		pool, err := pgxpool.NewWithConfig(b.Context(), config)
		require.NoError(b, err)
		b.Cleanup(pool.Close)
		free <- pool
	}
	return free
}

// plainConfig leads to the same database, as one that others have written: connections that
// outlive their pool are groundhog's, and read along.
func plainConfig(b *testing.B, of *pgxpool.Config) *pgxpool.Config {
	b.Helper()
	config, err := pgxpool.ParseConfig(of.ConnString())
	require.NoError(b, err)
	config.ConnConfig.Database = of.ConnConfig.Database
	config.MaxConns = of.MaxConns
	return config
}

// BenchmarkRestoreAfterPause goes back after ten changed rows, at once and after a pause of
// two seconds, in which a test waits for something or computes. The pause comes before the
// change ("idle-before"), or, with GROUNDHOG_BENCH_LARGE=1, between the change and the
// restore ("idle-between"). "x-pause"
// is how many times as long as at once the restore takes. "x-plain" is the same of a plain
// client, which changes the same ten rows over a connection of its own in a database that is
// not tracked, in the same run: what a pause costs by itself, since the processor's caches
// and the server process have done other work or slept. "x-floor" is the first by the second,
// at most 1.2.
func BenchmarkRestoreAfterPause(b *testing.B) {
	const pause = 2 * time.Second
	r := setupCopied(b, fixtures.WithSchema(moreTables(44, 0)))
	seedWelfare(b, r.pool, 100)
	hand := newByHand(b, r.pool)
	_, err := r.store.Create(b.Context(), "bench")
	require.NoError(b, err)
	r.store.AwaitCopies()
	restore := func() {
		_, err := r.store.Restore(b.Context(), "bench")
		require.NoError(b, err)
	}
	held, err := hand.pool.Acquire(b.Context()) // a pool pings what was idle for a second
	require.NoError(b, err)
	defer held.Release()
	plain := func() {
		_, err := held.Exec(b.Context(), "BEGIN; "+changeOf(10)+"; ROLLBACK", pgx.QueryExecModeSimpleProtocol)
		require.NoError(b, err)
	}
	for _, first := range []bool{true, false} {
		name := "idle-before"
		if !first {
			if name = "idle-between"; !benchLarge() {
				continue // each takes seconds
			}
		}
		b.Run(name, func(b *testing.B) {
			restoring := func(idle time.Duration, took *timer) {
				if first {
					time.Sleep(idle)
				}
				exec(b, r.pool, changeOf(10))
				if !first {
					time.Sleep(idle)
				}
				took.time(restore)
			}
			var after, atOnce, plainAfter, plainAtOnce timer
			for range 5 {
				restoring(0, new(timer))
				plain()
			}
			for b.Loop() {
				restoring(pause, &after)
				for range 5 {
					restoring(0, &atOnce)
				}
				plain()
				time.Sleep(pause)
				plainAfter.time(plain)
				for range 5 {
					plainAtOnce.time(plain)
				}
			}
			b.ReportMetric(milliseconds(after.median()), "ms-after")
			b.ReportMetric(milliseconds(atOnce.median()), "ms-at-once")
			b.ReportMetric(milliseconds(plainAfter.median()), "ms-plain-after")
			b.ReportMetric(milliseconds(plainAtOnce.median()), "ms-plain-at-once")
			paused := float64(after.median()) / float64(atOnce.median())
			floor := float64(plainAfter.median()) / float64(plainAtOnce.median())
			b.ReportMetric(paused, "x-pause")
			b.ReportMetric(floor, "x-plain")
			b.ReportMetric(paused/floor, "x-floor")
		})
	}
}
