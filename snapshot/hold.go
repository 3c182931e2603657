package snapshot

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/bubble"
	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/testdb"
)

// testLock is the advisory lock that a process holds on a database that it did
// not make, from a test's first restore until that test ends: "groundht".
const testLock int64 = 0x67726f756e646874

// holdWait is how long a test waits for one of another process.
var holdWait = 5 * time.Minute

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
	ctx := testdb.Context(t)
	wait, giveBack := db.TakeTurn(func() (func(), error) {
		conn, err := holdAcross(ctx, s.db, &s.settings)
		return func() { closeConn(conn) }, err
	})
	release := func() {
		if err := bubble.Outside(ctx, func(context.Context) { giveBack() }); err != nil {
			t.Error(err)
		}
	}
	if err := bubble.Err(ctx, func(context.Context) error { return wait() }); err != nil {
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
func holdAcross(ctx context.Context, d *database, c *settings) (*pgx.Conn, error) {
	conn, err := d.connect(ctx)
	if err != nil {
		return nil, c.explain(err, msg.CantHold)
	}
	var ok bool
	_, err = conn.Exec(ctx, "SET lock_timeout = 0; SET statement_timeout = 0; SET idle_session_timeout = 0", pgx.QueryExecModeSimpleProtocol)
	if err == nil {
		err = conn.QueryRow(ctx, "SELECT pg_catalog.pg_try_advisory_lock($1)", testLock).Scan(&ok)
	}
	if err == nil && !ok {
		c.logger.InfoContext(ctx, msg.WaitingForTest.In(c.lang), "whom", catalog.AdvisoryHolder(ctx, conn, testLock))
		wait, cancel := context.WithTimeout(ctx, holdWait)
		defer cancel()
		_, err = conn.Exec(wait, "SELECT pg_catalog.pg_advisory_lock($1)", testLock)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			err = errs.New(ErrLocked, msg.HeldByProcess.In(c.lang, holdWait.String()), err)
		}
	}
	if err != nil {
		closeConn(conn)
		return nil, c.explain(err, msg.CantHold)
	}
	return conn, nil
}
