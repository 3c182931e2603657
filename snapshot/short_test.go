package snapshot_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/fault"
)

// incompressible is an expression for a text of n times 32 letters that the server can't
// store in less room.
func incompressible(n int) string {
	return fmt.Sprintf("(SELECT string_agg(md5(random()::text), '') FROM generate_series(1, %d))", n)
}

// TestRowsLongerThanThoseOfTheBaseline: a journal of short rows has no room for long ones,
// and no statement of a test fails for that.
func TestRowsLongerThanThoseOfTheBaseline(t *testing.T) {
	t.Parallel()
	proveAll(t, []kind{{
		name: "values_of_the_test",
		schema: `CREATE TABLE keyed (id int PRIMARY KEY, v text, j jsonb, a text[]); CREATE TABLE keyless (id int, v text);
			CREATE TABLE child (id int PRIMARY KEY REFERENCES keyed ON UPDATE CASCADE ON DELETE CASCADE, v text);
			CREATE TABLE parent (id int, v text); CREATE TABLE heir (w text) INHERITS (parent);
			CREATE TABLE parts (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
			CREATE TABLE low PARTITION OF parts FOR VALUES FROM (0) TO (100); CREATE TABLE high PARTITION OF parts FOR VALUES FROM (100) TO (1000)`,
		// What compresses well is not stored apart.
		rows: `INSERT INTO keyed SELECT i, repeat('x', 30000), to_jsonb(repeat('x', 30000)), ARRAY[repeat('x', 30000)] FROM generate_series(1, 12) i; INSERT INTO keyless SELECT i, repeat('x', 30000) FROM generate_series(1, 12) i;
			INSERT INTO child SELECT i, 'v' FROM generate_series(1, 9) i; INSERT INTO heir SELECT i, 'v', repeat('x', 30000) FROM generate_series(1, 12) i; INSERT INTO parts SELECT i, repeat('x', 30000) FROM generate_series(1, 12) i`,
		changes: []string{
			`UPDATE keyed SET v = v || ` + incompressible(300) + ` WHERE id < 6; UPDATE keyed SET v = v || 'y' WHERE id < 6; UPDATE keyed SET id = id + 1000 WHERE id < 3`,
			`INSERT INTO keyed SELECT 100, v, j, a FROM keyed WHERE id = 7; INSERT INTO keyed SELECT 100, v FROM keyed WHERE id = 7 ON CONFLICT (id) DO UPDATE SET v = 'z' || EXCLUDED.v; UPDATE keyed SET id = 101 WHERE id = 100`,
			`MERGE INTO keyed USING generate_series(7, 9) i ON id = i WHEN MATCHED AND i < 9 THEN UPDATE SET v = 'y' || v WHEN MATCHED THEN DELETE`,
			`DO $$ BEGIN SET LOCAL plan_cache_mode = force_custom_plan; UPDATE keyed SET v = 'x' WHERE id = 12; ASSERT current_setting('plan_cache_mode') = 'force_custom_plan'; END $$`,
			`UPDATE keyless SET v = ` + incompressible(300) + ` WHERE id < 6; UPDATE keyless SET v = v || 'y' WHERE id < 6; DELETE FROM keyless WHERE id BETWEEN 5 AND 8`,
			`UPDATE parent SET v = ` + incompressible(300) + ` WHERE id < 6; UPDATE heir SET w = w || v WHERE id < 6; DELETE FROM parent WHERE id BETWEEN 5 AND 8`,
			`UPDATE parts SET v = ` + incompressible(300) + ` WHERE id < 5; UPDATE parts SET id = id + 100 WHERE id < 9; UPDATE parts SET v = v || 'y' WHERE id < 106; DELETE FROM parts WHERE id IN (3, 101, 102, 12)`,
		},
		changed: []string{"public.keyed", "public.keyless", "public.child", "public.heir", "public.parts"},
		noClone: othersClone,
	}, {
		name:    "deleted",
		schema:  `CREATE TABLE keyed (id int PRIMARY KEY, v text); CREATE TABLE child (id int PRIMARY KEY REFERENCES keyed ON DELETE CASCADE, v text); CREATE TABLE other (id int PRIMARY KEY, v text)`,
		rows:    `INSERT INTO keyed SELECT i, 'v' FROM generate_series(1, 50) i; INSERT INTO child SELECT i, 'v' FROM generate_series(1, 9) i`,
		changes: []string{`INSERT INTO keyed SELECT 100, ` + incompressible(300) + `; INSERT INTO child SELECT id, v FROM keyed WHERE id = 100; DELETE FROM keyed WHERE id IN (1, 100)`},
		changed: []string{"public.keyed", "public.child"},
		noClone: othersClone,
		reloads: true,
	}, {
		name: "missing", // values that are in the catalog alone, until a row is written
		schema: `CREATE TABLE keyed (id int PRIMARY KEY, v text); INSERT INTO keyed SELECT i, 'v' FROM generate_series(1, 100) i; ALTER TABLE keyed ADD COLUMN big text DEFAULT repeat('x', 10000);
			CREATE TABLE several (id int PRIMARY KEY, v text); INSERT INTO several SELECT i, 'v' FROM generate_series(1, 100) i;
			ALTER TABLE several` + strings.ReplaceAll(columns(60, "name DEFAULT 'n'"), ", c", ", ADD COLUMN c")[1:] + `;
			ALTER TABLE several` + strings.ReplaceAll(columns(30, "text DEFAULT repeat('x', 90)"), ", c", ", ADD COLUMN d")[1:],
		changes: []string{`UPDATE keyed SET v = 'x' WHERE id = 1; DELETE FROM keyed WHERE id = 2; UPDATE several SET v = 'x' WHERE id = 1; DELETE FROM several WHERE id = 2`},
		changed: []string{"public.keyed", "public.several"},
		noClone: othersClone,
	}, {
		name: "domains", // whose length is checked on the way into the journal, which has the type beneath them
		schema: `CREATE DOMAIN long_text AS varchar(30000); CREATE DOMAIN longer_text AS long_text; CREATE DOMAIN bits AS varbit(90000); CREATE DOMAIN texts AS varchar(30000)[]; CREATE DOMAIN a_line AS varchar(250);
			CREATE TABLE a (id int PRIMARY KEY, v long_text); CREATE TABLE b (id int PRIMARY KEY, v longer_text); CREATE TABLE c (id int PRIMARY KEY, v bits); CREATE TABLE d (id int PRIMARY KEY, v texts);
			CREATE TABLE e (id int PRIMARY KEY` + columns(60, "a_line") + `)`,
		rows: `INSERT INTO a SELECT i, repeat('x', 29000) FROM generate_series(1, 9) i; INSERT INTO b SELECT * FROM a; INSERT INTO c SELECT i, repeat('0', 90000)::varbit FROM generate_series(1, 9) i; INSERT INTO d SELECT id, ARRAY[v] FROM a;
			INSERT INTO e SELECT i` + strings.Repeat(", repeat('x', 250)::a_line", 60) + ` FROM generate_series(1, 9) i`,
		changes: []string{`UPDATE a SET v = 'x' WHERE id = 1; UPDATE b SET v = 'x' WHERE id = 1; UPDATE c SET v = '0' WHERE id = 1; UPDATE d SET v = '{}' WHERE id = 1; UPDATE e SET c1 = 'x' WHERE id = 1; DELETE FROM e WHERE id = 2`},
		changed: []string{"public.a", "public.b", "public.c", "public.d", "public.e"},
		noClone: othersClone,
	}, {
		name: "brim", // of a page, by values that are not stored apart although they could be
		schema: `CREATE TABLE numbers (id int` + columns(20, "numeric(1000, 0)") + `);
			CREATE TABLE formerly (id int, v text, w text); ALTER TABLE formerly ALTER COLUMN v SET STORAGE PLAIN; ALTER TABLE formerly ALTER COLUMN w SET STORAGE PLAIN;
			INSERT INTO formerly SELECT i, (SELECT left(string_agg(md5(random()::text), ''), 8116) FROM generate_series(1, 300)), 'vvv' FROM generate_series(1, 20) i;
			ALTER TABLE formerly ALTER COLUMN v SET STORAGE EXTENDED; ALTER TABLE formerly ALTER COLUMN w SET STORAGE EXTENDED; CREATE TABLE other (id int PRIMARY KEY, v text)`,
		rows:    `INSERT INTO numbers SELECT i` + strings.Repeat(", repeat('1234567', 113)::numeric", 20) + ` FROM generate_series(1, 20) i; INSERT INTO other VALUES (1, 'v')`,
		changes: []string{`UPDATE numbers SET c1 = 7 WHERE id = 1; DELETE FROM numbers WHERE id = 2`, `UPDATE formerly SET w = 'x' WHERE id = 1; DELETE FROM formerly WHERE id = 2; UPDATE other SET v = 'x'`},
		changed: []string{"public.numbers", "public.formerly", "public.other"},
		noClone: othersClone,
		reloads: true,
	}, {
		name: "keys", // that are shorter in the index
		schema: `CREATE TABLE keyed (` + columns(12, "varchar(250)")[1:] + `, v text, PRIMARY KEY (c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12));
			CREATE TYPE mood AS ENUM ('a mood of as many letters as a label of a type may have in all', 'b'); CREATE TABLE moods (id mood PRIMARY KEY` + columns(15, "mood DEFAULT 'a mood of as many letters as a label of a type may have in all'") + `, v char(200))`,
		rows:    `INSERT INTO keyed SELECT ` + strings.Repeat("i, ", 12) + `'v' FROM generate_series(1, 50) i; INSERT INTO moods VALUES ('b')`,
		changes: []string{`INSERT INTO keyed SELECT ` + strings.Repeat("repeat('€', 250), ", 12) + `'new'; UPDATE keyed SET c1 = repeat('é', 250) WHERE v = 'new'; UPDATE keyed SET c1 = repeat('é', 250), c2 = repeat('é', 250) WHERE c1 = '1'; DELETE FROM keyed WHERE v = 'new' OR c1 = '2'; UPDATE moods SET v = 'x', c1 = 'b'`},
		changed: []string{"public.keyed", "public.moods"},
		noClone: othersClone,
	}, {
		name: "formerly_long",
		schema: `CREATE TABLE keyed (id int PRIMARY KEY, v text, g text GENERATED ALWAYS AS (v || v) STORED); ALTER TABLE keyed ENABLE ROW LEVEL SECURITY;
			CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY, v text) WITH (fillfactor = 10)`,
		rows: `INSERT INTO keyed SELECT i, ` + incompressible(300) + ` FROM generate_series(1, 50) i; UPDATE keyed SET v = 'v'; INSERT INTO unlogged SELECT i, ` + incompressible(50) + ` FROM generate_series(1, 50) i`,
		connected: func(t testing.TB, b bundle) {
			exec(t, b.pool, `VACUUM keyed`)
		},
		changes: []string{`UPDATE keyed SET v = ` + incompressible(200) + ` WHERE id < 4; DELETE FROM keyed WHERE id = 9; UPDATE keyed SET v = v || 'y' WHERE id = 2; UPDATE unlogged SET v = v || v || v WHERE id = 1; UPDATE unlogged SET v = v || v || v WHERE id = 1`},
		changed: []string{"public.keyed", "public.unlogged"},
	}})
}

