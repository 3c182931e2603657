package snapshot_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/snapshot"
)

// oddNames are names that PostgreSQL takes and that mean something where names are
// text: in quotes, formats, patterns, addresses, lists, and in what is generated.
var oddNames = []string{
	"$groundhog$", "$groundhog", "$groundhog1$groundhog$", "$$", "$1", "$body$", "%", "%s%d%!", "%[1]s", "%I", "{{.}}", "{0}", "${x}", "@gate@", "@watched@",
	`"`, `""`, `a"b`, "'", "''", `\`, `\'`, `\n`, "E'\\'", "`", ";", "--", "/*", "*/", "); DROP SCHEMA public CASCADE; --",
	"\n", "two\nlines", "tab\there", "\r\n", "\x01", "\x7f", "\u00a0", "\u2028", "\ufeff", "\u202eright", " ", " a", "a ", "two  spaces", "with space",
	".", "a.b", ".a", "a.", ",", "a, b", "(", "a)=(b", "=", "a=b", ":", "a: b", "a: \"b", "→", "+", "+1", "~ x", "- x", "x +1", "*", "?", "[", "a/b", "a?b=c&d", "#", "a@b", "COPY", "COPY x, line 7, column y: ",
	"列", "表の名前", strings.Repeat("長", 21), strings.Repeat("x", 63), strings.Repeat("é", 31) + "x", "🦫", "e\u0301", "é", "ß", "İ", "ﬁ",
	"A", "a", "Groundhog", "groundhog2", "pg", "PG_X", "select", "user", "table", "null", "public", "rest",
	"t", "j", "o", "n", "s", "x", "d", "f", "m", "q", "v", "w", "c", "p", "l", "old", "new", "OLD", "NEW", "kind", "c1", "c2", "kc1", "there", "before", "after", "was", "now", "place", "decided", "number", "text",
	"why", "changed", "baseline_xid", "root", "rows", "put", "at", "one", "excluded", "groundhog_new", "groundhog_old", "tg_op", "found", "name", "space", "owner", "undo_1",
	"000_groundhog_enter", "000_groundhog_truncate", "zzz_groundhog_old", "zzz_groundhog_key", "zzz_groundhog_new", "a pg_temp", "pg_temp", "value",
}

// name makes a name that PostgreSQL takes of any text.
func name(s string, taken ...string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "?"), "\x00", "0")
	for len(s) > 63 {
		_, last := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-last]
	}
	if s == "" || slices.Contains(taken, s) {
		return name("_"+s, taken...)
	}
	return s
}

// schemaName is name for a schema, some of which are the system's, or ours.
func schemaName(s string) string {
	s = name(s)
	if strings.HasPrefix(s, "pg_") || slices.Contains([]string{"groundhog", "information_schema", "public"}, s) {
		return name("_" + s)
	}
	return s
}

func ident(parts ...string) string { return pgx.Identifier(parts).Sanitize() }

