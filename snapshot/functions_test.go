package snapshot_test

import (
	"context"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/snapshot"
)

// placeChanges are changes of a table place (id, name), which most kinds have.
var placeChanges = []string{
	`UPDATE place SET name = 'Changé' WHERE id = 1; DELETE FROM place WHERE id = 2`,
	`INSERT INTO place (name) VALUES ('New Ål')`,
}

const placeRows = `INSERT INTO place (name) VALUES ('Ålesund'), ('Zürich'), ('Café'); INSERT INTO place (name) SELECT 'many ' || g FROM generate_series(1, 50) g`

// unqualified are the functions whose bodies name things without a schema: SQL
// functions that the server inlines and such as it can't, PL/pgSQL, in one another.
const unqualified = `
	CREATE TABLE lookup (word text PRIMARY KEY, means text);
	INSERT INTO lookup VALUES ('a', 'b');
	CREATE FUNCTION inner_fold(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS 'SELECT lower($1)';
	CREATE FUNCTION fold(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS 'SELECT inner_fold($1)';
	CREATE FUNCTION slow_fold(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM 1 FROM lookup; RETURN inner_fold($1); END $$;
	CREATE FUNCTION known(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT inner_fold($1) IS NOT NULL';
	CREATE FUNCTION code(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ DECLARE r text; BEGIN SELECT means INTO r FROM lookup WHERE word = $1; RETURN r; END $$;
	`

// indexable leaves out of a schema what the server does not let be made: from PostgreSQL
// 17 on it builds indexes, also those of a table that is truncated, under a search path
// of its own.
func indexable(t testing.TB, schema string) string {
	t.Helper()
	picky.Do(func() {
		picky.is = ask(t, fixtures.Open(t), `SELECT current_setting('server_version_num')::int >= 170000`) == "true"
	})
	if !picky.is {
		return schema
	}
	return regexp.MustCompile(`CREATE (UNIQUE )?INDEX [^;]*|ALTER TABLE \w+ ADD EXCLUDE [^;]*|CREATE STATISTICS [^;]*|ANALYZE \w+`).ReplaceAllString(schema, "SELECT")
}

var picky struct {
	sync.Once
	is bool
}

