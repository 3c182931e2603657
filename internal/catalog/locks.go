package catalog

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// LockHolders returns the other sessions of this database that hold locks on user
// tables, the oldest transaction first; prepared transactions have pid 0.
func LockHolders(ctx context.Context, q Querier) ([]Backend, error) {
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
	var out []Backend
	for rows.Next() {
		var h Backend
		if err := rows.Scan(&h.PID, &h.Application, &h.State, &h.Query, &h.Since, &h.Relation); err != nil {
			return nil, err
		}
		out = append(out, h)
	}
	return out, rows.Err()
}

// EndLockHolders ends the transactions that LockHolders returns: sessions are terminated,
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
			_, err = conn.Exec(ctx, "ROLLBACK PREPARED "+Literal(h.Application), pgx.QueryExecModeSimpleProtocol)
		case h.Application != except:
			_, err = conn.Exec(ctx, `SELECT pg_catalog.pg_terminate_backend($1)`, h.PID)
		}
		if err != nil {
			return fmt.Errorf("end the session that holds %s: %w", h.Relation, err)
		}
	}
	return nil
}

// AdvisoryHolder describes in a few words the session that holds an advisory lock of
// this database, or returns "?".
func AdvisoryHolder(ctx context.Context, q Querier, lock int64) string {
	who := "?"
	_ = q.QueryRow(ctx, `
		SELECT pg_catalog.format('pid %s, application %s, since %s', a.pid, a.application_name, a.backend_start::time(0))
		FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
		WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
			AND (l.classid::bigint << 32) | l.objid::bigint = $1 LIMIT 1`, lock).Scan(&who) // "?" will do
	return who
}
