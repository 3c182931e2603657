package catalog

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/schema"
)

// TrackedTable is a table as a journal of its changes has to know it.
//
// A [Table] says what a snapshot has to know, an [InsertTarget] what a load does. They
// have little in common but the name: types without domains, operators and collations of
// keys are here alone, and are asked for tables that were written to; what Read asks for
// all tables at each restore would take longer with them; and the targets of a load are
// found by the search path, in the batch that begins it.
type TrackedTable struct {
	schema.Name
	OID           uint32
	Root          uint32 // the partitioned table that it belongs to in the end, or itself
	Parents       []uint32
	Partitioned   bool // it has partitions, and no rows of its own
	Partition     bool
	Inherits      bool     // rows of it are seen through another table, or the other way round
	AlwaysTrigger bool     // it has a trigger or a rule that fires in replica role
	Secured       bool     // row level security hides rows from the current role
	Triggers      []string // of the user's, with names like those of ours
	Long          bool     // a row or a key may be longer than a page: values are stored apart, or could be
	Columns       []TrackedColumn
}

// TrackedColumn is a column of a TrackedTable.
type TrackedColumn struct {
	Name      string
	Type      string // qualified, without domains
	User      bool   // a user's type, or an extension's: it may be dropped
	Enum      bool   // … of which a value is just a label
	Collation string // qualified and quoted; none: the type has none
	Generated string // pg_attribute.attgenerated: s stored, v virtual
	Equal     string // where it belongs to the primary key: the key's operator for equality
	Varies    bool   // values differ in length, so they may be compressed
}

// foreignFunction is the condition on pg_proc p for functions that are not ours.
const foreignFunction = `p.pronamespace <> coalesce(pg_catalog.to_regnamespace('` + OwnSchema + `'), 0)`

// keyOperator is the operator by which the primary key of a pg_class c compares its
// pg_attribute a, or null. A GiST index, of a key WITHOUT OVERLAPS, numbers its operators
// by the class: && is 3 for ranges, and = for others.
const keyOperator = `SELECT pg_catalog.format('OPERATOR(%I.%s)', opn.nspname, op.oprname)
	FROM pg_catalog.pg_index i
		CROSS JOIN LATERAL unnest(i.indkey::int2[], i.indclass::pg_catalog.oid[]) WITH ORDINALITY AS k(num, class, pos)
		JOIN pg_catalog.pg_opclass oc ON oc.oid = k.class
		JOIN pg_catalog.pg_am am ON am.oid = oc.opcmethod
		JOIN pg_catalog.pg_amop ao ON ao.amopfamily = oc.opcfamily AND ao.amoplefttype = oc.opcintype AND ao.amoprighttype = oc.opcintype AND ao.amopstrategy IN (3, 18)
		JOIN pg_catalog.pg_operator op ON op.oid = ao.amopopr
		JOIN pg_catalog.pg_namespace opn ON opn.oid = op.oprnamespace
	WHERE i.indrelid = c.oid AND i.indisprimary AND k.num = a.attnum AND k.pos <= i.indnkeyatts
		AND CASE am.amname WHEN 'gist' THEN op.oprname = '=' ELSE ao.amopstrategy = 3 END`

// longColumn is the condition that pg_attribute a, of the pg_type at without domains and the
// modifier mod, may make a row longer than a page has room for while the server has nothing
// of the table stored apart, or that it may make a key as long, or a text that is longer
// than the value. Of the others, a row that is not stored apart mostly has some 2 kB; a
// journal looks at the rest row by row. The length of a domain's value is checked on its
// way into the journal, where it is not compressed any more.
const longColumn = `CASE
		WHEN a.attgenerated = 'v' THEN false
		WHEN at.typnamespace <> 'pg_catalog'::pg_catalog.regnamespace OR e.typnamespace <> 'pg_catalog'::pg_catalog.regnamespace THEN at.typtype <> 'e'
		WHEN a.attlen > 0 OR at.typname IN ('inet', 'cidr') OR at.typname = 'numeric' AND m.mod >= 0 OR at.typname IN ('varchar', 'bpchar') AND m.mod BETWEEN 0 AND 259 THEN false
		ELSE a.attstorage NOT IN ('x', 'e') OR at.oid <> a.atttypid AND m.mod >= 0 OR ` + keyColumn + `
	END`

