package bulk_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/bulk"
	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
)

// soon are waits for tests.
var soon = bulk.WithRetry(3, time.Millisecond)

// proxied opens tables, and a pool whose connections go through a proxy.
func proxied(t *testing.T, ddl string) (direct, db *pgxpool.Pool, proxy *fault.Proxy) {
	t.Helper()
	direct = tablesOf(t, ddl)
	proxy = fault.Postgres(t, fixtures.URL(t))
	db, err := pgxpool.New(t.Context(), proxy.URL())
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return direct, db, proxy
}

type numbered struct {
	ID int
	N  int
	V  string
}

func numberedRows(n int) []numbered {
	rows := make([]numbered, n)
	for i := range rows {
		rows[i] = numbered{N: i, V: strings.Repeat("x", 100)}
	}
	return rows
}

const numberedSQL = `CREATE TABLE t (id serial PRIMARY KEY, n int UNIQUE, v text)`

// The connection is cut once, at many places of a call; the call must store its
// rows exactly once all the same.
func TestCutAnywhereTheRowsAreStoredExactlyOnce(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	direct, db, proxy := proxied(t, numberedSQL)
	const n = 3000
	began := proxy.Traffic()
	bulk.Insert(t, db, "t", numberedRows(n))
	whole := proxy.Traffic()
	sent, got := whole.ToServer-began.ToServer, whole.FromServer-began.FromServer
	for _, how := range []fault.How{fault.RST, fault.FIN} {
		for step := range 8 {
			for way, total := range map[fault.Way]int64{fault.ToServer: sent, fault.FromServer: got} {
				execSQL(t, direct, "TRUNCATE t")
				db.Reset()
				conn := len(proxy.Conns()) + 1
				after := total*int64(step)/8 + 1
				proxy.Add(fault.Rule{Conn: conn, Way: way, After: after, How: how, Times: 1})
				var log bytes.Buffer
				rows, err := bulk.InsertRows(t.Context(), bulk.With(db, soon, bulk.WithLogger(slog.New(slog.NewTextHandler(&log, nil)))), "t", numberedRows(n))
				require.NoError(t, err, "%v %v after %d of %d\n%s", how, way, after, total, log.String())
				proxy.Clear()
				require.Equal(t, n, one[int](t, direct, "SELECT count(DISTINCT n) FROM t"))
				require.Equal(t, n, one[int](t, direct, "SELECT count(*) FROM t"))
				require.Equal(t, rows[n-1].ID, one[int](t, direct, "SELECT id FROM t WHERE n = $1", n-1))
				require.LessOrEqual(t, strings.Count(log.String(), "trying again"), 1)
			}
		}
	}
	require.Zero(t, db.Stat().AcquiredConns())
}

// Around the commit: its answer is lost, or it never arrives.
func TestACommitWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	direct, db, proxy := proxied(t, numberedSQL)
	for name, c := range map[string]struct {
		rule     fault.Rule
		attempts int
	}{
		"committed, answer lost": {fault.Rule{Way: fault.FromServer, Match: "COMMIT", Before: true}, 1},
		"commit never arrived":   {fault.Rule{Way: fault.ToServer, Match: "commit\x00", Before: true}, 2},
	} {
		for _, how := range []fault.How{fault.RST, fault.FIN} {
			execSQL(t, direct, "TRUNCATE t")
			db.Reset()
			c.rule.How, c.rule.Times = how, 1
			proxy.Add(c.rule)
			var log bytes.Buffer
			_, err := bulk.InsertRows(t.Context(), bulk.With(db, soon, bulk.WithLogger(slog.New(slog.NewTextHandler(&log, nil)))), "t", numberedRows(10))
			require.NoError(t, err, name)
			proxy.Clear()
			require.Equal(t, 10, one[int](t, direct, "SELECT count(*) FROM t"), name)
			require.Equal(t, c.attempts-1, strings.Count(log.String(), "trying again"), name)
		}
	}
	// A single connection can't try again, but another one tells it what happened.
	conn, err := pgx.Connect(t.Context(), proxy.URL())
	require.NoError(t, err)
	execSQL(t, direct, "TRUNCATE t")
	proxy.Add(fault.Rule{Way: fault.FromServer, Match: "COMMIT", Before: true, Times: 1})
	_, err = bulk.InsertRows(t.Context(), conn, "t", numberedRows(10))
	require.NoError(t, err)
	proxy.Clear()
	require.Equal(t, 10, one[int](t, direct, "SELECT count(*) FROM t"))
}

