package snapshot_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/snapshot"
)

// publishable are tables with each sort of replica identity.
const publishable = `
	CREATE TABLE stock (id int PRIMARY KEY, v int, note text);
	CREATE TABLE sale (id int PRIMARY KEY, stock int REFERENCES stock, n int);
	CREATE TABLE log (line text, n int);
	CREATE TABLE nothing (id int PRIMARY KEY, v int);
	ALTER TABLE nothing REPLICA IDENTITY NOTHING;
	CREATE TABLE whole (line text, n int);
	ALTER TABLE whole REPLICA IDENTITY FULL;
	CREATE TABLE indexed (a int NOT NULL, b text NOT NULL, c text);
	CREATE UNIQUE INDEX "By a" ON indexed (a);
	ALTER TABLE indexed REPLICA IDENTITY USING INDEX "By a";
	CREATE TABLE "Unique" (a int UNIQUE, "B b" text);
	CREATE TABLE soon (id int PRIMARY KEY DEFERRABLE, v int);
	CREATE TABLE part (id int, r int, v text, PRIMARY KEY (id, r)) PARTITION BY RANGE (r);
	CREATE TABLE part0 PARTITION OF part FOR VALUES FROM (0) TO (4);
	CREATE TABLE part1 PARTITION OF part FOR VALUES FROM (4) TO (9) PARTITION BY LIST (r);
	CREATE TABLE part1a PARTITION OF part1 DEFAULT;
	CREATE TABLE heap (r int, v text) PARTITION BY RANGE (r);
	CREATE TABLE heap0 PARTITION OF heap FOR VALUES FROM (0) TO (4);
	CREATE TABLE heap1 PARTITION OF heap DEFAULT;
	ALTER TABLE heap1 REPLICA IDENTITY NOTHING;
	CREATE TABLE base (id int PRIMARY KEY, v text);
	CREATE TABLE heir (x int) INHERITS (base);
	CREATE UNLOGGED TABLE unlogged (v int);
	CREATE TABLE untouched (v int);
	INSERT INTO stock SELECT g, g - 3, 'n' FROM generate_series(1, 9) g;
	INSERT INTO sale SELECT g, g, 1 FROM generate_series(1, 9) g;
	INSERT INTO log SELECT 'l' || g % 3, g FROM generate_series(1, 9) g;
	INSERT INTO log VALUES ('twice', 1), ('twice', 1), (NULL, NULL);
	INSERT INTO nothing SELECT g, g FROM generate_series(1, 9) g;
	INSERT INTO whole SELECT 'w', g % 2 FROM generate_series(1, 9) g;
	INSERT INTO indexed SELECT g, 'b', 'c' FROM generate_series(1, 9) g;
	INSERT INTO "Unique" VALUES (1, 'x'), (2, 'y'), (NULL, NULL);
	INSERT INTO soon SELECT g, g FROM generate_series(1, 9) g;
	INSERT INTO part SELECT g, g % 9, 'p' FROM generate_series(1, 20) g;
	INSERT INTO heap SELECT g % 9, 'h' FROM generate_series(1, 20) g;
	INSERT INTO base VALUES (1, 'b'), (2, 'b');
	INSERT INTO heir VALUES (2, 'h', 1), (3, 'h', 1);
	INSERT INTO unlogged VALUES (1);
	INSERT INTO untouched VALUES (1);
`

// What a test may do whatever is published, and what it may where the table has a
// replica identity that suffices.
const (
	inserts = `INSERT INTO stock VALUES (20, 5, 'new'); INSERT INTO sale VALUES (20, 20, 1); INSERT INTO log VALUES ('new', 1), ('twice', 1); INSERT INTO nothing VALUES (20, 1);
		INSERT INTO whole VALUES ('w', 1); INSERT INTO indexed VALUES (20, 'b', 'c'); INSERT INTO "Unique" VALUES (20, 'z'); INSERT INTO soon VALUES (20, 1);
		INSERT INTO part VALUES (30, 2, 'n'), (30, 6, 'n'); INSERT INTO heap VALUES (2, 'n'), (8, 'n'); INSERT INTO base VALUES (9, 'n'); INSERT INTO heir VALUES (9, 'n', 1); INSERT INTO unlogged VALUES (2)`
	updates = `UPDATE whole SET n = 7 WHERE n = 1; DELETE FROM whole WHERE n = 0; UPDATE unlogged SET v = 9`
	keyed   = `UPDATE stock SET note = 'x' WHERE id = 1; DELETE FROM sale WHERE id = 4; DELETE FROM stock WHERE id = 4;
		UPDATE indexed SET a = 30, c = 'x' WHERE a = 1; DELETE FROM indexed WHERE a = 2; UPDATE part SET v = 'x', r = 8 - r WHERE id < 5; DELETE FROM part WHERE id = 7;
		UPDATE ONLY base SET v = 'x'; DELETE FROM ONLY base WHERE id = 2`
)