// TestFunctionsWhoseNamesNeedASearchPath: whatever calls a function that names things
// without a schema, the database comes back.
func TestFunctionsWhoseNamesNeedASearchPath(t *testing.T) {
	t.Parallel()
	const place = unqualified + `CREATE TABLE place (id serial PRIMARY KEY, name text);`
	changed := []string{"public.place"}
	kinds := []kind{
		{name: "an index on unaccent", schema: `CREATE EXTENSION unaccent;
			CREATE FUNCTION f_unaccent(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS 'SELECT unaccent($1)';
			CREATE TABLE place (id serial PRIMARY KEY, name text); CREATE INDEX ON place (f_unaccent(name))`},
		{name: "an index on a nested function", schema: place + `CREATE INDEX ON place (fold(name))`},
		{name: "an index on a PL/pgSQL function", schema: place + `CREATE INDEX ON place (slow_fold(name))`},
		{name: "a unique index on a function", schema: place + `CREATE UNIQUE INDEX ON place (fold(name))`},
		{name: "a partial index", schema: place + `CREATE INDEX ON place (name) WHERE known(name)`},
		{name: "a partial index on a constant", schema: place + `CREATE INDEX ON place (name) WHERE name > code('a')`},
		{name: "extended statistics", schema: place + `CREATE STATISTICS more ON (fold(name)), (name || 'x') FROM place; ANALYZE place`},
		{name: "a check", schema: place + `ALTER TABLE place ADD CHECK (known(name))`},
		{name: "a check that is not validated", schema: place + `ALTER TABLE place ADD CHECK (known(name)) NOT VALID`},
		{name: "a generated column", schema: place + `ALTER TABLE place ADD folded text GENERATED ALWAYS AS (fold(name)) STORED`},
		{name: "a default", schema: place + `ALTER TABLE place ADD other text DEFAULT code('a')`},
		{name: "a domain", schema: unqualified + `CREATE DOMAIN word AS text CHECK (known(VALUE)); CREATE TABLE place (id serial PRIMARY KEY, name word)`},
		{name: "a domain inside an array and a composite", schema: unqualified + `CREATE DOMAIN word AS text CHECK (known(VALUE)); CREATE TYPE pair AS (a int, b word);
			CREATE TABLE place (id serial PRIMARY KEY, name text, words word[] DEFAULT '{a,b}', pair pair DEFAULT '(1,x)')`},
		{name: "a domain over a domain", schema: unqualified + `CREATE DOMAIN word AS text CHECK (known(VALUE)); CREATE DOMAIN title AS word NOT NULL CHECK (slow_fold(VALUE) IS NOT NULL);
			CREATE TABLE place (id serial PRIMARY KEY, name title)`},
		{name: "a policy", schema: place + `CREATE POLICY p ON place USING (known(name)); ALTER TABLE place ENABLE ROW LEVEL SECURITY`},
		{name: "a policy that is forced", schema: place + `CREATE POLICY p ON place USING (known(name)); ALTER TABLE place ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY`, ownersReload: true},
		{name: "an exclusion constraint", schema: `CREATE EXTENSION btree_gist;` + place + `ALTER TABLE place ADD EXCLUDE USING gist (fold(name) WITH =)`},
		{name: "a trigger", schema: place + `CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := slow_fold(NEW.name); RETURN NEW; END $$;
			CREATE TRIGGER note BEFORE INSERT OR UPDATE ON place FOR EACH ROW EXECUTE FUNCTION note()`},
		{name: "a trigger's condition", schema: place + `CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
			CREATE TRIGGER note BEFORE INSERT OR UPDATE ON place FOR EACH ROW WHEN (known(NEW.name)) EXECUTE FUNCTION note()`},
		{name: "a partition key", schema: unqualified + `CREATE TABLE place (id serial, name text) PARTITION BY LIST (fold(name)); CREATE TABLE place_rest PARTITION OF place DEFAULT; CREATE TABLE place_x PARTITION OF place FOR VALUES IN ('café')`},
		{name: "checks of partitions", schema: unqualified + `CREATE TABLE place (id serial, name text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
			CREATE TABLE place_low PARTITION OF place FOR VALUES FROM (0) TO (20); CREATE TABLE place_high PARTITION OF place DEFAULT;
			ALTER TABLE place_low ADD CHECK (known(name)); CREATE INDEX ON place_high (fold(name)); CREATE INDEX ON place_low (name) WHERE name > code('a')`},
		{name: "a table without a key", schema: unqualified + `CREATE TABLE place (id serial, name text); CREATE INDEX ON place (fold(name))`},
		{name: "inheritance", schema: place + `CREATE TABLE town (mayor text) INHERITS (place); CREATE INDEX ON town (fold(name)); INSERT INTO town (name) VALUES ('Town')`, changed: []string{"public.place", "public.town"}},
		{name: "a materialised view", schema: place + `CREATE INDEX ON place (fold(name)); CREATE MATERIALIZED VIEW seen AS SELECT count(*) FROM place`},
		{name: "foreign keys", schema: place + `CREATE INDEX ON place (fold(name)); CREATE TABLE visit (place int REFERENCES place ON DELETE CASCADE, note text); CREATE INDEX ON visit (fold(note))`,
			rows: placeRows + `; INSERT INTO visit VALUES (1, 'A'), (2, 'B')`, changed: []string{"public.place", "public.visit"}},
		{name: "another schema on the database's path", schema: `CREATE SCHEMA app; SET search_path = app; ` + place + `CREATE INDEX ON place (fold(name)); RESET search_path`,
			connected: func(t testing.TB, b bundle) {
				exec(t, b.pool, `DO $do$ BEGIN EXECUTE format('ALTER ROLE %I IN DATABASE %I SET search_path = app, public', current_user, current_database()); END $do$`)
				b.pool.Reset()
				exec(t, b.pool, placeRows)
			}, rows: `SELECT`, changed: []string{"app.place"}, noClone: "the settings of roles are not those of a clone"},
		{name: "names in values", schema: place + `CREATE INDEX ON place (fold(name)); CREATE TYPE named AS (of regclass, r regtype[]); CREATE DOMAIN ref AS regclass;
			CREATE TABLE named_things (id int PRIMARY KEY, c regclass, p regprocedure, a regclass[], n named, d ref, note text, l oidvector);
			CREATE INDEX ON named_things (fold(note));
			INSERT INTO named_things VALUES (1, 'place', 'fold(text)', '{place,lookup}', '(lookup,"{named,ref}")', 'place', 'x', '1 2'), (2, 'lookup', NULL, NULL, NULL, NULL, NULL, NULL)`,
			changes: append([]string{`UPDATE named_things SET c = 'lookup', a = '{lookup}', n = '(place,)', d = 'lookup' WHERE id = 1`}, placeChanges...), changed: []string{"public.named_things", "public.place"}},
	}
	for i := range kinds {
		kinds[i].schema = indexable(t, kinds[i].schema)
		if i%4 != 0 && kinds[i].noClone == "" {
			kinds[i].noClone = othersClone
		}
		if kinds[i].changes == nil {
			kinds[i].changes = placeChanges
		}
		if kinds[i].rows == "" {
			kinds[i].rows = placeRows
		}
		if kinds[i].changed == nil {
			kinds[i].changed = changed
		}
	}
	proveAll(t, kinds)
}

