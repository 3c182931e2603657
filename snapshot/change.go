package snapshot

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/retry"
	"github.com/groundhogdb/groundhog/internal/testdb"
	"github.com/groundhogdb/groundhog/internal/track"
)

// deadlocks is how often work is tried that the server gives up to end a
// deadlock. Nothing is waited for in between: those who were in the way are past.
const deadlocks = 4

// repeat does work again after a connection fault, a deadlock or [errTruncated].
// All of it can be done again, even when it is not known whether it was committed:
// it ends in the same state.
func (c *storeConfig) repeat(ctx context.Context, what string, work func() error) error {
	p := retry.Policy{Waits: c.waits, Logger: c.logger, Lang: c.lang, What: what}
	return p.Do(ctx, func(context.Context) error {
		for try := 1; ; try++ {
			err := work()
			if !deadlocked(err) && !errors.Is(err, errTruncated) || try == deadlocks || ctx.Err() != nil {
				return err
			}
			c.logger.InfoContext(ctx, msg.DeadlockAgain.In(c.lang), "what", what, "attempt", try, "of", deadlocks, "error", errs.Text(err))
		}
	})
}

// terminateAfter is how long blockers may take to end before they are ended.
const terminateAfter = 100 * time.Millisecond

// locking does work again that was chosen to end a deadlock, or that gave way to
// one, so that it is never a test's that fails. When it waited too long for a lock,
// it ends who holds it, if that was asked for, else tells of them.
func (s *Store) locking(ctx context.Context, cfg *storeConfig, se *session, what string, terminate bool, work func() error) (err error) {
	if terminate {
		set := func(ctx context.Context, wait time.Duration) error {
			_, err := se.conn.Exec(ctx, "SELECT pg_catalog.set_config('lock_timeout', $1, false)", fmt.Sprint(wait.Milliseconds()))
			return err
		}
		if err := set(ctx, terminateAfter); err != nil {
			return err
		}
		defer func() {
			if !se.conn.IsClosed() {
				err = errors.Join(err, set(context.WithoutCancel(ctx), lockWait))
			}
		}()
	}
	for began := time.Now(); ; {
		err := work()
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || time.Since(began) > lockWait || ctx.Err() != nil {
			return s.locked(ctx, cfg, err)
		}
		switch {
		case deadlocked(err), track.Replaced(err):
			cfg.logger.InfoContext(ctx, msg.DeadlockAgain.In(cfg.lang), "what", what, "error", errs.Text(err))
		case pg.Code != "55P03": // lock_not_available
			return s.locked(ctx, cfg, err)
		case terminate:
			if err := catalog.EndHolders(ctx, se.conn, testdb.Application); err != nil {
				return err
			}
		}
	}
}

// changeIn runs f in a transaction that may change the database: guarded, one at
// a time among processes, with a limit to waiting for locks. mayMark tells that it
// may be marked at its end.
func (s *Store) changeIn(ctx context.Context, cfg *storeConfig, se *session, f func(tx pgx.Tx, powers catalog.Powers, mayMark bool) error) error {
	// What is asked of the catalog means the same under any search path of the users'.
	tx, err := catalog.Begin(ctx, se.conn, "READ COMMITTED, READ WRITE", map[string]string{"search_path": catalogOnly})
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx)
	powers, err := cfg.guarded(ctx, tx)
	if err != nil {
		return err
	}
	if err := catalog.SetLocal(ctx, tx, writeSettings); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `SELECT pg_catalog.pg_advisory_xact_lock($1), pg_catalog.set_config('lock_timeout', $2, true)`, track.Gate, fmt.Sprint(track.LockWait)); err != nil {
		return err
	}
	mayMark, err := track.Begin(ctx, tx)
	if err != nil {
		return err
	}
	if err := f(tx, powers, mayMark); err != nil {
		return err
	}
	return tx.Commit(ctx)
}
