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
)

// The errors of this package, for errors.Is.
var (
	ErrNotFound        = errs.ErrNotFound
	ErrExists          = errs.ErrExists
	ErrCorrupt         = errs.ErrCorrupt
	ErrSchemaMismatch  = errs.ErrSchemaMismatch
	ErrDiskSpace       = errs.ErrDiskSpace
	ErrLocked          = errs.ErrLocked
	ErrInvalidName     = errs.ErrInvalidName
	ErrInvalidArgument = errs.ErrInvalidArgument
	ErrUnsafeDatabase  = errs.ErrUnsafeDatabase
	ErrConnection      = errs.ErrConnection
	ErrPermission      = errs.ErrPermission
	ErrConflict        = errs.ErrConflict
	ErrUnsupported     = errs.ErrUnsupported
	ErrSetup           = errs.ErrSetup
)

// explain gives an error of an operation on a snapshot its class and says what
// was being done. An error that has both already passes through.
func (c *storeConfig) explain(err error, text msg.Text, args ...any) error {
	var ours *errs.Error
	if err == nil || errors.As(err, &ours) {
		return errs.Tell(err)
	}
	return errs.New(errs.Class(err), text.In(c.lang, args...), err)
}

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

// deadlocked tells that the server gave up on us to end a deadlock.
func deadlocked(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "40P01"
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
