package catalog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/internal/schema"
)

// CopySettings are the settings under which COPY's text is read and written,
// so that it means the same on every server, in every role and on every day.
var CopySettings = map[string]string{
	"client_encoding":                     "UTF8",
	"datestyle":                           "ISO, YMD",
	"intervalstyle":                       "postgres",
	"timezone":                            "UTC",
	"extra_float_digits":                  "1",
	"bytea_output":                        "hex",
	"lc_monetary":                         "C",
	"xmloption":                           "content",
	"array_nulls":                         "on",
	"row_security":                        "off", // an error rather than hidden rows
	"statement_timeout":                   "0",
	"idle_in_transaction_session_timeout": "0",
	"transaction_timeout":                 "0", // from PostgreSQL 17 on
}

// display are those of CopySettings that say how values are written, and what a
// time zone is left out of. What they write is read the same under any other.
var display = []string{"datestyle", "intervalstyle", "timezone", "extra_float_digits", "bytea_output"}

// DefaultOutputSettings gives the transaction the database's own way to write values, in
// which checks, generated columns, partition keys, indexes and materialised views
// may say what day it is.
func DefaultOutputSettings() (sql []string) {
	for _, name := range display {
		sql = append(sql, "SET LOCAL "+name+" TO DEFAULT")
	}
	return sql
}

// CopyOutputSettings gives it that of CopySettings again.
func CopyOutputSettings() (sql []string) {
	for _, name := range display {
		sql = append(sql, fmt.Sprintf("SET LOCAL %s = '%s'", name, CopySettings[name]))
	}
	return sql
}

// SetLocal sets parameters until the end of the transaction. Those that the
// server does not know are left out.
func SetLocal(ctx context.Context, q Querier, settings map[string]string) error {
	names, values := make([]string, 0, len(settings)), make([]string, 0, len(settings))
	for name, value := range settings {
		names, values = append(names, name), append(values, value)
	}
	var n int
	return q.QueryRow(ctx, `SELECT pg_catalog.count(pg_catalog.set_config(($1::pg_catalog.text[])[i], ($2::pg_catalog.text[])[i], true)) FROM pg_catalog.generate_subscripts($1::pg_catalog.text[], 1) AS i
		WHERE pg_catalog.current_setting(($1::pg_catalog.text[])[i], true) IS NOT NULL`,
		names, values).Scan(&n)
}

// Begin begins a transaction in a mode ("REPEATABLE READ, READ ONLY") and under
// settings that hold until its end, all in one round trip.
func Begin(ctx context.Context, conn *pgx.Conn, mode string, settings map[string]string) (pgx.Tx, error) {
	var sql strings.Builder
	sql.WriteString("BEGIN ISOLATION LEVEL " + mode)
	for name, value := range settings {
		if name != "transaction_timeout" || major(conn) >= 17 {
			fmt.Fprintf(&sql, "; SET LOCAL %s = '%s'", name, value)
		}
	}
	return conn.BeginTx(ctx, pgx.TxOptions{BeginQuery: sql.String()})
}

// major is the version of the server, or 0 when it does not tell.
func major(conn *pgx.Conn) int {
	version := conn.PgConn().ParameterStatus("server_version")
	end := strings.IndexFunc(version, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(version)
	}
	n, _ := strconv.Atoi(version[:end])
	return n
}

// Privileges tells who the role is and what it may do.
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

// Identity tells a database apart from all others, those of other servers too.
type Identity struct {
	System   string // the server's data folder; "0": see Known
	Database uint32
	Others   []uint32 // the databases of the server that are there, itself among them
}

func (i Identity) String() string { return fmt.Sprintf("%s-%d", i.System, i.Database) }

// Known reports whether the role may ask which server this is.
func (i Identity) Known() bool { return i.System != "0" }

// ReadIdentity asks a database who it is. The connection must not be in a
// transaction.
func ReadIdentity(ctx context.Context, conn *pgx.Conn) (Identity, error) {
	var i Identity
	ask := func(system string) error {
		return conn.QueryRow(ctx, `SELECT oid, ARRAY(SELECT oid FROM pg_catalog.pg_database), `+system+` FROM pg_catalog.pg_database
			WHERE datname = pg_catalog.current_database()`).Scan(&i.Database, &i.Others, &i.System)
	}
	err := ask(`(SELECT system_identifier::text FROM pg_catalog.pg_control_system())`)
	if notAllowed(err) {
		err = ask(`'0'`)
	}
	if err != nil {
		return i, fmt.Errorf("ask which database this is: %w", err)
	}
	return i, nil
}

// notAllowed tells that the role lacks a right.
func notAllowed(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "42501"
}

// WithoutEventTriggers returns statements that disable event triggers, and that give them their
// states again.
func WithoutEventTriggers(triggers []Trigger) (off, on string) {
	for _, t := range triggers {
		state := map[string]string{"O": "ENABLE", "A": "ENABLE ALWAYS", "R": "ENABLE REPLICA"}[t.Enabled]
		alter := "ALTER EVENT TRIGGER " + pgx.Identifier{t.Name}.Sanitize()
		off, on = off+alter+" DISABLE;\n", alter+" "+state+";\n"+on
	}
	return off, on
}