func TestTerminatedInTheMidst(t *testing.T) {
	t.Parallel()
	direct, db, _ := proxied(t, numberedSQL)
	pulled, killed := 0, 0
	seq := func(yield func(numbered) bool) {
		for i, row := range numberedRows(20_000) {
			if i == 15_000 && killed < 2 {
				killed++
				require.Equal(t, 1, one[int](t, direct, `SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
					WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'`))
			}
			pulled++
			if !yield(row) {
				return
			}
		}
	}
	n, err := bulk.InsertRowsSeq(t.Context(), bulk.With(db, soon), "t", seq)
	require.NoError(t, err)
	require.Equal(t, int64(20_000), n)
	require.Equal(t, 2, killed)
	require.Equal(t, 20_000, one[int](t, direct, "SELECT count(*) FROM t"))
}

func TestAttemptsAreCounted(t *testing.T) {
	t.Parallel()
	direct, db, proxy := proxied(t, numberedSQL)
	proxy.Add(fault.Rule{Way: fault.ToServer, Match: "COPY "})
	for _, attempts := range []int{1, 3, 5} {
		var log bytes.Buffer
		before := len(proxy.Conns())
		_, err := bulk.InsertRows(t.Context(), bulk.With(db, bulk.WithRetry(attempts, time.Millisecond), bulk.WithLogger(slog.New(slog.NewTextHandler(&log, nil)))), "t", numberedRows(10))
		require.ErrorIs(t, err, bulk.ErrConnection)
		require.Equal(t, attempts-1, strings.Count(log.String(), "trying again"))
		require.GreaterOrEqual(t, len(proxy.Conns())-before, attempts)
		if attempts > 1 {
			require.ErrorContains(t, err, fmt.Sprintf("given up after %d attempts", attempts))
		}
	}
	for _, db := range []func() (bulk.DB, func()){
		func() (bulk.DB, func()) {
			conn, err := pgx.Connect(t.Context(), proxy.URL())
			require.NoError(t, err)
			return conn, func() { conn.Close(context.Background()) }
		},
		func() (bulk.DB, func()) {
			tx, err := db.Begin(t.Context())
			require.NoError(t, err)
			return tx, func() { _ = tx.Rollback(context.Background()) }
		},
	} {
		d, end := db()
		var log bytes.Buffer
		_, err := bulk.InsertRows(t.Context(), bulk.With(d, soon, bulk.WithLogger(slog.New(slog.NewTextHandler(&log, nil)))), "t", numberedRows(10))
		require.ErrorIs(t, err, bulk.ErrConnection)
		require.Empty(t, log.String(), "one attempt")
		end()
	}
	require.Zero(t, one[int](t, direct, "SELECT count(*) FROM t"))
}

func TestRefusedConnectionsAreRetried(t *testing.T) {
	t.Parallel()
	direct, db, proxy := proxied(t, numberedSQL)
	proxy.Refuse()
	proxy.Strike(fault.RST)
	_, err := bulk.InsertRows(t.Context(), bulk.With(db, soon), "t", numberedRows(10))
	require.ErrorIs(t, err, bulk.ErrConnection)
	require.ErrorContains(t, err, "given up after 3 attempts")
	time.AfterFunc(50*time.Millisecond, func() { _ = proxy.Accept() })
	_, err = bulk.InsertRows(t.Context(), bulk.With(db, bulk.WithRetry(100, 10*time.Millisecond)), "t", numberedRows(10))
	require.NoError(t, err)
	require.Equal(t, 10, one[int](t, direct, "SELECT count(*) FROM t"))
}

