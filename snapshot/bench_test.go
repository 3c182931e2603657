package snapshot_test

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/bulk"
	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/snapshot"
)

// benchTables are the welfare tables in load order, for what is done by hand.
var benchTables = []string{"staffs", "offices", "office_staffs", "welfare_recipients", "office_welfare_recipients", "support_plan_cycles"}

func setupWelfare(b *testing.B, scale bulk.Scale) bundle {
	b.Helper()
	w := setup(b, fixtures.WithSchema(fixtures.WelfareSchema))
	bulk.Welfare(b, w.pool, scale)
	return w
}

// BenchmarkSnapshotCreate writes 32,101 and 160,501 rows to a folder in memory.
// "raw-copy" is the time that the server takes to hand out the same rows in the
// same order as text over one connection, thrown away.
func BenchmarkSnapshotCreate(b *testing.B) {
	b.Run("32101", func(b *testing.B) { benchmarkCreate(b, bulk.Medium) })
	b.Run("160501", func(b *testing.B) { benchmarkCreate(b, bulk.Large) })
}

func benchmarkCreate(b *testing.B, scale bulk.Scale) {
	w := setupWelfare(b, scale)
	w.inMemory(b)
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

// inMemory keeps the snapshots in memory, so that the disk is not what is measured.
func (b *bundle) inMemory(t testing.TB) {
	t.Helper()
	var err error
	b.dir = fault.TmpFS(t, 256<<20)
	b.store, err = snapshot.NewStore(b.pool, snapshot.WithDir(b.dir))
	require.NoError(t, err)
}

// BenchmarkRestoreReload empties all tables and loads 32,101 rows. "raw-copy" is
// the same done by hand: TRUNCATE, and COPY of ready bytes in replica role. The
// others restore the rows of the test data only: all rows that there are, and all
// but one in each of two tables.
func BenchmarkRestoreReload(b *testing.B) {
	b.Run("whole", func(b *testing.B) { benchmarkReload(b, "") })
	b.Run("all-in-scope", func(b *testing.B) { benchmarkReload(b, "", snapshot.Rows("is_test_data")) })
	b.Run("among-others", func(b *testing.B) {
		benchmarkReload(b, `UPDATE welfare_recipients SET is_test_data = false WHERE id = (SELECT id FROM welfare_recipients LIMIT 1);
			UPDATE support_plan_cycles SET is_test_data = false WHERE id = 1`, snapshot.Rows("is_test_data"))
	})
}

func benchmarkReload(b *testing.B, change string, opts ...snapshot.CreateOption) {
	w := setupWelfare(b, bulk.Medium)
	ctx := b.Context()
	exec(b, w.pool, change)
	info, err := w.store.Create(ctx, "bench", opts...)
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
	run("SET groundhog.disabled = on") // the same by hand is not tracked
	var raw time.Duration
	for b.Loop() {
		b.StopTimer()
		exec(b, w.pool, `DO $$ BEGIN UPDATE groundhog.state SET token = NULL; EXCEPTION WHEN OTHERS THEN NULL; END $$`) // so that nothing is undone
		b.StartTimer()
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

// BenchmarkFormat compares what could stand in a file: COPY's text and its binary
// form, read, loaded, and packed at each level, for the 32,101 rows and for 3,000
// rows of 8 KB of text. The figures are in docs/snapshot-format.md.
func BenchmarkFormat(b *testing.B) {
	welfare := setupWelfare(b, bulk.Medium)
	wide := setup(b, fixtures.WithSchema(`CREATE TABLE wide (id int PRIMARY KEY, body text NOT NULL);
		SELECT setseed(0.5);
		INSERT INTO wide SELECT i, string_agg((ARRAY['restore', 'テスト', 'snapshot', '事業所', 'the', 'of', 'row', '利用者', 'plan', 'and'])[1 + (random() * 9)::int] || (random() * 99)::int, ' ')
			FROM generate_series(1, 3000) i, generate_series(1, 900) GROUP BY i`))
	for _, data := range []struct {
		name   string
		pool   *pgxpool.Pool
		tables []string
	}{{"welfare", welfare.pool, benchTables}, {"wide", wide.pool, []string{"wide"}}} {
		conn, err := data.pool.Acquire(b.Context())
		require.NoError(b, err)
		defer conn.Release()
		f := formats{pg: conn.Conn().PgConn(), tables: data.tables}
		for format, option := range map[string]string{"text": "", "binary": " (FORMAT binary)"} {
			b.Run(data.name+"/"+format+"/read", func(b *testing.B) { f.read(b, option) })
			b.Run(data.name+"/"+format+"/load", func(b *testing.B) { f.load(b, option) })
			for _, level := range []zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedDefault, zstd.SpeedBetterCompression, zstd.SpeedBestCompression} {
				b.Run(data.name+"/"+format+"/"+level.String(), func(b *testing.B) { f.pack(b, level) })
			}
		}
	}
}

type formats struct {
	pg     *pgconn.PgConn
	tables []string
	data   [][]byte // of each table
}

func (f *formats) read(b *testing.B, option string) {
	size := 0
	for b.Loop() {
		f.data, size = nil, 0
		for _, table := range f.tables {
			var buf bytes.Buffer
			_, err := f.pg.CopyTo(b.Context(), &buf, fmt.Sprintf("COPY (SELECT * FROM %s ORDER BY id) TO STDOUT%s", table, option))
			require.NoError(b, err)
			f.data = append(f.data, buf.Bytes())
			size += buf.Len()
		}
	}
	b.ReportMetric(float64(size), "bytes")
}

func (f *formats) load(b *testing.B, option string) {
	for b.Loop() {
		require.NoError(b, f.pg.Exec(b.Context(), "BEGIN; SET LOCAL session_replication_role = replica; TRUNCATE "+strings.Join(f.tables, ", ")).Close())
		for i, table := range f.tables {
			_, err := f.pg.CopyFrom(b.Context(), bytes.NewReader(f.data[i]), "COPY "+table+" FROM STDIN"+option)
			require.NoError(b, err)
		}
		require.NoError(b, f.pg.Exec(b.Context(), "COMMIT").Close())
	}
}

func (f *formats) pack(b *testing.B, level zstd.EncoderLevel) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(level))
	require.NoError(b, err)
	defer func() { require.NoError(b, encoder.Close()) }()
	size := 0
	var out []byte
	for b.Loop() {
		size = 0
		for _, data := range f.data {
			for frame := range slices.Chunk(data, 1<<20) {
				out = encoder.EncodeAll(frame, out[:0])
				size += len(out)
			}
		}
	}
	b.ReportMetric(float64(size), "bytes")
}

func report(b *testing.B, info snapshot.Info) {
	b.Helper()
	b.ReportMetric(float64(info.Rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
