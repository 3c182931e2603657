package snapshot_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/snapshot"
)

// columns lists n columns, from c1 on.
func columns(n int, kind string) string {
	var out strings.Builder
	for i := range n {
		fmt.Fprintf(&out, ", c%d %s", i+1, kind)
	}
	return out.String()
}

// wideSchema has a table and a partitioned one of as many columns as there may be,
// one of which no journal can have more, and others.
var wideSchema = `CREATE TABLE wide (id int PRIMARY KEY` + columns(1599, "int") + `);
	CREATE TABLE parts (id int PRIMARY KEY` + columns(1599, "int") + `) PARTITION BY RANGE (id);
	CREATE TABLE part1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
	CREATE TABLE part2 PARTITION OF parts FOR VALUES FROM (10) TO (20);
	CREATE TABLE brim (id int PRIMARY KEY` + columns(1598, "int") + `);
	CREATE TABLE small (id serial PRIMARY KEY, v text, wide int REFERENCES wide ON DELETE CASCADE);`

const wideRows = `INSERT INTO wide (id, c1599) VALUES (1, 1), (2, 2); INSERT INTO parts (id, c1599) VALUES (1, 1), (11, 2); INSERT INTO brim (id, c1598) VALUES (1, 1), (2, 2);
	INSERT INTO small (v, wide) SELECT 'v', 1 + i % 2 FROM generate_series(1, 100) i`

// methodsOf returns how each table was brought back, and why it was loaded.
func methodsOf(r snapshot.Restored) map[string]string {
	out := map[string]string{}
	for _, w := range r.Methods {
		out[strings.TrimPrefix(w.Table, "public.")] = string(w.Method)
		if w.Method == snapshot.Reloaded {
			out[strings.TrimPrefix(w.Table, "public.")] += ": " + w.Why
		}
	}
	return out
}

