package shop

import (
	"context"
	_ "embed"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/snapshot"
)

//go:embed schema.sql
var schema string

func TestMain(m *testing.M) {
	fixtures.Main(m, func(t testing.TB) {
		db := fixtures.Open(t, fixtures.WithSchema(schema))
		snapshot.Ensure(t, "shop", func(t testing.TB) {
			placed := orders(t, db, customers(t, db, 100), 60)
			lines(t, db, placed, products(t, db, 40), 3)
		}, snapshot.Forever)
	})
}

// cancel stands for the code under test: it cancels an order that was not sent yet,
// and puts its products back into stock.
func cancel(ctx context.Context, db *pgxpool.Pool, order int64) error {
	_, err := db.Exec(ctx, `
		WITH cancelled AS (
			UPDATE orders SET state = 'cancelled' WHERE id = $1 AND state IN ('placed', 'paid') RETURNING id, placed_on
		)
		UPDATE products p SET stock = stock + l.quantity
		FROM cancelled c JOIN order_lines l ON (l.order_id, l.placed_on) = (c.id, c.placed_on) WHERE p.sku = l.sku`, order)
	return err
}

// turnover sums up the orders of a year that were not cancelled.
func turnover(ctx context.Context, db *pgxpool.Pool, year int) (cents int, err error) {
	err = db.QueryRow(ctx, `
		SELECT coalesce(sum(l.total), 0) FROM order_lines l JOIN orders o ON (o.id, o.placed_on) = (l.order_id, l.placed_on)
		WHERE o.state <> 'cancelled' AND extract(year FROM o.placed_on) = $1`, year).Scan(&cents)
	return cents, err
}

func TestCancel(t *testing.T) {
	snapshot.Restore(t, "shop")
	require.NoError(t, cancel(t.Context(), fixtures.DB(t), 54))
	snapshot.RequireChanges(t, `
		public.orders ~1
		  ~ id=54  placed_on=2026-01-07  state: placed → cancelled
		public.products ~3
		  ~ sku=P-000  stock: 50 → 52
		  ~ sku=P-001  stock: 50 → 53
		  ~ sku=P-039  stock: 50 → 51
	`)
}

func TestCancelTwice(t *testing.T) {
	snapshot.Restore(t, "shop")
	require.NoError(t, cancel(t.Context(), fixtures.DB(t), 54))
	once := snapshot.Changes(t).Text()
	require.NoError(t, cancel(t.Context(), fixtures.DB(t), 54))
	snapshot.RequireChanges(t, once)
}

func TestTurnoverIsThatOfTheBaseline(t *testing.T) {
	snapshot.Restore(t, "shop")
	for year, want := range map[int]int{2024: 0, 2025: 100 * 53 * (1 + 2 + 3) * 100, 2026: 100 * 7 * (1 + 2 + 3) * 100} {
		got, err := turnover(t.Context(), fixtures.DB(t), year)
		require.NoError(t, err)
		require.Equal(t, want, got, year)
	}
	snapshot.RequireUnchanged(t)
}

// A test of few rows makes them in a database of its own, and may run beside others.
func TestTurnoverLeavesOutWhatWasCancelled(t *testing.T) {
	t.Parallel()
	db := fixtures.Open(t, fixtures.WithSchema(schema))
	placed := orders(t, db, customers(t, db, 1), 2, func(i int, o *order) {
		if i == 1 {
			o.State, o.ShipTo = "cancelled", &address{"Other Street 2", "Elsewhere"}
		}
	})
	lines(t, db, placed, products(t, db, 1, func(_ int, p *product) { p.Cents = 1000 }), 1)

	got, err := turnover(t.Context(), db, 2025)
	require.NoError(t, err)
	require.Equal(t, 1000, got)
}
