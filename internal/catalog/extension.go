package catalog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/schema"
)

// The rows that an extension names with pg_extension_config_dump are the user's:
// pg_dump saves them, and so does a snapshot. All else that belongs to an extension
// is the extension's.

// Outside is a relation of the database that is no part of any snapshot.
type Outside struct {
	schema.Name
	Kind      string // "table", "foreign table", "materialized view", "sequence"
	Why       string // one of the reasons below
	Extension string // that it belongs to, if any
	Rows      bool   // it holds rows, or may
}

// The reasons why a relation is outside. They are written into snapshot files.
const (
	OfExtension = "extension"   // the extension names no row of it as the user's
	OfSystem    = "system"      // it lies in a schema of the system's
	Unreadable  = "condition"   // the condition of the extension is none on single rows
	NotOwned    = "rights"      // the role does not own it
	Foreign     = "foreign"     // its rows are elsewhere
	OfGroundhog = "groundhog"   // it lies in the schema where groundhog keeps its own
	Unpopulated = "unpopulated" // it was never filled
	OfMigration = "migration"   // a migration tool keeps its state in it
)

// native is the condition on pg_proc p for functions that may write to tables past
// triggers: those in C do so by the server's own functions for rows, or end an INSERT …
// RETURNING when they have the rows that they asked for, before triggers for the
// statement fire. Those that are called by nothing but indexes, types and aggregates
// are none of them.
const native = `p.prolang = 13 AND p.provolatile = 'v' AND p.prokind IN ('f', 'p') AND NOT 2281 = ANY (p.proargtypes::pg_catalog.oid[])`

// harmless are extensions with volatile functions in C of which it is known that
// they write to no table so: those of PostgreSQL itself, and some that many have.
const harmless = `ARRAY['adminpack', 'amcheck', 'autoinc', 'bloom', 'bool_plperl', 'btree_gin', 'btree_gist', 'citext', 'cube', 'dblink', 'dict_int', 'dict_xsyn',
	'earthdistance', 'file_fdw', 'fuzzystrmatch', 'hstore', 'insert_username', 'intagg', 'intarray', 'isn', 'lo', 'ltree', 'moddatetime', 'old_snapshot', 'pageinspect',
	'pg_buffercache', 'pg_freespacemap', 'pg_logicalinspect', 'pg_overexplain', 'pg_prewarm', 'pg_stat_statements', 'pg_surgery', 'pg_trgm', 'pg_visibility', 'pg_walinspect', 'pgcrypto',
	'pgrowlocks', 'pgstattuple', 'postgres_fdw', 'refint', 'seg', 'sslinfo', 'tablefunc', 'tcn', 'tsm_system_rows', 'tsm_system_time', 'unaccent', 'uuid-ossp', 'xml2',
	'plpgsql', 'plperl', 'plperlu', 'plpython3u', 'pltcl', 'pltclu', 'plv8', 'postgis', 'postgis_raster', 'postgis_sfcgal', 'address_standardizer', 'vector']::pg_catalog.name[]`

// predicate makes a boolean expression of what an extension gave
// pg_extension_config_dump. pg_dump puts that behind the name of the table, so it may
// be anything that can stand there; only conditions on single rows can be used.
// The empty predicate is true of all rows.
func predicate(condition string) (where string, ok bool) {
	rest, ok := skipSpace(condition)
	switch {
	case !ok:
		return "", false
	case rest == "":
		return "", true
	}
	word := keyword(rest)
	if word != "WHERE" {
		return "", false
	}
	rest, ok = skipSpace(rest[len(word):])
	if !ok || rest == "" || !single(rest) {
		return "", false
	}
	return "(" + rest + "\n) IS TRUE", true // the newline ends a comment in it
}

// beyond are the reserved words that end a condition.
var beyond = []string{"ORDER", "LIMIT", "OFFSET", "FETCH", "FOR", "GROUP", "HAVING", "WINDOW", "UNION", "INTERSECT", "EXCEPT"}

