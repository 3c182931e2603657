package snapshot

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/testdb"
	"github.com/groundhogdb/groundhog/internal/track"
)

// operation is work on a database that is done again where something is in its way.
// All of it can be done again, even when it is not known whether it was committed: it
// ends in the same state.
type operation struct {
	db  *database
	cfg *settings

	what      string // it is about, for log lines: the name of a snapshot
	terminate bool   // sessions that hold locks are ended
}

// change runs f in a transaction that may change the database; see [change].
func (op operation) change(ctx context.Context, f func(*transaction) error) error {
	return op.write(ctx, func(se *session) error { return change(ctx, op.db, op.cfg, se, f) })
}

// write runs f, which writes rows, over a session. f runs again after a connection
// fault, where other sessions are in the way, and under other search paths where a name
// is not found.
func (op operation) write(ctx context.Context, f func(*session) error) error {
	return op.retry(ctx, func() error {
		return op.db.inSession(ctx, op.cfg, func(se *session) error {
			return op.persist(ctx, se, func() error {
				return resolving(ctx, op.db, op.cfg, se, func() error { return f(se) })
			})
		})
	})
}

// read runs f, which writes nothing, over a session. f runs again like that of write.
func (op operation) read(ctx context.Context, f func(*session) error) error {
	return op.retry(ctx, func() error {
		return op.db.inSession(ctx, op.cfg, func(se *session) error {
			return op.persist(ctx, se, func() error { return f(se) })
		})
	})
}

// retry runs work again after a connection fault.
func (op operation) retry(ctx context.Context, work func() error) error {
	p := op.cfg.retry
	p.Logger, p.Lang, p.What = op.cfg.logger, op.cfg.lang, op.what
	return p.Do(ctx, func(context.Context) error { return work() })
}

// terminateAfter is how long other sessions may hold locks before they are ended.
const terminateAfter = 100 * time.Millisecond

// lockPause is how long a role pauses that must not wait for locks; see
// [track.LimitLockWait].
const lockPause = 5 * time.Millisecond

// persist runs work again where another session is in the way, for as long as locks are
// waited for. Work that the server gave up to end a deadlock, or that gave way to
// another session, so that it is never a test's that fails, is done again at least
// once, however long it took. Nothing is waited for in between: what was in the way is
// past, or the server waited for it, unless the role must not wait. Where a lock was waited
// for too long, the sessions that hold it are ended at least once, if that was asked for,
// else the error names them. se is nil where work makes a connection of its own.
func (op operation) persist(ctx context.Context, se *session, work func() error) (err error) {
	if op.terminate {
		if err := se.setLockWait(ctx, terminateAfter); err != nil {
			return err
		}
		defer func() {
			if !se.conn.IsClosed() {
				err = errors.Join(err, se.setLockWait(context.WithoutCancel(ctx), lockWait))
			}
		}()
	}
	began := time.Now()
	for first := true; ; first = false {
		err := work()
		over := time.Since(began) > lockWait
		switch {
		case ctx.Err() != nil:
			return lockError(ctx, op.db, op.cfg, err)
		case gaveWay(err) && (first || !over):
			if over { // by work rather than by waiting
				began = time.Now()
			}
			op.cfg.logger.InfoContext(ctx, msg.DeadlockAgain.In(op.cfg.lang), "what", op.what, "error", errs.Text(err))
		case lockTimeout(err) && (!over || op.terminate && first):
			if op.terminate {
				if err := catalog.EndLockHolders(ctx, se.conn, testdb.Application); err != nil {
					return err
				}
			}
			if se != nil && !se.privileges.Replica { // which hardly waited
				select {
				case <-ctx.Done():
				case <-time.After(lockPause):
				}
			}
		default:
			return lockError(ctx, op.db, op.cfg, err)
		}
	}
}

// gaveWay reports whether work failed so that another session's did not.
func gaveWay(err error) bool {
	return errs.IsDeadlock(err) || track.JournalReplaced(err) || errors.Is(err, errTruncated)
}

// lockTimeout reports whether a statement waited too long for a lock.
func lockTimeout(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "55P03" // lock_not_available
}
