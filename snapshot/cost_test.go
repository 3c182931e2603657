package snapshot_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/bulk"
	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/cost"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/snapshot"
)

// TestCosts compares statements and allocations with what was recorded. Record
// anew with: GROUNDHOG_RECORD=1 go test ./snapshot -run TestCosts
func TestCosts(t *testing.T) {
	fault.SkipShort(t)
	b := setup(t, fixtures.WithSchema(fixtures.WelfareSchema))
	superuser(t, b.pool)
	bulk.Welfare(t, b.pool, bulk.Small)
	config := b.pool.Config()
	wire := cost.Watch(&config.ConnConfig.Config)
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	defer pool.Close()
	store, err := snapshot.NewStore(pool, snapshot.WithDir(b.dir), snapshot.WithProgress(false))
	require.NoError(t, err)

	got := map[string]cost.Cost{}
	// change is what is done before each call, and not counted.
	measure := func(name string, change func(), call func(context.Context) error) {
		run := func() {
			change()
			wire.Reset()
			require.NoError(t, call(t.Context()), name)
		}
		run() // what is done once is done
		run()
		var c cost.Cost
		c.Statements, c.RoundTrips = wire.Counts()
		c.Allocs = cost.Allocs(change, func() { require.NoError(t, call(t.Context()), name) })
		got[name] = c
	}
	nothing := func() {}
	ensure := func(ctx context.Context) error {
		_, err := store.Ensure(ctx, "a", func(context.Context) error { return nil }, snapshot.Version("1"))
		return err
	}

	measure("Create", nothing, func(ctx context.Context) error {
		_, err := store.Create(ctx, "a", snapshot.Replace())
		return err
	})
	restore := func(ctx context.Context) error { _, err := store.Restore(ctx, "a"); return err }
	changes := func(ctx context.Context) error { _, err := store.Changes(ctx); return err }
	write := func() {
		exec(t, b.pool, `UPDATE welfare_recipients SET last_name = 'x' WHERE id = (SELECT id FROM welfare_recipients LIMIT 1); DELETE FROM support_plan_cycles WHERE id < 3`)
	}
	require.NoError(t, restore(t.Context()))
	measure("Restore, nothing changed", nothing, restore)
	measure("Restore, undone", write, restore)
	measure("Changes, none", nothing, changes)
	measure("Changes in two tables", write, changes)
	measure("Create in a scope", nothing, func(ctx context.Context) error {
		_, err := store.Create(ctx, "scope", snapshot.Replace(), snapshot.Rows("is_test_data"))
		return err
	})
	measure("Ensure, nothing to build", nothing, ensure)
	measure("Verify", nothing, func(ctx context.Context) error { _, err := store.Verify(ctx, "a"); return err })
	measure("List", nothing, func(ctx context.Context) error { _, err := store.List(ctx); return err })
	cost.Compare(t, "testdata/costs.json", got)
}