// single reports whether the text is one expression, as far as can be told without its
// grammar: what it opens it closes, and nothing in it ends a condition.
func single(text string) bool {
	depth := 0
	for text != "" {
		var ok bool
		if text, ok = skipSpace(text); !ok {
			return false
		}
		if text == "" {
			break
		}
		switch text[0] {
		case '(':
			depth++
		case ')':
			if depth--; depth < 0 {
				return false
			}
		case ';':
			return false
		case '\'', '"', '$':
			n := quoted(text, false)
			if n == 0 {
				return false
			}
			text = text[n:]
			continue
		default:
			if word := keyword(text); word != "" {
				if depth == 0 && slices.Contains(beyond, word) {
					return false
				}
				text = text[len(word):]
				if word == "E" && strings.HasPrefix(text, "'") {
					n := quoted(text, true)
					if n == 0 {
						return false
					}
					text = text[n:]
				}
				continue
			}
		}
		text = text[1:]
	}
	return depth == 0
}

// skipSpace leaves out blanks and comments.
func skipSpace(text string) (rest string, ok bool) {
	for {
		text = strings.TrimLeft(text, " \t\r\n\f\v")
		switch {
		case strings.HasPrefix(text, "--"):
			end := strings.IndexAny(text, "\r\n")
			if end < 0 {
				return "", true
			}
			text = text[end:]
		case strings.HasPrefix(text, "/*"):
			depth, i := 1, 2
			for ; depth > 0 && i < len(text); i++ {
				switch {
				case strings.HasPrefix(text[i:], "/*"):
					depth, i = depth+1, i+1
				case strings.HasPrefix(text[i:], "*/"):
					depth, i = depth-1, i+1
				}
			}
			if depth > 0 {
				return "", false
			}
			text = text[i:]
		default:
			return text, true
		}
	}
}

