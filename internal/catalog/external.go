package catalog

import (
	"context"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// externalLock is the advisory lock of the process that uses a database alone which it did
// not make: "groundhg".
const externalLock int64 = 0x67726f756e646867

// LockExternal takes the database for the session, until it ends. It reports whether it
// did: not if another session has it.
func LockExternal(ctx context.Context, q Querier) (locked bool, err error) {
	err = q.QueryRow(ctx, `SELECT pg_catalog.set_config('idle_session_timeout', '0', false), pg_catalog.pg_try_advisory_lock($1)`, externalLock).Scan(nil, &locked)
	return locked, err
}

// AwaitExternal waits for the database, and fails with lock_not_available after the
// limit.
func AwaitExternal(ctx context.Context, q Querier, limit time.Duration) error {
	err := q.QueryRow(ctx, `SELECT pg_catalog.set_config('lock_timeout', $1, false), pg_catalog.set_config('statement_timeout', '0', false)`,
		strconv.FormatInt(limit.Milliseconds(), 10)).Scan(nil, nil)
	if err != nil {
		return err
	}
	return q.QueryRow(ctx, `SELECT pg_catalog.pg_advisory_lock($1)`, externalLock).Scan(nil)
}

// ExternalHolder says in a few words which session has the database.
func ExternalHolder(ctx context.Context, q Querier) string {
	return AdvisoryHolder(ctx, q, externalLock)
}

// SchemaExists reports whether the database has a schema of that name.
func SchemaExists(ctx context.Context, q Querier, name string) (exists bool, err error) {
	err = q.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1)`, name).Scan(&exists)
	return exists, err
}

// OwnedObject is an object of a database.
type OwnedObject struct {
	Type     string // as the server calls it: "table", "operator class"
	Identity string // as SQL writes it, with quotes where they are needed
}

// OwnedObjects lists what the role owns in the database, but not the schemas public and
// except. Its schemas and extensions come first and its tables next, so that what is part of
// another object is gone by the time it is its turn to be dropped. Default privileges and
// user mappings are no objects that a statement drops.
func OwnedObjects(ctx context.Context, q Querier, except string) ([]OwnedObject, error) {
	rows, err := q.Query(ctx, `
		SELECT i.type, i.identity
		FROM pg_catalog.pg_shdepend d, pg_catalog.pg_identify_object(d.classid, d.objid, 0) i
		WHERE d.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
			AND d.deptype = 'o' AND d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
			AND d.refobjid = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user)
			AND i.type NOT IN ('default acl', 'user mapping') AND coalesce(i.schema, '') !~ '^pg_'
			AND NOT (i.type = 'schema' AND i.identity IN ('public', $1))
		ORDER BY CASE WHEN i.type IN ('schema', 'extension') THEN 1 WHEN i.type LIKE '%table' OR i.type LIKE '%view' THEN 2 ELSE 3 END, i.identity`, except)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[OwnedObject])
}