// TestScopesOverFunctions: conditions of the caller's call such functions too.
func TestScopesOverFunctions(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	schema := indexable(t, unqualified+`CREATE TABLE place (id serial PRIMARY KEY, name text, test boolean DEFAULT true); CREATE INDEX ON place (fold(name)); CREATE INDEX ON place (name) WHERE known(name);
		CREATE TABLE visit (id serial PRIMARY KEY, place int REFERENCES place, note text, test boolean DEFAULT true); CREATE INDEX ON visit (fold(note));
		CREATE FUNCTION slow_known(text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN known($1); END $$;
		CREATE FUNCTION sql_known(text) RETURNS boolean LANGUAGE sql VOLATILE AS 'SELECT known($1)';
		INSERT INTO place (name, test) VALUES ('a', true), ('b', true), ('c', false), (NULL, false);
		INSERT INTO visit (place, note, test) VALUES (1, 'A', true), (2, 'B', true), (3, 'C', false)`)
	for name, options := range map[string][]snapshot.CreateOption{
		"Rows":   {snapshot.Rows("test")},
		"SQL":    {snapshot.RowsOf("place", "public.known(name) AND test"), snapshot.RowsOf("visit", "public.known(note) AND test")},
		"slow":   {snapshot.RowsOf("place", "public.slow_known(name) AND test"), snapshot.RowsOf("visit", "public.sql_known(note) AND test")},
		"Tables": {snapshot.Tables("place", "visit")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBothRoles(t, schema, func(t *testing.T, b bundle) {
				before := state(t, b.pool)
				_, err := b.store.Create(t.Context(), "a", options...)
				require.NoError(t, err)
				for range 2 {
					exec(t, b.pool, `UPDATE place SET name = 'changed' WHERE id = 1; DELETE FROM visit WHERE id = 2; DELETE FROM place WHERE id = 2; INSERT INTO place (name) VALUES ('new'); INSERT INTO visit (place, note) VALUES (3, 'new')`)
					_, err = b.store.Restore(t.Context(), "a")
					require.NoError(t, err)
					after := state(t, b.pool)
					for _, table := range []string{"place", "visit", "lookup"} {
						require.Equal(t, before[table], after[table], table)
					}
				}
			})
		})
	}
}

// TestThePathOfThePoolsConnections: names resolve as on the connections that the
// tests have, though only AfterConnect gives these the path.
func TestThePathOfThePoolsConnections(t *testing.T) {
	t.Parallel()
	for name, twice := range map[string]bool{"one schema": false, "the same names in two": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, fixtures.WithPoolConfig(func(c *pgxpool.Config) {
				c.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
					_, err := conn.Exec(ctx, "SET search_path = app")
					return err
				}
			}))
			schema := indexable(t, unqualified+`CREATE TABLE place (id serial PRIMARY KEY, name text, folded text GENERATED ALWAYS AS (fold(name)) STORED);
				CREATE INDEX ON place (fold(name)); CREATE INDEX ON place (slow_fold(name));`)
			exec(t, b.pool, `CREATE SCHEMA app; `+schema)
			if twice { // of which none is to be called
				exec(t, b.pool, `CREATE SCHEMA aaa; SET search_path = aaa; `+strings.ReplaceAll(schema, "lower($1)", "upper($1)")+` RESET search_path`)
				b.pool.Reset()
			}
			exec(t, b.pool, placeRows)
			prove(t, kind{changes: placeChanges, changed: []string{"app.place"}, reloads: true, noClone: "the schema is not fixtures'"}, b)
		})
	}
}

// TestAFunctionThatFailsIsNamed with the object that calls it, and the table.
func TestAFunctionThatFailsIsNamed(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	const schema = unqualified + `CREATE TABLE place (id serial PRIMARY KEY, name text); INSERT INTO place (name) VALUES ('a'); `
	for name, c := range map[string]struct {
		object string // and its name
		call   string
	}{
		"an index":  {`CREATE INDEX by_name ON place (fold(name))`, "index public.by_name on table public.place"},
		"a check":   {`ALTER TABLE place ADD CONSTRAINT is_known CHECK (known(name))`, "constraint is_known"},
		"a domain":  {`CREATE DOMAIN word AS text CONSTRAINT is_word CHECK (known(VALUE)); ALTER TABLE place ADD w word DEFAULT 'x'`, "constraint is_word"},
		"a column":  {`ALTER TABLE place ADD folded text GENERATED ALWAYS AS (fold(name)) STORED`, "column folded"},
		"a nesting": {`CREATE INDEX by_name ON place (slow_fold(name))`, "index public.by_name on table public.place"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if indexable(t, c.object) != c.object {
				t.Skip("this server lets no index have such a function")
			}
			inBothRoles(t, schema+c.object, func(t *testing.T, b bundle) {
				_, err := b.store.Create(t.Context(), "a")
				require.NoError(t, err)
				before := picture(t, b.pool)
				require.NoError(t, b.store.Untrack(t.Context()))
				exec(t, b.pool, `ALTER FUNCTION inner_fold(text) RENAME TO "else"`)
				_, err = b.store.Restore(t.Context(), "a")
				require.ErrorContains(t, err, "place")
				require.ErrorContains(t, err, "inner_fold")
				require.ErrorContains(t, err, c.call)
				require.ErrorContains(t, err, "search_path")
				exec(t, b.pool, `ALTER FUNCTION "else"(text) RENAME TO inner_fold`)
				_, err = b.store.Restore(t.Context(), "a")
				require.NoError(t, err)
				require.Equal(t, before, picture(t, b.pool))
			})
		})
	}
}