// TestLongRowsOfATransactionOlderThanTheBaseline pass for the baseline's.
func TestLongRowsOfATransactionOlderThanTheBaseline(t *testing.T) {
	t.Parallel()
	inBothRoles(t, `CREATE TABLE keyless (id int, v text); INSERT INTO keyless SELECT i, 'v' FROM generate_series(1, 50) i`, func(t *testing.T, b bundle) {
		ctx := t.Context()
		before := state(t, b.pool)
		tx, err := b.pool.Begin(ctx)
		require.NoError(t, err)
		defer func() { _ = tx.Rollback(ctx) }()
		_, err = tx.Exec(ctx, `SELECT pg_current_xact_id()`)
		require.NoError(t, err)
		_, err = b.store.Create(ctx, "a")
		require.NoError(t, err)
		for _, sql := range []string{
			`INSERT INTO keyless VALUES (100, ` + incompressible(300) + `)`,
			`INSERT INTO keyless VALUES (101, repeat('x', 30000))`,
			`UPDATE keyless SET v = v || 'y' WHERE id >= 100`, `DELETE FROM keyless WHERE id IN (1, 100)`,
		} {
			_, err = tx.Exec(ctx, sql)
			require.NoError(t, err, sql)
		}
		require.NoError(t, tx.Commit(ctx))
		_, err = b.store.Restore(ctx, "a")
		require.NoError(t, err)
		require.Equal(t, before, state(t, b.pool))
	})
}

