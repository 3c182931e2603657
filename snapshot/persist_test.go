package snapshot

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
)

// operationNowhere is an operation on a server that is not there, with its log.
func operationNowhere(t *testing.T) (operation, *strings.Builder) {
	t.Helper()
	config, err := pgxpool.ParseConfig("postgres://nobody@127.0.0.1:1/none_test")
	require.NoError(t, err)
	log := &strings.Builder{}
	d := &database{config: config, notices: &notices{}}
	d.root = d
	return operation{db: d, cfg: &settings{logger: slog.New(slog.NewTextHandler(log, nil))}, what: "a"}, log
}

var deadlock = &pgconn.PgError{Severity: "ERROR", Code: "40P01", Message: "deadlock detected"}

// TestWorkInTheWayIsDoneAgain for as long as locks are waited for, and no longer. The
// clock is that of a bubble: nothing waits for it.
func TestWorkInTheWayIsDoneAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what  string
		err   error
		takes time.Duration
		want  int // calls
	}{
		{"deadlocks", deadlock, time.Second, 6},
		{"a deadlock after long work", deadlock, time.Minute, 2},
		{"tables that are truncated", errTruncated, time.Second, 6},
		{"locks", &pgconn.PgError{Severity: "ERROR", Code: "55P03"}, time.Second, 6},
		{"a lock that was waited for long enough", &pgconn.PgError{Severity: "ERROR", Code: "55P03"}, lockWait + time.Millisecond, 1},
		{"another error", errors.New("another"), time.Second, 1},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				op, log := operationNowhere(t)
				calls := 0
				err := op.persist(t.Context(), nil, func() error {
					calls++
					time.Sleep(c.takes)
					return c.err
				})
				if c.err == errTruncated { //nolint:errorlint // nothing wraps it
					require.ErrorIs(t, err, ErrLocked)
				} else {
					require.ErrorIs(t, err, c.err)
				}
				require.Equal(t, c.want, calls)
				require.Equal(t, gaveWay(c.err), strings.Contains(log.String(), "what=a"), log)
			})
		})
	}
}

// TestLocksAreWaitedForAfterLongWork: work that gave way after a minute has not waited
// for locks yet.
func TestLocksAreWaitedForAfterLongWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		op, _ := operationNowhere(t)
		calls := 0
		err := op.persist(t.Context(), nil, func() error {
			if calls++; calls == 1 {
				time.Sleep(time.Minute)
				return deadlock
			}
			time.Sleep(time.Second)
			return &pgconn.PgError{Severity: "ERROR", Code: "55P03"}
		})
		require.True(t, lockTimeout(err), err)
		require.Equal(t, 1+6, calls)
	})
}

func TestWorkIsNotDoneAgain(t *testing.T) {
	t.Parallel()
	op, _ := operationNowhere(t)
	calls := 0
	require.NoError(t, op.persist(t.Context(), nil, func() error { calls++; return nil }))
	require.Equal(t, 1, calls)
	ctx, cancel := context.WithCancel(t.Context())
	require.ErrorIs(t, op.persist(ctx, nil, func() error {
		calls++
		cancel()
		return deadlock
	}), deadlock)
	require.Equal(t, 2, calls)
}

// TestALockIsEndedAfterLongWork: an undo, say, took longer than locks are waited for,
// before the load that follows it met the lock.
func TestALockIsEndedAfterLongWork(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	pool := fixtures.Open(t, fixtures.WithSchema(`CREATE TABLE a ()`))
	cfg := &settings{logger: discard}
	d := databaseOf(pool)
	se, _, err := d.session(t.Context(), cfg)
	require.NoError(t, err)
	defer d.sessions.put(se)
	holder, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer holder.Rollback(t.Context())
	_, err = holder.Exec(t.Context(), `LOCK TABLE a`)
	require.NoError(t, err)
	calls := 0
	err = operation{db: d, cfg: cfg, terminate: true}.persist(t.Context(), se, func() error {
		if calls++; calls == 1 {
			if _, err := se.conn.Exec(t.Context(), `SELECT pg_sleep($1)`, lockWait.Seconds()+0.1); err != nil {
				return err
			}
		}
		_, err := se.conn.Exec(t.Context(), `TRUNCATE a`)
		return err
	})
	require.NoError(t, err)
	require.Equal(t, 2, calls)
	require.Error(t, holder.Conn().Ping(t.Context()), "it was ended")
}
