package catalog

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/schema"
)

// treeOf lists the table $1 with its partitions, the types of their columns, and the
// types of which those are made.
const treeOf = `WITH RECURSIVE tree AS MATERIALIZED (
		SELECT $1::pg_catalog.regclass::pg_catalog.oid AS oid UNION SELECT p.relid::pg_catalog.oid FROM pg_catalog.pg_partition_tree($1::pg_catalog.regclass) p
	), types AS (
		SELECT a.atttypid AS oid FROM pg_catalog.pg_attribute a JOIN tree ON tree.oid = a.attrelid WHERE a.attnum > 0 AND NOT a.attisdropped
		UNION
		SELECT part.oid FROM types JOIN pg_catalog.pg_type t ON t.oid = types.oid CROSS JOIN LATERAL (
			SELECT t.typbasetype WHERE t.typbasetype <> 0
			UNION ALL SELECT t.typelem WHERE t.typelem <> 0
			UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a WHERE t.typrelid <> 0 AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
			UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE t.oid IN (r.rngtypid, r.rngmultitypid)
		) part(oid)
	)`

// HoldsNames reports whether a table can hold values that the server writes by
// search_path: those of regclass and its kin, also inside arrays, composite types,
// ranges and domains.
func HoldsNames(ctx context.Context, q Querier, table schema.Name) (holds bool, err error) {
	err = q.QueryRow(ctx, treeOf+`
		SELECT EXISTS (SELECT FROM types JOIN pg_catalog.pg_type t ON t.oid = types.oid
			WHERE t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace AND t.typname ~ '^reg' AND t.typlen = 4
				OR t.typtype = 'b' AND t.typelem = 0 AND t.typnamespace <> 'pg_catalog'::pg_catalog.regnamespace)`, Ident(table)).Scan(&holds)
	if err != nil {
		return false, fmt.Errorf("ask for the types of %s: %w", table, err)
	}
	return holds, nil
}

// Call is a function of the users' that the server calls for an object of a table.
type Call struct {
	Object   string // as PostgreSQL describes it: "index place_f_unaccent_idx on table place"
	Function string // with its schema and arguments
	Name     string // of the function alone
}

// Calls lists the functions that the server may call when rows of a table are
// written or a statement on it is planned: those of checks, domains, defaults and
// generated columns, indexes, statistics, policies, triggers and partition keys.
//
// Without a table it lists those of all.
func Calls(ctx context.Context, q Querier, table *schema.Name) (calls []Call, err error) {
	var ident *string
	if table != nil {
		name := Ident(*table)
		ident = &name
	}
	rows, err := q.Query(ctx, strings.Replace(treeOf, "UNION", `UNION SELECT c.oid FROM pg_catalog.pg_class c WHERE $1 IS NULL AND c.oid`+made+` AND c.relkind IN ('r', 'p') AND c.`+notOwn+` UNION`, 1)+`
		SELECT DISTINCT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) || coalesce(' on table ' || coalesce(
				(SELECT i.indrelid::pg_catalog.regclass::text FROM pg_catalog.pg_index i WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND i.indexrelid = d.objid),
				(SELECT s.stxrelid::pg_catalog.regclass::text FROM pg_catalog.pg_statistic_ext s WHERE d.classid = 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass AND s.oid = d.objid)), ''),
			p.oid::pg_catalog.regprocedure::text, p.proname
		FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_proc p ON p.oid = d.refobjid
		WHERE d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND (
			d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND (d.objid IN (SELECT oid FROM tree)
				OR d.objid IN (SELECT i.indexrelid FROM pg_catalog.pg_index i WHERE i.indrelid IN (SELECT oid FROM tree)))
			OR d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND d.objid IN (SELECT k.oid FROM pg_catalog.pg_constraint k
				WHERE k.conrelid IN (SELECT oid FROM tree) OR k.contypid IN (SELECT oid FROM types))
			OR d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.objid IN (SELECT f.oid FROM pg_catalog.pg_attrdef f WHERE f.adrelid IN (SELECT oid FROM tree))
			OR d.classid = 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass AND d.objid IN (SELECT s.oid FROM pg_catalog.pg_statistic_ext s WHERE s.stxrelid IN (SELECT oid FROM tree))
			OR d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND d.objid IN (SELECT y.oid FROM pg_catalog.pg_policy y WHERE y.polrelid IN (SELECT oid FROM tree))
			OR d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND d.objid IN (SELECT g.oid FROM pg_catalog.pg_trigger g WHERE g.tgrelid IN (SELECT oid FROM tree))
			OR d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.objid IN (SELECT oid FROM types))
			AND p.oid`+made+` AND p.pronamespace IS DISTINCT FROM pg_catalog.to_regnamespace('`+OwnSchema+`') ORDER BY 1, 2`, ident)
	if err != nil {
		return nil, err
	}
	var c Call
	_, err = pgx.ForEachRow(rows, []any{&c.Object, &c.Function, &c.Name}, func() error { calls = append(calls, c); return nil })
	return calls, err
}

// AllSchemas returns the users' schemas as a search path, in the order of their
// names. It reports as well whether the same name stands for a relation, a type or
// a routine in two of them.
func AllSchemas(ctx context.Context, q Querier) (path string, ambiguous bool, err error) {
	// Under any search path: see the operators.
	twice := func(catalog, name, space string) string {
		return "EXISTS (SELECT FROM pg_catalog." + catalog + " x JOIN spaces s ON s.oid OPERATOR(pg_catalog.=) x." + space +
			" GROUP BY x." + name + " HAVING pg_catalog.count(DISTINCT x." + space + ") OPERATOR(pg_catalog.>) 1)"
	}
	err = q.QueryRow(ctx, `
		WITH spaces AS MATERIALIZED (SELECT n.oid, n.nspname FROM pg_catalog.pg_namespace n
			WHERE n.nspname OPERATOR(pg_catalog.!~) '^pg_' AND n.nspname OPERATOR(pg_catalog.<>) ALL (ARRAY['information_schema', '`+OwnSchema+`']::pg_catalog.name[])
				AND pg_catalog.has_schema_privilege(n.oid, 'USAGE'))
		SELECT coalesce((SELECT pg_catalog.string_agg(pg_catalog.quote_ident(s.nspname), ', ' ORDER BY s.nspname COLLATE pg_catalog."C") FROM spaces s), ''),
			`+twice("pg_class", "relname", "relnamespace")+` OR `+twice("pg_type", "typname", "typnamespace")+`
			OR `+twice("pg_proc", "proname", "pronamespace")+` OR `+twice("pg_operator", "oprname", "oprnamespace")).Scan(&path, &ambiguous)
	if err != nil {
		return "", false, fmt.Errorf("list the schemas: %w", err)
	}
	return path, ambiguous, nil
}
