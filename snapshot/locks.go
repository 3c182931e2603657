package snapshot

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/track"
)

// locked adds to an error about a lock who holds one, asked over a connection
// of its own since that of the error is in a failed transaction.
func (s *Store) locked(ctx context.Context, c *storeConfig, err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || !errs.IsClass(pg, errs.ErrLocked) {
		return err
	}
	who := s.holders(ctx, c)
	if deadlocked(err) {
		return errs.New(errs.ErrLocked, msg.SnapshotDeadlock.In(c.lang, who), err)
	}
	return errs.New(errs.ErrLocked, msg.SnapshotLocked.In(c.lang, lockWait.String(), who), err)
}

func (s *Store) holders(ctx context.Context, c *storeConfig) string {
	var holders []catalog.Holder
	err := s.withConn(ctx, func(conn *pgx.Conn) (err error) {
		holders, err = catalog.Holders(ctx, conn)
		return err
	})
	if err != nil || len(holders) == 0 {
		return msg.NobodyHolds.In(c.lang)
	}
	lines := make([]string, 0, len(holders))
	for _, h := range holders {
		lines = append(lines, "  "+msg.Holder.In(c.lang, fmt.Sprint(h.PID), h.Application, h.State, h.Since, h.Relation,
			strings.Join(strings.Fields(h.Query), " ")))
	}
	return strings.Join(lines, "\n")
}

// besideRestores keeps restores of other processes out until done is called, and
// waits for one that runs. A transaction of the connection must begin after it, since
// a lock within one comes after it chose the moment that it sees.
func (s *Store) besideRestores(ctx context.Context, c *storeConfig, conn *pgx.Conn) (done func(), err error) {
	for began := time.Now(); ; {
		var ok bool
		if err := conn.QueryRow(ctx, "SELECT pg_catalog.pg_try_advisory_lock_shared($1)", track.Gate).Scan(&ok); err != nil {
			return nil, err
		}
		if ok {
			return sync.OnceFunc(func() {
				_, _ = conn.Exec(context.WithoutCancel(ctx), "SELECT pg_catalog.pg_advisory_unlock_shared($1)", track.Gate)
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

// restoreInterval is how often it is looked whether a restore has ended.
const restoreInterval = 2 * time.Millisecond
