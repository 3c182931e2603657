package catalog

import (
	"context"

	"github.com/jackc/pgx/v5"
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
