package catalog

import (
	"context"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/internal/schema"
)

// Session is what a loader has to know of its transaction.
type Session struct {
	Database string
	Role     string // session_replication_role
	XID      uint64 // of the top-level transaction; 0: not asked for
	Server   int64  // when the server started, in microseconds since 1970
	Replica  bool   // the role may set session_replication_role
	Default  bool   // the isolation level is read committed
	Standby  bool   // the server takes no changes
}

// QueueSession asks for the session as part of a batch. With xid the transaction
// gets an id, if it has none.
func QueueSession(b *pgx.Batch, xid bool, use func(Session)) {
	b.Queue(`SELECT pg_catalog.current_database(), pg_catalog.current_setting('session_replication_role'),
		CASE WHEN $1 AND NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_current_xact_id()::text ELSE '0' END,
		(extract(epoch FROM pg_catalog.pg_postmaster_start_time()) * 1000000)::bigint,
		pg_catalog.has_parameter_privilege('session_replication_role', 'SET'),
		pg_catalog.current_setting('transaction_isolation') = 'read committed', pg_catalog.pg_is_in_recovery()`, xid).QueryRow(func(row pgx.Row) error {
		var s Session
		var id string
		err := row.Scan(&s.Database, &s.Role, &id, &s.Server, &s.Replica, &s.Default, &s.Standby)
		if err == nil {
			s.XID, err = strconv.ParseUint(id, 10, 64)
			use(s)
		}
		return err
	})
}

// LoadFacts is what decides how rows are best loaded into a table.
type LoadFacts struct {
	// Ordinary tells that the table must be loaded with its triggers on: the
	// user's own would not fire (or not as they should), a deferrable unique
	// constraint would not be checked, or the role or a foreign table does not
	// let its foreign keys be checked afterwards.
	Ordinary bool
	Bytes    int64 // of the table, partitions included
	Checks   []ForeignCheck
}

// ForeignCheck is a foreign key that can be checked for all rows of a load at
// once, with what such a check has to know of it.
type ForeignCheck struct {
	Constraint            string
	Child, Parent         schema.Name
	ChildOnly, ParentOnly bool     // the table itself, without those that inherit from it
	Columns, Referenced   []string // in the order of the key
	Operators             []string // that compare them, quoted as in OPERATOR(…)
	Collations            []string // of the referenced columns, quoted; "": that of the column
	Full                  bool     // MATCH FULL
	Deferrable            bool
}

// treeSQL lists each table of $1 with its partitions.
const treeSQL = `WITH tree AS MATERIALIZED (SELECT t.oid AS root, m.relid FROM pg_catalog.unnest($1::oid[]) t(oid)
	CROSS JOIN LATERAL (SELECT t.oid AS relid UNION SELECT p.relid::oid FROM pg_catalog.pg_partition_tree(t.oid::regclass) p) m)
`

// insertTrigger is the condition on pg_trigger g for triggers that an INSERT
// fires.
const insertTrigger = `g.tgtype & 4 <> 0 AND g.tgenabled <> 'D'`

const loadTablesSQL = treeSQL + `
	SELECT tree.root, pg_catalog.sum(CASE WHEN c.relkind = 'r' THEN pg_catalog.pg_relation_size(c.oid) ELSE 0 END)::bigint,
		pg_catalog.bool_or(
			c.relkind NOT IN ('r', 'p') OR c.relam NOT IN (0, 2) OR pg_catalog.row_security_active(c.oid) OR NOT pg_catalog.has_table_privilege(c.oid, 'SELECT')
			OR EXISTS (SELECT FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_proc f ON f.oid = g.tgfoid JOIN pg_catalog.pg_namespace n ON n.oid = f.pronamespace
				WHERE g.tgrelid = c.oid AND ` + insertTrigger + `
					AND NOT CASE WHEN g.tgisinternal
						THEN g.tgenabled IN ('O', 'A') AND EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.oid = g.tgconstraint AND k.contype = 'f')
						ELSE g.tgenabled = 'A' AND n.nspname = '` + OwnSchema + `' END))
	FROM tree JOIN pg_catalog.pg_class c ON c.oid = tree.relid GROUP BY 1`

