package snapshot

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/track"
)

// lockError adds to an error about a lock which sessions hold one, asked over a
// connection of its own since that of the error is in a failed transaction. It says what
// [errTruncated] means.
func lockError(ctx context.Context, d *database, c *settings, err error) error {
	if errors.Is(err, errTruncated) {
		return errs.New(errs.ErrLocked, msg.SnapshotTruncated.In(c.lang, lockWait.String()), nil)
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || !errs.IsClass(pg, errs.ErrLocked) {
		return err
	}
	holders := lockHolders(ctx, d, c)
	if errs.IsDeadlock(err) {
		return errs.New(errs.ErrLocked, msg.SnapshotDeadlock.In(c.lang, holders), err)
	}
	return errs.New(errs.ErrLocked, msg.SnapshotLocked.In(c.lang, lockWait.String(), holders), err)
}

func lockHolders(ctx context.Context, d *database, c *settings) string {
	var holders []catalog.Backend
	err := d.withConn(ctx, func(conn *pgx.Conn) (err error) {
		holders, err = catalog.LockHolders(ctx, conn)
		return err
	})
	if err != nil || len(holders) == 0 {
		return msg.NobodyHolds.In(c.lang)
	}
	lines := make([]string, 0, len(holders))
	for _, h := range holders {
		lines = append(lines, "  "+h.Describe(c.lang))
	}
	return strings.Join(lines, "\n")
}

// The writer lock, as writers hold it, for a session.
var (
	lockShared   = fmt.Sprintf("SELECT pg_catalog.pg_advisory_lock_shared(%d)", track.WriterLock)
	unlockShared = fmt.Sprintf("SELECT pg_catalog.pg_advisory_unlock_shared(%d)", track.WriterLock)
)

// blockRestores keeps restores of other sessions out until done is called, and waits
// for one that runs. A transaction of the connection must begin after it, since a lock
// within one comes after it chose the moment that it sees.
func blockRestores(ctx context.Context, conn *pgx.Conn) (done func(), err error) {
	if err := conn.PgConn().Exec(ctx, lockShared).Close(); err != nil {
		return nil, err
	}
	return func() {
		_ = conn.PgConn().Exec(context.WithoutCancel(ctx), unlockShared).Close()
	}, nil
}
