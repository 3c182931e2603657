package catalog

import (
	"fmt"
	"strings"
)

// fact is what the rows of one catalog tell of a database. Oids and xmin tell of most
// changes; where TRUNCATE, VACUUM, REINDEX, ANALYZE or RESTART write a row, or groundhog
// changes it and changes it back, its columns do.
type fact struct {
	name    string
	row     string // the alias of the catalog
	catalog string
	columns string // that tell a row from others, and from what it was
	hashed  string // the hash of a row, where it is not that of its columns
	more    string // columns at which only a digest looks
	covered bool   // another fact tells a digest the same
	rel     string // the column that names the relation to which it belongs
	of      string // what that is to WatchedFacts, where it is no table: one of many "classes", or one of a "few"
	space   string // the column that names its schema
	made    string // the column that tells whether initdb made it
	where   string // the rows that count
	others  string // those that are not groundhog's, where neither rel nor space tells
}

// watchedFacts are those that make a schema what it is: see [WatchedFacts].
var watchedFacts = []fact{
	{name: "class", row: "c", catalog: "pg_class", space: "c.relnamespace", columns: `c.oid, c.relname, c.relnamespace, c.reltype, c.relowner, c.relam, c.relpersistence, c.relkind, c.relnatts,
		c.relchecks, c.relrowsecurity, c.relforcerowsecurity, c.relispopulated, c.relispartition, c.relreplident, c.reloptions`,
		more: `c.relacl, c.reltablespace, c.reloftype, c.relpartbound, CASE WHEN c.reltoastrelid <> 0 THEN (SELECT t.reloptions FROM pg_catalog.pg_class t WHERE t.oid = c.reltoastrelid) END`},
	{name: "column", row: "a", catalog: "pg_attribute", rel: "a.attrelid", of: "classes", columns: "a.attrelid, a.attnum, a.xmin", where: "a.attnum > 0"},
	{name: "default", row: "d", catalog: "pg_attrdef", rel: "d.adrelid", columns: "d.oid, d.xmin"},
	// A restore may disable a trigger of the user and enable it again, which leaves another
	// xmin. It leaves the others alone. The conditions of groundhog's own are long.
	{name: "trigger", row: "t", catalog: "pg_trigger", rel: "t.tgrelid", columns: "t.oid, t.xmin",
		hashed: "CASE WHEN t.tgisinternal OR t.tgname ~~ '____groundhog_%' THEN " + version("t.oid", "t") + " ELSE " +
			content("t.oid", `t.tgname, t.tgparentid, t.tgfoid, t.tgtype, t.tgenabled, t.tgdeferrable, t.tginitdeferred, t.tgoldtable, t.tgnewtable,
			t.tgattr::pg_catalog.int2[], pg_catalog.encode(t.tgargs, 'hex'), t.tgqual::pg_catalog.text`) + " END",
		others: "t.tgfoid NOT IN (SELECT h.oid FROM hidden_functions h)"},
	{name: "constraint", row: "k", catalog: "pg_constraint", space: "k.connamespace", columns: "k.oid, k.xmin"},
	{name: "inherits", row: "i", catalog: "pg_inherits", rel: "i.inhrelid", of: "few", columns: "i.inhrelid, i.xmin"},
	{name: "index", row: "i", catalog: "pg_index", rel: "i.indrelid", columns: "i.indexrelid, i.indisvalid, i.indisunique, i.indisprimary, i.indisreplident",
		more: "i.indisclustered, i.indimmediate, i.indisready, i.indislive"},
	{name: "rule", row: "w", catalog: "pg_rewrite", rel: "w.ev_class", columns: "w.oid, w.xmin", // as with triggers
		hashed: "CASE WHEN w.ev_type = '1' THEN " + version("w.oid", "w") + " ELSE " +
			content("w.oid", `w.rulename, w.ev_class, w.ev_type, w.ev_enabled, w.is_instead, w.ev_qual::pg_catalog.text, w.ev_action::pg_catalog.text`) + " END"},
	{name: "policy", row: "p", catalog: "pg_policy", rel: "p.polrelid", columns: "p.oid, p.xmin"},
	{name: "sequence", row: "q", catalog: "pg_sequence", rel: "q.seqrelid", of: "few", columns: "q.seqrelid, q.seqtypid, q.seqstart, q.seqincrement, q.seqmax, q.seqmin, q.seqcache, q.seqcycle"},
	{name: "function", row: "p", catalog: "pg_proc", space: "p.pronamespace", columns: "p.oid, p.xmin"},
	{name: "type", row: "t", catalog: "pg_type", space: "t.typnamespace", covered: true, columns: "t.oid, t.typname, t.typnamespace, t.typowner, t.typnotnull, t.typdefault", where: "t.typtype <> 'c'"},
	{name: "label", row: "e", catalog: "pg_enum", columns: "e.oid, e.xmin"},
	{name: "schema", row: "n", catalog: "pg_namespace", space: "n.oid", covered: true, columns: "n.oid, n.nspname, n.nspowner"},
	{name: "publication", row: "p", catalog: "pg_publication", columns: "p.oid, p.xmin"},
	{name: "publication of table", row: "p", catalog: "pg_publication_rel", columns: "p.oid, p.xmin"},
	{name: "publication of schema", row: "p", catalog: "pg_publication_namespace", columns: "p.oid, p.xmin"},
}

