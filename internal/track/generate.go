package track

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/catalog"
)

// The kinds of entries in a journal.
const (
	kindOld     = "v" // a row of the baseline that was updated, or deleted where that is told row by row
	kindNew     = "k" // the key of a row that was inserted, or that an update gave another key
	kindGone    = "g" // the key that an update took from a row
	kindDeleted = "d" // a deleted row, of the baseline or not
)

// Row versions of the baseline are those whose xmin is not younger than the
// horizon. A row whose horizon is not known is kept: too much is not wrong.
const (
	awake    = `pg_catalog.current_setting('groundhog.off', true) IS DISTINCT FROM 'on'`
	baseline = `(pg_catalog.age(OLD.xmin) OPERATOR(pg_catalog.>=) pg_catalog.age(nullif(pg_catalog.current_setting('groundhog.r', true), '')::pg_catalog.xid)) IS NOT FALSE`
)

// generator writes what tracks one table.
type generator struct {
	catalog.TrackedTable
	root *catalog.TrackedTable // whose journal it has
	sql  *strings.Builder

	unkeyed *unkeyed     // rows can't be deleted as the table is published; else nil
	rowwise bool         // no triggers for statements are relied on
	outside []OutsideKey // between it and tables that are not tracked

	always []string // what makes its triggers fire in replica role too
}

func (g *generator) add(format string, args ...any) {
	fmt.Fprintf(g.sql, format, args...)
	g.sql.WriteString(";\n")
}

func (g *generator) name() string    { return catalog.Ident(g.Name) }
func (g *generator) journal() string { return fmt.Sprintf("groundhog.journal_%d", g.root.OID) }

// plain reports whether all rows of the table are seen by statements that name it,
// and by no others.
func (g *generator) plain() bool { return !g.Partition && !g.Partitioned && !g.Inherits }

func (g *generator) hasKey() bool {
	for _, c := range g.root.Columns {
		if c.Equal != "" {
			return true
		}
	}
	return false
}

// column is a column of the root, as it is called in the table and in the journal.
// A journal keeps values of types that may be dropped as text, and no collations,
// so that it is in nobody's way.
type column struct {
	catalog.TrackedColumn
	ident, entry string
}

// kept is the type in the journal.
func (c column) kept() string {
	if c.User {
		return "text"
	}
	return c.Type
}

// in is the value of an expression on its way into the journal.
func (c column) in(value string) string {
	if c.User {
		return value + "::text"
	}
	return value
}

// out is the value of an entry on its way out.
func (c column) out(entry string) string {
	if c.User {
		entry += "::" + c.Type
	}
	if c.Collation != "" {
		entry = "(" + entry + ") COLLATE " + c.Collation
	}
	return entry
}

// columns lists those that a journal keeps: a virtual one is no part of a row.
func (g *generator) columns(want func(catalog.TrackedColumn) bool) (out []column) {
	for i, c := range g.root.Columns {
		if c.Generated != "v" && want(c) {
			out = append(out, column{c, pgx.Identifier{c.Name}.Sanitize(), fmt.Sprintf("c%d", i+1)})
		}
	}
	return out
}

func all(catalog.TrackedColumn) bool            { return true }
func inKey(c catalog.TrackedColumn) bool        { return c.Equal != "" }
func notGenerated(c catalog.TrackedColumn) bool { return c.Generated == "" }

// each joins what one says of each column.
func each(columns []column, separator string, one func(column) string) string {
	out := make([]string, len(columns))
	for i, c := range columns {
		out[i] = one(c)
	}
	return strings.Join(out, separator)
}

// list is the same as the rest of a list that has begun.
func list(columns []column, one func(column) string) string {
	if len(columns) == 0 {
		return ""
	}
	return ", " + each(columns, ", ", one)
}

func ident(c column) string { return c.ident }
func entry(c column) string { return c.entry }

// of gives the value that a row has in a column, as the journal keeps it.
func of(row string) func(column) string {
	return func(c column) string { return c.in(row + c.ident) }
}