// loadChecksSQL takes a foreign key from the topmost table of the tree that has it. It
// leaves out those that the server checks in any case, whose triggers fire always, and
// those that are not checked at all: their triggers are off, or they are not enforced.
const loadChecksSQL = treeSQL + `
	SELECT tree.root, k.conname, cn.nspname, c.relname, c.relkind = 'r', pn.nspname, p.relname, p.relkind = 'r', k.confmatchtype = 'f', k.condeferrable,
		ARRAY(SELECT (SELECT a.attname::text FROM pg_catalog.pg_attribute a WHERE a.attrelid = k.conrelid AND a.attnum = u.num)
			FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY u(num, pos) ORDER BY u.pos),
		ARRAY(SELECT (SELECT a.attname::text FROM pg_catalog.pg_attribute a WHERE a.attrelid = k.confrelid AND a.attnum = u.num)
			FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY u(num, pos) ORDER BY u.pos),
		ARRAY(SELECT (SELECT pg_catalog.quote_ident(n.nspname) || '.' || o.oprname FROM pg_catalog.pg_operator o
				JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace WHERE o.oid = u.oid)
			FROM pg_catalog.unnest(k.conpfeqop) WITH ORDINALITY u(oid, pos) ORDER BY u.pos),
		ARRAY(SELECT coalesce((SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(l.collname)
				FROM pg_catalog.pg_attribute b, pg_catalog.pg_collation l, pg_catalog.pg_namespace n
				WHERE b.attrelid = k.confrelid AND b.attnum = u.ref AND l.oid = b.attcollation AND n.oid = l.collnamespace AND l.oid <>
					(SELECT a.attcollation FROM pg_catalog.pg_attribute a WHERE a.attrelid = k.conrelid AND a.attnum = u.num)), '')
			FROM ROWS FROM (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey)) WITH ORDINALITY u(num, ref, pos) ORDER BY u.pos),
		pg_catalog.has_table_privilege(p.oid, 'SELECT') AND pg_catalog.has_any_column_privilege(p.oid, 'UPDATE') AND NOT pg_catalog.row_security_active(p.oid)
			AND '=' = ALL (SELECT (SELECT o.oprname FROM pg_catalog.pg_operator o WHERE o.oid = u.oid) FROM pg_catalog.unnest(k.conpfeqop) u(oid))
	FROM tree JOIN pg_catalog.pg_constraint k ON k.conrelid = tree.relid AND k.contype = 'f'
		JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace cn ON cn.oid = c.relnamespace
		JOIN pg_catalog.pg_class p ON p.oid = k.confrelid JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
	WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_constraint above JOIN tree t ON t.root = tree.root AND t.relid = above.conrelid WHERE above.oid = k.conparentid)
		AND EXISTS (SELECT FROM pg_catalog.pg_trigger g WHERE g.tgconstraint = k.oid AND g.tgrelid = k.conrelid AND g.tgtype & 4 <> 0 AND g.tgenabled = 'O')
	ORDER BY 1, 2`

// ReadLoadFacts reads the facts of tables, by their oids.
func ReadLoadFacts(ctx context.Context, conn *pgx.Conn, oids []uint32) (map[uint32]*LoadFacts, error) {
	facts := map[uint32]*LoadFacts{}
	var batch pgx.Batch
	batch.Queue(loadTablesSQL, oids).Query(func(rows pgx.Rows) error {
		var oid uint32
		var f LoadFacts
		_, err := pgx.ForEachRow(rows, []any{&oid, &f.Bytes, &f.Ordinary}, func() error {
			one := f
			facts[oid] = &one
			return nil
		})
		return err
	})
	batch.Queue(loadChecksSQL, oids).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var oid uint32
			var c ForeignCheck
			var usable bool
			if err := rows.Scan(&oid, &c.Constraint, &c.Child.Schema, &c.Child.Name, &c.ChildOnly, &c.Parent.Schema, &c.Parent.Name, &c.ParentOnly,
				&c.Full, &c.Deferrable, &c.Columns, &c.Referenced, &c.Operators, &c.Collations, &usable); err != nil {
				return err
			}
			if f := facts[oid]; f != nil {
				f.Checks = append(f.Checks, c)
				f.Ordinary = f.Ordinary || !usable
			}
		}
		return rows.Err()
	})
	return facts, conn.SendBatch(ctx, &batch).Close()
}