func TestErrorsOfRowsAreNeverRetried(t *testing.T) {
	t.Parallel()
	direct, db, proxy := proxied(t, numberedSQL)
	bulk.Insert(t, db, "t", []numbered{{N: 1}})
	var log bytes.Buffer
	set := bulk.With(db, soon, bulk.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	_, err := bulk.InsertRows(t.Context(), set, "t", numberedRows(10))
	require.Error(t, err)
	_, err = bulk.InsertRows(t.Context(), set, "t", []numbered{{V: "\x00"}})
	require.Error(t, err)
	require.Empty(t, log.String())
	_ = direct
	_ = proxy
}

func TestEditFunctionsRunOnceAndRowsAreKept(t *testing.T) {
	t.Parallel()
	direct := welfare(t)
	proxy := fault.Postgres(t, fixtures.URL(t))
	db, err := pgxpool.New(t.Context(), proxy.URL())
	require.NoError(t, err)
	t.Cleanup(db.Close)
	offices := bulk.Offices(t, db, 2)
	proxy.Add(fault.Rule{Way: fault.ToServer, Match: `COPY "public"."office_staffs"`, Times: 2})
	edits := 0
	staffs := bulk.Staffs(t, bulk.With(db, soon), offices, 5, func(int, *bulk.Staff) { edits++ })
	require.Equal(t, 10, edits)
	require.Equal(t, []int{11, 2, 10, 0, 0, 0}, counts(t, direct))
	require.Equal(t, staffs[9].ID.String(), one[string](t, direct, "SELECT id::text FROM staffs WHERE email = 'staff000009@test-example.com'"))

	proxy.Add(fault.Rule{Way: fault.ToServer, Match: `COPY "public"."support_plan_cycles"`, Times: 1})
	d := bulk.Welfare(t, bulk.With(db, soon), 3)
	require.Equal(t, []int{41, 5, 40, 300, 300, 300}, counts(t, direct))
	require.Equal(t, d.Cycles[299].ID, one[int32](t, direct, "SELECT id FROM support_plan_cycles WHERE welfare_recipient_id = $1", d.Recipients[299].ID))
}

// Numbers that somebody else took between two attempts are not given twice.
func TestNumbersTakenMeanwhile(t *testing.T) {
	t.Parallel()
	direct := welfare(t)
	proxy := fault.Postgres(t, fixtures.URL(t))
	db, err := pgxpool.New(t.Context(), proxy.URL())
	require.NoError(t, err)
	t.Cleanup(db.Close)
	proxy.Add(fault.Rule{Way: fault.ToServer, Match: `COPY "public"."offices"`, Times: 1})
	var meanwhile atomic.Bool
	log := slog.New(slog.NewTextHandler(writer(func() {
		if meanwhile.CompareAndSwap(false, true) {
			bulk.Offices(t, direct, 1)
		}
	}), nil))
	_, err = seeder(bulk.With(db, soon, bulk.WithLogger(log))).Offices(t.Context(), 2)
	require.True(t, meanwhile.Load())
	require.ErrorIs(t, err, bulk.ErrLocked)
	require.ErrorContains(t, err, "Make the call again")
	require.Equal(t, 1, one[int](t, direct, "SELECT count(*) FROM offices"))
}

type writer func()

func (w writer) Write(p []byte) (int, error) { w(); return len(p), nil }

func TestASequenceIsRangedAgain(t *testing.T) {
	t.Parallel()
	direct, db, proxy := proxied(t, numberedSQL)
	proxy.Add(fault.Rule{Way: fault.ToServer, After: 400_000, Times: 1})
	rows := numberedRows(10_000)
	ranged := 0
	n, err := bulk.InsertRowsSeq(t.Context(), bulk.With(db, soon), "t", func(yield func(numbered) bool) {
		ranged++
		slices.Values(rows)(yield)
	})
	require.NoError(t, err)
	require.Equal(t, 2, ranged)
	require.Equal(t, int64(10_000), n)
	require.Equal(t, 10_000, one[int](t, direct, "SELECT count(*) FROM t"))
}

func TestASequenceThatCanBeRangedOnce(t *testing.T) {
	t.Parallel()
	direct, db, proxy := proxied(t, numberedSQL)
	proxy.Add(fault.Rule{Way: fault.ToServer, After: 400_000, Times: 1})
	rows, next := numberedRows(10_000), 0
	_, err := bulk.InsertRowsSeq(t.Context(), bulk.With(db, soon), "t", func(yield func(numbered) bool) {
		for next < len(rows) {
			next++
			if !yield(rows[next-1]) {
				return
			}
		}
	})
	require.ErrorIs(t, err, bulk.ErrInvalidArgument)
	require.ErrorContains(t, err, "it must yield the same rows each time")
	require.Zero(t, one[int](t, direct, "SELECT count(*) FROM t"))
}

// A sequence that was exhausted when the commit was lost must not pass for an
// empty one.
func TestAnExhaustedSequenceIsNotEmpty(t *testing.T) {
	t.Parallel()
	direct, db, proxy := proxied(t, numberedSQL)
	proxy.Add(fault.Rule{Way: fault.ToServer, Match: "commit\x00", Before: true, Times: 1})
	left := numberedRows(10)
	_, err := bulk.InsertRowsSeq(t.Context(), bulk.With(db, soon), "t", func(yield func(numbered) bool) {
		for len(left) > 0 {
			row := left[0]
			left = left[1:]
			if !yield(row) {
				return
			}
		}
	})
	require.ErrorIs(t, err, bulk.ErrInvalidArgument)
	require.Zero(t, one[int](t, direct, "SELECT count(*) FROM t"))
}

func TestContextEndsTheWaiting(t *testing.T) {
	t.Parallel()
	_, db, proxy := proxied(t, numberedSQL)
	proxy.Add(fault.Rule{Way: fault.ToServer, Match: "COPY "})
	ctx, cancel := context.WithCancel(t.Context())
	log := slog.New(slog.NewTextHandler(writer(cancel), nil))
	_, err := bulk.InsertRows(ctx, bulk.With(db, bulk.WithRetry(3, time.Hour), bulk.WithLogger(log)), "t", numberedRows(10))
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, bulk.ErrConnection)
}

