package catalog

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// CheckedFacts are what an undo has to know of a table where its triggers fire and its
// foreign keys are checked, as they are for a role that may not set
// session_replication_role.
type CheckedFacts struct {
	Deferred  bool     // the primary key is deferrable: two rows may have the same
	Unique    bool     // more than the primary key keeps rows apart
	Acting    bool     // a foreign key does something to other rows, or refuses it at once, when a row is deleted
	Fixed     []string // columns that UPDATE can't set: identities that are always generated
	Sleep     []string // statements that disable the user's triggers that would fire, and rewrite rules
	Wake      []string // … and that give these their states again
	Alike     bool     // one of these triggers has a name like ours
	Forced    bool     // row level security is forced on the owner
	Unindexed []uint32 // tables that must be read as a whole to see whether they reference a row

	// Aside are assignments that keep rows out of the way of others, one for each of the
	// unique indexes and exclusion constraints beside the primary key, and Apart the columns
	// of these. In an assignment, m.place is the number of the row. None: there is no such
	// assignment for one of them.
	Aside, Apart []string
}

// awakeTrigger is the condition on pg_trigger g for the user's triggers that see rows or
// statements which are written, in a session that replicates nothing.
const awakeTrigger = `NOT g.tgisinternal AND g.tgenabled IN ('O', 'A') AND g.tgtype & 28 <> 0 AND p.` + "pronamespace <> coalesce(pg_catalog.to_regnamespace('" + OwnSchema + "'), 0)"

// awakeRule is the condition on pg_rewrite w for the rules of the pg_class c that would change
// what is written.
const awakeRule = `w.ev_class = c.oid AND w.ev_type IN ('2', '3', '4') AND w.ev_enabled IN ('O', 'A')`

// asideModifier is the modifier of the type of column a, which may be the domain d.
const asideModifier = `CASE WHEN d.typtype = 'd' THEN d.typtypmod ELSE a.atttypmod END`

// asideValue is an assignment that keeps a row, by column a of type d, which is y without domains, out of
// the way of others in the unique index i, or null if there is none.
const asideValue = `CASE
		WHEN NOT a.attnotnull AND NOT d.typnotnull AND NOT EXISTS (SELECT FROM pg_catalog.pg_index o WHERE o.indrelid = i.indrelid AND a.attnum = ANY (o.indkey::int2[])
			AND (pg_catalog.to_jsonb(o) ->> 'indnullsnotdistinct')::boolean) THEN 'NULL'
		WHEN i.indisexclusion THEN CASE WHEN y.typtype = 'r' THEN '''empty''' END
		WHEN y.oid = 'pg_catalog.int2'::pg_catalog.regtype THEN '(-20000 OPERATOR(pg_catalog.-) m.place)'
		WHEN y.oid = 'pg_catalog.numeric'::pg_catalog.regtype AND ` + asideModifier + ` >= 4
			THEN '(m.place OPERATOR(pg_catalog.-) ' || coalesce(nullif(pg_catalog.repeat('9', ((` + asideModifier + ` - 4) >> 16) - ((` + asideModifier + ` - 4) & 2047)), ''), '0') || ')'
		WHEN y.oid IN ('pg_catalog.int4'::pg_catalog.regtype, 'pg_catalog.int8'::pg_catalog.regtype, 'pg_catalog.numeric'::pg_catalog.regtype) THEN '(-1000000000 OPERATOR(pg_catalog.-) m.place)'
		WHEN y.oid IN ('pg_catalog.text'::pg_catalog.regtype, 'pg_catalog.varchar'::pg_catalog.regtype, 'pg_catalog.bpchar'::pg_catalog.regtype)
			THEN 'pg_catalog.left(pg_catalog.md5(pg_catalog.concat(''groundhog '', m.place)), ' || CASE WHEN ` + asideModifier + ` > 4 THEN least(` + asideModifier + ` - 4, 32) ELSE 32 END || ')'
		WHEN y.oid = 'pg_catalog.uuid'::pg_catalog.regtype THEN 'pg_catalog.md5(pg_catalog.concat(''groundhog '', m.place))::pg_catalog.uuid'
		WHEN y.oid = 'pg_catalog.bytea'::pg_catalog.regtype THEN 'pg_catalog.decode(pg_catalog.md5(pg_catalog.concat(''groundhog '', m.place)), ''hex'')'
		WHEN y.oid = 'pg_catalog.date'::pg_catalog.regtype THEN '(pg_catalog.date ''4713-01-01 BC'' OPERATOR(pg_catalog.+) m.place::pg_catalog.int4)'
		WHEN y.oid IN ('pg_catalog.timestamp'::pg_catalog.regtype, 'pg_catalog.timestamptz'::pg_catalog.regtype)
			THEN '(pg_catalog.timestamp ''4713-01-01 BC'' OPERATOR(pg_catalog.+) (m.place OPERATOR(pg_catalog.*) pg_catalog.interval ''1 day''))'
	END`

// indexColumns are the columns of the index i, those of its expressions and its condition
// among them.
const indexColumns = `(SELECT a.attnum FROM pg_catalog.pg_attribute a WHERE a.attrelid = i.indrelid AND (a.attnum = ANY (i.indkey::int2[])
		OR EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = i.indexrelid
			AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum)) AND a.attnum > 0)`