var publishedTables = []string{"public.stock", "public.sale", "public.log", "public.nothing", "public.whole", "public.indexed", "public.Unique", "public.soon", "public.part", "public.heap", "public.base", "public.heir", "public.unlogged"}

// TestPublications: whatever is published in whatever way, all ways back lead there.
func TestPublications(t *testing.T) {
	t.Parallel()
	const tables = `stock, sale, log, nothing, whole, indexed, "Unique", soon, part, heap, base, untouched`
	const others = othersClone
	superuser(t, fixtures.Open(t)) // who may publish all tables, or those of a schema
	proveAll(t, []kind{
		{
			name: "all tables", schema: publishable, admin: `CREATE PUBLICATION p FOR ALL TABLES`,
			changes: []string{inserts, updates, keyed}, changed: publishedTables,
		},
		{
			name: "all tables, via root", noClone: others, schema: publishable, admin: `CREATE PUBLICATION p FOR ALL TABLES WITH (publish_via_partition_root = true)`,
			changes: []string{inserts, updates, keyed}, changed: publishedTables,
		},
		{
			name: "tables of a schema", noClone: others, schema: publishable, admin: `CREATE PUBLICATION p FOR TABLES IN SCHEMA public`,
			changes: []string{inserts, updates, keyed}, changed: publishedTables,
		},
		{
			name: "tables", noClone: others, schema: publishable + `CREATE PUBLICATION p FOR TABLE ` + tables,
			changes: []string{inserts, updates, keyed}, changed: publishedTables,
		},
		{
			name: "tables, via root", schema: publishable + `CREATE PUBLICATION p FOR TABLE ` + tables + ` WITH (publish_via_partition_root = true)`,
			changes: []string{inserts, updates, keyed}, changed: publishedTables,
		},
		{
			name: "two publications", noClone: others, schema: publishable + `CREATE PUBLICATION p FOR TABLE ` + tables + ` WITH (publish = 'insert'); CREATE PUBLICATION "P q" FOR TABLE log, heap0, heap1`,
			changes: []string{inserts, updates, keyed, `DELETE FROM nothing; UPDATE "Unique" SET a = 30 WHERE a = 1`}, changed: publishedTables,
		},
		{
			name: "inserts alone", noClone: others, schema: publishable, admin: `CREATE PUBLICATION p FOR ALL TABLES WITH (publish = 'insert')`,
			changes: []string{inserts, updates, keyed, `DELETE FROM log WHERE n < 3; UPDATE heap SET r = 8 - r`}, changed: publishedTables,
		},
		{
			name: "no deletes", noClone: others, schema: publishable, admin: `CREATE PUBLICATION p FOR ALL TABLES WITH (publish = 'insert, update, truncate')`,
			changes: []string{inserts, updates, keyed, `DELETE FROM log WHERE n < 3`}, changed: publishedTables,
		},
		{
			name: "no TRUNCATE", noClone: others, schema: publishable, admin: `CREATE PUBLICATION p FOR ALL TABLES WITH (publish = 'insert, update, delete')`,
			changes: []string{inserts, updates, keyed}, changed: publishedTables,
		},
		{
			name: "filters", schema: publishable + `CREATE PUBLICATION p FOR TABLE stock WHERE (v > 0), sale WHERE (n > 0), log WHERE (n > 2), nothing WHERE (v > 1), whole WHERE (n > 0), indexed WHERE (a > 2),
				"Unique" WHERE ("B b" > 'x'), part WHERE (v > 'a'), heap WHERE (v > 'a'), base WHERE (v > 'a') WITH (publish_via_partition_root = true)`,
			changes: []string{inserts, updates}, changed: publishedTables,
		},
		{
			name: "filters on the key", noClone: others, schema: publishable + `CREATE PUBLICATION p FOR TABLE stock WHERE (id > 3), sale WHERE (id > 3), part WHERE (r > 3), ONLY base WHERE (id > 1) WITH (publish_via_partition_root = true)`,
			changes: []string{inserts, updates, keyed}, changed: publishedTables,
		},
		{
			name: "columns", schema: publishable + `CREATE PUBLICATION p FOR TABLE stock (v), sale (n), log (line), nothing (v), whole (n), indexed (c), "Unique" ("B b"), soon (v), part (v), heap (v), base (v) WITH (publish_via_partition_root = true)`,
			changes: []string{inserts}, changed: publishedTables, reloads: true,
		},
		{
			name: "columns with the key", noClone: others, schema: publishable + `CREATE PUBLICATION p FOR TABLE stock (id), sale (id, n), indexed (a, c), part (id, r), ONLY base (id, v) WITH (publish_via_partition_root = true)`,
			changes: []string{inserts, updates, keyed}, changed: publishedTables,
		},
		{
			name: "columns and another publication", noClone: others, schema: publishable + `CREATE PUBLICATION p FOR TABLE stock (v); CREATE PUBLICATION q FOR TABLE stock, log`,
			changes: []string{inserts, updates}, changed: publishedTables, reloads: true,
		},
		{
			name: "an index that was dropped", noClone: others, schema: publishable + `CREATE UNIQUE INDEX gone ON stock (id); ALTER TABLE stock REPLICA IDENTITY USING INDEX gone; DROP INDEX gone;
				CREATE UNIQUE INDEX gone ON part0 (id, r); ALTER TABLE part0 REPLICA IDENTITY USING INDEX gone; DROP INDEX gone; CREATE PUBLICATION p FOR TABLE stock, part`,
			changes: []string{inserts, updates}, changed: publishedTables, reloads: true,
		},
		{
			name: "functions behind indexes", schema: indexable(t, unqualified+`CREATE TABLE place (id int, name text); CREATE INDEX ON place (fold(name)); CREATE INDEX ON place (name) WHERE name > code('a');
				INSERT INTO place VALUES (1, 'Café'); CREATE PUBLICATION p FOR TABLE place`),
			changes: []string{`INSERT INTO place VALUES (2, 'X')`}, changed: []string{"public.place"},
		},
		{
			name: "generated columns", schema: `CREATE TABLE made (v int, w int GENERATED ALWAYS AS (v * 2) STORED); INSERT INTO made VALUES (1), (2), (2);
				CREATE TABLE keymade (v int, w int GENERATED ALWAYS AS (v * 2) STORED PRIMARY KEY); INSERT INTO keymade VALUES (1), (2); CREATE PUBLICATION p FOR TABLE made, keymade`,
			changes: []string{`INSERT INTO made VALUES (3), (2)`, `INSERT INTO keymade VALUES (7)`}, changed: []string{"public.made", "public.keymade"}, reloads: true,
		},
	})
}