// TestATableThatCantBeTrackedEndsNothing: the others are, and it is loaded only where
// it was written to. That is told once.
func TestATableThatCantBeTrackedEndsNothing(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	ctx := t.Context()
	b := setup(t, fixtures.WithSchema(wideSchema+`CREATE TABLE big (id int PRIMARY KEY)`))
	exec(t, b.pool, wideRows+`; INSERT INTO big SELECT generate_series(1, 1000)`)
	before := state(t, b.pool)
	var log bytes.Buffer
	store, err := snapshot.NewStore(b.pool, snapshot.WithDir(b.dir), snapshot.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	require.NoError(t, err)
	began := time.Now()
	_, err = store.Create(ctx, "a")
	require.NoError(t, err)
	t.Logf("Create took %s", time.Since(began))
	const why = "reloaded: it has too many columns: a journal has one more, and a table may have 1600"
	for _, c := range []struct {
		change string
		want   map[string]string
	}{
		{`UPDATE small SET v = 'x' WHERE id = 1; UPDATE brim SET c1598 = 7`, map[string]string{"small": "undone", "brim": "undone"}},
		{`UPDATE wide SET c1 = 1; UPDATE brim SET c1 = 1`, map[string]string{"wide": why, "brim": "undone"}},
		{`DELETE FROM part2`, map[string]string{"parts": why}},
		{`UPDATE parts SET id = id + 1; DELETE FROM wide WHERE id = 1`, map[string]string{"parts": why, "wide": why, "small": "undone"}},
		{`TRUNCATE wide, small`, map[string]string{"wide": "reloaded", "small": "reloaded"}},
		{`SELECT`, nil},
	} {
		exec(t, b.pool, c.change)
		restored, err := store.Restore(ctx, "a")
		require.NoError(t, err)
		require.Equal(t, before, state(t, b.pool), c.change)
		ways := methodsOf(restored)
		for _, table := range []string{"wide", "parts", "brim", "small", "big"} {
			want := c.want[table]
			if want == "" {
				want = "unchanged"
			}
			if want == "reloaded" { // whatever is told of two reasons
				want = ways[table]
				require.Contains(t, want, "reloaded")
			}
			require.Equal(t, want, ways[table], "%s after %s", table, c.change)
		}
	}
	require.Equal(t, 1, strings.Count(log.String(), "table=public.wide"), log.String())
	require.Equal(t, 1, strings.Count(log.String(), "table=public.parts"), log.String())
	require.NotContains(t, log.String(), "table=public.brim")

	// Row by row, where the file is known.
	exec(t, b.pool, `UPDATE wide SET c1599 = 7 WHERE id = 1; INSERT INTO part1 (id) VALUES (3)`)
	set, err := store.Changes(ctx)
	require.NoError(t, err)
	require.Equal(t, "public.parts +1\npublic.wide ~1 (c1599)", set.Summary())
	require.NoError(t, store.Untrack(ctx))
	_, err = store.Restore(ctx, "a")
	require.NoError(t, err)
	require.Equal(t, before, state(t, b.pool), "a load from the file alone")

	// Another process, that has no baseline of its own, counts.
	exec(t, b.pool, `DELETE FROM wide WHERE id = 2`)
	other, err := pgxpool.New(ctx, fixtures.URL(t))
	require.NoError(t, err)
	defer other.Close()
	counting, err := snapshot.NewStore(other, snapshot.WithDir(b.dir))
	require.NoError(t, err)
	set, err = counting.Changes(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 2, set.Table("wide").Before)
	require.EqualValues(t, 1, set.Table("wide").After)
	require.Contains(t, set.Table("wide").Note, "too many columns")
	_, err = store.Restore(ctx, "a")
	require.NoError(t, err)

	clone, err := store.Clone(ctx, "a")
	require.NoError(t, err)
	require.Equal(t, before, state(t, clone.Pool))
	exec(t, clone.Pool, `UPDATE wide SET c1 = 1; UPDATE small SET v = 'x' WHERE id = 1`)
	require.NoError(t, clone.Close())
}

// TestRowsThatDoNotFitIntoTheJournal: the label of an enum takes more room as text.
func TestRowsThatDoNotFitIntoTheJournal(t *testing.T) {
	t.Parallel()
	proveAll(t, []kind{{
		name: "labels",
		schema: `CREATE TYPE mood AS ENUM ('a mood of many letters', 'another one of them'); CREATE TABLE moods (id int PRIMARY KEY` + columns(400, "mood DEFAULT 'a mood of many letters'") + `);
			CREATE TABLE keyless (id int` + columns(400, "mood DEFAULT 'a mood of many letters'") + `); CREATE TABLE other (id int PRIMARY KEY, v text)`,
		rows:    `INSERT INTO moods SELECT generate_series(1, 5); INSERT INTO keyless SELECT generate_series(1, 5); INSERT INTO other SELECT i, 'v' FROM generate_series(1, 100) i`,
		changes: []string{`UPDATE moods SET c1 = 'another one of them' WHERE id = 1`, `DELETE FROM moods WHERE id = 2`, `DELETE FROM keyless WHERE id = 3; UPDATE other SET v = 'changed' WHERE id = 3`},
		changed: []string{"public.moods", "public.keyless", "public.other"},
		reloads: true,
	}, {
		name:    "brim", // of a page
		schema:  `CREATE TABLE full_page (id bigint PRIMARY KEY` + columns(126, "name NOT NULL DEFAULT 'n'") + strings.ReplaceAll(columns(8, "bigint NOT NULL DEFAULT 1"), "c", "d") + `); CREATE TABLE other (id int PRIMARY KEY, v text)`,
		rows:    `INSERT INTO full_page SELECT generate_series(1, 5); INSERT INTO other VALUES (1, 'v')`,
		changes: []string{`UPDATE full_page SET c1 = 'x' WHERE id = 1; DELETE FROM full_page WHERE id = 2; UPDATE other SET v = 'changed'`},
		changed: []string{"public.full_page", "public.other"},
		reloads: true,
	}})
}

// TestATableThatTheServerRefusesToTrack is found, be it one of many, by a reason that is
// not known beforehand. It is loaded when it was written to, and the others are undone.
func TestATableThatTheServerRefusesToTrack(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	tables := ""
	for i := range 20 {
		tables += fmt.Sprintf("CREATE TABLE t%d (id int PRIMARY KEY, v text); INSERT INTO t%[1]d SELECT i, 'v' FROM generate_series(1, 100) i;", i)
	}
	admin := setup(t, fixtures.WithSchema(tables+`CREATE TABLE refused (id int PRIMARY KEY, v macaddr); INSERT INTO refused VALUES (1, NULL), (2, '08:00:2b:01:02:03')`))
	superuser(t, admin.pool)
	// A role that may have a journal, but make no table with columns of that type.
	role := fmt.Sprintf("tracker_%d", os.Getpid())
	exec(t, admin.pool, fmt.Sprintf(`CREATE ROLE %s LOGIN; GRANT SET ON PARAMETER session_replication_role TO %[1]s; GRANT CREATE ON DATABASE %[2]s TO %[1]s; GRANT ALL ON SCHEMA public TO %[1]s;
		DO $$ DECLARE t regclass; BEGIN FOR t IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace LOOP EXECUTE format('ALTER TABLE %%s OWNER TO %[1]s', t); END LOOP; END $$;
		REVOKE USAGE ON TYPE macaddr FROM PUBLIC`, role, pgx.Identifier{admin.pool.Config().ConnConfig.Database}.Sanitize()))
	t.Cleanup(func() {
		_, err := admin.pool.Exec(context.Background(), `DROP OWNED BY `+role+` CASCADE; DROP ROLE `+role, pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err)
	})
	config := admin.pool.Config()
	config.ConnConfig.User = role
	pool, err := pgxpool.NewWithConfig(ctx, config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	var log bytes.Buffer
	store, err := snapshot.NewStore(pool, snapshot.WithDir(admin.dir), snapshot.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	require.NoError(t, err)
	before := state(t, pool)
	_, err = store.Create(ctx, "a")
	require.NoError(t, err)
	for range 2 {
		for _, c := range []struct{ change, refused, t3, t4 string }{
			{`SELECT`, "unchanged", "unchanged", "unchanged"},
			{`UPDATE t3 SET v = 'x' WHERE id = 1`, "unchanged", "undone", "unchanged"},
			{`UPDATE refused SET v = NULL; DELETE FROM t4 WHERE id = 1`, `reloaded: its rows can't be tracked: permission denied for type macaddr`, "unchanged", "undone"},
		} {
			exec(t, pool, c.change)
			restored, err := store.Restore(ctx, "a")
			require.NoError(t, err)
			require.Equal(t, before, state(t, pool), c.change)
			ways := methodsOf(restored)
			require.Equal(t, []string{c.refused, c.t3, c.t4, "unchanged"}, []string{ways["refused"], ways["t3"], ways["t4"], ways["t5"]}, c.change)
		}
		exec(t, admin.pool, `CREATE TABLE passing (); DROP TABLE passing`) // all is made again
		_, err = store.Restore(ctx, "a")
		require.NoError(t, err)
	}
	require.Equal(t, 1, strings.Count(log.String(), "can't be tracked, so"), log.String())
	require.NoError(t, store.Untrack(ctx))
}

// TestAPartitionOfATableThatIsNotTracked is loaded each time: nothing notes what is
// written to it by the name of that table.
func TestAPartitionOfATableThatIsNotTracked(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	b := setup(t, fixtures.WithSchema(`CREATE EXTENSION citext; CREATE TABLE root (id int PRIMARY KEY, v text) PARTITION BY RANGE (id); ALTER EXTENSION citext ADD TABLE root;
		CREATE TABLE leaf PARTITION OF root FOR VALUES FROM (0) TO (100); INSERT INTO leaf VALUES (1, 'v'), (2, 'v');
		CREATE TABLE other (id int PRIMARY KEY, v text); INSERT INTO other SELECT i, 'v' FROM generate_series(1, 100) i`))
	superuser(t, b.pool)
	before := state(t, b.pool)
	_, err := b.store.Create(ctx, "a")
	require.NoError(t, err)
	for _, c := range []struct {
		change, other string
		tables        int
	}{
		{`INSERT INTO root VALUES (3, 'new')`, "unchanged", 1},
		{`SELECT`, "unchanged", 0},
		{`DELETE FROM root WHERE id = 1; UPDATE other SET v = 'x' WHERE id = 1`, "undone", 2},
		{`UPDATE leaf SET id = 7 WHERE id = 1`, "unchanged", 1},
		{`UPDATE root SET v = 'x'`, "unchanged", 1},
	} {
		exec(t, b.pool, c.change)
		set, err := b.store.Changes(ctx)
		require.NoError(t, err)
		require.Len(t, set.Tables, c.tables, set.Text())
		restored, err := b.store.Restore(ctx, "a")
		require.NoError(t, err)
		require.Equal(t, before, state(t, b.pool), c.change)
		require.Equal(t, map[string]string{"leaf": "reloaded: it is a partition of a table that is not tracked", "other": c.other}, methodsOf(restored), c.change)
	}
}
