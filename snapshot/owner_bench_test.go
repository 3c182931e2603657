package snapshot_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/snapshot"
)

// asMaker is an option of fixtures.Open by which tests are a role that is no superuser and
// owns the databases that it makes.
func asMaker(t testing.TB) fixtures.Option {
	t.Helper()
	admin := fixtures.Open(t)
	if !isSuperuser(t, admin) {
		t.Skip("the suite runs as such a role")
	}
	role := fmt.Sprintf("maker_%d_%s", os.Getpid(), admin.Config().ConnConfig.Database[len("groundhog_test_"):])
	exec(t, admin, `CREATE ROLE `+role+` LOGIN CREATEDB; GRANT pg_checkpoint TO `+role)
	config := admin.Config().ConnConfig.Copy()
	config.Database = "postgres"
	t.Cleanup(func() {
		conn, err := pgx.ConnectConfig(context.Background(), config)
		require.NoError(t, err)
		defer conn.Close(context.Background())
		rows, err := conn.Query(context.Background(), `SELECT d.datname FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba WHERE r.rolname = $1`, role)
		require.NoError(t, err)
		databases, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		for _, name := range databases { // templates of the schema, for later tests of the role
			for _, sql := range []string{`ALTER DATABASE %s IS_TEMPLATE false`, `DROP DATABASE %s`} {
				_, err = conn.Exec(context.Background(), fmt.Sprintf(sql, pgx.Identifier{name}.Sanitize()))
				require.NoError(t, err)
			}
		}
		_, err = conn.Exec(context.Background(), `DROP OWNED BY `+role+`; DROP ROLE `+role, pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err)
	})
	return fixtures.WithURL(fmt.Sprintf("host=%s port=%d user=%s dbname=postgres", config.Host, config.Port, role))
}

// BenchmarkOwner compares a role that is no superuser, owns the tables and may create
// databases with a superuser, on the same server, with the same rows and in turns. "x-super"
// is how many times as long as the superuser it waits. "over-ms" is how much longer. For
// what a copy serves better, see "exchange": x-hand compares the owner with a copy by hand,
// as BenchmarkExchange does.
//
//   - nothing changed: at most 2 ms over with 6 tables, 4 ms with 44.
//   - 10 rows: at most three times as long. 1,000 rows, all keys indexed: at most twice.
//   - 1,000 rows that were inserted and have children without an index: at most a load,
//     which x-load compares.
//   - a clone, with its first answer: at most 1.2 times as long.
func BenchmarkOwner(b *testing.B) {
	for _, tables := range []int{6, 44} {
		b.Run(fmt.Sprintf("tables=%d", tables), func(b *testing.B) {
			owner := asMaker(b)
			both := []*restoring{newOwnersRestoring(b, tables), newOwnersRestoring(b, tables, owner)}
			for _, deed := range []struct{ name, sql string }{
				{"nothing", "SELECT"},
				{"10-rows", changeOf(10)},
				{"1000-rows", `UPDATE support_plan_cycles SET google_event_id = 'x' WHERE id IN (SELECT id FROM support_plan_cycles LIMIT 400);
					DELETE FROM support_plan_cycles WHERE id IN (SELECT id FROM support_plan_cycles ORDER BY id DESC LIMIT 300);
					INSERT INTO support_plan_cycles (welfare_recipient_id, office_id, is_latest_cycle) SELECT welfare_recipient_id, office_id, false FROM support_plan_cycles LIMIT 300`},
				{"1000-unindexed", `INSERT INTO welfare_recipients SELECT (jsonb_populate_record(r, jsonb_build_object('id', gen_random_uuid()))).* FROM welfare_recipients r LIMIT 1000`},
			} {
				b.Run(deed.name, func(b *testing.B) {
					var took [2]timer
					var ways [2]string
					inTurns(b, func(i int) {
						exec(b, both[i].pool, deed.sql)
						took[i].time(func() {
							restored, err := both[i].store.Restore(b.Context(), "bench")
							require.NoError(b, err)
							ways[i] = fmt.Sprint(restored.Methods)
						})
						both[i].store.AwaitCopies()
					})
					reportOwner(b, took)
					if deed.name == "1000-unindexed" {
						b.Log("by the owner: " + ways[1])
					}
				})
			}
			b.Run("clone", func(b *testing.B) {
				var took [2]timer
				inTurns(b, func(i int) {
					require.NoError(b, both[i].store.EndClones())
					both[i].store.AwaitCopies()
					var c *snapshot.Cloned
					took[i].time(func() {
						var err error
						c, err = both[i].store.Clone(b.Context(), "bench")
						require.NoError(b, err)
						firstAnswer(b, c.Pool)
					})
					require.NoError(b, c.Close())
				})
				reportOwner(b, took)
			})
		})
	}
	b.Run("exchange", func(b *testing.B) {
		x := newExchanging(b, 100, asMaker(b))
		for _, d := range []deed{
			{name: "all-rows", sql: allRows},
			{name: "truncate", sql: "TRUNCATE offices CASCADE"},
			{name: "snapshots-by-turns", sql: tenRows, turns: true},
			{name: "add-column", sql: "ALTER TABLE offices ADD COLUMN more text"},
		} {
			b.Run(d.name+"/copy=ready", func(b *testing.B) { x.run(b, d, true) })
			b.Run(d.name+"/copy=on-demand", func(b *testing.B) { x.run(b, d, false) })
		}
	})
}

func reportOwner(b *testing.B, took [2]timer) {
	b.Helper()
	super, owner := took[0].median(), took[1].median()
	b.ReportMetric(milliseconds(super), "ms-super")
	b.ReportMetric(milliseconds(owner), "ms-owner")
	b.ReportMetric(float64(owner)/float64(super), "x-super")
	b.ReportMetric(milliseconds(owner-super), "over-ms")
}

func newOwnersRestoring(b *testing.B, tables int, opts ...fixtures.Option) *restoring {
	r := &restoring{bundle: setupCopied(b, append(opts, fixtures.WithSchema(moreTables(tables, 0)))...), ways: map[string]time.Duration{}}
	seedWelfare(b, r.pool, 100)
	_, err := r.store.Create(b.Context(), "bench")
	require.NoError(b, err)
	r.store.AwaitCopies()
	return r
}