// TestPublicationsOfATest: one that is made, changed or dropped after the snapshot, or a
// replica identity that is, changes nothing about where a restore leads. It stays.
func TestPublicationsOfATest(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	for name, c := range map[string]struct{ first, then, last string }{
		"made": {"", `CREATE PUBLICATION p FOR TABLE stock WHERE (v > 0), log, nothing, heap WITH (publish_via_partition_root = true)`, `DROP PUBLICATION p`},
		"made in parts": {"", `CREATE PUBLICATION p FOR TABLE log; ALTER PUBLICATION p SET (publish_via_partition_root = true); ALTER PUBLICATION p ADD TABLE nothing, part WHERE (v > 'a')`,
			`ALTER PUBLICATION p DROP TABLE log; ALTER PUBLICATION p SET (publish = 'insert')`},
		"dropped":     {`CREATE PUBLICATION p FOR TABLE stock WHERE (v > 0), log`, `DROP PUBLICATION p`, `CREATE PUBLICATION p FOR TABLE log (n)`},
		"more tables": {`CREATE PUBLICATION p FOR TABLE sale`, `ALTER PUBLICATION p ADD TABLE log, stock WHERE (v > 0)`, `ALTER PUBLICATION p DROP TABLE stock`},
		"columns":     {`CREATE PUBLICATION p FOR TABLE stock, log`, `ALTER PUBLICATION p SET TABLE stock (id), log (n)`, `ALTER PUBLICATION p SET TABLE stock (v)`},
		"identity": {`CREATE PUBLICATION p FOR TABLE stock, log, indexed`, `ALTER TABLE stock REPLICA IDENTITY NOTHING; ALTER TABLE log REPLICA IDENTITY FULL`,
			`ALTER TABLE stock REPLICA IDENTITY DEFAULT; ALTER TABLE log REPLICA IDENTITY DEFAULT`},
		"index": {`CREATE PUBLICATION p FOR TABLE indexed; CREATE UNIQUE INDEX other ON indexed (a, b)`, `ALTER TABLE indexed REPLICA IDENTITY USING INDEX other`, `DROP INDEX other`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBothRoles(t, publishable+c.first, func(t *testing.T, b bundle) {
				before := state(t, b.pool)
				_, err := b.store.Create(t.Context(), "a")
				require.NoError(t, err)
				restore := func() {
					t.Helper()
					made := picture(t, b.pool)
					_, err := b.store.Restore(t.Context(), "a")
					require.NoError(t, err)
					require.Equal(t, before, state(t, b.pool))
					for what, is := range picture(t, b.pool) {
						if _, rows := before[what]; !rows {
							require.Equal(t, made[what], is, what)
						}
					}
				}
				restore()
				for _, change := range []string{c.then, c.last} {
					exec(t, b.pool, inserts)
					exec(t, b.pool, change)
					exec(t, b.pool, updates)
					restore()
					exec(t, b.pool, inserts)
					restore()
				}
			})
		})
	}
}

