package welfare

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/bulk"
	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/snapshot"
)

// renew stands for the code under test: it ends the latest plan cycle of each
// recipient of an office and begins the next.
func renew(ctx context.Context, db *pgxpool.Pool, office string) error {
	_, err := db.Exec(ctx, `
		WITH ended AS (
			UPDATE support_plan_cycles SET is_latest_cycle = false, final_plan_signed_date = current_date
			WHERE is_latest_cycle AND office_id = (SELECT id FROM offices WHERE name = $1)
			RETURNING *
		)
		INSERT INTO support_plan_cycles
			(welfare_recipient_id, office_id, plan_cycle_start_date, is_latest_cycle, cycle_number, is_test_data)
		SELECT welfare_recipient_id, office_id, current_date, true, cycle_number + 1, is_test_data FROM ended`, office)
	return err
}

// due counts the latest plan cycles that are to be renewed within some days.
func due(ctx context.Context, db *pgxpool.Pool, days int) (n int, err error) {
	err = db.QueryRow(ctx, `
		SELECT count(*) FROM support_plan_cycles
		WHERE is_latest_cycle AND next_renewal_deadline <= current_date + $1::int`, days).Scan(&n)
	return n, err
}

// A plain test: it wakes up to the baseline and may write and commit whatever it
// wants, since the next test wakes up to the baseline too.
func TestRenewal(t *testing.T) {
	snapshot.Restore(t, "baseline")
	db := fixtures.DB(t)

	require.NoError(t, renew(t.Context(), db, "テスト事業所0000"))
	require.Equal(t, 10_100, count(t, "SELECT count(*) FROM support_plan_cycles"))
	require.Equal(t, 10_000, count(t, "SELECT count(*) FROM support_plan_cycles WHERE is_latest_cycle"))
}

// Subtests use the database of the test above them, one after the other. Each
// restores it for itself.
func TestDeadlines(t *testing.T) {
	for name, tc := range map[string]struct {
		change string
		want   int
	}{
		"as seeded":         {`SELECT`, 10_000},
		"a plan is ended":   {`UPDATE support_plan_cycles SET is_latest_cycle = false WHERE id = (SELECT min(id) FROM support_plan_cycles)`, 9_999},
		"an office is gone": {`DELETE FROM support_plan_cycles WHERE office_id = (SELECT id FROM offices WHERE name = 'テスト事業所0001')`, 9_900},
	} {
		t.Run(name, func(t *testing.T) {
			snapshot.Restore(t, "baseline")
			db := fixtures.DB(t)

			_, err := db.Exec(t.Context(), tc.change)
			require.NoError(t, err)
			got, err := due(t.Context(), db, 30)
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
		})
	}
}

// A test that restores when it ends leaves the database as it found it, also for
// tests that restore nothing.
func TestCleanup(t *testing.T) {
	snapshot.Restore(t, "baseline")

	t.Run("writes", func(t *testing.T) {
		t.Cleanup(func() { snapshot.Restore(t, "baseline") })
		_, err := fixtures.DB(t).Exec(t.Context(), "DELETE FROM support_plan_cycles")
		require.NoError(t, err)
	})
	t.Run("reads", func(t *testing.T) {
		require.Equal(t, 10_000, count(t, "SELECT count(*) FROM support_plan_cycles"))
	})
}

// A test of few rows opens an empty database of its own, and may run beside others.
// An edit function makes the rows that the test is about.
func TestOverdue(t *testing.T) {
	t.Parallel()
	db := fixtures.Open(t, fixtures.WithSchema(fixtures.WelfareSchema))
	offices := bulk.Offices(t, db, 1)
	recipients := bulk.WelfareRecipients(t, db, offices, 5)
	bulk.SupportPlanCycles(t, db, recipients, func(i int, c *bulk.SupportPlanCycle) {
		if i < 2 {
			overdue := c.PlanCycleStartDate.AddDate(0, 0, -10)
			c.NextRenewalDeadline = &overdue
		}
	})

	got, err := due(t.Context(), db, 0)
	require.NoError(t, err)
	require.Equal(t, 2, got)
}

// A benchmark seeds in its set-up, which b.Loop does not count.
func BenchmarkDue(b *testing.B) {
	db := fixtures.Open(b, fixtures.WithSchema(fixtures.WelfareSchema))
	bulk.Welfare(b, db, bulk.Small)

	for b.Loop() {
		n, err := due(b.Context(), db, 30)
		require.NoError(b, err)
		require.Equal(b, 1_000, n)
	}
}

// count reads a number from the database of t.
func count(t testing.TB, sql string) (n int) {
	t.Helper()
	require.NoError(t, fixtures.DB(t).QueryRow(t.Context(), sql).Scan(&n))
	return n
}