const checkedFactsSQL = `
	WITH keyed AS NOT MATERIALIZED (
		SELECT i.indrelid, i.indexrelid, i.indkey::int2[] AS key, i.indnkeyatts, i.indisprimary, i.indpred IS NULL AND i.indisvalid AS usable
		FROM pg_catalog.pg_index i
	)
	SELECT c.oid,
		EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND NOT i.indimmediate),
		EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND NOT i.indisprimary AND (i.indisunique OR i.indisexclusion)),
		EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.confrelid = c.oid AND k.contype = 'f' AND k.confdeltype <> 'a'),
		ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attidentity = 'a' ORDER BY a.attnum),
		ARRAY(SELECT pg_catalog.format('ALTER TABLE ONLY %I.%I DISABLE TRIGGER %I', n.nspname, c.relname, g.tgname)
			FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_proc p ON p.oid = g.tgfoid WHERE g.tgrelid = c.oid AND ` + awakeTrigger + ` ORDER BY g.tgname)
			|| ARRAY(SELECT pg_catalog.format('ALTER TABLE %I.%I DISABLE RULE %I', n.nspname, c.relname, w.rulename) FROM pg_catalog.pg_rewrite w WHERE ` + awakeRule + ` ORDER BY w.rulename),
		ARRAY(SELECT pg_catalog.format('ALTER TABLE ONLY %I.%I ENABLE %s TRIGGER %I', n.nspname, c.relname, CASE g.tgenabled WHEN 'A' THEN 'ALWAYS' ELSE '' END, g.tgname)
			FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_proc p ON p.oid = g.tgfoid WHERE g.tgrelid = c.oid AND ` + awakeTrigger + ` ORDER BY g.tgname)
			|| ARRAY(SELECT pg_catalog.format('ALTER TABLE %I.%I ENABLE %s RULE %I', n.nspname, c.relname, CASE w.ev_enabled WHEN 'A' THEN 'ALWAYS' ELSE '' END, w.rulename) FROM pg_catalog.pg_rewrite w WHERE ` + awakeRule + ` ORDER BY w.rulename),
		EXISTS (SELECT FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_proc p ON p.oid = g.tgfoid WHERE g.tgrelid = c.oid AND g.tgname LIKE '____` + OwnSchema + `_%' AND ` + awakeTrigger + `),
		c.relrowsecurity AND c.relforcerowsecurity,
		ARRAY(SELECT DISTINCT k.conrelid FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class r ON r.oid = k.conrelid AND r.relkind = 'r'
			WHERE k.confrelid = c.oid AND k.contype = 'f' AND NOT EXISTS (SELECT FROM keyed i WHERE i.indrelid = k.conrelid AND i.usable
				AND i.indnkeyatts >= pg_catalog.cardinality(k.conkey) AND i.key[0:pg_catalog.cardinality(k.conkey) - 1] <@ k.conkey AND k.conkey <@ i.key[0:pg_catalog.cardinality(k.conkey) - 1])),
		ARRAY(SELECT (SELECT pg_catalog.quote_ident(a.attname) || ' = ' || ` + asideValue + `
				FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type d ON d.oid = a.atttypid JOIN pg_catalog.pg_type y ON y.oid = CASE WHEN d.typtype = 'd' THEN d.typbasetype ELSE d.oid END
				WHERE a.attrelid = c.oid AND a.attnum IN ` + indexColumns + ` AND a.attgenerated = '' AND a.attidentity <> 'a' AND NOT a.attisdropped
					AND NOT EXISTS (SELECT FROM keyed p WHERE p.indrelid = c.oid AND p.indisprimary AND a.attnum = ANY (p.key))
					AND ` + asideValue + ` IS NOT NULL
				ORDER BY a.attnotnull, a.attnum LIMIT 1)
			FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND NOT i.indisprimary AND (i.indisunique OR i.indisexclusion) ORDER BY i.indexrelid),
		ARRAY(SELECT DISTINCT a.attname::text FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum IN ` + indexColumns + ` AND a.attgenerated = ''
			WHERE i.indrelid = c.oid AND NOT i.indisprimary AND (i.indisunique OR i.indisexclusion))
	FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	WHERE c.oid = ANY ($1)`

// ReadCheckedFacts reads the facts of tables, by their oids.
func ReadCheckedFacts(ctx context.Context, q Querier, oids []uint32) (map[uint32]CheckedFacts, error) {
	rows, err := q.Query(ctx, checkedFactsSQL, oids)
	if err != nil {
		return nil, fmt.Errorf("read the triggers and keys of the tables to track: %w", err)
	}
	out := make(map[uint32]CheckedFacts, len(oids))
	_, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (none struct{}, err error) {
		var (
			oid   uint32
			f     CheckedFacts
			aside []*string
		)
		if err := row.Scan(&oid, &f.Deferred, &f.Unique, &f.Acting, &f.Fixed, &f.Sleep, &f.Wake, &f.Alike, &f.Forced, &f.Unindexed, &aside, &f.Apart); err != nil {
			return none, err
		}
		for _, a := range aside {
			if a == nil {
				f.Aside = nil
				break
			}
			f.Aside = append(f.Aside, *a)
		}
		out[oid] = f
		return none, nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the triggers and keys of the tables to track: %w", err)
	}
	return out, nil
}
