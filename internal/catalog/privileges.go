package catalog

import (
	"context"
	"fmt"
)

// Privileges are what the role of a session may do, and where.
type Privileges struct {
	Database string
	Server   string // "PostgreSQL 15.18"
	Role     string
	Super    bool
	Replica  bool  // may set session_replication_role
	Objects  int64 // large objects in the database
	Standby  bool  // the server takes no changes
}

// ReadPrivileges asks for the name of the database and the rights of the role.
// The parameter privilege exists from PostgreSQL 15 on, like groundhog's support.
func ReadPrivileges(ctx context.Context, q Querier) (Privileges, error) {
	var p Privileges
	err := q.QueryRow(ctx, `SELECT pg_catalog.current_database(), 'PostgreSQL ' || pg_catalog.split_part(pg_catalog.current_setting('server_version'), ' ', 1),
		current_user, pg_catalog.current_setting('is_superuser')::boolean,
		pg_catalog.has_parameter_privilege('session_replication_role', 'SET'),
		(SELECT pg_catalog.count(*) FROM pg_catalog.pg_largeobject_metadata), pg_catalog.pg_is_in_recovery()`).Scan(&p.Database, &p.Server, &p.Role, &p.Super, &p.Replica, &p.Objects, &p.Standby)
	if err != nil {
		return p, fmt.Errorf("ask who we are: %w", err)
	}
	return p, nil
}