func TestNothingIsLeftOfACut(t *testing.T) {
	direct, db, proxy := proxied(t, numberedSQL)
	fault.NoGoroutines(t)
	proxy.Add(fault.Rule{Way: fault.ToServer, After: 100_000})
	_, err := bulk.InsertRows(t.Context(), bulk.With(db, soon), "t", numberedRows(5000))
	require.ErrorIs(t, err, bulk.ErrConnection)
	require.Zero(t, one[int](t, direct, "SELECT count(*) FROM t"))
	db.Close()
	direct.Close()
}

// A server that says that it started at another time than it did when the call
// began may give transaction ids a second time: then the rows themselves are
// looked for.
func TestACommitWhoseAnswerIsLostWithTheServer(t *testing.T) {
	t.Parallel()
	superuser(t, fixtures.Open(t))
	direct, db, proxy := proxied(t, `CREATE TABLE t (id serial PRIMARY KEY, n int UNIQUE, v text); CREATE TABLE keyless (n int, v text);
		CREATE OR REPLACE FUNCTION pg_catalog.pg_postmaster_start_time() RETURNS timestamptz LANGUAGE sql AS 'SELECT pg_catalog.clock_timestamp()'`)
	require.NotEqual(t, one[time.Time](t, direct, "SELECT pg_catalog.pg_postmaster_start_time()"), one[time.Time](t, direct, "SELECT pg_catalog.pg_postmaster_start_time()"))
	lost := fault.Rule{Way: fault.FromServer, Match: "COMMIT", Before: true, Times: 1}
	never := fault.Rule{Way: fault.ToServer, Match: "commit\x00", Before: true, Times: 1}
	for _, rule := range []fault.Rule{lost, never} {
		proxy.Add(rule)
		_, err := bulk.InsertRows(t.Context(), bulk.With(db, soon), "t", numberedRows(10))
		require.NoError(t, err)
		require.Equal(t, 10, one[int](t, direct, "SELECT count(*) FROM t"))
		execSQL(t, direct, "TRUNCATE t")
		proxy.Clear()
		db.Reset()

		type row struct {
			N int
			V string
		}
		proxy.Add(rule)
		_, err = bulk.InsertRows(t.Context(), bulk.With(db, soon, bulk.WithLanguage("ja")), "keyless", []row{{1, "a"}})
		require.ErrorIs(t, err, bulk.ErrCommitUnknown)
		require.NotErrorIs(t, err, bulk.ErrInvalidArgument)
		require.LessOrEqual(t, one[int](t, direct, "SELECT count(*) FROM keyless"), 1, "never loaded twice")
		execSQL(t, direct, "TRUNCATE keyless")
		proxy.Clear()
		db.Reset()
	}
}
