package snapshot

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/track"
)

// transaction is one in which the database is changed, over a session.
type transaction struct {
	db         *database
	se         *session
	tx         pgx.Tx
	privileges catalog.Privileges
	mayMark    bool // at its end, what is there may be made the baseline
}

// change runs f in a transaction that may change the database: guarded, one at a time
// among processes, with a limit to waiting for locks.
func change(ctx context.Context, d *database, cfg *settings, se *session, f func(*transaction) error) error {
	// What is asked of the catalog means the same under any search path of the users'.
	tx, err := catalog.Begin(ctx, se.conn, "READ COMMITTED, READ WRITE", map[string]string{"search_path": catalogOnly})
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx)
	t := &transaction{db: d, se: se, tx: tx}
	if t.privileges, err = cfg.guarded(ctx, tx); err != nil {
		return err
	}
	if err := catalog.SetLocal(ctx, tx, writeSettings); err != nil {
		return err
	}
	if err := t.exec(ctx, fmt.Sprintf(`SELECT pg_catalog.pg_advisory_xact_lock(%d)`, track.WriterLock), t.limitLockWait()); err != nil {
		return err
	}
	if t.mayMark, err = track.BeginUntracked(ctx, tx); err != nil {
		return err
	}
	if err := f(t); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// limitLockWait is the statement before others that may wait for locks; see
// [track.LimitLockWait].
func (t *transaction) limitLockWait() string {
	return track.LimitLockWait(!t.privileges.Replica, track.LockTimeout)
}

// exec executes statements in one round trip.
func (t *transaction) exec(ctx context.Context, sql ...string) error {
	return catalog.ExecScript(ctx, t.tx, sql...)
}

// savepoint runs work in a savepoint, which is left in any case: rows that are written
// in one have the id of a later transaction than the one that is marked as the baseline.
func (t *transaction) savepoint(ctx context.Context, work func() error) error {
	if err := t.exec(ctx, "SAVEPOINT groundhog_work"); err != nil {
		return err
	}
	if err := work(); err != nil {
		return errors.Join(err, t.exec(ctx, "ROLLBACK TO SAVEPOINT groundhog_work", "RELEASE SAVEPOINT groundhog_work"))
	}
	return t.exec(ctx, "RELEASE SAVEPOINT groundhog_work")
}

// underReadPaths is [reading] inside the transaction, for statements that hold
// conditions of the caller's. Afterwards rows can be written again.
func (t *transaction) underReadPaths(ctx context.Context, work func() error) error {
	err := reading(ctx, t.db, t.tx, func(path string) error {
		return t.savepoint(ctx, func() error {
			if err := t.exec(ctx, localPath(path)); err != nil {
				return err
			}
			return work()
		})
	})
	if err != nil {
		return err
	}
	return t.exec(ctx, t.se.usersPath())
}
