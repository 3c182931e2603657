package snapshot_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/internal/snapfile"
	"github.com/groundhogdb/groundhog/snapshot"
)

// TestASnapshotIsCalledWhatItsFileIs, so that what List tells can be restored.
func TestASnapshotIsCalledWhatItsFileIs(t *testing.T) {
	t.Parallel()
	b := setupSmall(t)
	info, err := b.store.Create(t.Context(), "a")
	require.NoError(t, err)
	require.NoError(t, os.Rename(info.Path, filepath.Join(b.dir, "renamed.groundhog")))
	list, err := b.store.List(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 1)
	restored, err := b.store.Restore(t.Context(), list[0].Name)
	require.NoError(t, err)
	require.Equal(t, "renamed", restored.Name)
}

// TestNothingIsWrittenThroughALink that somebody has put in the way of a file that
// we write.
func TestNothingIsWrittenThroughALink(t *testing.T) {
	t.Parallel()
	b := setupSmall(t)
	_, err := b.store.Create(t.Context(), "a")
	require.NoError(t, err)
	theirs := filepath.Join(t.TempDir(), "theirs")
	require.NoError(t, os.WriteFile(theirs, []byte("precious"), 0o600))
	require.NoError(t, os.Symlink(theirs, filepath.Join(b.dir, ".a.groundhog.tmp")))
	_, err = b.store.Create(t.Context(), "a", snapshot.Replace())
	require.NoError(t, err)
	require.NoError(t, os.Symlink(theirs, filepath.Join(b.dir, ".b.groundhog.lock")))
	_, err = b.store.Create(t.Context(), "b")
	require.ErrorContains(t, err, ".b.groundhog.lock")
	content, err := os.ReadFile(theirs)
	require.NoError(t, err)
	require.Equal(t, "precious", string(content))
	require.Empty(t, temporary(t, b.dir))
}

// TestNamesThatDifferInCaseOnly are one file on some systems.
func TestNamesThatDifferInCaseOnly(t *testing.T) {
	t.Parallel()
	b := setupSmall(t)
	ctx := t.Context()
	_, err := b.store.Create(ctx, "Straße é")
	require.NoError(t, err)
	for _, name := range []string{"straße é", "Straße e\u0301", "STRASSE É"} {
		_, err = b.store.Create(ctx, name)
		require.ErrorIs(t, err, snapshot.ErrInvalidName, name)
		require.ErrorContains(t, err, "Straße é")
		_, err = b.store.Create(ctx, name, snapshot.Replace())
		require.ErrorIs(t, err, snapshot.ErrInvalidName, name)
		_, err = b.store.Ensure(ctx, name, func(context.Context) error { panic("not reached") })
		require.ErrorIs(t, err, snapshot.ErrInvalidName, name)
	}
	_, err = b.store.Create(ctx, "Straße é", snapshot.Replace())
	require.NoError(t, err)
}

// TestWhatIsNotThereLeavesNothing: snapshots that were deleted, that failed, and
// that were never finished.
func TestWhatIsNotThereLeavesNothing(t *testing.T) {
	t.Parallel()
	b := setupSmall(t)
	for i := range 5 {
		name := fmt.Sprint(i)
		_, err := b.store.Create(t.Context(), name)
		require.NoError(t, err)
		require.NoError(t, b.store.Delete(t.Context(), name))
	}
	b.store.SetFS(fault.FailAt(1, fault.ErrInjected))
	_, err := b.store.Create(t.Context(), "failed")
	require.ErrorIs(t, err, fault.ErrInjected)
	b.store.SetFS(snapfile.OS)
	require.NoError(t, os.WriteFile(filepath.Join(b.dir, ".killed.groundhog.tmp"), nil, 0o600))
	_, err = b.store.Create(t.Context(), "last")
	require.NoError(t, err)
	require.NoError(t, b.store.Delete(t.Context(), "last"))
	entries, err := os.ReadDir(b.dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, ".gitignore alone")
}