// generate writes the journal of the table, if it is its own, and the triggers, as far
// as it can be tracked. One that can't be has a journal without columns.
func (g *generator) generate(level int) {
	switch {
	case g.OID != g.root.OID:
	case level != journaled:
		g.add(`CREATE UNLOGGED TABLE %s (kind "char")`, g.journal())
	default:
		g.journalTable()
		g.undo()
	}
	if level == unnoticed {
		return
	}
	g.trigger("000_groundhog_enter", "BEFORE INSERT OR UPDATE OR DELETE", "STATEMENT",
		fmt.Sprintf(`%s AND coalesce(pg_catalog.strpos(pg_catalog.current_setting('groundhog.t', true), ',%d,'), 0) OPERATOR(pg_catalog.=) 0`, awake, g.OID), "enter")
	g.trigger("000_groundhog_truncate", "BEFORE TRUNCATE", "STATEMENT", awake, "enter")
	if !g.Partitioned && level == journaled {
		g.notes()
	}
	g.add(`ALTER TABLE ONLY %s %s`, g.name(), strings.Join(g.always, ", "))
}

func (g *generator) trigger(name, event, level, when, function string) {
	for slices.Contains(g.Triggers, name) { // somebody else's
		name += "_"
	}
	g.add(`CREATE TRIGGER "%s" %s ON %s%s FOR EACH %s WHEN (%s) EXECUTE FUNCTION groundhog.%s()`, name, event, g.name(),
		map[string]string{"AFTER INSERT/STATEMENT": " REFERENCING NEW TABLE AS groundhog_new", "AFTER DELETE/STATEMENT": " REFERENCING OLD TABLE AS groundhog_old"}[event+"/"+level],
		level, when, function)
	g.always = append(g.always, `ENABLE ALWAYS TRIGGER "`+name+`"`)
}

func (g *generator) journalTable() {
	columns := ""
	for _, c := range g.columns(all) {
		columns += fmt.Sprintf(", %s %s", c.entry, c.kept())
	}
	g.add(`CREATE UNLOGGED TABLE %s (kind "char"%s)`, g.journal(), columns)
}

// notes writes the triggers that fill the journal.
func (g *generator) notes() {
	columns, key := g.columns(all), g.columns(inKey)
	g.function("old", g.fitting(fmt.Sprintf(`
	INSERT INTO %s (kind%s) VALUES ('%s'%s);`, g.journal(), list(columns, entry), kindOld, list(columns, of("OLD."))))+fmt.Sprintf(`
	IF coalesce(pg_catalog.current_setting('groundhog.r', true), '') OPERATOR(pg_catalog.=) '' THEN
		PERFORM groundhog.blind(%d);
	END IF;`, g.root.OID))
	event := "AFTER UPDATE OR DELETE"
	if g.decides() {
		event = "AFTER UPDATE"
	}
	g.trigger("zzz_groundhog_old", event, "ROW", baseline+" AND "+awake, g.called("old"))
	if !g.hasKey() {
		return
	}
	level := "STATEMENT"
	inserted := fmt.Sprintf(`SELECT '%s'%s FROM groundhog_new`, kindNew, list(key, of("")))
	if g.Partition || g.rowwise {
		// A row that moves between partitions fires those of its rows only.
		level, inserted = "ROW", fmt.Sprintf(`VALUES ('%s'%s)`, kindNew, list(key, of("NEW.")))
	}
	g.function("note", g.fitting(fmt.Sprintf(`
	IF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
		INSERT INTO %[1]s (kind%[2]s) %[3]s;
	ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
		INSERT INTO %[1]s (kind%[4]s) SELECT '%[5]s'%[6]s FROM groundhog_old;
	ELSE
		INSERT INTO %[1]s (kind%[2]s) VALUES ('%[7]s'%[8]s), ('%[9]s'%[10]s);
	END IF;`, g.journal(), list(key, entry), inserted, list(columns, entry), kindDeleted, list(columns, of("")),
		kindNew, list(key, of("NEW.")), kindGone, list(key, of("OLD.")))))
	// A condition that named columns would keep them from being altered. This one is
	// put in its place whenever it is evaluated, so it costs no call.
	g.add(`CREATE FUNCTION groundhog.%s(old anyelement, new anyelement) RETURNS boolean LANGUAGE sql IMMUTABLE AS %s`, g.called("rekeyed"), quoted(fmt.Sprintf(`
	SELECT NOT (%s)
`, each(key, " AND ", func(c column) string { return fmt.Sprintf("($1).%s %s ($2).%[1]s", c.ident, c.Equal) }))))
	g.add(`GRANT EXECUTE ON FUNCTION groundhog.%s(anyelement, anyelement) TO PUBLIC`, g.called("rekeyed"))
	g.trigger("zzz_groundhog_key", "AFTER UPDATE", "ROW", fmt.Sprintf("groundhog.%s(OLD.*, NEW.*) AND %s", g.called("rekeyed"), awake), g.called("note"))
	g.trigger("zzz_groundhog_new", "AFTER INSERT", level, awake, g.called("note"))
	if g.decides() {
		g.trigger("zzz_groundhog_gone", "AFTER DELETE", "STATEMENT", awake, g.called("note"))
	}
}

