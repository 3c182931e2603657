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
	more    string // columns at which only a digest looks
	covered bool   // another fact tells a digest the same
	rel     string // the column that names the relation to which it belongs
	space   string // the column that names its schema
	made    string // the column that tells whether initdb made it
	where   string // the rows that count
	others  string // those that are not groundhog's, where neither rel nor space tells
}

// watchedFacts are those that make a schema what it is: see [WatchedFacts].
var watchedFacts = []fact{
	{name: "class", row: "c", catalog: "pg_class", space: "c.relnamespace", columns: `c.oid, c.relname, c.relnamespace, c.reltype, c.relowner, c.relam, c.relpersistence, c.relkind, c.relnatts,
		c.relchecks, c.relhasrules, c.relrowsecurity, c.relforcerowsecurity, c.relispopulated, c.relispartition, c.relreplident, c.reloptions`,
		more: `c.relacl, c.reltablespace, c.reloftype, c.relpartbound, CASE WHEN c.reltoastrelid <> 0 THEN (SELECT t.reloptions FROM pg_catalog.pg_class t WHERE t.oid = c.reltoastrelid) END`},
	{name: "column", row: "a", catalog: "pg_attribute", rel: "a.attrelid", columns: "a.attrelid, a.attnum, a.xmin", where: "a.attnum > 0"},
	{name: "default", row: "d", catalog: "pg_attrdef", rel: "d.adrelid", columns: "d.oid, d.xmin"},
	{name: "trigger", row: "t", catalog: "pg_trigger", rel: "t.tgrelid", columns: "t.oid, t.xmin", others: "t.tgfoid NOT IN (SELECT h.oid FROM hidden_functions h)"},
	{name: "constraint", row: "k", catalog: "pg_constraint", space: "k.connamespace", columns: "k.oid, k.xmin"},
	{name: "inherits", row: "i", catalog: "pg_inherits", rel: "i.inhrelid", columns: "i.inhrelid, i.xmin"},
	{name: "index", row: "i", catalog: "pg_index", rel: "i.indrelid", columns: "i.indexrelid, i.indisvalid, i.indisunique, i.indisprimary, i.indisreplident",
		more: "i.indisclustered, i.indimmediate, i.indisready, i.indislive"},
	{name: "rule", row: "w", catalog: "pg_rewrite", rel: "w.ev_class", columns: "w.oid, w.xmin"},
	{name: "policy", row: "p", catalog: "pg_policy", rel: "p.polrelid", columns: "p.oid, p.xmin"},
	{name: "sequence", row: "q", catalog: "pg_sequence", rel: "q.seqrelid", columns: "q.seqrelid, q.seqtypid, q.seqstart, q.seqincrement, q.seqmax, q.seqmin, q.seqcache, q.seqcycle"},
	{name: "function", row: "p", catalog: "pg_proc", space: "p.pronamespace", columns: "p.oid, p.xmin"},
	{name: "type", row: "t", catalog: "pg_type", space: "t.typnamespace", covered: true, columns: "t.oid, t.typname, t.typnotnull, t.typdefault", where: "t.typtype <> 'c'"},
	{name: "label", row: "e", catalog: "pg_enum", columns: "e.oid, e.xmin"},
	{name: "schema", row: "n", catalog: "pg_namespace", space: "n.oid", covered: true, columns: "n.oid"},
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

// WatchedFacts returns the query of what the relations rels and the schemas spaces are
// made of, one text a fact. What changes them is a change of the schema.
func WatchedFacts() string {
	return union(watchedFacts, func(f fact) string {
		join := ""
		if f.rel != "" {
			join = " JOIN rels r ON r.oid = " + f.rel
		} else if f.space != "" {
			join = " JOIN spaces s ON s.oid = " + f.space
		}
		return f.text() + " AS f" + f.table() + join + f.condition()
	})
}

// UnwatchedFacts returns the query of the privileges and of what [WatchedFacts] leave out.
func UnwatchedFacts() string {
	return union(unwatchedFacts, func(f fact) string {
		if f.made == "" {
			return f.text() + " AS f" + f.table() + f.condition()
		}
		return f.text() + " AS f" + f.table() + f.condition(f.made+made)
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