// CurrentXID returns the id of the innermost transaction or savepoint that has
// written something. The functions of PostgreSQL tell only that of the
// outermost, but each holds a lock on its own.
func CurrentXID(ctx context.Context, q Querier) (uint32, error) {
	var xid uint32
	err := q.QueryRow(ctx, `SELECT transactionid FROM pg_catalog.pg_locks
		WHERE pid = pg_catalog.pg_backend_pid() AND locktype = 'transactionid' AND mode = 'ExclusiveLock' AND granted
		ORDER BY pg_catalog.age(transactionid) LIMIT 1`).Scan(&xid)
	return xid, err
}

// SetReplicationRole returns a statement that sets session_replication_role to
// one of its three values until the end of the transaction.
func SetReplicationRole(role string) string {
	switch role {
	case "replica", "local":
	default:
		role = "origin"
	}
	return "SET LOCAL session_replication_role = " + role
}

// The states of a transaction, by XactStatus.
const (
	XactCommitted  = "committed"
	XactAborted    = "aborted"
	XactInProgress = "in progress"
)

// XactStatus tells what became of a transaction: one of the states, or "" when
// the server does not know any more. restarted tells that the server is not the
// one that ran it, or started anew, so that the id may be another's by now.
func XactStatus(ctx context.Context, q Querier, s Session) (status string, restarted bool, err error) {
	err = q.QueryRow(ctx, `SELECT coalesce(CASE WHEN $1::text::xid8 < pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())
			THEN pg_catalog.pg_xact_status($1::text::xid8) ELSE 'in progress' END, ''),
		(extract(epoch FROM pg_catalog.pg_postmaster_start_time()) * 1000000)::bigint <> $2`,
		strconv.FormatUint(s.XID, 10), s.Server).Scan(&status, &restarted)
	return status, restarted, err
}

// ConstraintFacts tells of a constraint, or of a unique index that is none.
type ConstraintFacts struct {
	Columns    []string // or expressions
	References string   // the referenced table, as a schema.Name is written
	Definition string
}

// ReadConstraint looks up the constraint of a table, or of a domain, that an
// error names. A name that is not there gives no facts.
func ReadConstraint(ctx context.Context, q Querier, pg *pgconn.PgError) (ConstraintFacts, error) {
	var f ConstraintFacts
	rows, err := q.Query(ctx, `
		WITH named AS (SELECT (SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid AND c.relname = $2) AS tab,
				(SELECT t.oid FROM pg_catalog.pg_type t WHERE t.typnamespace = n.oid AND t.typname = $3) AS domain
			FROM pg_catalog.pg_namespace n WHERE n.nspname = $1)
		SELECT ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY u(num, pos)
				JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num ORDER BY u.pos),
			coalesce(n.nspname, ''), coalesce(p.relname, ''), pg_catalog.pg_get_constraintdef(k.oid)
		FROM named JOIN pg_catalog.pg_constraint k ON (k.conrelid = named.tab OR k.contypid = named.domain) AND k.conname = $4
			LEFT JOIN pg_catalog.pg_class p ON p.oid = k.confrelid LEFT JOIN pg_catalog.pg_namespace n ON n.oid = p.relnamespace
		UNION ALL
		SELECT ARRAY(SELECT coalesce(a.attname::text, pg_catalog.pg_get_indexdef(i.indexrelid, u.pos::int, true))
				FROM pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY u(num, pos)
				LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.num AND a.attnum <> 0
				WHERE u.pos <= i.indnkeyatts ORDER BY u.pos),
			'', '', pg_catalog.pg_get_indexdef(i.indexrelid)
		FROM named JOIN pg_catalog.pg_index i ON i.indrelid = named.tab JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid AND c.relname = $4
		LIMIT 1`, pg.SchemaName, pg.TableName, pg.DataTypeName, pg.ConstraintName)
	if err != nil {
		return f, err
	}
	var references schema.Name
	_, err = pgx.ForEachRow(rows, []any{&f.Columns, &references.Schema, &references.Name, &f.Definition}, func() error {
		if references.Name != "" {
			f.References = references.String()
		}
		return nil
	})
	return f, err
}