// TestALockFileThatIsRemoved lets no two in.
func TestALockFileThatIsRemoved(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	b := setupSmall(t)
	const writers = 12
	failed := make(chan error, writers)
	for range writers {
		go func() {
			_, err := b.store.Create(t.Context(), "a", snapshot.Replace())
			if err == nil {
				err = b.store.Delete(t.Context(), "a")
			}
			if errors.Is(err, snapshot.ErrNotFound) {
				err = nil // another one was first
			}
			failed <- err
		}()
	}
	for range writers {
		require.NoError(t, <-failed)
	}
	require.Empty(t, temporary(t, b.dir))
}

func TestFoldersThatCannotBeMeant(t *testing.T) {
	t.Parallel()
	b := setupSmall(t)
	for _, dir := range []string{"", " "} {
		_, err := snapshot.NewStore(b.pool, snapshot.WithDir(dir))
		require.ErrorIs(t, err, snapshot.ErrInvalidArgument)
		require.ErrorContains(t, err, "WithDir")
	}
}

// TestAFolderStaysWhereItWas when the process goes elsewhere.
func TestAFolderStaysWhereItWas(t *testing.T) {
	b := setupSmall(t)
	t.Chdir(t.TempDir())
	store, err := snapshot.NewStore(b.pool, snapshot.WithDir("here"))
	require.NoError(t, err)
	_, err = store.Create(t.Context(), "a")
	require.NoError(t, err)
	t.Chdir(t.TempDir())
	info, err := store.Verify(t.Context(), "a")
	require.NoError(t, err)
	require.True(t, filepath.IsAbs(info.Path))
}

// TestAFolderThatVanishes while a snapshot is written: an error, and the next one
// makes it again.
func TestAFolderThatVanishes(t *testing.T) {
	t.Parallel()
	b := setupSmall(t)
	files := &vanishing{FS: fault.FailAt(0, nil), dir: b.dir}
	b.store.SetFS(files)
	_, err := b.store.Create(t.Context(), "a")
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, b.dir)
	files.dir = ""
	_, err = b.store.Create(t.Context(), "a")
	require.NoError(t, err)
}