// unwatchedFacts are the privileges, and what watchedFacts leave out: see [UnwatchedFacts].
var unwatchedFacts = []fact{
	{name: "class", row: "c", catalog: "pg_class", space: "c.relnamespace", made: "c.oid", covered: true, columns: "c.oid, c.relacl", where: "c.relpersistence <> 't'"},
	{name: "schema", row: "n", catalog: "pg_namespace", space: "n.oid", columns: "n.oid, n.xmin", where: "n.nspname !~ '^pg_(toast_)?temp'"},
	{name: "default", row: "d", catalog: "pg_default_acl", columns: "d.oid, d.xmin"},
	{name: "comment", row: "d", catalog: "pg_description", made: "d.objoid", columns: "d.objoid, d.classoid, d.objsubid, d.xmin"},
	{name: "statistics", row: "s", catalog: "pg_statistic_ext", space: "s.stxnamespace", columns: "s.oid, s.xmin"},
	{name: "extension", row: "e", catalog: "pg_extension", columns: "e.oid, e.xmin"},
	{name: "type", row: "t", catalog: "pg_type", space: "t.typnamespace", made: "t.oid", columns: "t.oid, t.xmin"},
	{name: "cast", row: "c", catalog: "pg_cast", made: "c.oid", columns: "c.oid, c.xmin"},
	{name: "collation", row: "c", catalog: "pg_collation", space: "c.collnamespace", made: "c.oid", columns: "c.oid, c.xmin"},
	{name: "operator", row: "o", catalog: "pg_operator", space: "o.oprnamespace", made: "o.oid", columns: "o.oid, o.xmin"},
	{name: "class of operators", row: "o", catalog: "pg_opclass", space: "o.opcnamespace", made: "o.oid", columns: "o.oid, o.xmin"},
	{name: "conversion", row: "c", catalog: "pg_conversion", space: "c.connamespace", made: "c.oid", columns: "c.oid, c.xmin"},
	{name: "search", row: "c", catalog: "pg_ts_config", space: "c.cfgnamespace", made: "c.oid", columns: "c.oid, c.xmin"},
	{name: "dictionary", row: "d", catalog: "pg_ts_dict", space: "d.dictnamespace", made: "d.oid", columns: "d.oid, d.xmin"},
}

