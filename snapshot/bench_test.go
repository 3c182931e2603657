package snapshot_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/bulk"
	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/snapshot"
)

// benchTables are the welfare tables in load order, for what is done by hand.
var benchTables = []string{"staffs", "offices", "office_staffs", "welfare_recipients", "office_welfare_recipients", "support_plan_cycles"}

func setupWelfare(b *testing.B) bundle {
	b.Helper()
	w := setup(b, fixtures.WithSchema(fixtures.WelfareSchema))
	bulk.Welfare(b, w.pool, bulk.Medium)
	return w
}

// BenchmarkSnapshotCreate writes 32,101 rows. "raw-copy" is the time that the
// server takes to hand out the same rows in the same order, thrown away.
func BenchmarkSnapshotCreate(b *testing.B) {
	w := setupWelfare(b)
	ctx := b.Context()
	conn, err := w.pool.Acquire(ctx)
	require.NoError(b, err)
	defer conn.Release()
	var info snapshot.Info
	var raw time.Duration
	for b.Loop() {
		info, err = w.store.Create(ctx, "bench", snapshot.Replace())
		require.NoError(b, err)
		b.StopTimer()
		began := time.Now()
		for _, table := range benchTables {
			_, err := conn.Conn().PgConn().CopyTo(ctx, io.Discard, fmt.Sprintf("COPY (SELECT * FROM %s ORDER BY id) TO STDOUT", table))
			require.NoError(b, err)
		}
		raw += time.Since(began)
		b.StartTimer()
	}
	report(b, info)
	b.ReportMetric(float64(b.Elapsed())/float64(raw), "ratio-to-raw-copy")
	b.ReportMetric(float64(info.Bytes), "bytes")
}

// BenchmarkRestoreReload empties all tables and loads 32,101 rows. "raw-copy" is
// the same done by hand: TRUNCATE, and COPY of ready bytes in replica role.
func BenchmarkRestoreReload(b *testing.B) {
	w := setupWelfare(b)
	ctx := b.Context()
	info, err := w.store.Create(ctx, "bench")
	require.NoError(b, err)
	conn, err := w.pool.Acquire(ctx)
	require.NoError(b, err)
	defer conn.Release()
	pg := conn.Conn().PgConn()
	bytesOf := map[string]*bytes.Buffer{}
	for _, table := range benchTables {
		bytesOf[table] = new(bytes.Buffer)
		_, err := pg.CopyTo(ctx, bytesOf[table], fmt.Sprintf("COPY (SELECT * FROM %s ORDER BY id) TO STDOUT", table))
		require.NoError(b, err)
	}
	run := func(sql string) {
		require.NoError(b, pg.Exec(ctx, sql).Close())
	}
	var raw time.Duration
	for b.Loop() {
		_, err := w.store.Restore(ctx, "bench")
		require.NoError(b, err)
		b.StopTimer()
		began := time.Now()
		run("BEGIN; SET LOCAL session_replication_role = replica; TRUNCATE staffs, offices, office_staffs, welfare_recipients, office_welfare_recipients, support_plan_cycles")
		for _, table := range benchTables {
			_, err := pg.CopyFrom(ctx, bytes.NewReader(bytesOf[table].Bytes()), "COPY "+table+" FROM STDIN")
			require.NoError(b, err)
		}
		run("COMMIT")
		raw += time.Since(began)
		b.StartTimer()
	}
	report(b, info)
	b.ReportMetric(float64(b.Elapsed())/float64(raw), "ratio-to-raw-copy")
}

func report(b *testing.B, info snapshot.Info) {
	b.Helper()
	b.ReportMetric(float64(info.Rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
