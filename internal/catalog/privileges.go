package catalog

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/schema"
)

// Privileges are what the role of a session may do, and where.
type Privileges struct {
	Database string
	Server   string // "PostgreSQL 15.18"
	Role     string
	Super    bool
	Replica  bool  // may set session_replication_role
	CreateDB bool  // may create databases
	Schemas  bool  // may create schemas in this one
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
		coalesce((SELECT r.rolcreatedb OR r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = current_user), false),
		pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'),
		(SELECT pg_catalog.count(*) FROM pg_catalog.pg_largeobject_metadata), pg_catalog.pg_is_in_recovery()`).Scan(&p.Database, &p.Server, &p.Role, &p.Super, &p.Replica, &p.CreateDB, &p.Schemas, &p.Objects, &p.Standby)
	if err != nil {
		return p, fmt.Errorf("ask who we are: %w", err)
	}
	return p, nil
}

// OwnerNotInherited returns the owner of a table where the role of the session is a member of
// that role and does not inherit its rights, or else nothing. Such a session has the rights
// after SET ROLE.
func OwnerNotInherited(ctx context.Context, q Querier, table schema.Name) (owner string, err error) {
	err = q.QueryRow(ctx, `SELECT pg_catalog.pg_get_userbyid(c.relowner) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relname = $2 AND pg_catalog.pg_has_role(c.relowner, 'MEMBER') AND NOT pg_catalog.pg_has_role(c.relowner, 'USAGE')`, table.Schema, table.Name).Scan(&owner)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return "", fmt.Errorf("ask who owns %s: %w", table, err)
	}
	return owner, nil
}