// WatchedFacts returns a query of one text, which says of each fact how many rows it has
// and the sum of their hashes. What changes it is a change of the schema.
//
// Each restore of a role that may make no event triggers waits for it. So it takes no
// parameters, for a plan that is kept, and makes no text of the rows. It finds the user's
// rows by their oids, of which the catalogs have indexes, since most rows are the system's.
//
// Each fact is a query of its own, which ends where there is no row. Of tables there are
// fewer than of relations: what belongs to tables is looked up by each of them. IS TRUE
// keeps the planner from making a join, which would look up each relation.
func WatchedFacts() string {
	var classes string
	var out []string
	for _, f := range watchedFacts {
		rows, hash := f.table(), f.hash()
		switch {
		case f.catalog == "pg_class":
			classes = "SELECT c.oid, c.relkind, " + hash + " AS hash" + rows + f.condition("c.oid"+made, "c.relnamespace = ANY (ARRAY(SELECT s.oid FROM spaces s))")
			rows, hash = " FROM classes c", "c.hash"
		case f.of == "classes":
			rows += f.condition(f.rel + " = ANY (ARRAY(SELECT r.oid FROM classes r))")
		case f.of == "few":
			rows += f.condition(f.rel+made, "("+f.rel+" IN (SELECT r.oid FROM classes r)) IS TRUE")
		case f.rel != "":
			rows += f.condition(f.rel + " = ANY (ARRAY(SELECT r.oid FROM tables r))")
		case f.space == f.row+".oid": // initdb made the schema public, too
			rows += f.condition(f.space + " = ANY (ARRAY(SELECT s.oid FROM spaces s))")
		case f.space != "":
			rows += f.condition(f.row+".oid"+made, f.space+" = ANY (ARRAY(SELECT s.oid FROM spaces s))")
		default:
			rows += f.condition(f.row + ".oid" + made)
		}
		out = append(out, "(SELECT pg_catalog.concat(pg_catalog.count(*), ' ', pg_catalog.sum("+hash+"))"+rows+")")
	}
	return `WITH fixed AS MATERIALIZED (
		SELECT pg_catalog.age('100'::pg_catalog.xid)::pg_catalog.int8 AS age
	), spaces AS MATERIALIZED (
		SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', '` + OwnSchema + `')
	), classes AS MATERIALIZED (
		` + classes + `
	), tables AS MATERIALIZED (
		SELECT c.oid FROM classes c WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm')
	)
	SELECT pg_catalog.concat_ws(',', ` + strings.Join(out, ",\n\t\t") + ")"
}

// UnwatchedFacts returns the query of the privileges and of what [WatchedFacts] leave out.
func UnwatchedFacts() string {
	return union(unwatchedFacts, func(f fact) string {
		var more []string
		if f.made != "" {
			more = append(more, f.made+made)
		}
		if f.space != "" { // the note of the fingerprint is made when that is known
			more = append(more, f.space+` NOT IN (SELECT g.oid FROM pg_catalog.pg_namespace g WHERE g.nspname = '`+OwnSchema+`' OR g.nspname ~ '^pg_toast')`)
		}
		return f.text() + " AS f" + f.table() + f.condition(more...)
	})
}

func union(facts []fact, query func(fact) string) string {
	out := make([]string, len(facts))
	for i, f := range facts {
		out[i] = "SELECT " + query(f)
	}
	return strings.Join(out, "\n\t\tUNION ALL ")
}

func (f fact) text() string {
	return fmt.Sprintf("pg_catalog.concat_ws(' ', '%s', %s)", f.name, f.columns)
}

// hash is of a row, whose oid comes first. Where xmin is among the columns, these two tell
// all: the others tell rows from each other, and stay.
func (f fact) hash() string {
	if f.hashed != "" {
		return f.hashed
	}
	oid, columns, _ := strings.Cut(f.columns, ", ")
	if xmin := f.row + ".xmin"; columns == xmin || strings.HasSuffix(columns, ", "+xmin) {
		return version(oid, f.row)
	}
	return content(oid, columns)
}

// content is the hash of an oid and of columns. That of a record adds up those of its
// columns: a sum of such would be the same when two rows exchange a value.
func content(oid, columns string) string {
	return "pg_catalog.hashoidextended(" + oid + ", pg_catalog.hash_record_extended(ROW(" + columns + "), 0))"
}

// version is the hash of an oid and of xmin, which it takes as the distance from a fixed
// one: no function of a xid is faster than its age, and that grows. Past half of all ids
// it is another number, and track.wraparound comes first.
func version(oid, row string) string {
	return "pg_catalog.hashoidextended(" + oid + ", (SELECT x.age FROM fixed x) - pg_catalog.age(" + row + ".xmin))"
}

func (f fact) table() string { return " FROM pg_catalog." + f.catalog + " " + f.row }

func (f fact) condition(more ...string) string {
	if f.where != "" {
		more = append(more, f.where)
	}
	if len(more) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(more, " AND ")
}