// MaterializedViews lists the user's materialised views that are populated, what
// they are made of first.
func MaterializedViews(ctx context.Context, q Querier) ([]schema.Name, error) {
	rows, err := q.Query(ctx, `
		SELECT n.nspname, c.relname, c.relkind = 'm' AND c.relispopulated, coalesce(fn.nspname, ''), coalesce(f.relname, '')
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
			LEFT JOIN (pg_catalog.pg_rewrite w
				JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = w.oid
					AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> w.ev_class
				JOIN pg_catalog.pg_class f ON f.oid = d.refobjid AND f.relkind IN ('v', 'm')
				JOIN pg_catalog.pg_namespace fn ON fn.oid = f.relnamespace) ON w.ev_class = c.oid
		WHERE c.relkind IN ('v', 'm') AND EXISTS (SELECT FROM pg_catalog.pg_class m WHERE m.relkind = 'm') AND `+tracked)
	if err != nil {
		return nil, fmt.Errorf("list the materialised views: %w", err)
	}
	var (
		name, from schema.Name
		populated  bool
		refresh    = map[schema.Name]bool{}
		made       = map[schema.Name][]schema.Name{}
	)
	_, err = pgx.ForEachRow(rows, []any{&name.Schema, &name.Name, &populated, &from.Schema, &from.Name}, func() error {
		refresh[name] = populated
		made[name] = append(made[name], from)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the materialised views: %w", err)
	}
	order, _ := schema.LoadOrder(slices.Collect(maps.Keys(refresh)), made)
	return slices.DeleteFunc(order, func(n schema.Name) bool { return !refresh[n] }), nil
}

// EventTriggers lists the users' event triggers that fire in this session, as its
// session_replication_role is, and reports whether the role may disable them, as a
// superuser may.
func EventTriggers(ctx context.Context, q Querier) (triggers []Trigger, may bool, err error) {
	rows, err := q.Query(ctx, `
		SELECT e.evtname, e.evtenabled::text, pg_catalog.current_setting('is_superuser') = 'on' FROM pg_catalog.pg_event_trigger e
			JOIN pg_catalog.pg_proc p ON p.oid = e.evtfoid JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
		WHERE e.evtenabled IN ('A', CASE pg_catalog.current_setting('session_replication_role') WHEN 'replica' THEN 'R' ELSE 'O' END)
			AND n.nspname <> '`+OwnSchema+`' ORDER BY e.evtname COLLATE "C"`)
	if err != nil {
		return nil, false, fmt.Errorf("list the event triggers: %w", err)
	}
	var one Trigger
	_, err = pgx.ForEachRow(rows, []any{&one.Name, &one.Enabled, &may}, func() error { triggers = append(triggers, one); return nil })
	return triggers, may, err
}

// Writes counts the rows that this transaction has written to a table.
type Writes struct{ Inserted, Updated, Deleted int64 }

// Since returns what was written after an earlier count.
func (w Writes) Since(earlier Writes) Writes {
	return Writes{w.Inserted - earlier.Inserted, w.Updated - earlier.Updated, w.Deleted - earlier.Deleted}
}

// XactWrites counts what this transaction has written to tables, with their
// partitions. Only differences between two calls mean something: the server may count
// earlier transactions of the session too. It is an error where the server does not
// count (track_counts).
func XactWrites(ctx context.Context, q Querier, tables []schema.Name) (map[schema.Name]Writes, error) {
	idents := make([]string, len(tables))
	for i, t := range tables {
		idents[i] = Ident(t)
	}
	rows, err := q.Query(ctx, `
		SELECT t.i, pg_catalog.current_setting('track_counts')::boolean, pg_catalog.sum(pg_catalog.pg_stat_get_xact_tuples_inserted(r.oid))::bigint,
			pg_catalog.sum(pg_catalog.pg_stat_get_xact_tuples_updated(r.oid))::bigint, pg_catalog.sum(pg_catalog.pg_stat_get_xact_tuples_deleted(r.oid))::bigint
		FROM unnest($1::text[]) WITH ORDINALITY t(name, i)
			CROSS JOIN LATERAL (SELECT t.name::pg_catalog.regclass::pg_catalog.oid UNION SELECT p.relid::pg_catalog.oid FROM pg_catalog.pg_partition_tree(t.name::pg_catalog.regclass) p) r(oid)
		GROUP BY t.i`, idents)
	if err != nil {
		return nil, fmt.Errorf("count the transaction's writes: %w", err)
	}
	out := map[schema.Name]Writes{}
	var (
		i      int
		counts bool
		w      Writes
	)
	_, err = pgx.ForEachRow(rows, []any{&i, &counts, &w.Inserted, &w.Updated, &w.Deleted}, func() error {
		if !counts {
			return errNotCounted
		}
		out[tables[i-1]] = w
		return nil
	})
	return out, err
}

var errNotCounted = errors.New("the server does not count what a transaction writes: set track_counts = on")

// Sequences reads the state of sequences. It is not part of a transaction's
// snapshot: a sequence tells its newest state.
func Sequences(ctx context.Context, q Querier, names []schema.Name) ([]schema.Sequence, error) {
	if len(names) == 0 {
		return nil, nil
	}
	var sql strings.Builder
	for i, name := range names {
		if i > 0 {
			sql.WriteString(" UNION ALL ")
		}
		fmt.Fprintf(&sql, "SELECT %d, last_value, is_called FROM %s", i, Ident(name))
	}
	out := make([]schema.Sequence, len(names))
	rows, err := q.Query(ctx, sql.String())
	if err != nil {
		return nil, fmt.Errorf("read the sequences: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var i int
		var s schema.Sequence
		if err := rows.Scan(&i, &s.LastValue, &s.IsCalled); err != nil {
			return nil, fmt.Errorf("read the sequences: %w", err)
		}
		s.Name = names[i]
		out[i] = s
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the sequences: %w", err)
	}
	return out, nil
}

// SetSequences gives sequences their states.
func SetSequences(ctx context.Context, q Querier, states []schema.Sequence) error {
	if len(states) == 0 {
		return nil
	}
	var schemas, names []string
	var values []int64
	var called []bool
	for _, s := range states {
		schemas, names = append(schemas, s.Schema), append(names, s.Name.Name)
		values, called = append(values, s.LastValue), append(called, s.IsCalled)
	}
	var n int
	err := q.QueryRow(ctx, `
		SELECT pg_catalog.count(pg_catalog.setval(pg_catalog.format('%I.%I', ($1::text[])[i], ($2::text[])[i])::pg_catalog.regclass, ($3::bigint[])[i], ($4::boolean[])[i]))
		FROM pg_catalog.generate_subscripts($1::text[], 1) AS i`,
		schemas, names, values, called).Scan(&n)
	if err != nil {
		return fmt.Errorf("set the sequences: %w", err)
	}
	return nil
}

// LockHolder is a session, or a prepared transaction, that holds a lock that we wait for.
type LockHolder struct {
	PID         int32
	Application string
	State       string
	Query       string
	Since       string // how long ago the transaction began
	Relation    string
}

// LockHolders tells which other sessions of this database hold locks on user
// tables, the oldest transaction first; prepared transactions have pid 0.
func LockHolders(ctx context.Context, q Querier) ([]LockHolder, error) {
	rows, err := q.Query(ctx, `
		SELECT coalesce(l.pid, 0), coalesce(a.application_name, p.gid, ''), coalesce(a.state, 'prepared'), coalesce(left(a.query, 200), ''),
			coalesce(date_trunc('second', now() - coalesce(a.xact_start, p.prepared))::text, ''), min(c.relname)
		FROM pg_catalog.pg_locks l
			JOIN pg_catalog.pg_class c ON c.oid = l.relation
			JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
			LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
			LEFT JOIN (pg_catalog.pg_prepared_xacts p JOIN pg_catalog.pg_locks x ON x.locktype = 'transactionid' AND x.transactionid = p.transaction AND x.pid IS NULL)
				ON l.pid IS NULL AND x.virtualtransaction = l.virtualtransaction AND p.database = pg_catalog.current_database()
		WHERE l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
			AND l.granted AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid() AND n.nspname !~ '^pg_' AND n.nspname <> '`+OwnSchema+`'
		GROUP BY l.pid, a.application_name, p.gid, a.state, a.query, a.xact_start, p.prepared
		ORDER BY coalesce(a.xact_start, p.prepared) LIMIT 10`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []LockHolder
	for rows.Next() {
		var h LockHolder
		if err := rows.Scan(&h.PID, &h.Application, &h.State, &h.Query, &h.Since, &h.Relation); err != nil {
			return nil, err
		}
		out = append(out, h)
	}
	return out, rows.Err()
}

// EndLockHolders ends the transactions that LockHolders tells of: sessions are terminated,
// prepared transactions rolled back. Those of the application named except are
// spared. The role must be the same as theirs, or a superuser.
func EndLockHolders(ctx context.Context, conn *pgx.Conn, except string) error {
	holders, err := LockHolders(ctx, conn)
	if err != nil {
		return err
	}
	for _, h := range holders {
		switch {
		case h.PID == 0:
			_, err = conn.Exec(ctx, "ROLLBACK PREPARED '"+strings.ReplaceAll(h.Application, "'", "''")+"'", pgx.QueryExecModeSimpleProtocol)
		case h.Application != except:
			_, err = conn.Exec(ctx, `SELECT pg_catalog.pg_terminate_backend($1)`, h.PID)
		}
		if err != nil {
			return fmt.Errorf("end who holds %s: %w", h.Relation, err)
		}
	}
	return nil
}

// AdvisoryHolder tells in a few words who holds an advisory lock of this database,
// or "?".
func AdvisoryHolder(ctx context.Context, q Querier, lock int64) string {
	who := "?"
	_ = q.QueryRow(ctx, `
		SELECT pg_catalog.format('pid %s, application %s, since %s', a.pid, a.application_name, a.backend_start::time(0))
		FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
		WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
			AND (l.classid::bigint << 32) | l.objid::bigint = $1 LIMIT 1`, lock).Scan(&who) // "?" will do
	return who
}
