package snapshot

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/internal/bubble"
	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/testdb"
	"github.com/groundhogdb/groundhog/internal/track"
)

// testLock is the advisory lock that a process holds on a database that it did
// not make, from a test's first restore until that test ends: "groundht".
const testLock int64 = 0x67726f756e646874

// holdWait is how long a test waits for one of another process.
var holdWait = 5 * time.Minute

// restoreInterval is how often it is looked whether a restore has ended.
const restoreInterval = 2 * time.Millisecond

// held are the databases that this process holds.
var held = struct {
	sync.Mutex
	by map[*testdb.Database]*holding
}{by: map[*testdb.Database]*holding{}}

type holding struct {
	tests int
	take  func() (*pgx.Conn, error) // waits at its first call
}

// hold makes the database t's until t ends. Another test of this process is
// refused at once, since waiting would deadlock with t.Parallel. Another process
// may be at a database that was given (fixtures.Use): that one is waited for. In
// the set-up of fixtures.Main the database is held until done is called.
func hold(t testing.TB, s *Store, db *testdb.Database) (done func()) {
	t.Helper()
	db.Hold(t)
	if !db.Given {
		return func() {}
	}
	ctx := contextOf(t)
	held.Lock()
	h := held.by[db]
	if h == nil {
		h = &holding{take: sync.OnceValues(func() (*pgx.Conn, error) { return s.holdAcross(ctx) })}
		held.by[db] = h
	}
	h.tests++
	held.Unlock()
	release := func() {
		held.Lock()
		h.tests--
		last := h.tests == 0
		if last {
			delete(held.by, db)
		}
		held.Unlock()
		if conn, err := h.take(); last && err == nil {
			if err := bubble.Outside(ctx, func(context.Context) { closeConn(conn) }); err != nil {
				t.Error(err)
			}
		}
	}
	if _, err := bubble.Do(ctx, func(context.Context) (*pgx.Conn, error) { return h.take() }); err != nil {
		release()
		t.Fatal(err)
	}
	if t.Name() == testdb.MainName {
		return release
	}
	t.Cleanup(release)
	return func() {}
}

// holdAcross takes the lock on the database among processes over a connection
// that keeps it.
func (s *Store) holdAcross(ctx context.Context) (*pgx.Conn, error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, s.explain(err, msg.CantHold)
	}
	var ok bool
	_, err = conn.Exec(ctx, "SET lock_timeout = 0; SET statement_timeout = 0; SET idle_session_timeout = 0", pgx.QueryExecModeSimpleProtocol)
	if err == nil {
		err = conn.QueryRow(ctx, "SELECT pg_catalog.pg_try_advisory_lock($1)", testLock).Scan(&ok)
	}
	if err == nil && !ok {
		s.logger.InfoContext(ctx, msg.WaitingForTest.In(s.lang), "whom", catalog.AdvisoryHolder(ctx, conn, testLock))
		wait, cancel := context.WithTimeout(ctx, holdWait)
		defer cancel()
		_, err = conn.Exec(wait, "SELECT pg_catalog.pg_advisory_lock($1)", testLock)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			err = errs.New(ErrLocked, msg.HeldByProcess.In(s.lang, holdWait.String()), err)
		}
	}
	if err != nil {
		closeConn(conn)
		return nil, s.explain(err, msg.CantHold)
	}
	return conn, nil
}

// besideRestores keeps restores of other processes out until done is called, and
// waits for one that runs. A transaction of the connection must begin after it, since
// a lock within one comes after it chose the moment that it sees.
func (s *Store) besideRestores(ctx context.Context, c *storeConfig, conn *pgx.Conn) (done func(), err error) {
	for began := time.Now(); ; {
		var ok bool
		if err := conn.QueryRow(ctx, "SELECT pg_catalog.pg_try_advisory_lock_shared($1)", track.WriterLock).Scan(&ok); err != nil {
			return nil, err
		}
		if ok {
			return sync.OnceFunc(func() {
				_, _ = conn.Exec(context.WithoutCancel(ctx), "SELECT pg_catalog.pg_advisory_unlock_shared($1)", track.WriterLock)
			}), nil
		}
		if time.Since(began) > lockWait {
			return nil, s.locked(ctx, c, &pgconn.PgError{Severity: "ERROR", Code: "55P03", Message: "a restore is under way"})
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(restoreInterval):
		}
	}
}
