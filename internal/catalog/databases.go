package catalog

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/msg"
)

// presenceClass and presenceObject are the key of the advisory lock that every process
// holds, shared, on each server that it makes databases on.
const presenceClass, presenceObject = 0x6772646e, 0x686f6721

// HoldProcess takes the locks of a process, which its session holds until it
// ends: that of its number, and the one of all processes. A session that does
// nothing but that for as long as tests run must not be ended for it.
func HoldProcess(ctx context.Context, q Querier, process int64) error {
	return q.QueryRow(ctx, `SELECT pg_catalog.set_config('idle_session_timeout', '0', false),
		pg_catalog.pg_advisory_lock_shared($1), pg_catalog.pg_advisory_lock_shared($2::int, $3::int)`,
		process, presenceClass, presenceObject).Scan(nil, nil, nil)
}

// HoldTemplate takes the lock of a template that the session's process uses, until the
// session ends.
func HoldTemplate(ctx context.Context, q Querier, key int64) error {
	return q.QueryRow(ctx, `SELECT pg_catalog.pg_advisory_lock_shared($1)`, key).Scan(nil)
}

// LeaveTemplate gives the lock of HoldTemplate back.
func LeaveTemplate(ctx context.Context, q Querier, key int64) error {
	return q.QueryRow(ctx, `SELECT pg_catalog.pg_advisory_unlock_shared($1)`, key).Scan(nil)
}

// Alone reports whether no process but that of the session pid uses the server.
func Alone(ctx context.Context, q Querier, pid uint32) (alone bool, err error) {
	err = q.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_locks
		WHERE locktype = 'advisory' AND objsubid = 2 AND classid::bigint = $1 AND objid::bigint = $2 AND pid <> $3)`,
		int64(presenceClass), int64(presenceObject), int64(pid)).Scan(&alone)
	return alone, err
}

// HoldsProcess reports whether the session pid holds the lock of the process.
func HoldsProcess(ctx context.Context, q Querier, pid uint32, process int64) (holds bool, err error) {
	err = q.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_catalog.pg_locks
		WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND pid = $1 AND (classid::bigint << 32 | objid::bigint) = $2)`,
		int64(pid), process).Scan(&holds)
	return holds, err
}

// Processes lists the processes whose locks sessions hold, on any database of the server.
func Processes(ctx context.Context, q Querier) ([]int64, error) {
	rows, err := q.Query(ctx, `SELECT DISTINCT classid::bigint << 32 | objid::bigint FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND objsubid = 1`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// Database is one of the server's databases.
type Database struct {
	Name  string
	Own   bool // the role of this session owns it
	InUse bool // a session is connected to it
	Torn  bool // a DROP of it was interrupted: it can only be dropped
}

// Databases lists the databases whose names begin with the prefix, newest first.
func Databases(ctx context.Context, q Querier, prefix string) ([]Database, error) {
	rows, err := q.Query(ctx, `
		SELECT datname, pg_catalog.pg_get_userbyid(datdba) = current_user, EXISTS (SELECT FROM pg_catalog.pg_stat_activity a WHERE a.datid = d.oid), datconnlimit = -2
		FROM pg_catalog.pg_database d WHERE pg_catalog.starts_with(datname::text, $1) ORDER BY oid DESC`, prefix)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Database])
}

func names(ctx context.Context, q Querier, sql string, args ...any) ([]string, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// DatabaseExists reports whether there is a database of that name that can be used.
func DatabaseExists(ctx context.Context, q Querier, name string) (exists bool, err error) {
	err = q.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = $1 AND datconnlimit <> -2)`, name).Scan(&exists)
	return exists, err
}

// DatabaseSize returns how large a database is, in bytes.
func DatabaseSize(ctx context.Context, q Querier, name string) (size int64, err error) {
	err = q.QueryRow(ctx, `SELECT pg_catalog.pg_database_size(oid) FROM pg_catalog.pg_database WHERE datname = $1`, name).Scan(&size)
	return size, err
}

// RowsWritten returns how many rows, of catalogs too, were inserted, updated and deleted in a
// database since it was made, as far as sessions have told: those that have ended have, from
// PostgreSQL 15 on.
func RowsWritten(ctx context.Context, q Querier, name string) (rows int64, err error) {
	err = q.QueryRow(ctx, `SELECT coalesce(tup_inserted + tup_updated + tup_deleted, 0) FROM pg_catalog.pg_stat_database WHERE datname = $1`, name).Scan(&rows)
	return rows, err
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

// TemplateHolder returns the session that holds the lock of a template.
func TemplateHolder(ctx context.Context, q Querier, key int64) (b Backend, err error) {
	rows, err := q.Query(ctx, `SELECT `+backendColumns+` FROM pg_catalog.pg_stat_activity a JOIN pg_catalog.pg_locks l ON l.pid = a.pid
		WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted AND (l.classid::bigint << 32 | l.objid::bigint) = $1 LIMIT 1`, key)
	if err != nil {
		return b, err
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Backend])
}

// Backend is a connection that a client has to the server.
type Backend struct {
	PID         int32 // 0 of a prepared transaction
	Application string
	State       string
	Query       string // the last one, cut at 200 letters
	Since       string // how long it has been in that state, or in its transaction where it holds a lock
	Relation    string // a table that it holds a lock on, where that was asked for
}

// Describe says in a line what the connection is and does.
func (b Backend) Describe(lang msg.Lang) string {
	pid, query := strconv.Itoa(int(b.PID)), strings.Join(strings.Fields(b.Query), " ")
	if b.Relation != "" {
		return msg.Holder.In(lang, pid, b.Application, b.State, b.Since, b.Relation, query)
	}
	return msg.Session.In(lang, pid, b.Application, b.State, b.Since, query)
}

// backendColumns are those of a [Backend].
const backendColumns = `a.pid, coalesce(a.application_name, ''), coalesce(a.state, ''), coalesce(left(a.query, 200), ''),
	coalesce(date_trunc('milliseconds', pg_catalog.clock_timestamp() - a.state_change)::text, ''), ''`

// Sessions lists who is connected to the database, and has a name that begins
// like that.
func Sessions(ctx context.Context, q Querier, database, application string) ([]Backend, error) {
	rows, err := q.Query(ctx, `SELECT `+backendColumns+` FROM pg_catalog.pg_stat_activity a
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