// TestScopesThatArePublished: rows in a scope can't be truncated. Where nothing lets the
// server delete them, the error says what would.
func TestScopesThatArePublished(t *testing.T) {
	t.Parallel()
	inBothRoles(t, publishable, func(t *testing.T, b bundle) {
		rows, log := snapshot.RowsOf("stock", "id > 5"), snapshot.RowsOf("log", "n > 5")
		before := state(t, b.pool)
		_, err := b.store.Create(t.Context(), "a", snapshot.Tables("stock", "log"), rows, log)
		require.NoError(t, err)
		change := `INSERT INTO log VALUES ('new', 7); INSERT INTO stock VALUES (20, 7, 'n')`
		restore := func() error { _, err := b.store.Restore(t.Context(), "a"); return err }
		for _, publication := range []string{`TABLE stock WHERE (v > 0), log`, `TABLE stock, log WHERE (n > 3)`, `TABLE log WITH (publish = 'insert, update')`} {
			exec(t, b.pool, `CREATE PUBLICATION p FOR `+publication)
			exec(t, b.pool, change)
			require.NoError(t, restore(), publication)
			require.Equal(t, before, state(t, b.pool), publication)
			require.NoError(t, b.store.Clean(t.Context(), log, snapshot.Tables("log")))
			require.Empty(t, text(t, b.pool, `SELECT FROM log WHERE n > 5`))
			require.NoError(t, restore(), publication)
			exec(t, b.pool, `DROP PUBLICATION p`)
		}
		exec(t, b.pool, `CREATE PUBLICATION p FOR TABLE stock (v); CREATE PUBLICATION "other q" FOR TABLE stock`)
		exec(t, b.pool, change)
		changed := picture(t, b.pool)
		err = restore()
		for _, part := range []string{"public.stock", "other q, p", "cannot delete from table", "Give the table a replica identity"} {
			require.ErrorContains(t, err, part)
		}
		require.Equal(t, changed, picture(t, b.pool))
		exec(t, b.pool, `ALTER PUBLICATION p DROP TABLE stock`)
		require.NoError(t, restore())
		require.Equal(t, before, state(t, b.pool))
	})
}

