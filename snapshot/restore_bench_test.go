package snapshot_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/bulk"
	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/snapshot"
)

// timer takes the median of what is measured, since means tell of the machine.
type timer []time.Duration

func (t *timer) time(f func()) {
	began := time.Now()
	f()
	*t = append(*t, time.Since(began))
}

func (t timer) median() time.Duration {
	slices.Sort(t)
	return t[len(t)/2]
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// BenchmarkRestore brings the welfare schema back after a test changed some rows in
// three tables, or all of them, for several sizes of the database and of the schema.
// The time is that of the whole call. Beside it, in the same run, the other ways
// back: dropping the database and copying a template by FILE_COPY, the same by the
// statements that testcontainers-go sends, and TRUNCATE and COPY of ready bytes in
// replica role. The larger ones take GROUNDHOG_BENCH_LARGE=1.
func BenchmarkRestore(b *testing.B) {
	sizes := []struct {
		name    string
		offices int
	}{{"32k", 100}, {"160k", 500}, {"1M", 3200}}
	schemas := []int{6, 44, 400}
	if os.Getenv("GROUNDHOG_BENCH_LARGE") == "" {
		sizes, schemas = sizes[:1], schemas[1:2]
	}
	for _, size := range sizes {
		b.Run("rows="+size.name, func(b *testing.B) {
			r := newRestoring(b, size.offices, len(benchTables))
			for _, changed := range []int{0, 10, 1000, -1} {
				name := fmt.Sprintf("changed=%d", changed)
				if changed < 0 {
					name = "changed=all"
				}
				b.Run(name, func(b *testing.B) { r.run(b, changed) })
			}
		})
	}
	for _, tables := range schemas {
		b.Run(fmt.Sprintf("tables=%d", tables), func(b *testing.B) {
			r := newRestoring(b, 100, tables)
			for _, changed := range []int{0, 10} {
				b.Run(fmt.Sprintf("changed=%d", changed), func(b *testing.B) { r.run(b, changed) })
			}
		})
	}
}

type restoring struct {
	bundle
	bytes map[string]*bytes.Buffer
	ways  map[string]time.Duration
}

func newRestoring(b *testing.B, offices, tables int) *restoring {
	r := &restoring{bundle: setupCopied(b, fixtures.WithSchema(moreTables(tables, 0))), bytes: map[string]*bytes.Buffer{}, ways: map[string]time.Duration{}}
	seedWelfare(b, r.pool, offices)
	r.others(b)
	_, err := r.store.Create(b.Context(), "bench")
	require.NoError(b, err)
	return r
}

// seedWelfare fills the welfare schema: 321 rows an office, and one more.
func seedWelfare(b *testing.B, pool *pgxpool.Pool, offices int) {
	of := bulk.Offices(b, pool, offices)
	bulk.Staffs(b, pool, of, 10)
	recipients := bulk.WelfareRecipients(b, pool, of, 100)
	bulk.SupportPlanCycles(b, pool, recipients)
	exec(b, pool, "ANALYZE")
}

// others measures the other ways back, three times each, on a copy of the database that is
// not tracked.
func (r *restoring) others(b *testing.B) {
	ctx := b.Context()
	conn, err := r.pool.Acquire(ctx)
	require.NoError(b, err)
	pg := conn.Conn().PgConn()
	for _, table := range benchTables {
		r.bytes[table] = new(bytes.Buffer)
		_, err := pg.CopyTo(ctx, r.bytes[table], fmt.Sprintf("COPY (SELECT * FROM %s ORDER BY id) TO STDOUT", table))
		require.NoError(b, err)
	}
	conn.Release()

	hand := newByHand(b, r.pool)
	defer hand.end()
	var file, containers, load timer
	for range 3 {
		hand.checkpoint(b)
		file.time(func() {
			hand.do(b, "DROP DATABASE %s WITH (FORCE)", hand.name)
			hand.copy(b, hand.name, hand.templates[0])
		})
		hand.checkpoint(b)
		containers.time(func() {
			hand.do(b, "DROP DATABASE %s WITH (FORCE)", hand.name)
			hand.do(b, "CREATE DATABASE %s WITH TEMPLATE %s", hand.name, hand.templates[0])
		})
		conn, err := pgx.ConnectConfig(ctx, hand.config.ConnConfig)
		require.NoError(b, err)
		load.time(func() { r.loadByHand(b, conn) })
		require.NoError(b, conn.Close(ctx))
	}
	r.ways = map[string]time.Duration{"template": file.median(), "testcontainers": containers.median(), "truncate-copy": load.median()}
}

func (r *restoring) loadByHand(b *testing.B, conn *pgx.Conn) {
	ctx := context.WithoutCancel(b.Context())
	pg := conn.PgConn()
	require.NoError(b, pg.Exec(ctx, "BEGIN; SET LOCAL session_replication_role = replica; TRUNCATE staffs, offices, office_staffs, welfare_recipients, office_welfare_recipients, support_plan_cycles CASCADE").Close())
	for _, table := range benchTables {
		_, err := pg.CopyFrom(ctx, bytes.NewReader(r.bytes[table].Bytes()), "COPY "+table+" FROM STDIN")
		require.NoError(b, err)
	}
	require.NoError(b, pg.Exec(ctx, "COMMIT").Close())
}

// change changes so many rows in three tables; below 0: all rows.
func (r *restoring) change(b *testing.B, rows int) {
	switch {
	case rows < 0:
		for _, table := range benchTables {
			exec(b, r.pool, "UPDATE "+table+" SET updated_at = now()")
		}
	case rows > 0:
		exec(b, r.pool, changeOf(rows))
	}
}

// changeOf changes so many rows in three tables.
func changeOf(rows int) string {
	return fmt.Sprintf(`UPDATE welfare_recipients SET last_name = 'changed' WHERE id IN (SELECT id FROM welfare_recipients LIMIT %d);
			DELETE FROM support_plan_cycles WHERE id IN (SELECT id FROM support_plan_cycles LIMIT %d);
			INSERT INTO offices (name, is_group, type, created_by, last_modified_by) SELECT 'new', false, 'type_B_office', s.id, s.id FROM (SELECT id FROM staffs LIMIT 1) s, generate_series(1, %d)`,
		rows/2, rows*3/10, rows/5)
}

func (r *restoring) run(b *testing.B, changed int) {
	ctx := b.Context()
	_, err := r.store.Restore(ctx, "bench")
	require.NoError(b, err)
	var restore timer
	for b.Loop() {
		b.StopTimer()
		r.change(b, changed)
		b.StartTimer()
		restore.time(func() { _, err = r.store.Restore(ctx, "bench") })
		require.NoError(b, err)
	}
	median := restore.median()
	b.ReportMetric(milliseconds(median), "ms-median")
	for way, took := range r.ways {
		b.ReportMetric(float64(took)/float64(median), "x-"+way)
	}
}

// BenchmarkTrackedWrites compares what tests write to a tracked database with the
// same in one that is not: each statement in a transaction of its own. "again" are
// rows that were changed before, "of" the rows that the table has.
func BenchmarkTrackedWrites(b *testing.B) {
	tracked, plain := setupWelfare(b, bulk.Medium), setupWelfare(b, bulk.Medium)
	ctx := b.Context()
	for _, w := range []bundle{tracked, plain} {
		exec(b, w.pool, `CREATE TABLE few (LIKE support_plan_cycles, PRIMARY KEY (id)); CREATE TABLE many (LIKE support_plan_cycles, PRIMARY KEY (id));
			CREATE TABLE parts (LIKE support_plan_cycles, PRIMARY KEY (id)) PARTITION BY HASH (id); CREATE TABLE parts0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
			CREATE TABLE parts1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1)`)
		for table, rows := range map[string]int{"few": 10_000, "many": 100_000, "parts": 10_000} {
			exec(b, w.pool, fmt.Sprintf(`INSERT INTO %s (id, welfare_recipient_id, office_id, is_latest_cycle, created_at, updated_at, is_test_data)
				SELECT i, gen_random_uuid(), gen_random_uuid(), true, now(), now(), false FROM generate_series(1, %d) i`, table, rows))
		}
	}
	_, err := tracked.store.Create(ctx, "bench")
	require.NoError(b, err)
	for _, w := range []bundle{tracked, plain} {
		exec(b, w.pool, "ANALYZE")
	}
	insert := func(n int) string {
		return fmt.Sprintf(`INSERT INTO support_plan_cycles (welfare_recipient_id, office_id, is_latest_cycle)
			SELECT welfare_recipient_id, office_id, false FROM support_plan_cycles WHERE id <= %d`, n)
	}
	ranged := func(sql string, n int) func(i int) string {
		return func(i int) string { return fmt.Sprintf(sql, i*n%9000+1, i*n%9000+n) }
	}
	update := `UPDATE support_plan_cycles SET google_event_id = 'x' WHERE id BETWEEN %d AND %d`
	for _, op := range []struct {
		name string
		per  int // iterations for which there are fresh rows
		sql  func(i int) string
	}{
		{"insert=1", 1000, func(int) string { return insert(1) }},
		{"update=1", 1000, ranged(update, 1)},
		{"update-again=1", 1 << 30, func(int) string { return fmt.Sprintf(update, 1, 1) }},
		{"delete=1", 1000, ranged(`DELETE FROM support_plan_cycles WHERE id BETWEEN %d AND %d`, 1)},
		{"select=1", 1 << 30, func(int) string { return `SELECT * FROM support_plan_cycles WHERE id = 77` }},
		{"insert=1000", 9, func(int) string { return insert(1000) }},
		{"update=1000", 9, ranged(update, 1000)},
		{"update-again=1000", 1 << 30, func(int) string { return fmt.Sprintf(update, 1, 1000) }},
		{"delete=1000", 9, ranged(`DELETE FROM support_plan_cycles WHERE id BETWEEN %d AND %d`, 1000)},
		{"delete=10000/of=10000", 1, func(int) string { return `DELETE FROM few` }},
		{"delete=10000/of=100000", 1, func(int) string { return `DELETE FROM many WHERE id <= 10000` }},
		{"delete=10000/of=10000/partitioned", 1, func(int) string { return `DELETE FROM parts` }},
	} {
		b.Run(op.name, func(b *testing.B) {
			_, err := tracked.store.Restore(ctx, "bench")
			require.NoError(b, err)
			_, err = plain.store.Create(ctx, "bench", snapshot.Replace())
			require.NoError(b, err)
			conns := map[*pgxpool.Pool]*pgxpool.Conn{}
			for _, w := range []bundle{tracked, plain} {
				conn, err := w.pool.Acquire(ctx)
				require.NoError(b, err)
				defer conn.Release()
				conns[w.pool] = conn
			}
			require.NoError(b, plain.store.Untrack(ctx))
			run := func(w bundle, sql string) {
				_, err := conns[w.pool].Exec(ctx, sql)
				require.NoError(b, err)
			}
			for _, w := range []bundle{tracked, plain} {
				run(w, op.sql(op.per)) // plans, and the first change of rows that are changed again
			}
			var with, without timer
			i := 0
			for b.Loop() {
				b.StopTimer()
				if i++; i%op.per == 0 {
					_, err := tracked.store.Restore(ctx, "bench")
					require.NoError(b, err)
					_, err = plain.store.Restore(ctx, "bench")
					require.NoError(b, err)
					require.NoError(b, plain.store.Untrack(ctx))
				}
				without.time(func() { run(plain, op.sql(i%op.per)) })
				b.StartTimer()
				with.time(func() { run(tracked, op.sql(i%op.per)) })
			}
			_, err = plain.store.Restore(ctx, "bench")
			require.NoError(b, err)
			b.ReportMetric(float64(with.median())/float64(without.median()), "x-untracked")
			b.ReportMetric(float64(with.median()-without.median())/1000, "µs-more")
		})
	}
}
