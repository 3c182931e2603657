package catalog

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/msg"
)

// Occupants are what is in the way of renaming, copying or dropping a database.
type Occupants struct {
	Missing  bool      // there is no such database
	Sessions []Backend // of clients and workers
	Prepared []string  // the transactions that are prepared in it
	Bound    []Binding // what stays with this very database
	Bubble   bool      // the caller is in a bubble of testing/synctest, and its pool is not
}

// Binding is a subscription or a slot of a database, which no copy has.
type Binding struct{ Kind, Name string }

// The kinds of bindings.
const (
	boundSubscription = "subscription"
	boundSlot         = "slot"
)

// ReadOccupants asks who is in the database, besides the session that asks and workers
// of autovacuum, which the server ends by itself.
func ReadOccupants(ctx context.Context, q Querier, database string) (o Occupants, err error) {
	o.Missing = true
	rows, err := q.Query(ctx, `
		SELECT 'database' AS kind, '' AS name, 0 AS pid, '' AS application, '' AS state, '' AS query, '' AS since FROM pg_catalog.pg_database WHERE datname = $1
		UNION ALL SELECT * FROM (SELECT 'session', '', a.pid, coalesce(nullif(a.application_name, ''), nullif(a.backend_type, 'client backend'), ''),
				coalesce(a.state, ''), coalesce(left(a.query, 200), ''),
				coalesce(pg_catalog.date_trunc('milliseconds', pg_catalog.clock_timestamp() - a.state_change)::text, '')
			FROM pg_catalog.pg_stat_activity a
			WHERE a.datname = $1 AND a.pid <> pg_catalog.pg_backend_pid() AND a.backend_type IS DISTINCT FROM 'autovacuum worker' ORDER BY a.pid) sessions
		UNION ALL SELECT 'prepared', p.gid, 0, '', '', '', '' FROM pg_catalog.pg_prepared_xacts p WHERE p.database = $1
		UNION ALL SELECT '`+boundSubscription+`', s.subname, 0, '', '', '', '' FROM pg_catalog.pg_subscription s
			WHERE s.subdbid = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = $1)
		UNION ALL SELECT '`+boundSlot+`', r.slot_name, 0, '', '', '', '' FROM pg_catalog.pg_replication_slots r WHERE r.database = $1`, database)
	if err != nil {
		return o, err
	}
	var kind, name string
	var b Backend
	_, err = pgx.ForEachRow(rows, []any{&kind, &name, &b.PID, &b.Application, &b.State, &b.Query, &b.Since}, func() error {
		switch kind {
		case "database":
			o.Missing = false
		case "session":
			o.Sessions = append(o.Sessions, b)
		case "prepared":
			o.Prepared = append(o.Prepared, name)
		default:
			o.Bound = append(o.Bound, Binding{kind, name})
		}
		return nil
	})
	return o, err
}

// Vacant reports whether nothing is in the way.
func (o Occupants) Vacant() bool { return len(o.Sessions)+len(o.Prepared)+len(o.Bound) == 0 }

// Describe tells what is in the way, one line for each.
func (o Occupants) Describe(lang msg.Lang) (lines []string) {
	for _, s := range o.Sessions {
		lines = append(lines, s.Describe(lang))
	}
	for _, gid := range o.Prepared {
		lines = append(lines, msg.OccupantPrepared.In(lang, gid))
	}
	if o.Bubble {
		lines = append(lines, msg.OccupantBubble.In(lang))
	}
	for _, b := range o.Bound {
		if b.Kind == boundSlot {
			lines = append(lines, msg.OccupantSlot.In(lang, b.Name))
		} else {
			lines = append(lines, msg.OccupantSubscription.In(lang, b.Name))
		}
	}
	return lines
}

// Terminate ends sessions. Those that may not be ended by this role stay.
func Terminate(ctx context.Context, q Querier, sessions []Backend) {
	for _, s := range sessions {
		var done bool
		_ = q.QueryRow(ctx, `SELECT pg_catalog.pg_terminate_backend($1)`, s.PID).Scan(&done) // the caller looks again
	}
}

// RollbackPrepared rolls the prepared transactions of the current database back. The role
// must be theirs, or a superuser.
func RollbackPrepared(ctx context.Context, conn *pgx.Conn) error {
	gids, err := names(ctx, conn, `SELECT gid FROM pg_catalog.pg_prepared_xacts WHERE database = pg_catalog.current_database()`)
	if err != nil {
		return err
	}
	for _, gid := range gids {
		if _, err := conn.Exec(ctx, "ROLLBACK PREPARED "+Literal(gid), pgx.QueryExecModeSimpleProtocol); err != nil {
			return err
		}
	}
	return nil
}
