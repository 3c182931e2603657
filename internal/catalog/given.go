package catalog

import (
	"context"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
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

// givenLock is the advisory lock of those who use a given database alone:
// "groundhg".
const givenLock int64 = 0x67726f756e646867

// LockGiven takes the database for the session, until it ends, unless somebody
// has it.
func LockGiven(ctx context.Context, q Querier) (locked bool, err error) {
	err = q.QueryRow(ctx, `SELECT pg_catalog.set_config('idle_session_timeout', '0', false), pg_catalog.pg_try_advisory_lock($1)`, givenLock).Scan(nil, &locked)
	return locked, err
}

// AwaitGiven waits for the database, and fails with lock_not_available after the
// limit.
func AwaitGiven(ctx context.Context, q Querier, limit time.Duration) error {
	err := q.QueryRow(ctx, `SELECT pg_catalog.set_config('lock_timeout', $1, false), pg_catalog.set_config('statement_timeout', '0', false)`,
		strconv.FormatInt(limit.Milliseconds(), 10)).Scan(nil, nil)
	if err != nil {
		return err
	}
	return q.QueryRow(ctx, `SELECT pg_catalog.pg_advisory_lock($1)`, givenLock).Scan(nil)
}

// GivenHolder tells in a few words who has the database.
func GivenHolder(ctx context.Context, q Querier) string { return AdvisoryHolder(ctx, q, givenLock) }

// givenMark is an empty schema. While it is there, all that the role has in the
// database was made by tests.
const givenMark = "groundhog_fixtures"

// IsMarked reports whether tests were the last to use the database, and did not
// end as they should.
func IsMarked(ctx context.Context, q Querier) (marked bool, err error) {
	err = q.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = '`+givenMark+`')`).Scan(&marked)
	return marked, err
}

// Mark says that all that the role will have in the database is of tests.
func Mark(ctx context.Context, e Execer) error {
	_, err := e.Exec(ctx, `CREATE SCHEMA `+givenMark+`;
		COMMENT ON SCHEMA `+givenMark+` IS 'made by groundhog: tests use this database, and drop all that their role owns in it'`)
	return err
}

// Execer is met by a connection, a pool and a transaction.
type Execer interface {
	Querier
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// belongings is what the role owns in the database, with its schemas and
// extensions first and its tables next, so that what is part of another thing is
// gone by the time it is its turn. Default privileges and user mappings are no
// things that a statement drops.
const belongings = `
	SELECT i.type, i.identity, CASE WHEN i.type IN ('schema', 'extension') THEN 1 WHEN i.type LIKE '%table' OR i.type LIKE '%view' THEN 2 ELSE 3 END AS rank
	FROM pg_catalog.pg_shdepend d, pg_catalog.pg_identify_object(d.classid, d.objid, 0) i
	WHERE d.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
		AND d.deptype = 'o' AND d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
		AND d.refobjid = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user)
		AND i.type NOT IN ('default acl', 'user mapping') AND coalesce(i.schema, '') !~ '^pg_'
		AND NOT (i.type = 'schema' AND i.identity IN ('public', '` + givenMark + `'))`

// Belongings lists what the role owns in the database, ten things at most.
func Belongings(ctx context.Context, q Querier) ([]string, error) {
	return names(ctx, q, `SELECT type || ' ' || identity FROM (`+belongings+`) b ORDER BY rank, identity LIMIT 10`)
}

// EmptyGiven drops all that the role owns in the database, but not the schema
// public. It does that in one transaction, and waits for locks no longer than the
// limit.
func EmptyGiven(ctx context.Context, e Execer, limit time.Duration) error {
	_, err := e.Exec(ctx, `DO $groundhog$
		DECLARE
			drops text[] := (SELECT pg_catalog.array_agg(CASE WHEN type = 'large object' THEN pg_catalog.format('SELECT pg_catalog.lo_unlink(%s)', identity)
				ELSE pg_catalog.format('DROP %s IF EXISTS %s CASCADE', pg_catalog.regexp_replace(pg_catalog.replace(type, '-', ' '), '^statistics object$', 'statistics'), identity) END ORDER BY rank) FROM (`+belongings+`) b);
			command text;
		BEGIN
			PERFORM pg_catalog.set_config('lock_timeout', '`+strconv.FormatInt(limit.Milliseconds(), 10)+`', true),
				pg_catalog.set_config('client_min_messages', 'warning', true);
			FOREACH command IN ARRAY coalesce(drops, '{}') LOOP
				EXECUTE command;
			END LOOP;
		END $groundhog$`)
	return err
}

// Unmark takes the mark away from a database that is empty.
func Unmark(ctx context.Context, e Execer) error {
	_, err := e.Exec(ctx, `DROP SCHEMA IF EXISTS `+givenMark)
	return err
}