// TestAPublishedTableThatOthersReference: it can be truncated with all of them only.
func TestAPublishedTableThatOthersReference(t *testing.T) {
	t.Parallel()
	b := setup(t, fixtures.WithSchema(publishable+`INSERT INTO soon SELECT g, g FROM generate_series(10, 500) g; CREATE PUBLICATION p FOR TABLE stock (v), log (n)`))
	superuser(t, b.pool)
	before := picture(t, b.pool)
	_, err := b.store.Create(t.Context(), "a")
	require.NoError(t, err)
	ways := func(sql string) map[string]snapshot.Method {
		exec(t, b.pool, sql)
		restored, err := b.store.Restore(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, before, picture(t, b.pool))
		out := map[string]snapshot.Method{}
		for _, w := range restored.Methods {
			out[w.Table] = w.Method
		}
		return out
	}
	got := ways(`INSERT INTO log VALUES ('new', 7); UPDATE whole SET n = 9`)
	require.Equal(t, snapshot.Reloaded, got["public.log"])
	require.Equal(t, snapshot.Undone, got["public.whole"], "other tables are not loaded")
	got = ways(`INSERT INTO stock VALUES (20, 7, 'n')`)
	require.Equal(t, snapshot.Reloaded, got["public.stock"])
	require.Equal(t, snapshot.Reloaded, got["public.sale"])
}

// TestEventTriggersSeeNoReplicaIdentity: what is switched for the time of a restore is
// not told of to those that fire always.
func TestEventTriggersSeeNoReplicaIdentity(t *testing.T) {
	t.Parallel()
	const trigger = `CREATE EVENT TRIGGER note ON ddl_command_end EXECUTE FUNCTION note(); ALTER EVENT TRIGGER note ENABLE ALWAYS`
	b := setup(t, fixtures.WithSchema(publishable+`CREATE PUBLICATION p FOR TABLE log, heap;
		CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.whole VALUES (tg_tag, 1); END'`))
	superuser(t, b.pool)
	exec(t, b.pool, trigger)
	_, err := b.store.Create(t.Context(), "a")
	require.NoError(t, err)
	before := state(t, b.pool)
	restore := func() {
		t.Helper()
		exec(t, b.pool, inserts)
		_, err = b.store.Restore(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, before, state(t, b.pool))
	}
	restore()
	restore()
	exec(t, b.pool, `DROP EVENT TRIGGER note`)
	restore()
	exec(t, b.pool, trigger) // no event tells of that
	restore()
}

// TestAnOwnersEventTriggersAndPublications: what an event trigger that an owner can't
// disable writes to a table whose rows can't be deleted is gone too.
func TestAnOwnersEventTriggersAndPublications(t *testing.T) {
	t.Parallel()
	const schema = `CREATE TABLE log (what text); CREATE TABLE twice (id int UNIQUE, v text); CREATE TABLE of (id int PRIMARY KEY, twice int REFERENCES twice (id)); CREATE TABLE other (id int PRIMARY KEY);
		INSERT INTO log VALUES ('first'); INSERT INTO twice VALUES (1, 'x'); INSERT INTO of VALUES (1, 1); INSERT INTO other VALUES (1);
		CREATE PUBLICATION p FOR TABLE log, twice WITH (publish = 'insert, update, delete')`
	b := asOwner(t, schema)
	admin := fixtures.DB(t)
	superuser(t, admin)
	t.Cleanup(func() {
		_, err := admin.Exec(context.Background(), `DROP EVENT TRIGGER note`)
		require.NoError(t, err)
	})
	exec(t, admin, `CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
			INSERT INTO public.log VALUES (tg_tag); INSERT INTO public.twice SELECT max(id) + 1, tg_tag FROM public.twice; END $$;
		CREATE EVENT TRIGGER note ON ddl_command_end EXECUTE FUNCTION note()`)
	before := picture(t, b.pool)
	_, err := b.store.Create(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, before, picture(t, b.pool))
	for range 2 {
		exec(t, b.pool, `INSERT INTO log VALUES ('test'); INSERT INTO other VALUES (2); INSERT INTO twice VALUES (20, 'test')`)
		_, err = b.store.Restore(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, before, picture(t, b.pool))
	}
}