func quoteText(s string) string {
	return " E'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// named is a schema in which everything is called like that.
type named struct {
	schema, rows, changes, drop string
	changed                     []string
}

func objectsNamed(n int, inSchema, table, column string) (out named) {
	s, t := schemaName(inSchema), name(table)
	c := name(column, "tableoid", "cmax", "xmax", "cmin", "xmin", "ctid")
	own := func(kind string) string { return fmt.Sprintf("k%d%s", n, kind) }
	e, d, p, rest, part := name("e", c), name("d", c), name("p", c), name("rest", t), name(column, t)
	parts := []string{}
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	for _, kind := range []string{"enum", "domain", "row", "seq", "rest", "part", "view"} {
		add("CREATE SCHEMA %s", own(kind))
		out.drop += "DROP SCHEMA " + own(kind) + " CASCADE;\n"
	}
	add("CREATE SCHEMA %s", ident(s))
	out.drop += "DROP SCHEMA " + ident(s) + " CASCADE;\n"
	add("CREATE TYPE %s AS ENUM (%s, 'other label')", ident(own("enum"), t), quoteText(c))
	add("CREATE DOMAIN %s AS text CONSTRAINT %s CHECK (VALUE <> 'never')", ident(own("domain"), t), ident(c))
	add("CREATE TYPE %s AS (%s int, %s text)", ident(own("row"), t), ident(c), ident(name("other", c)))
	add("CREATE SEQUENCE %s", ident(own("seq"), t))
	add("CREATE TABLE %s (%s bigint PRIMARY KEY DEFAULT nextval(%s), %s %s DEFAULT %s, %s %s DEFAULT %s, %s %s, CONSTRAINT %s CHECK (%[2]s > 0))",
		ident(s, t), ident(c), quoteText(ident(own("seq"), t)), ident(e), ident(own("enum"), t), quoteText(c),
		ident(d), ident(own("domain"), t), quoteText(t), ident(p), ident(own("row"), t), ident(t))
	id, text, ref := name("id", c), name("text", c), name("ref", c)
	add("CREATE COLLATION %s FROM \"C\"", ident(own("rest"), t))
	add("CREATE TABLE %s (%s int CONSTRAINT %s PRIMARY KEY, %s text COLLATE %s, %s text, %s bigint CONSTRAINT %s REFERENCES %s ON DELETE CASCADE)",
		ident(own("rest"), rest), ident(id), ident(t), ident(c), ident(own("rest"), t), ident(text), ident(ref), ident(name(column, t)), ident(s, t))
	add("CREATE INDEX %s ON %s (%s)", ident(name(column, t, rest)), ident(own("rest"), rest), ident(c))
	add("CREATE FUNCTION %s() RETURNS trigger LANGUAGE plpgsql AS %s", ident(own("rest"), t), quoteText("BEGIN RETURN NEW; END"))
	add("CREATE TRIGGER %s BEFORE INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION %s()", ident(c), ident(s, t), ident(own("rest"), t))
	add("CREATE TRIGGER %s AFTER INSERT ON %s FOR EACH ROW EXECUTE FUNCTION %s()", ident(t), ident(own("rest"), rest), ident(own("rest"), t))
	add("CREATE POLICY %s ON %s USING (true)", ident(t), ident(own("rest"), rest))
	add("CREATE RULE %s AS ON INSERT TO %s WHERE NEW.%s < 0 DO ALSO NOTHING", ident(c), ident(own("rest"), rest), ident(id))
	add("CREATE TABLE %s (%s int PRIMARY KEY, %s text) PARTITION BY RANGE (%[2]s)", ident(own("part"), t), ident(c), ident(text))
	add("CREATE TABLE %s PARTITION OF %s FOR VALUES FROM (0) TO (100)", ident(own("part"), part), ident(own("part"), t))
	add("CREATE MATERIALIZED VIEW %s AS SELECT %s FROM %s", ident(own("view"), t), ident(c), ident(s, t))
	out.schema = strings.Join(parts, ";\n") + ";\n"

	parts = nil
	add("INSERT INTO %s SELECT FROM generate_series(1, 3)", ident(s, t))
	add("UPDATE %s SET %s = ROW(1, %s)", ident(s, t), ident(p), quoteText(t))
	add("INSERT INTO %s SELECT i, 'c', %s, 2 FROM generate_series(1, 3) i", ident(own("rest"), rest), quoteText(c))
	add("INSERT INTO %s SELECT i, 'v' FROM generate_series(1, 3) i", ident(own("part"), t))
	add("REFRESH MATERIALIZED VIEW %s", ident(own("view"), t))
	out.rows = strings.Join(parts, ";\n") + ";\n"

	parts = nil
	add("UPDATE %s SET %s = 'other label', %s = 'new' WHERE %s = 1", ident(s, t), ident(e), ident(d), ident(c))
	add("UPDATE %s SET %s = %[2]s + 1000 WHERE %[2]s = 3", ident(s, t), ident(c))
	add("INSERT INTO %s DEFAULT VALUES", ident(s, t))
	add("DELETE FROM %s WHERE %s = 2", ident(s, t), ident(c)) // cascades
	add("INSERT INTO %s (%s, %s) VALUES (9, 'new')", ident(own("rest"), rest), ident(id), ident(c))
	add("UPDATE %s SET %s = %[2]s + 10, %s = 'new' WHERE %[2]s = 2", ident(own("part"), t), ident(c), ident(text))
	out.changes = strings.Join(parts, ";\n") + ";\n"
	for _, n := range []schema.Name{{Schema: s, Name: t}, {Schema: own("rest"), Name: rest}, {Schema: own("part"), Name: t}} {
		out.changed = append(out.changed, n.String())
	}
	return out
}

// threes gives each odd name a turn as the name of a schema, of a table and what is
// called like it, and of a column and its like.
func threes(turn int) (out [][3]string) {
	third := (len(oddNames) + 2) / 3
	for i := range third {
		at := func(n int) string { return oddNames[(i+(n+turn)%3*third)%len(oddNames)] }
		out = append(out, [3]string{at(0), at(1), at(2)})
	}
	return out
}

// TestNames proves all odd names at once.
func TestNames(t *testing.T) {
	t.Parallel()
	k := kind{name: "of everything", noClone: "takes long, and copies no names but those of files", ownersReload: true}
	change := ""
	for i, n := range threes(0) {
		o := objectsNamed(i, n[0], n[1], n[2])
		k.schema += o.schema
		k.rows += o.rows
		change += o.changes
		k.changed = append(k.changed, o.changed...)
	}
	k.changes = []string{change}
	proveAll(t, []kind{k})
}

// TestNamesThatLookAlike: as one text, they are the same.
func TestNamesThatLookAlike(t *testing.T) {
	t.Parallel()
	proveAll(t, []kind{{
		name: "dots",
		schema: `CREATE SCHEMA a; CREATE SCHEMA "a.b"; CREATE TABLE "a.b".c (id int PRIMARY KEY, v text); CREATE TABLE a."b.c" (id int PRIMARY KEY, v text);
			CREATE TABLE "a.b".quiet (id int PRIMARY KEY, v text); CREATE TABLE a."b.quiet" (id int PRIMARY KEY, v text)`,
		rows:    `INSERT INTO "a.b".c SELECT i, 'first' FROM generate_series(1, 4000) i; INSERT INTO a."b.c" VALUES (1, 'second'); INSERT INTO "a.b".quiet VALUES (1, 'third'); INSERT INTO a."b.quiet" VALUES (1, 'fourth')`,
		changes: []string{`UPDATE "a.b".c SET v = 'changed' WHERE id = 1; INSERT INTO a."b.c" VALUES (2, 'new'); DELETE FROM a."b.quiet"`},
		changed: []string{`"a.b".c`, `a."b.c"`, `a."b.quiet"`},
	}, {
		name: "cases and accents",
		schema: `CREATE TABLE "T" (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE "é" (id int PRIMARY KEY); CREATE TABLE U&"e\0301" (id int PRIMARY KEY);
			CREATE TABLE keys (a int, b int, "a, b" int UNIQUE, UNIQUE (a, b))`,
		rows:    `INSERT INTO "T" VALUES (1); INSERT INTO t VALUES (2); INSERT INTO "é" VALUES (3); INSERT INTO U&"e\0301" VALUES (4); INSERT INTO keys VALUES (1, 2, 3)`,
		changes: []string{`UPDATE "T" SET id = 7; DELETE FROM "é"`},
		changed: []string{"public.T", "public.é"},
	}, {
		name:   "triggers called like ours",
		schema: smallSchema + `; CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; CREATE TRIGGER "000_groundhog_enter" AFTER UPDATE ON author EXECUTE FUNCTION pass()`,
		connected: func(t testing.TB, b bundle) {
			if isSuperuser(t, b.pool) {
				exec(t, b.pool, `CREATE FUNCTION hear() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER groundhog_changed ON ddl_command_end EXECUTE FUNCTION hear()`)
			}
		},
		changes: []string{`UPDATE author SET name = 'changed' WHERE id = 1`},
		changed: []string{"public.author"},
		noClone: "the event trigger is no part of the schema",

		ownersReload: true,
	}})
}

// TestOneOfTwoNamesThatLookAlike is loaded: the other one is undone.
func TestOneOfTwoNamesThatLookAlike(t *testing.T) {
	t.Parallel()
	b := setup(t, fixtures.WithSchema(`CREATE SCHEMA a; CREATE SCHEMA "a.b"; CREATE TABLE "a.b".c (id int PRIMARY KEY, v text); CREATE TABLE a."b.c" (id int PRIMARY KEY, v text); CREATE TABLE big (id int PRIMARY KEY)`))
	exec(t, b.pool, `INSERT INTO "a.b".c VALUES (1, 'first'), (2, 'first'); INSERT INTO a."b.c" VALUES (1, 'second'); INSERT INTO big SELECT generate_series(1, 1000)`)
	before := state(t, b.pool)
	info, err := b.store.Create(t.Context(), "a")
	require.NoError(t, err)
	require.Contains(t, info.String(), `"a.b".c`)
	exec(t, b.pool, `TRUNCATE "a.b".c; UPDATE a."b.c" SET v = 'changed'`)
	c, err := b.store.Changes(t.Context())
	require.NoError(t, err)
	require.Len(t, c.Table(`"a.b".c`).Deleted(), 2)
	require.Len(t, c.Table(`a."b.c"`).Updated(), 1)
	require.Len(t, c.Table("b.c").Updated(), 1)
	require.Len(t, c.Table("c").Deleted(), 2)
	c, err = b.store.Changes(t.Context(), snapshot.Ignoring(`a."b.c".v`))
	require.NoError(t, err)
	require.Len(t, c.Tables, 1)
	restored, err := b.store.Restore(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, before, state(t, b.pool))
	ways := map[string]snapshot.Method{}
	for _, w := range restored.Methods {
		ways[w.Table] = w.Method
	}
	require.Equal(t, map[string]snapshot.Method{`"a.b".c`: snapshot.Reloaded, `a."b.c"`: snapshot.Undone, "public.big": snapshot.Unchanged}, ways)

	_, err = b.store.Create(t.Context(), "one", snapshot.Tables(`"a.b".c`))
	require.NoError(t, err)
	exec(t, b.pool, `DELETE FROM "a.b".c; DELETE FROM a."b.c"`)
	_, err = b.store.Restore(t.Context(), "one")
	require.NoError(t, err)
	require.Equal(t, "(2) (0)", text(t, b.pool, `SELECT count(*) FROM "a.b".c`)+" "+text(t, b.pool, `SELECT count(*) FROM a."b.c"`))
}

// TestDropOfWhatHasATemporaryName: it is a change of the schema all the same, and
// that of a temporary table is none.
func TestDropOfWhatHasATemporaryName(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	b := setupCopied(t, fixtures.WithSchema(smallSchema+`; CREATE VIEW "a pg_temp" AS SELECT 1`))
	_, err := b.store.Create(t.Context(), "a")
	require.NoError(t, err)
	exec(t, b.pool, `CREATE TEMPORARY TABLE passing (id serial PRIMARY KEY, v text DEFAULT 'x' CHECK (v <> '')); CREATE TYPE pg_temp.fleeting AS (a int); DROP TYPE pg_temp.fleeting;
		CREATE INDEX ON passing (v); ALTER TABLE passing DROP COLUMN v CASCADE; DROP TABLE passing`)
	restored, err := b.store.Restore(t.Context(), "a")
	require.NoError(t, err)
	require.NotContains(t, waysIn(restored), snapshot.Reloaded, "%v", restored.Methods)
	exec(t, b.pool, `DROP VIEW "a pg_temp"`)
	restored, err = b.store.Restore(t.Context(), "a")
	require.NoError(t, err)
	require.Contains(t, waysIn(restored), snapshot.Exchanged)
	require.Equal(t, "1", ask(t, b.pool, `SELECT count(*) FROM "a pg_temp"`))

	exec(t, b.pool, `DROP VIEW "a pg_temp"`)
	occupied(t, b.pool)
	restored, err = b.store.Restore(t.Context(), "a")
	require.NoError(t, err)
	require.Contains(t, waysIn(restored), snapshot.Reloaded)
}

// TestChangesOfOddNamesAreCompared: what is told can be copied into a test, and two
// changes that differ are told differently.
func TestChangesOfOddNamesAreCompared(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	sql, change := "", ""
	for i, n := range oddNames {
		if i > 0 {
			sql += ";\n"
		}
		column := name(n, "v")
		sql += fmt.Sprintf("CREATE TABLE %s (%s int PRIMARY KEY, v int); INSERT INTO %[1]s VALUES (1, 1), (2, 2)", ident("public", name(n)), ident(column))
		change += fmt.Sprintf("UPDATE %[1]s SET v = %[3]d WHERE %[2]s = 1; UPDATE %[1]s SET %[2]s = 3 WHERE %[2]s = 2; ", ident("public", name(n)), ident(column), i+10)
	}
	b := setup(t, fixtures.WithSchema(sql))
	snapshot.Create(t, "a", snapshot.WithDir(b.dir))
	exec(t, b.pool, change)
	set := snapshot.Changes(t)
	want := set.Text()
	require.Len(t, set.Tables, len(oddNames))
	require.Len(t, strings.Split(want, "\n"), 4*len(oddNames), "a table and three rows each, each in a line")
	snapshot.RequireChanges(t, want)
	var indented, blocks []string
	for _, l := range strings.Split(want, "\n") {
		indented = append(indented, "\t\t"+strings.ReplaceAll(l, "  ", "   "))
		if !strings.HasPrefix(l, " ") {
			blocks = append(blocks, l)
		} else {
			blocks[len(blocks)-1] += "\n" + l
		}
	}
	slices.Reverse(blocks) // the order of tables does not matter
	require.Empty(t, snapshot.LineDiff(strings.Join(indented, "\n"), want))
	require.Empty(t, snapshot.LineDiff(strings.Join(blocks, "\n"), want))
	for i := range blocks[1:] { // the rows of another table are not the same
		lines, others := strings.Split(blocks[i], "\n"), strings.Split(blocks[i+1], "\n")
		swapped := slices.Clone(blocks)
		swapped[i], swapped[i+1] = strings.Join(append(lines[:1:1], others[1:]...), "\n"), strings.Join(append(others[:1:1], lines[1:]...), "\n")
		require.NotEmpty(t, snapshot.LineDiff(strings.Join(swapped, "\n"), want), blocks[i])
	}
	for _, table := range set.Tables {
		require.Equal(t, table.Rows, set.Table(table.Table).Rows, table.Table)
	}
}

// TestNamesOfSnapshots: all that is accepted is a file, listed and told.
func TestNamesOfSnapshots(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	b := setup(t, fixtures.WithSchema(`CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)`))
	ctx := t.Context()
	before := state(t, b.pool)
	made := 0
	for i, n := range append(slices.Clone(oddNames), "con", "con .x", "COM1", "com¹", "CONIN$", "100%", "%2F", "a+b", "~", "~a", "$HOME", "%TEMP%", "a.groundhog", ".lock") {
		store, err := snapshot.NewStore(b.pool, snapshot.WithDir(filepath.Join(b.dir, fmt.Sprint(i))))
		require.NoError(t, err)
		_, err = store.Restore(ctx, n)
		if !strings.Contains(fmt.Sprint(err), "there is no snapshot") {
			require.ErrorIs(t, err, snapshot.ErrInvalidName, "%q", n)
			continue
		}
		made++
		require.ErrorContains(t, err, fmt.Sprintf("%q", n))
		info, err := store.Create(ctx, n)
		require.NoError(t, err, "%q", n)
		require.Equal(t, n, info.Name)
		require.FileExists(t, info.Path)
		_, err = store.Create(ctx, n)
		require.ErrorIs(t, err, snapshot.ErrExists)
		list, err := store.List(ctx)
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.Equal(t, n, list[0].Name)
		exec(t, b.pool, `DELETE FROM t`)
		_, err = store.Restore(ctx, n)
		require.NoError(t, err, "%q", n)
		require.Equal(t, before, state(t, b.pool), "%q", n)
		require.NoError(t, store.Delete(ctx, n))
	}
	require.Greater(t, made, 50)
}

// TestNamesOfRolesAndDatabases: of the role that connects, and of the database.
func TestNamesOfRolesAndDatabases(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	admin := setup(t)
	superuser(t, admin.pool)
	sum := sha256.Sum256([]byte(admin.pool.Config().ConnConfig.Database)) // of this process
	mark := fmt.Sprintf(" test %d %s", os.Getpid(), hex.EncodeToString(sum[:4]))
	for i, n := range []string{`"`, `a"b`, "'", `\`, "$groundhog$", "%s", "%2F", "a/b", "/a", "a@b", "a?b=c&d", "a#b", "a+b", "a:b", "a=b", " ", "two\nlines", "山田", "🦫"} {
		called := name(n+mark+fmt.Sprint(i), "")
		quoted := ident(called)
		exec(t, admin.pool, `CREATE ROLE `+quoted+` LOGIN SUPERUSER`)
		exec(t, admin.pool, `CREATE DATABASE `+quoted+` OWNER `+quoted)
		t.Cleanup(func() {
			_, err := admin.pool.Exec(context.Background(), `DROP DATABASE `+quoted+` WITH (FORCE)`)
			require.NoError(t, err)
			_, err = admin.pool.Exec(context.Background(), `DROP ROLE `+quoted)
			require.NoError(t, err)
		})
		t.Run(n, func(t *testing.T) {
			config := admin.pool.Config()
			config.ConnConfig.User, config.ConnConfig.Database = called, called
			pool, err := pgxpool.NewWithConfig(t.Context(), config)
			require.NoError(t, err)
			t.Cleanup(pool.Close)
			fixtures.Use(t, pool)
			again, err := pgxpool.New(t.Context(), fixtures.URL(t))
			require.NoError(t, err)
			t.Cleanup(again.Close)
			require.Equal(t, text(t, pool, `SELECT current_database(), current_user`), text(t, again, `SELECT current_database(), current_user`), "the address leads to the same")
			exec(t, again, `CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1); ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t TO CURRENT_USER USING (true); GRANT SELECT ON t TO CURRENT_USER`)
			before := state(t, again)
			dir := t.TempDir()
			snapshot.Create(t, "a", snapshot.WithDir(dir))
			exec(t, again, `DELETE FROM t`)
			restored := snapshot.Restore(t, "a", snapshot.WithDir(dir))
			require.Equal(t, []snapshot.Method{snapshot.Undone}, waysIn(restored))
			require.Equal(t, before, state(t, again))
		})
	}
}

// FuzzNames makes a schema of names, and changes and restores it.
func FuzzNames(f *testing.F) {
	for i, n := range threes(1) {
		if i%3 == 0 { // the others are proved above
			f.Add(n[0], n[1], n[2])
		}
	}
	f.Add("a", "$groundhog$", "$groundhog$")
	// One database for all inputs.
	b := setup(f)
	f.Fuzz(func(t *testing.T, inSchema, table, column string) {
		ctx := t.Context()
		o := objectsNamed(0, inSchema, table, column)
		exec(t, b.pool, o.schema+o.rows)
		defer exec(t, b.pool, o.drop)
		before := state(t, b.pool)
		_, err := b.store.Create(ctx, "a", snapshot.Replace())
		require.NoError(t, err)
		restore := func(after string) snapshot.Restored {
			restored, err := b.store.Restore(ctx, "a")
			require.NoError(t, err, after)
			require.Equal(t, before, state(t, b.pool), after)
			return restored
		}
		exec(t, b.pool, o.changes)
		set, err := b.store.Changes(ctx)
		require.NoError(t, err)
		var told []string
		for _, c := range set.Tables {
			told = append(told, c.Table)
		}
		require.ElementsMatch(t, o.changed, told)
		require.Empty(t, snapshot.LineDiff(set.Text(), set.Text()))
		require.Len(t, strings.Split(set.Summary(), "\n"), len(told))
		restored := restore("the changes")
		for _, m := range restored.Methods {
			alike := !isSuperuser(t, b.pool) && strings.Contains(m.Why, "fires always") // a trigger that is called like ours
			require.True(t, m.Method != snapshot.Reloaded || alike, "%v", m)
		}
		require.Contains(t, waysIn(restored), snapshot.Undone)
		truncate(t, b.pool)
		restore("TRUNCATE")
		set, err = b.store.Changes(ctx)
		require.NoError(t, err)
		require.Empty(t, set.Tables, set.Text())
	})
}
