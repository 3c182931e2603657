package catalog

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
)

// Self is who the role of a session is, and where.
type Self struct {
	PID       uint32 // as the server says it
	Database  string
	Role      string
	MayCreate bool // databases
	Standby   bool // the server takes no changes
}

// WhoAmI asks without a prepared statement, which some poolers don't know.
func WhoAmI(ctx context.Context, q Querier) (s Self, err error) {
	err = q.QueryRow(ctx, `SELECT pg_catalog.pg_backend_pid(), pg_catalog.current_database(), current_user, rolsuper OR rolcreatedb, pg_catalog.pg_is_in_recovery()
		FROM pg_catalog.pg_roles WHERE rolname = current_user`, pgx.QueryExecModeSimpleProtocol).Scan(&s.PID, &s.Database, &s.Role, &s.MayCreate, &s.Standby)
	return s, err
}

// CheckSession returns who the session is. It returns an error wrapping
// [errs.ErrInvalidArgument], in the language, if the session can't be worked with: the
// server is a standby, or a pooler shares the session with others. The address is for the
// text.
func CheckSession(ctx context.Context, conn *pgx.Conn, address string, lang msg.Lang) (Self, error) {
	self, err := WhoAmI(ctx, conn)
	if err == nil && self.Standby {
		err = errs.New(errs.ErrInvalidArgument, msg.AddressStandby.In(lang, self.Database), nil)
	}
	if err != nil {
		return self, err
	}
	shares, err := SharesSessions(ctx, conn, self)
	if shares {
		err = errs.New(errs.ErrInvalidArgument, msg.AddressPooled.In(lang, address), nil)
	}
	return self, err
}