const keyColumn = `EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND a.attnum = ANY (i.indkey::int2[]))`

// longColumns is the condition that columns make a row or a key long together. An index may
// compress a key, so that the server takes one that is longer than a page. A value that a
// column had by default when it was added is in no row. Values of domains are decompressed.
const longColumns = `pg_catalog.count(*) FILTER (WHERE e.typtype = 'e') > ` + mostLabels + `
	OR pg_catalog.sum(CASE WHEN e.typtype = 'e' THEN 68 WHEN a.attlen > 0 THEN a.attlen WHEN at.typname IN ('varchar', 'bpchar') THEN 4 * m.mod ELSE 520 END) FILTER (WHERE ` + keyColumn + `) > 6000
	OR pg_catalog.sum(CASE WHEN a.attlen > 0 THEN a.attlen ELSE 8 * pg_catalog.octet_length(a.attmissingval::text) END) FILTER (WHERE a.atthasmissing) > 2500
	OR pg_catalog.sum(CASE at.typname WHEN 'numeric' THEN 520 ELSE 4 * m.mod END) FILTER (WHERE at.oid <> a.atttypid AND a.attlen < 0 AND m.mod >= 0) > 4000`

// mostLabels is how many columns of enums a short row has, of which a text is up to 64 bytes.
const mostLabels = "16"