// wideFrom is how many columns a table has of which an entry may not fit on a page
// where its row does: it has one more, and labels of enums as text.
const wideFrom = 100

// fitting has entries that do not fit noted, rather than fail the statement of who
// wrote the row.
func (g *generator) fitting(body string) string {
	if len(g.root.Columns) < wideFrom {
		return body
	}
	return fmt.Sprintf(`
	BEGIN%s
	EXCEPTION WHEN program_limit_exceeded THEN
		INSERT INTO groundhog.touched VALUES (%d, '%s');
	END;`, body, g.root.OID, RowTooLong)
}

func (g *generator) called(function string) string { return fmt.Sprintf("%s_%d", function, g.OID) }

func (g *generator) function(name, body string) {
	set := ""
	for _, c := range g.columns(all) {
		if c.User && !c.Enum {
			set = textSettings
		}
	}
	g.add(`CREATE FUNCTION groundhog.%s() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER%s AS %s`, g.called(name), set, quoted(fmt.Sprintf(`
#variable_conflict use_column
BEGIN%s
	RETURN NULL;
END `, body)))
}

// textSettings are those under which text means the same in all sessions. They take
// some microseconds, and are left out where nothing hangs on them.
const textSettings = ` SET datestyle = 'ISO, YMD' SET intervalstyle = postgres SET timezone = 'UTC' SET extra_float_digits = 1 SET bytea_output = hex SET lc_monetary = 'C' SET search_path = pg_catalog`

// A table with more changes than undoFrom and undoShare of its rows is loaded
// again: putting one row back costs about as much as loading one.
const (
	undoFrom  = 1000
	undoShare = 0.7
)

// only names the table as one whose rows are its own.
func (g *generator) only() string {
	if g.Partitioned {
		return g.name()
	}
	return "ONLY " + g.name()
}

// newer tells that a row t is younger than the horizon.
func (g *generator) newer(horizon string) string {
	return fmt.Sprintf("pg_catalog.age(t.xmin) OPERATOR(pg_catalog.<) pg_catalog.age(%s)", horizon)
}

// same tells that a row t has the key of j, which keys lists from an entry j.
func (g *generator) same() string {
	return each(g.columns(inKey), " AND ", func(c column) string { return fmt.Sprintf("t.%s %s j.%s", c.ident, c.Equal, c.entry) })
}

func (g *generator) keys() string {
	return each(g.columns(inKey), ", ", func(c column) string { return c.out("j."+c.entry) + " AS " + c.entry })
}

// decides tells that the journal has rows deleted by a statement, which are noted
// whether they were the baseline's or not.
func (g *generator) decides() bool { return g.hasKey() && g.plain() && !g.rowwise }

