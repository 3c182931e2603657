package catalog

import (
	"context"
	"fmt"
	"strings"

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
	"row_security":                        "off", // an error rather than hidden rows
	"statement_timeout":                   "0",
	"idle_in_transaction_session_timeout": "0",
	"transaction_timeout":                 "0", // from PostgreSQL 17 on
}

// SetLocal sets parameters until the end of the transaction. Those that the
// server does not know are left out.
func SetLocal(ctx context.Context, q Querier, settings map[string]string) error {
	names, values := make([]string, 0, len(settings)), make([]string, 0, len(settings))
	for name, value := range settings {
		names, values = append(names, name), append(values, value)
	}
	var n int
	return q.QueryRow(ctx, `SELECT pg_catalog.count(pg_catalog.set_config(($1::text[])[i], ($2::text[])[i], true)) FROM pg_catalog.generate_subscripts($1::text[], 1) AS i
		WHERE pg_catalog.current_setting(($1::text[])[i], true) IS NOT NULL`,
		names, values).Scan(&n)
}

// Powers tells who the role is and what it may do.
type Powers struct {
	Database string
	Server   string // "PostgreSQL 15.18"
	Replica  bool   // may set session_replication_role
	Objects  int64  // large objects in the database
}

// ReadPowers asks for the name of the database and the rights of the role.
// The parameter privilege exists from PostgreSQL 15 on, like groundhog's support.
func ReadPowers(ctx context.Context, q Querier) (Powers, error) {
	var p Powers
	err := q.QueryRow(ctx, `SELECT pg_catalog.current_database(), 'PostgreSQL ' || pg_catalog.split_part(pg_catalog.current_setting('server_version'), ' ', 1),
		pg_catalog.has_parameter_privilege('session_replication_role', 'SET'),
		(SELECT pg_catalog.count(*) FROM pg_catalog.pg_largeobject_metadata)`).Scan(&p.Database, &p.Server, &p.Replica, &p.Objects)
	if err != nil {
		return p, fmt.Errorf("ask who we are: %w", err)
	}
	return p, nil
}

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

// Holder is somebody who holds a lock that we wait for.
type Holder struct {
	PID         int32
	Application string
	State       string
	Query       string
	Since       string // how long ago the transaction began
	Relation    string
}

// Holders tells which other sessions of this database hold locks on user
// tables, the oldest transaction first; prepared transactions have pid 0.
func Holders(ctx context.Context, q Querier) ([]Holder, error) {
	rows, err := q.Query(ctx, `
		SELECT coalesce(l.pid, 0), coalesce(a.application_name, p.gid, ''), coalesce(a.state, 'prepared'), coalesce(left(a.query, 200), ''),
			coalesce(date_trunc('second', now() - coalesce(a.xact_start, p.prepared))::text, ''), min(c.relname)
		FROM pg_catalog.pg_locks l
			JOIN pg_catalog.pg_class c ON c.oid = l.relation
			JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
			LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
			LEFT JOIN pg_catalog.pg_prepared_xacts p ON l.pid IS NULL AND l.virtualtransaction = '-1/' || p.transaction
		WHERE l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
			AND l.granted AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid() AND n.nspname !~ '^pg_'
		GROUP BY l.pid, a.application_name, p.gid, a.state, a.query, a.xact_start, p.prepared
		ORDER BY coalesce(a.xact_start, p.prepared) LIMIT 10`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Holder
	for rows.Next() {
		var h Holder
		if err := rows.Scan(&h.PID, &h.Application, &h.State, &h.Query, &h.Since, &h.Relation); err != nil {
			return nil, err
		}
		out = append(out, h)
	}
	return out, rows.Err()
}