// TestNobodyTruncatesATableWhileOthersAreRead: a TRUNCATE, which any transaction sees at
// once, has to wait.
func TestNobodyTruncatesATableWhileOthersAreRead(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	b := setupNoise(t)
	proxy := fault.Postgres(t, fixtures.URL(t))
	pool, err := pgxpool.New(t.Context(), proxy.URL())
	require.NoError(t, err)
	defer pool.Close()
	store, err := snapshot.NewStore(pool, snapshot.WithDir(b.dir))
	require.NoError(t, err)
	proxy.Add(fault.Rule{Way: fault.ToServer, Match: "COPY", How: fault.Stall})
	created := make(chan snapshot.Info, 1)
	go func() {
		info, err := store.Create(t.Context(), "b")
		if err == nil {
			created <- info
		}
		close(created)
	}()
	var rows int64
	require.NoError(t, b.pool.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM author) + (SELECT count(*) FROM book)`).Scan(&rows))
	require.Eventually(t, func() bool {
		var both bool
		err := b.pool.QueryRow(t.Context(), `SELECT count(DISTINCT relation) = 2 FROM pg_locks WHERE mode = 'AccessShareLock' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
			AND relation IN ('author'::regclass, 'book'::regclass)
			AND pid <> pg_backend_pid()`).Scan(&both)
		return err == nil && both
	}, 5*time.Second, 5*time.Millisecond)
	cut := make(chan error, 1)
	go func() {
		_, err := b.pool.Exec(t.Context(), `TRUNCATE author, book`)
		cut <- err
	}()
	waiting(t, b.pool)
	proxy.Clear()
	proxy.Resume()
	info, ok := <-created
	require.True(t, ok)
	require.Equal(t, rows, info.Rows)
	require.NoError(t, <-cut)
}

// TestAnyModeOfQueries that a pool may be set to for a pooler in front of the
// server.
func TestAnyModeOfQueries(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			b := setupOdd(t)
			config := b.pool.Config()
			config.ConnConfig.DefaultQueryExecMode = mode
			pool, err := pgxpool.NewWithConfig(t.Context(), config)
			require.NoError(t, err)
			defer pool.Close()
			store, err := snapshot.NewStore(pool, snapshot.WithDir(b.dir))
			require.NoError(t, err)
			want, err := b.store.Create(t.Context(), "usual")
			require.NoError(t, err)
			got, err := store.Create(t.Context(), "mode")
			require.NoError(t, err)
			require.Equal(t, want.Tables, got.Tables)
			require.Equal(t, want.Fingerprint, got.Fingerprint)
			build := func(context.Context) error { return nil }
			for range 2 {
				_, err = store.Ensure(t.Context(), "ensured", build)
				require.NoError(t, err)
			}
		})
	}
}

// vanishing removes the folder before a file in it is moved into place.
type vanishing struct {
	snapfile.FS
	dir string
}

func (v *vanishing) Rename(from, to string) error {
	if v.dir != "" {
		if err := os.RemoveAll(v.dir); err != nil {
			return err
		}
	}
	return v.FS.Rename(from, to)
}

// TestEventTriggersThatObject to every change of the schema, or write it down, also
// in replica role: our own changes are none of theirs.
func TestEventTriggersThatObject(t *testing.T) {
	t.Parallel()
	for what, does := range map[string]string{"object": "RAISE 'no changes here'", "write": "INSERT INTO public.tags (tag) VALUES (tg_tag)"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			b := setup(t, fixtures.WithSchema(`CREATE TABLE a (id serial PRIMARY KEY, v text); CREATE TABLE b (a int REFERENCES a ON DELETE CASCADE);
				CREATE TABLE tags (id serial PRIMARY KEY, tag text); INSERT INTO a (v) VALUES ('x'), ('y'); INSERT INTO b VALUES (1), (2)`))
			superuser(t, b.pool)
			exec(t, b.pool, `CREATE FUNCTION react() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN `+does+`; END $$;
				CREATE EVENT TRIGGER react ON ddl_command_start EXECUTE FUNCTION react(); ALTER EVENT TRIGGER react ENABLE ALWAYS`)
			ctx := t.Context()
			before := state(t, b.pool)
			_, err := b.store.Create(ctx, "a")
			require.NoError(t, err)
			require.Equal(t, before, state(t, b.pool))
			change := func(way snapshot.Method) {
				exec(t, b.pool, `DELETE FROM a WHERE id = 1; INSERT INTO a (v) VALUES ('z'); INSERT INTO tags (tag) VALUES ('mine')`)
				restored, err := b.store.Restore(ctx, "a")
				require.NoError(t, err)
				require.Equal(t, way, restored.Methods[0].Method, restored.Methods[0].Why)
				require.Equal(t, before, state(t, b.pool))
			}
			change(snapshot.Undone)
			require.NoError(t, b.store.Untrack(ctx))
			require.Equal(t, before, state(t, b.pool))
			change(snapshot.Reloaded)
			change(snapshot.Undone)
		})
	}
}

// TestTheEventTriggersThatWatch are altered or dropped without a word: what was
// changed meanwhile is not told, so all is loaded.
func TestTheEventTriggersThatWatch(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	for what, sql := range map[string][2]string{
		"off and on": {`ALTER EVENT TRIGGER groundhog_changed DISABLE`, `ALTER EVENT TRIGGER groundhog_changed ENABLE ALWAYS`},
		"off":        {`ALTER EVENT TRIGGER groundhog_changed DISABLE`, ``},
		"dropped":    {`DROP EVENT TRIGGER groundhog_changed`, ``},
		"both":       {`DROP EVENT TRIGGER groundhog_changed; DROP EVENT TRIGGER groundhog_dropped`, ``},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			b := setup(t, fixtures.WithSchema(`CREATE TABLE a (id int PRIMARY KEY, v text); INSERT INTO a VALUES (1, 'x')`))
			superuser(t, b.pool)
			ctx := t.Context()
			before := state(t, b.pool)
			_, err := b.store.Create(ctx, "a")
			require.NoError(t, err)
			blind := func() {
				exec(t, b.pool, sql[0]+`; ALTER TABLE a DISABLE TRIGGER USER; UPDATE a SET v = 'y'; ALTER TABLE a ENABLE TRIGGER USER; `+sql[1])
			}
			blind()
			restored, err := b.store.Restore(ctx, "a")
			require.NoError(t, err)
			require.Equal(t, before, state(t, b.pool))
			require.Equal(t, snapshot.Reloaded, restored.Methods[0].Method)
			exec(t, b.pool, `UPDATE a SET v = 'z'`)
			restored, err = b.store.Restore(ctx, "a")
			require.NoError(t, err)
			require.Equal(t, snapshot.Undone, restored.Methods[0].Method, "it is watched again")
			blind()
			_, err = b.store.Create(ctx, "b")
			require.NoError(t, err)
			before = state(t, b.pool)
			exec(t, b.pool, `ALTER TABLE a DISABLE TRIGGER USER; UPDATE a SET v = 'w'; ALTER TABLE a ENABLE TRIGGER USER`)
			_, err = b.store.Restore(ctx, "b")
			require.NoError(t, err)
			require.Equal(t, before, state(t, b.pool), "a new snapshot's state is watched as well")
		})
	}
}

// TestSettingsOfTheDatabase in which the same row is checked, put into a partition
// or shown in a view in another way than in ours.
func TestSettingsOfTheDatabase(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	for what, c := range map[string]struct{ settings, schema, change string }{
		"views": {`SET timezone = 'Asia/Tokyo'; SET datestyle = 'SQL, DMY'; SET intervalstyle = sql_standard; SET extra_float_digits = -10; SET bytea_output = escape`,
			`CREATE TYPE c AS (at timestamptz, span interval, b bytea, f float8, m money, d date);
			CREATE TABLE e (id int PRIMARY KEY, at timestamptz, c c, cs c[]);
			INSERT INTO e VALUES (1, '2026-01-01 00:30+09', ROW('2026-02-03 04:05:06.789+09', '1 mon -2 days 03:04:05', '\x00ff', 1.0/3, '1.23', '0044-03-15 BC'),
				ARRAY[ROW('infinity', '-1 mon +2 days -00:00:01', '\x', pi(), '-1.23', 'infinity')::c]), (2, '2026-01-01 12:00+09', NULL, NULL);
			CREATE MATERIALIZED VIEW v AS SELECT at::date AS day, count(*), max(c::text) AS c, max(pi()::text) AS pi FROM e GROUP BY 1`,
			`DELETE FROM e WHERE id = 1`},
		"checks": {`SET timezone = 'Asia/Tokyo'`,
			`CREATE TABLE e (id int PRIMARY KEY, at timestamptz CHECK (extract(hour FROM at) BETWEEN 9 AND 18)); INSERT INTO e VALUES (1, '2026-01-01 10:30+09'), (2, '2026-01-01 12:00+09')`,
			`DELETE FROM e WHERE id = 1`},
		"generated": {`SET timezone = 'Asia/Tokyo'`,
			`CREATE FUNCTION jst(t timestamptz) RETURNS date LANGUAGE sql IMMUTABLE AS 'SELECT t::date';
			CREATE TABLE e (id int PRIMARY KEY, at timestamptz, d date GENERATED ALWAYS AS (jst(at)) STORED, v text);
			CREATE TABLE p (id int, at timestamptz) PARTITION BY RANGE (jst(at));
			CREATE TABLE p1 PARTITION OF p FOR VALUES FROM ('2025-12-01') TO ('2026-01-01'); CREATE TABLE p2 PARTITION OF p FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
			INSERT INTO e (id, at) VALUES (1, '2026-01-01 00:30+09'), (2, '2026-01-01 20:30+09'); INSERT INTO p VALUES (1, '2026-01-01 00:30+09')`,
			`UPDATE e SET v = 'q'; DELETE FROM p`},
		"arrays": {`SET array_nulls = off`,
			`CREATE TYPE mood AS ENUM ('a', 'b'); CREATE TABLE e (id int PRIMARY KEY, m mood[], i inet[], n name[], v varchar(5)[]);
			INSERT INTO e VALUES (1, ARRAY['a', NULL]::mood[], ARRAY['1.1.1.1'::inet, NULL], ARRAY['q'::name, NULL], ARRAY['x', NULL])`,
			`DELETE FROM e`},
		"escapes": {`SET standard_conforming_strings = off; SET backslash_quote = off`,
			`CREATE TABLE "a\b" ("c\d" int PRIMARY KEY, "e'f" text); INSERT INTO "a\b" VALUES (1, 'x\y')`, `DELETE FROM "a\b"`},
		"encoding": {`SET client_encoding = LATIN1`, `CREATE TABLE e (id int PRIMARY KEY, v text); INSERT INTO e VALUES (1, U&'\65E5'), (2, U&'\00E9')`, `DELETE FROM e`},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			b := setup(t, fixtures.WithSchema(`SET timezone = 'Asia/Tokyo'; `+c.schema))
			ctx := t.Context()
			database := pgx.Identifier{b.pool.Config().ConnConfig.Database}.Sanitize()
			for _, set := range strings.Split(c.settings, "; ") {
				exec(t, b.pool, "ALTER DATABASE "+database+" "+set)
			}
			b.pool.Reset()
			store, err := snapshot.NewStore(b.pool, snapshot.WithDir(b.dir))
			require.NoError(t, err)
			views := func() string {
				if what != "views" {
					return ""
				}
				return text(t, b.pool, `SELECT * FROM v`)
			}
			if what == "views" {
				exec(t, b.pool, `REFRESH MATERIALIZED VIEW v`)
			}
			shown := views()
			before := state(t, b.pool)
			_, err = store.Create(ctx, "a")
			require.NoError(t, err)
			for n := range 4 {
				exec(t, b.pool, c.change)
				if n%2 == 1 {
					require.NoError(t, store.Untrack(ctx))
				}
				_, err = store.Restore(ctx, "a")
				require.NoError(t, err)
				require.Equal(t, shown, views())
				require.Equal(t, before, state(t, b.pool))
			}
		})
	}
}

// TestPrivilegesThatWereRevoked from all who may usually do a little: what the journal
// does goes by its owner's rights.
func TestPrivilegesThatWereRevoked(t *testing.T) {
	t.Parallel()
	b := setupCopied(t)
	superuser(t, b.pool)
	role := "groundhog_plain_" + strings.ToLower(rand.Text()[:8])
	exec(t, b.pool, `ALTER DEFAULT PRIVILEGES REVOKE ALL ON FUNCTIONS FROM PUBLIC; ALTER DEFAULT PRIVILEGES REVOKE ALL ON TYPES FROM PUBLIC;
		ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM CURRENT_USER; ALTER DEFAULT PRIVILEGES REVOKE ALL ON SEQUENCES FROM CURRENT_USER;
		REVOKE ALL ON SCHEMA public FROM PUBLIC; REVOKE ALL ON DATABASE `+nameOf(t, b.pool)+` FROM PUBLIC;
		CREATE TABLE a (id serial PRIMARY KEY, v text); CREATE TABLE b (a int PRIMARY KEY); INSERT INTO a (v) VALUES ('x'), ('y'); INSERT INTO b VALUES (1);
		CREATE ROLE `+role+`; GRANT USAGE ON SCHEMA public TO `+role+`; GRANT ALL ON a, b TO `+role+`; GRANT ALL ON SEQUENCE a_id_seq TO `+role)
	t.Cleanup(func() {
		require.NoError(t, b.store.DropCopies(context.Background()), "what was granted to the role stands in copies too")
		_, err := b.pool.Exec(context.Background(), `DROP OWNED BY `+role+`; DROP ROLE `+role, pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err)
	})
	_, err := b.store.Create(t.Context(), "a")
	require.NoError(t, err)
	before := state(t, b.pool)
	for range 2 {
		exec(t, b.pool, `SET ROLE `+role+`; DELETE FROM a WHERE id = 1; INSERT INTO a (v) VALUES ('z'); UPDATE b SET a = 2; RESET ROLE`)
		changes, err := b.store.Changes(t.Context())
		require.NoError(t, err)
		require.Equal(t, "public.a +1 -1\npublic.b +1 -1", changes.Summary())
		restored, err := b.store.Restore(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, snapshot.Undone, restored.Methods[0].Method)
		require.Equal(t, before, state(t, b.pool))
		exec(t, b.pool, `SET ROLE `+role+`; TRUNCATE b; RESET ROLE`)
		_, err = b.store.Restore(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, before, state(t, b.pool))
	}
}

// TestHostileDatabaseNames say that they are for tests, and much else.
func TestHostileDatabaseNames(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	outer := fixtures.Open(t)
	several(t, outer)
	for _, name := range []string{`test"; DROP TABLE a; --`, `test ' $$ \ %s %20 &?=#/`, "テスト_test_名前", "test\nof lines", "TEST.a.b", "test_" + strings.Repeat("x", 58)} {
		name += rand.Text()[:4]
		name = name[:min(len(name), 63)]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			quoted := pgx.Identifier{name}.Sanitize()
			_, err := outer.Exec(t.Context(), "CREATE DATABASE "+quoted)
			require.NoError(t, err)
			t.Cleanup(func() {
				_, err := outer.Exec(context.Background(), "DROP DATABASE "+quoted+" WITH (FORCE)")
				require.NoError(t, err)
			})
			config := outer.Config()
			config.ConnConfig.Database = name
			pool, err := pgxpool.NewWithConfig(t.Context(), config)
			require.NoError(t, err)
			t.Cleanup(pool.Close)
			exec(t, pool, `CREATE TABLE a (id serial PRIMARY KEY, v text); INSERT INTO a (v) VALUES ('x'), ('y')`)
			fixtures.Use(t, pool)
			other, err := pgxpool.New(t.Context(), fixtures.URL(t))
			require.NoError(t, err)
			defer other.Close()
			require.Equal(t, name, nameOf(t, other), "its address")
			dir := snapshot.WithDir(t.TempDir())
			snapshot.Create(t, "a", dir)
			before := state(t, pool)
			exec(t, other, `DELETE FROM a WHERE id = 1; INSERT INTO a (v) VALUES ('z')`)
			require.Equal(t, "public.a +1 -1", snapshot.Changes(t).Summary())
			snapshot.Restore(t, "a", dir)
			require.Equal(t, before, state(t, pool))
			snapshot.Ensure(t, "b", func(testing.TB) { exec(t, pool, `INSERT INTO a (v) VALUES ('built')`) }, dir)
		})
	}
}

// TestMaterialisedViewsThatWereStale are what the rows say after each restore, whether
// anything was written or not, and after each Ensure.
func TestMaterialisedViewsThatWereStale(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	b := setup(t, fixtures.WithSchema(`CREATE TABLE a (id int PRIMARY KEY); CREATE MATERIALIZED VIEW v AS SELECT count(*) FROM a`))
	ctx := t.Context()
	for n := range 3 {
		_, err := b.store.Ensure(ctx, "ensured", func(context.Context) error {
			_, err := b.pool.Exec(ctx, `INSERT INTO a VALUES (1), (2)`)
			return err
		})
		require.NoError(t, err)
		require.Equal(t, "(2)", text(t, b.pool, `SELECT * FROM v`), n)
	}
	exec(t, b.pool, `INSERT INTO a VALUES (3)`)
	_, err := b.store.Create(ctx, "created")
	require.NoError(t, err)
	require.Equal(t, "(2)", text(t, b.pool, `SELECT * FROM v`), "Create changes nothing")
	for range 2 {
		_, err = b.store.Restore(ctx, "created")
		require.NoError(t, err)
		require.Equal(t, "(3)", text(t, b.pool, `SELECT * FROM v`))
	}
}
