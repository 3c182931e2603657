package bulk_test

import (
	"context"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/bulk"
	"github.com/groundhogdb/groundhog/fixtures"
)

func TestMain(m *testing.M) {
	if os.Getenv(childURL) != "" {
		seedAsChild()
		return
	}
	fixtures.Main(m, func(testing.TB) {})
}

// welfare opens an empty database with the schema of the domain.
func welfare(t testing.TB) *pgxpool.Pool {
	t.Helper()
	return fixtures.Open(t, fixtures.WithSchema(fixtures.WelfareSchema))
}

// superuser skips what an ordinary role can't show (see internal/cmd/asrole).
func superuser(t testing.TB, db querier) {
	t.Helper()
	if !one[bool](t, db, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") {
		t.Skip("only a superuser may do this")
	}
}

// several skips a test of more than one database where the role may not create
// them.
func several(t testing.TB, db querier) {
	t.Helper()
	if !one[bool](t, db, "SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user") {
		t.Skip("needs more than one database")
	}
}

// one reads a single value.
func one[T any](t testing.TB, db querier, sql string, args ...any) T {
	t.Helper()
	rows, err := db.Query(context.WithoutCancel(t.Context()), sql, args...)
	require.NoError(t, err)
	v, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	require.NoError(t, err)
	return v
}

// read reads rows as users do.
func read[T any](t testing.TB, db querier, sql string, args ...any) []T {
	t.Helper()
	rows, err := db.Query(context.WithoutCancel(t.Context()), sql, args...)
	require.NoError(t, err)
	out, err := pgx.CollectRows(rows, pgx.RowToStructByName[T])
	require.NoError(t, err)
	return out
}

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func execSQL(t testing.TB, db *pgxpool.Pool, sql string, args ...any) {
	t.Helper()
	_, err := db.Exec(context.WithoutCancel(t.Context()), sql, args...)
	require.NoError(t, err)
}

var tables = []string{"staffs", "offices", "office_staffs", "welfare_recipients", "office_welfare_recipients", "support_plan_cycles"}

// counts reads how many rows the tables of the domain have, in their order above.
func counts(t testing.TB, db querier) []int {
	t.Helper()
	out := make([]int, len(tables))
	for i, table := range tables {
		out[i] = one[int](t, db, "SELECT count(*) FROM "+table)
	}
	return out
}

// fatal runs f as a test of its own and returns what it failed with.
func fatal(t *testing.T, f func(t testing.TB)) string {
	t.Helper()
	r := &recorder{TB: t}
	var done sync.WaitGroup
	done.Go(func() { f(r) })
	done.Wait()
	return r.text
}

// recorder is a testing.TB that is failed in place of the test.
type recorder struct {
	testing.TB
	text string
}

func (r *recorder) Fatal(args ...any) {
	r.text = args[0].(error).Error()
	runtime.Goexit()
}

var clock = time.Date(2026, 11, 24, 23, 30, 0, 123456789, time.FixedZone("JST", 9*60*60))

func seeder(db bulk.DB, opts ...bulk.Option) *bulk.Seeder { return bulk.NewSeeder(db, opts...) }
