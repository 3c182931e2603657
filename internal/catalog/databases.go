package catalog

import (
	"context"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// The databases that fixtures makes, told apart by their names: those of a
// process carry its number, templates that processes share the hash of what they
// are made of, and kept ones the time at which they were kept.
const (
	processDatabase  = `^groundhog_test_[0-9a-f]{16}_t?[0-9]+$`
	sharedTemplate   = `^groundhog_test_t_[0-9a-f]{32}$`
	keptDatabase     = `^groundhog_kept_test_[0-9]+_[0-9a-f]{16}_[0-9]+$`
	keptDatabaseTime = `split_part(datname, '_', 4)::bigint`
)

// Presence is the key of the advisory lock that every process holds, shared, on
// each server that it makes databases on.
const presenceClass, presenceObject = 0x6772646e, 0x686f6721

// HoldProcess takes the locks of a process, which its session holds until it
// ends: that of its number, and the one of all processes. A session that does
// nothing but that for as long as tests run must not be ended for it.
func HoldProcess(ctx context.Context, q Querier, process int64) error {
	return q.QueryRow(ctx, `SELECT pg_catalog.set_config('idle_session_timeout', '0', false),
		pg_catalog.pg_advisory_lock_shared($1), pg_catalog.pg_advisory_lock_shared($2::int, $3::int)`,
		process, presenceClass, presenceObject).Scan(nil, nil, nil)
}

// Alone reports whether no process but that of the session pid uses the server.
func Alone(ctx context.Context, q Querier, pid uint32) (alone bool, err error) {
	err = q.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_locks
		WHERE locktype = 'advisory' AND objsubid = 2 AND classid::bigint = $1 AND objid::bigint = $2 AND pid <> $3)`,
		int64(presenceClass), int64(presenceObject), int64(pid)).Scan(&alone)
	return alone, err
}

// Abandoned lists the databases of processes that hold their lock no more. The
// list of databases is read before that of locks, and a process takes its lock
// before it makes a database, so a living one is never listed. Databases that
// somebody is connected to are left for later. With them come kept databases
// that are older than age.
func Abandoned(ctx context.Context, q Querier, age time.Duration) ([]string, error) {
	return names(ctx, q, `
		SELECT datname FROM pg_catalog.pg_database d
		WHERE CASE WHEN datname ~ '`+processDatabase+`' THEN NOT EXISTS (
				SELECT FROM pg_catalog.pg_locks
				WHERE locktype = 'advisory' AND objsubid = 1
				AND (classid::bigint << 32 | objid::bigint) = ('x' || substr(datname, 16, 16))::bit(64)::bigint)
			WHEN datname ~ '`+keptDatabase+`' THEN `+keptDatabaseTime+` < extract(epoch FROM now()) - $1::bigint
			ELSE false END
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a WHERE a.datid = d.oid)`, int64(age/time.Second))
}

// Templates lists the templates of this role that processes share, newest
// first, without the first ones.
func Templates(ctx context.Context, q Querier, without int) ([]string, error) {
	return names(ctx, q, `
		SELECT datname FROM pg_catalog.pg_database
		WHERE datname ~ '`+sharedTemplate+`' AND pg_catalog.pg_get_userbyid(datdba) = current_user
		ORDER BY oid DESC OFFSET $1`, without)
}

// Kept lists the kept databases of this role, newest first, without the first
// ones.
func Kept(ctx context.Context, q Querier, without int) ([]string, error) {
	return names(ctx, q, `
		SELECT datname FROM pg_catalog.pg_database
		WHERE datname ~ '`+keptDatabase+`' AND pg_catalog.pg_get_userbyid(datdba) = current_user
		ORDER BY `+keptDatabaseTime+` DESC, datname DESC OFFSET $1`, without)
}

func names(ctx context.Context, q Querier, sql string, args ...any) ([]string, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// DatabaseExists reports whether there is a database of that name.
func DatabaseExists(ctx context.Context, q Querier, name string) (exists bool, err error) {
	err = q.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = $1)`, name).Scan(&exists)
	return exists, err
}

// LockTemplate takes the advisory lock of a template until the end of the
// transaction, or fails with lock_not_available after the limit. The
// transaction then waits for as long as it takes to make the template.
func LockTemplate(ctx context.Context, tx pgx.Tx, key int64, limit time.Duration) error {
	if err := SetLocal(ctx, tx, map[string]string{
		"lock_timeout":                        strconv.FormatInt(limit.Milliseconds(), 10),
		"statement_timeout":                   "0",
		"idle_in_transaction_session_timeout": "0",
		"transaction_timeout":                 "0",
	}); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `SELECT pg_catalog.pg_advisory_xact_lock($1)`, key)
	return err
}

// TemplateHolder tells who holds the lock of a template.
func TemplateHolder(ctx context.Context, q Querier, key int64) (Backend, error) {
	var s Backend
	err := q.QueryRow(ctx, `SELECT `+sessionColumns+` FROM pg_catalog.pg_stat_activity a JOIN pg_catalog.pg_locks l ON l.pid = a.pid
		WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted AND (l.classid::bigint << 32 | l.objid::bigint) = $1 LIMIT 1`,
		key).Scan(&s.PID, &s.Application, &s.State, &s.Query, &s.Since)
	return s, err
}

// Backend is a connection that a client has to the server.
type Backend struct {
	PID         int32
	Application string
	State       string
	Query       string // the last one, cut at 200 letters
	Since       string // how long it has been in that state
}

const sessionColumns = `a.pid, coalesce(a.application_name, ''), coalesce(a.state, ''), coalesce(left(a.query, 200), ''),
	coalesce(date_trunc('milliseconds', pg_catalog.clock_timestamp() - a.state_change)::text, '')`

// Sessions lists who is connected to the database, and has a name that begins
// like that.
func Sessions(ctx context.Context, q Querier, database, application string) ([]Backend, error) {
	rows, err := q.Query(ctx, `SELECT `+sessionColumns+` FROM pg_catalog.pg_stat_activity a
		WHERE a.datname = $1 AND pg_catalog.starts_with(coalesce(a.application_name, ''), $2) AND a.pid <> pg_catalog.pg_backend_pid() ORDER BY a.pid`, database, application)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Backend])
}

// EndSessions ends the connections that [Sessions] lists.
func EndSessions(ctx context.Context, q Querier, database, application string) error {
	var n int
	return q.QueryRow(ctx, `SELECT pg_catalog.count(pg_catalog.pg_terminate_backend(pid)) FROM pg_catalog.pg_stat_activity
		WHERE datname = $1 AND pg_catalog.starts_with(coalesce(application_name, ''), $2) AND pid <> pg_catalog.pg_backend_pid()`, database, application).Scan(&n)
}

// UnknownParameters returns those of the names that are no parameters of the server.
func UnknownParameters(ctx context.Context, q Querier, of []string) ([]string, error) {
	return names(ctx, q, `SELECT n FROM pg_catalog.unnest($1::text[]) n WHERE pg_catalog.current_setting(n, true) IS NULL`, of)
}