func inWord(c byte) bool {
	return c == '_' || c >= 0x80 || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// keyword returns the word that the text begins with, in upper case.
func keyword(text string) string {
	n := 0
	for n < len(text) && (inWord(text[n]) || n > 0 && text[n] == '$') {
		n++
	}
	return strings.ToUpper(text[:n])
}

// quoted returns the length of the quoted text at the beginning, 0 when it has no end.
func quoted(text string, escapes bool) int {
	if text[0] == '$' {
		end := 1
		for end < len(text) && inWord(text[end]) {
			end++
		}
		if end == len(text) || text[end] != '$' {
			return 1 // a parameter, or an operator: the server will say
		}
		tag := text[:end+1]
		length := strings.Index(text[len(tag):], tag)
		if length < 0 {
			return 0
		}
		return len(tag) + length + len(tag)
	}
	for i := 1; i < len(text); i++ {
		switch {
		case escapes && text[i] == '\\':
			i++
		case text[i] == text[0] && i+1 < len(text) && text[i+1] == text[0]: // doubled
			i++
		case text[i] == text[0]:
			return i + 1
		}
	}
	return 0
}

// The bits of pg_trigger.tgtype.
const (
	triggerRow    = 1
	triggerInsert = 4
	triggerDelete = 8
	triggerUpdate = 16
)

// CacheReset is what makes an extension's own triggers on its table fire without a change:
// those for statements do even where no row is concerned. An extension empties what
// it keeps in memory of the table in such triggers, and they are silent while
// rows are put back. DisableTriggers and EnableTriggers keep the
// user's own triggers out of it.
type CacheReset struct{ DisableTriggers, Statements, EnableTriggers []string }

// CacheReset returns what makes the extension to which the table belongs drop what it
// keeps in memory. There may be
// nothing to do. Triggers for rows stay silent: they speak of rows that the extension
// itself changed when they fired first, and the snapshot has what they did.
func (t Table) CacheReset() CacheReset {
	var events int16
	var set []string
	for _, g := range t.Triggers {
		if g.Extension && g.kind&triggerRow == 0 && g.fires() && g.Table == t.Name {
			events |= g.kind
			column := g.column
			if column == "" && len(t.Settable) > 0 {
				column = t.Settable[0]
			}
			quoted := pgx.Identifier{column}.Sanitize()
			if assign := quoted + " = " + quoted; column != "" && g.kind&triggerUpdate != 0 && !slices.Contains(set, assign) {
				set = append(set, assign)
			}
		}
	}
	var out CacheReset
	name, only := Ident(t.Name), t.Only()
	if len(set) > 0 {
		out.Statements = append(out.Statements, fmt.Sprintf("UPDATE %s SET %s WHERE false", only, strings.Join(set, ", ")))
	}
	if events&triggerInsert != 0 {
		var columns []string
		for _, c := range t.Columns {
			columns = append(columns, pgx.Identifier{c}.Sanitize())
		}
		into := ""
		if len(columns) > 0 {
			into = fmt.Sprintf(" (%s) OVERRIDING SYSTEM VALUE", strings.Join(columns, ", "))
		}
		out.Statements = append(out.Statements, fmt.Sprintf("INSERT INTO %s%s SELECT %s FROM %s WHERE false", name, into, strings.Join(columns, ", "), only))
	}
	if events&triggerDelete != 0 {
		out.Statements = append(out.Statements, fmt.Sprintf("DELETE FROM %s WHERE false", only))
	}
	if len(out.Statements) == 0 {
		return out
	}
	for _, g := range t.Triggers {
		if !g.Extension && g.kind&triggerRow == 0 && g.fires() && g.Table == t.Name {
			alter, trigger := "ALTER TABLE ONLY "+name+" ", pgx.Identifier{g.Name}.Sanitize()
			out.DisableTriggers = append(out.DisableTriggers, alter+"DISABLE TRIGGER "+trigger)
			out.EnableTriggers = append(out.EnableTriggers, alter+map[string]string{"O": "ENABLE", "A": "ENABLE ALWAYS"}[g.Enabled]+" TRIGGER "+trigger)
		}
	}
	return out
}

// fires reports whether the trigger fires in a session that replicates nothing.
func (t Trigger) fires() bool { return t.Enabled == "O" || t.Enabled == "A" }

// outside notes a relation that is no part of the snapshot.
func (r *reader) outside(c *class, why string) {
	kind := map[string]string{"r": "table", "p": "table", "f": "foreign table", "m": "materialized view", "S": "sequence"}[c.kind]
	rows := c.kind == "f" || c.live.Size > 0 && c.kind != "S"
	r.out.Outside = append(r.out.Outside, Outside{Name: r.nameOf(c), Kind: kind, Why: why, Extension: r.extensionOf(c), Rows: rows})
}

func (r *reader) extensionOf(c *class) string {
	return r.extensionNames[r.extension[object{classCatalog, c.oid}]]
}

// whyOutside says why a relation is no part of a snapshot, or "".
func (r *reader) whyOutside(c *class) string {
	name, ok := r.schemas[c.schema]
	configured := r.configured(c)
	_, member := r.extension[object{classCatalog, c.oid}]
	switch {
	case !ok || strings.HasPrefix(name, "pg_") || name == "information_schema":
		if ok && configured {
			return OfSystem
		}
		return unseen
	case name == OwnSchema:
		return OfGroundhog
	case member && !configured:
		return OfExtension
	case c.kind == "m" && (member || !c.populated):
		return map[bool]string{true: OfExtension, false: Unpopulated}[member]
	case c.kind == "f" && !c.partition:
		return Foreign
	}
	return ""
}

// configured reports whether an extension names rows of the relation as the user's, or of
// the table whose partition it is.
func (r *reader) configured(c *class) bool {
	for c != nil {
		if _, ok := r.configs[c.oid]; ok {
			return true
		}
		if !c.partition || len(c.parents) == 0 {
			return false
		}
		c = r.classes[c.parents[0]]
	}
	return false
}

// unseen is why of what is no matter of snapshots at all.
const unseen = "unseen"

// beside makes a relation of a table that is outside, so that foreign keys between it
// and others are known. It is no part of the schema.
func (r *reader) beside(c *class, why string) {
	r.outside(c, why)
	if c.kind != "r" && c.kind != "p" {
		return
	}
	rel := &relation{class: c, table: schema.Table{Name: r.nameOf(c)}, why: why}
	rel.root = rel
	rel.live.Name, rel.live.Partitioned = rel.table.Name, c.kind == "p"
	r.besides[c.oid] = rel
}

// configure completes what an extension says of its table: which rows are the
// user's, and whether they can be part of a snapshot.
func (r *reader) configure(rel *relation) {
	rel.live.Extension = r.extensionOf(rel.class)
	condition, ok := r.configs[rel.oid]
	if !ok {
		return
	}
	rel.live.Native = r.native[r.extension[object{classCatalog, rel.oid}]]
	where, usable := predicate(condition)
	rel.live.Condition = where
	rel.table.Extension, rel.table.Condition = rel.live.Extension, where
	switch {
	case !usable:
		rel.why = Unreadable
	case !rel.live.Owned:
		rel.why = NotOwned
	}
	if rel.why != "" {
		r.outside(rel.class, rel.why)
	}
}

// others tells of the tables outside that share foreign keys with tables inside.
func (r *reader) others(inside map[schema.Name]*relation) {
	shared := map[schema.Name][]ForeignKey{}
	for _, rel := range r.besides {
		for _, fk := range rel.live.ForeignKeys {
			if inside[fk.References] != nil {
				shared[rel.table.Name] = append(shared[rel.table.Name], fk)
			}
		}
	}
	referenced := map[schema.Name]bool{}
	for _, rel := range inside {
		for _, fk := range rel.live.ForeignKeys {
			referenced[fk.References] = true
		}
	}
	for _, rel := range r.besides {
		if name := rel.table.Name; referenced[name] || shared[name] != nil {
			other := rel.live
			other.ForeignKeys = shared[name]
			r.out.Others = append(r.out.Others, other)
		}
	}
	slices.SortFunc(r.out.Others, func(a, b Table) int { return a.Compare(b.Name) })
}

// Dangling is the condition on rows c that reference no row of the target, which is
// quoted.
func (fk ForeignKey) Dangling(target string) string {
	join := " AND "
	if fk.Full { // partly null is wrong too
		join = " OR "
	}
	set := make([]string, len(fk.Columns))
	for i, c := range fk.Columns {
		set[i] = "c." + pgx.Identifier{c}.Sanitize() + " IS NOT NULL"
	}
	out := "(" + strings.Join(set, join) + ") AND "
	if !fk.Period {
		return out + fmt.Sprintf("NOT EXISTS (SELECT FROM %s p WHERE %s)", target, fk.Matching(len(fk.Columns)))
	}
	// A temporal foreign key: the last column is a time that rows of the target
	// must cover together.
	last := len(fk.Columns) - 1
	return out + fmt.Sprintf("NOT coalesce((SELECT pg_catalog.range_agg(p.%s) FROM %s p WHERE %s) OPERATOR(pg_catalog.@>) c.%s, false)",
		pgx.Identifier{fk.RefColumns[last]}.Sanitize(), target, fk.Matching(last), pgx.Identifier{fk.Columns[last]}.Sanitize())
}

// Matching compares the first n columns of a row p with those of a row c that
// references it.
func (fk ForeignKey) Matching(n int) string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("p.%s %s c.%s", pgx.Identifier{fk.RefColumns[i]}.Sanitize(), fk.Operators[i], pgx.Identifier{fk.Columns[i]}.Sanitize())
	}
	return strings.Join(out, " AND ")
}