// trackedTablesSQL has a row for each table of $1 and $2, its columns in arrays. base are
// the domains, with the types beneath them.
const trackedTablesSQL = `
	WITH RECURSIVE base(oid, type, mod) AS (
		SELECT t.oid, t.typbasetype, t.typtypmod FROM pg_catalog.pg_type t WHERE t.typtype = 'd'
		UNION ALL
		SELECT b.oid, t.typbasetype, CASE WHEN b.mod >= 0 THEN b.mod ELSE t.typtypmod END
		FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.type WHERE t.typtype = 'd'
	)
	SELECT c.oid, n.nspname, c.relname, coalesce(pg_catalog.pg_partition_root(c.oid), c.oid)::pg_catalog.oid, c.relkind = 'p', c.relispartition,
		ARRAY(SELECT i.inhparent FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid),
		c.relkind = 'r' AND NOT c.relispartition AND EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE c.oid IN (i.inhrelid, i.inhparent)),
		EXISTS (SELECT FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
				WHERE t.tgrelid = c.oid AND t.tgenabled IN ('A', 'R') AND ` + foreignFunction + `)
			OR EXISTS (SELECT FROM pg_catalog.pg_rewrite w WHERE w.ev_class = c.oid AND w.ev_type IN ('3', '4') AND w.ev_enabled IN ('A', 'R')),
		c.relrowsecurity AND pg_catalog.row_security_active(c.oid),
		ARRAY(SELECT t.tgname::text FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
			WHERE t.tgrelid = c.oid AND t.tgname ~ '^(000|zzz)_` + OwnSchema + `_' AND ` + foreignFunction + `),
		a.long OR pg_catalog.current_setting('block_size')::int < 8192 OR EXISTS (SELECT FROM unnest(c.reloptions) o WHERE o LIKE 'toast_tuple_target=%')
			OR CASE WHEN c.reltoastrelid <> 0 THEN pg_catalog.pg_relation_size(c.reltoastrelid) > 0 ELSE false END,
		a.name, a.type, a.own, a.enum, a.coll, a.generated, a.equal, a.varies
	FROM unnest($1::text[], $2::text[]) AS u(s, t)
		JOIN pg_catalog.pg_namespace n ON n.nspname = u.s
		JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = u.t
		CROSS JOIN LATERAL (
			SELECT coalesce(pg_catalog.bool_or(` + longColumn + `), false) OR coalesce(` + longColumns + `, false) AS long,
				coalesce(pg_catalog.array_agg(a.attname::text ORDER BY a.attnum), '{}') AS name,
				coalesce(pg_catalog.array_agg(coalesce(
					(SELECT pg_catalog.format_type(b.type, CASE WHEN a.atttypmod >= 0 THEN a.atttypmod ELSE b.mod END)
						FROM base b JOIN pg_catalog.pg_type bt ON bt.oid = b.type AND bt.typtype <> 'd' WHERE b.oid = a.atttypid),
					pg_catalog.format_type(a.atttypid, a.atttypmod)) ORDER BY a.attnum), '{}') AS type,
				coalesce(pg_catalog.array_agg(e.typnamespace <> 'pg_catalog'::pg_catalog.regnamespace ORDER BY a.attnum), '{}') AS own,
				coalesce(pg_catalog.array_agg(e.typtype = 'e' ORDER BY a.attnum), '{}') AS enum,
				coalesce(pg_catalog.array_agg(coalesce(
					(SELECT pg_catalog.format('%I.%I', cn.nspname, co.collname)
						FROM pg_catalog.pg_collation co JOIN pg_catalog.pg_namespace cn ON cn.oid = co.collnamespace WHERE co.oid = a.attcollation),
					'') ORDER BY a.attnum), '{}') AS coll,
				coalesce(pg_catalog.array_agg(a.attgenerated::text ORDER BY a.attnum), '{}') AS generated,
				coalesce(pg_catalog.array_agg(coalesce((` + keyOperator + `), '') ORDER BY a.attnum), '{}') AS equal,
				coalesce(pg_catalog.array_agg(a.attlen < 0 ORDER BY a.attnum), '{}') AS varies
			FROM pg_catalog.pg_attribute a
				JOIN pg_catalog.pg_type at ON at.oid = coalesce(
					(SELECT b.type FROM base b JOIN pg_catalog.pg_type bt ON bt.oid = b.type AND bt.typtype <> 'd' WHERE b.oid = a.atttypid), a.atttypid)
				JOIN pg_catalog.pg_type e ON e.oid = CASE WHEN at.typcategory = 'A' AND at.typelem <> 0 THEN at.typelem ELSE at.oid END
				CROSS JOIN LATERAL (SELECT CASE WHEN a.atttypmod >= 0 OR at.oid = a.atttypid THEN a.atttypmod
					ELSE (SELECT b.mod FROM base b WHERE b.oid = a.atttypid AND b.type = at.oid) END AS mod) m
			WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		) a
	ORDER BY c.relispartition, c.oid`

// TrackedTables reads the tables with these names. The transaction's search_path must
// be pg_catalog alone.
func TrackedTables(ctx context.Context, q Querier, names []schema.Name) ([]TrackedTable, error) {
	schemas, tables := split(names)
	rows, err := q.Query(ctx, trackedTablesSQL, schemas, tables)
	if err != nil {
		return nil, fmt.Errorf("read the tables to track: %w", err)
	}
	var (
		out                                        []TrackedTable
		r                                          TrackedTable
		columns, types, collations, generated, key []string
		own, enum, varies                          []bool
	)
	_, err = pgx.ForEachRow(rows, []any{&r.OID, &r.Schema, &r.Name.Name, &r.Root, &r.Partitioned, &r.Partition, &r.Parents, &r.Inherits, &r.AlwaysTrigger, &r.Secured, &r.Triggers, &r.Long,
		&columns, &types, &own, &enum, &collations, &generated, &key, &varies}, func() error {
		one := r
		one.Parents, one.Triggers = slices.Clone(r.Parents), slices.Clone(r.Triggers)
		one.Columns = make([]TrackedColumn, len(columns))
		for i := range columns {
			one.Columns[i] = TrackedColumn{Name: columns[i], Type: types[i], User: own[i], Enum: enum[i], Collation: collations[i], Generated: generated[i], Equal: key[i], Varies: varies[i]}
		}
		out = append(out, one)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the tables to track: %w", err)
	}
	return out, nil
}