// TestNothingOfOursIsPublished: neither the journal nor the note of an origin, which is
// no change of the schema, and keeps what an earlier version noted.
func TestNothingOfOursIsPublished(t *testing.T) {
	t.Parallel()
	superuser(t, fixtures.Open(t))
	b := &builder{bundle: setup(t, fixtures.WithSchema(smallSchema+`; CREATE PUBLICATION p FOR ALL TABLES`))}
	given, err := pgxpool.NewWithConfig(t.Context(), b.pool.Config())
	require.NoError(t, err)
	defer given.Close()
	b.pool = given
	b.store, err = snapshot.NewStore(given, snapshot.WithDir(b.dir))
	require.NoError(t, err)
	exec(t, b.pool, `CREATE TABLE seen (tag text); CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.seen VALUES (tg_tag); END';
		CREATE SCHEMA groundhog; CREATE TABLE groundhog.origin (name text PRIMARY KEY, file text NOT NULL, kept timestamptz NOT NULL DEFAULT now());
		INSERT INTO groundhog.origin VALUES ('.origin-of another.groundhog', E'/a ''file\\', now());
		CREATE EVENT TRIGGER note ON ddl_command_end EXECUTE FUNCTION note(); ALTER EVENT TRIGGER note ENABLE ALWAYS`)
	b.ensure(t, "a")
	require.Empty(t, text(t, b.pool, `SELECT tag FROM seen`))
	require.Empty(t, text(t, b.pool, `SELECT FROM pg_publication_tables WHERE schemaname = 'groundhog'`))
	require.Equal(t, `(t)`, text(t, b.pool, `SELECT file = E'/a ''file\\' FROM groundhog.origin WHERE name = '.origin-of another.groundhog'`))
	require.Equal(t, "("+origins(t, b.dir)[0]+")", text(t, b.pool, `SELECT file FROM groundhog.origin WHERE name <> '.origin-of another.groundhog'`))
	require.Empty(t, text(t, b.pool, `SELECT FROM groundhog.schema_changes`))
	b.ensure(t, "b")
	require.Equal(t, []string{"made by the schema"}, b.found)
}

// TestClonesOfWhatIsNotTracked: a table with as many columns as there can be has no
// journal. A clone of it is made each time.
func TestClonesOfWhatIsNotTracked(t *testing.T) {
	t.Parallel()
	var columns []string
	for i := range 1600 {
		columns = append(columns, fmt.Sprintf("c%d int", i))
	}
	b := setup(t, fixtures.WithSchema(`CREATE TABLE wide (`+strings.Join(columns, ", ")+`); INSERT INTO wide (c7) VALUES (7)`))
	superuser(t, b.pool)
	_, err := b.store.Create(t.Context(), "a")
	require.NoError(t, err)
	for range 2 {
		c, err := b.store.Clone(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, "(7,1)", text(t, c.Pool, `SELECT c7, count(*) OVER () FROM wide`))
		exec(t, c.Pool, `DELETE FROM wide`)
		require.NoError(t, c.Close())
	}
}

// TestPublicationsOfARoleWithoutEventTriggers: what is published, and by what rows are
// told apart, is part of the schema for a role that may not watch it too.
func TestPublicationsOfARoleWithoutEventTriggers(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	b := asOwner(t, publishable+`CREATE UNIQUE INDEX other ON indexed (a, b)`)
	superuser(t, fixtures.DB(t))
	role := b.pool.Config().ConnConfig.User
	exec(t, fixtures.DB(t), `GRANT SET ON PARAMETER session_replication_role TO `+role)
	before := state(t, b.pool)
	_, err := b.store.Create(t.Context(), "a")
	require.NoError(t, err)
	restore := func() snapshot.Restored {
		t.Helper()
		exec(t, b.pool, inserts)
		restored, err := b.store.Restore(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, before, state(t, b.pool))
		return restored
	}
	restore()
	for _, change := range []string{`CREATE PUBLICATION p FOR TABLE log, indexed`, `ALTER PUBLICATION p ADD TABLE heap`, `ALTER PUBLICATION p SET (publish = 'insert')`,
		`ALTER TABLE indexed REPLICA IDENTITY USING INDEX other`, `DROP PUBLICATION p`} {
		exec(t, b.pool, change)
		for _, w := range restore().Methods {
			require.Contains(t, w.Why, "the schema was changed", change)
		}
		require.NotContains(t, waysIn(restore()), snapshot.Reloaded, change)
	}
}