// decided finds those that were. How many rows of a key the baseline had, none or
// one, follows from how many there are now and how many came and went. If one, it
// is the only row that was deleted; of several nobody knows which it was. There may
// be several now: in replica role nobody checks a deferred key.
func (g *generator) decided(horizon string) string {
	return fmt.Sprintf(`SELECT f.at, f.deleted = 1 AND f.had = 1 AS one
		FROM (SELECT j.at, j.deleted, j.net + t.now AS had
			FROM (SELECT %[3]s, pg_catalog.count(*) FILTER (WHERE j.kind = '%[2]s') AS deleted, pg_catalog.sum(CASE j.kind WHEN '%[4]s' THEN -1 ELSE 1 END) AS net,
					pg_catalog.min(j.at) FILTER (WHERE j.kind = '%[2]s') AS at
				FROM (SELECT j.kind, j.ctid AS at, %[8]s FROM %[1]s j) j
				GROUP BY %[3]s HAVING pg_catalog.count(*) FILTER (WHERE j.kind = '%[2]s') > 0 AND NOT pg_catalog.bool_or(j.kind = '%[9]s')) j
			CROSS JOIN LATERAL (SELECT pg_catalog.count(*) AS now, pg_catalog.bool_and(%[7]s) AS newer FROM %[5]s t WHERE %[6]s) t
			WHERE t.newer IS NOT FALSE) f
		WHERE f.had <> 0`, g.journal(), kindDeleted, each(g.columns(inKey), ", ", func(c column) string { return "j." + c.entry }), kindNew,
		g.only(), g.same(), g.newer(horizon), g.keys(), kindOld)
}

// undo writes the function that puts the table back. It changes nothing when it
// says why it can't.
func (g *generator) undo() {
	horizon, values := fmt.Sprintf("undo_%d.horizon", g.OID), g.columns(notGenerated)

	decide, remove := "", fmt.Sprintf("DELETE FROM %s t WHERE %s", g.only(), g.newer(horizon))
	if g.hasKey() {
		remove = fmt.Sprintf("DELETE FROM %s t USING (SELECT %s FROM %s j WHERE j.kind IN ('%s', '%s')) j WHERE %s AND %s",
			g.only(), g.keys(), g.journal(), kindOld, kindNew, g.same(), g.newer(horizon))
	}
	if g.decides() {
		decide = fmt.Sprintf(`
	IF EXISTS (SELECT FROM %[1]s WHERE kind = '%[2]s') THEN
		UPDATE %[1]s j SET kind = CASE WHEN f.one THEN '%[3]s' ELSE '?' END FROM (%[4]s) f WHERE j.ctid = f.at;
		IF EXISTS (SELECT FROM %[1]s WHERE kind = '?') THEN
			why := 'undecided';
			RETURN;
		END IF;
	END IF;`, g.journal(), kindDeleted, kindOld, g.decided(horizon))
	}

	target := ""
	if len(values) > 0 {
		target = " (" + each(values, ", ", ident) + ") OVERRIDING SYSTEM VALUE"
	}
	there, back := g.unkeyed.statements()
	g.add(`CREATE FUNCTION groundhog.undo_%d(horizon xid, rows bigint, OUT why text, OUT changed bigint) LANGUAGE plpgsql AS %s`, g.OID, quoted(fmt.Sprintf(`
#variable_conflict use_column
DECLARE
	put bigint;
BEGIN
	IF pg_catalog.pg_relation_size('%[2]s') > 65536 THEN
		SELECT pg_catalog.count(*) INTO changed FROM %[2]s;
		IF changed > %[3]d + undo_%[1]d.rows * %[4]v THEN
			why := 'too_many_changes';
			RETURN;
		END IF;
	END IF;%[5]s%[11]s
	%[6]s;
	GET DIAGNOSTICS changed = ROW_COUNT;
	INSERT INTO %[7]s%[8]s SELECT %[9]s FROM %[2]s j WHERE j.kind = '%[10]s';
	GET DIAGNOSTICS put = ROW_COUNT;
	changed := changed + put;%[12]s%[13]s
	PERFORM groundhog.empty('%[2]s');
END `, g.OID, g.journal(), undoFrom, undoShare, decide, remove, g.name(), target,
		each(values, ", ", func(c column) string { return c.out("j." + c.entry) }), kindOld, there, back, g.checks())))
}