// TestABaselineOfLongRowsAfterOneOfShortRows has journals with room for them.
func TestABaselineOfLongRowsAfterOneOfShortRows(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	inBothRoles(t, `CREATE TABLE keyed (id int PRIMARY KEY, v text); CREATE TABLE keyless (id int, v text);
		CREATE TABLE parts (id int PRIMARY KEY, v text) PARTITION BY RANGE (id); CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (1000);
		INSERT INTO keyed SELECT i, 'v' FROM generate_series(1, 50) i; INSERT INTO keyless TABLE keyed; INSERT INTO parts TABLE keyed`, func(t *testing.T, b bundle) {
		ctx := t.Context()
		states := map[string]map[string]string{}
		create := func(name string) {
			t.Helper()
			_, err := b.store.Create(ctx, name)
			require.NoError(t, err)
			states[name] = state(t, b.pool)
		}
		restore := func(name string) map[string]string {
			t.Helper()
			restored, err := b.store.Restore(ctx, name)
			require.NoError(t, err)
			require.Equal(t, states[name], state(t, b.pool), name)
			return methodsOf(restored)
		}
		proveUndone := func(name string) {
			t.Helper()
			for range 2 {
				for _, table := range []string{"keyed", "keyless", "parts"} {
					exec(t, b.pool, fmt.Sprintf(`UPDATE %s SET v = v || 'y' WHERE id IN (1, 100); DELETE FROM %[1]s WHERE id IN (2, 101)`, table))
				}
				for table, way := range restore(name) {
					if !strings.Contains(way, "another snapshot") {
						require.Equal(t, "undone", way, "%s of %s", table, name)
					}
				}
			}
		}
		create("short")
		proveUndone("short")
		for _, table := range []string{"keyed", "keyless", "parts"} {
			exec(t, b.pool, `INSERT INTO `+table+` SELECT i, `+incompressible(300)+` FROM generate_series(100, 102) i`)
		}
		create("long")
		for _, name := range []string{"long", "short", "long"} {
			restore(name)
			proveUndone(name)
		}
	})
}
