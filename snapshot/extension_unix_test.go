//go:build unix

package snapshot_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/internal/snapfile"
	"github.com/groundhogdb/groundhog/snapshot"
)

// confExtension has what extensions have: tables of which some rows are the user's or
// all are, keys between them, sequences that are listed and some that are not, a
// cache that a trigger empties, and one that a trigger fills.
var confExtension = map[string]string{
	"conf.control": "default_version = '1.0'\nsuperuser = false\nrelocatable = false\n",
	"conf--1.0.sql": `
CREATE TABLE setting (name text PRIMARY KEY, value text, own boolean NOT NULL DEFAULT false, twice text GENERATED ALWAYS AS (value || value) STORED);
INSERT INTO setting VALUES ('brought', 'x', true), ('brought too', 'y', true);
SELECT pg_extension_config_dump('setting', $$ /* a ' comment */ wHeRe NOT own -- ( or another$$);
CREATE TABLE zone (id serial PRIMARY KEY, label text, parent int REFERENCES zone);
SELECT pg_extension_config_dump('zone', '');
CREATE SEQUENCE ticket START 100;
SELECT pg_extension_config_dump('ticket', '');
CREATE TABLE "a ""rule"" é" (id int PRIMARY KEY DEFAULT nextval('ticket'), zone int REFERENCES zone ON DELETE CASCADE, setting text REFERENCES setting);
SELECT pg_extension_config_dump('"a ""rule"" é"', '  ');
CREATE TABLE keyless (v text, n int GENERATED ALWAYS AS IDENTITY);
SELECT pg_extension_config_dump('keyless', $$WHERE v <> E'it\'s (' AND v NOT IN (SELECT s.value FROM @extschema@.setting s WHERE s.own ORDER BY 1 LIMIT 1)$$);
CREATE TABLE part (id int, v text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE part_low PARTITION OF part FOR VALUES FROM (0) TO (10);
SELECT pg_extension_config_dump('part', '');

CREATE TABLE cache (name text, value text);
CREATE FUNCTION empty_cache() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM @extschema@.cache; RETURN NULL; END $$;
CREATE TRIGGER empty_cache AFTER INSERT OR UPDATE OR DELETE ON setting FOR EACH STATEMENT EXECUTE FUNCTION empty_cache();
CREATE TABLE labels (all_of_them text);
CREATE TABLE version (n int PRIMARY KEY, what text);
SELECT pg_extension_config_dump('version', '');
CREATE FUNCTION fill_labels() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	DELETE FROM @extschema@.labels;
	INSERT INTO @extschema@.labels SELECT string_agg(z.label, ',' ORDER BY z.id) FROM @extschema@.zone z;
	RETURN NULL;
END $$;
CREATE TRIGGER fill_labels AFTER INSERT OR UPDATE OF label OR DELETE ON zone FOR EACH STATEMENT EXECUTE FUNCTION fill_labels();
CREATE FUNCTION count_version() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	UPDATE @extschema@.version SET n = n + 1;
	DELETE FROM @extschema@.cache;
	RETURN NULL;
END $$;
CREATE TRIGGER count_version AFTER INSERT OR UPDATE OR DELETE ON "a ""rule"" é" FOR EACH STATEMENT EXECUTE FUNCTION count_version();
CREATE TABLE refused (id int PRIMARY KEY);
SELECT pg_extension_config_dump('refused', 'ORDER BY id');
CREATE TABLE listed (code text PRIMARY KEY);
INSERT INTO listed VALUES ('a'), ('b');
`,
}

const confSchema = `CREATE EXTENSION conf;
	CREATE TABLE app (id serial PRIMARY KEY, zone int REFERENCES zone, setting text REFERENCES setting, rule int REFERENCES "a ""rule"" é");
	INSERT INTO zone (label, parent) VALUES ('north', NULL), ('south', 1);
	INSERT INTO setting (name, value) VALUES ('mine', 'm');
	INSERT INTO version VALUES (1, 'first');
	INSERT INTO "a ""rule"" é" (zone, setting) VALUES (1, 'mine'), (2, 'brought');
	INSERT INTO keyless (v) VALUES ('k'), ('k');
	INSERT INTO part VALUES (1, 'one');
	INSERT INTO app (zone, setting, rule) VALUES (1, 'mine', 100), (2, 'brought', 101)`

// confServer starts a server that has the extension.
func confServer(t *testing.T) string {
	t.Helper()
	return extensionServer(t, confExtension)
}

// extensionServer starts a server that has an extension of these files.
func extensionServer(t *testing.T, files map[string]string) string {
	t.Helper()
	b := setup(t)
	superuser(t, b.pool)
	if os.Getenv(fixtures.EnvURL) != "" {
		t.Skip("the server was given: no extension can be put there")
	}
	return fault.Server(t, fixtures.URL(t), fault.Extra{Files: files})
}

func TestRowsOfExtensions(t *testing.T) {
	t.Parallel()
	url := confServer(t)
	on := []fixtures.Option{fixtures.WithURL(url)}
	changes := []string{
		`UPDATE setting SET value = 'changed' WHERE name = 'mine'; INSERT INTO setting (name, value) VALUES ('more', 'm')`,
		`INSERT INTO zone (label, parent) VALUES ('west', 2); UPDATE zone SET label = 'south pole' WHERE id = 2`,
		`INSERT INTO "a ""rule"" é" (zone, setting) VALUES (3, 'more'); DELETE FROM app WHERE rule = 100; DELETE FROM "a ""rule"" é" WHERE id = 100`,
		`DELETE FROM keyless WHERE ctid IN (SELECT ctid FROM keyless LIMIT 1); INSERT INTO keyless (v) VALUES ('l')`,
		`UPDATE part SET v = 'changed'; INSERT INTO part VALUES (2, 'two')`,
		`INSERT INTO app (zone, setting, rule) VALUES (3, 'more', 102)`,
		`DELETE FROM labels; DELETE FROM cache`,
	}
	proveAll(t, []kind{{
		name:     "conf",
		schema:   confSchema + `; DELETE FROM labels; INSERT INTO labels VALUES ('north,south')`,
		changes:  changes,
		changed:  []string{"public.app", `public."a ""rule"" é"`, "public.keyless", "public.part", "public.setting", "public.version", "public.zone"},
		fixtures: on,

		ownersReload: true,
	}})
}

// TestWhatAnExtensionKeepsInMindOfItsRows: its own triggers tell it that the rows were
// brought back, whatever the way, and the user's triggers are not told.
func TestWhatAnExtensionKeepsInMindOfItsRows(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	url := confServer(t)
	const schema = confSchema + `;
		CREATE TABLE heard (what text);
		CREATE FUNCTION hear() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO heard VALUES (TG_OP); RAISE 'no'; END $$;
		CREATE TRIGGER hear AFTER INSERT OR UPDATE OR DELETE ON setting FOR EACH STATEMENT EXECUTE FUNCTION hear();
		ALTER TABLE setting DISABLE TRIGGER hear`
	check := func(t *testing.T, b bundle) {
		for what, prepare := range map[string]string{
			"undone": `SELECT`,
			"partly": `TRUNCATE part`,
			"loaded": `CREATE TABLE passing (id int); DROP TABLE passing`,
		} {
			_, err := b.store.Create(t.Context(), "a", snapshot.Replace())
			require.NoError(t, err)
			exec(t, b.pool, prepare)
			exec(t, b.pool, `UPDATE setting SET value = 'changed' WHERE name = 'mine'; INSERT INTO zone (label) VALUES ('west'); INSERT INTO "a ""rule"" é" (zone) VALUES (1);
				INSERT INTO cache SELECT name, value FROM setting`)
			require.Equal(t, `("north,south,west")`, text(t, b.pool, `SELECT * FROM labels`))
			require.Equal(t, `(4,first)`, text(t, b.pool, `SELECT n + 2, what FROM version`), "the extension counts")
			_, err = b.store.Restore(t.Context(), "a")
			require.NoError(t, err, what)
			require.Empty(t, text(t, b.pool, `SELECT * FROM cache`), "%s: the cache is empty", what)
			require.Equal(t, `("north,south")`, text(t, b.pool, `SELECT * FROM labels`), "%s: the copy is as the rows are", what)
			require.Equal(t, `(1,first)`, text(t, b.pool, `SELECT n, what FROM version`), "%s: what a trigger wrote into the snapshot is undone", what)
			require.Empty(t, text(t, b.pool, `SELECT * FROM heard`), "%s: the user's trigger slept", what)
			exec(t, b.pool, `UPDATE version SET n = 1`)
		}
	}
	t.Run("superuser", func(t *testing.T) {
		t.Parallel()
		b := setup(t, fixtures.WithURL(url), fixtures.WithSchema(schema))
		exec(t, b.pool, `UPDATE version SET n = 1; ALTER TABLE setting DISABLE TRIGGER hear`)
		check(t, b)
	})
	t.Run("owner", func(t *testing.T) {
		t.Parallel()
		b := asOwner(t, schema, fixtures.WithURL(url))
		exec(t, b.pool, `UPDATE version SET n = 1`)
		check(t, b)
	})
}

// TestWhatStaysOutside is told by Info and by one line of Create, and a key to it never
// leads nowhere.
func TestWhatStaysOutside(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	url := confServer(t)
	b := setup(t, fixtures.WithURL(url), fixtures.WithSchema(confSchema, `
		CREATE TABLE schema_migrations (version bigint PRIMARY KEY); INSERT INTO schema_migrations VALUES (7);
		CREATE SCHEMA groundhog; CREATE TABLE groundhog.mine (id int PRIMARY KEY); INSERT INTO groundhog.mine VALUES (1);
		CREATE MATERIALIZED VIEW empty AS SELECT 1 AS n WITH NO DATA;
		CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER far FOREIGN DATA WRAPPER nowhere; CREATE FOREIGN TABLE far_away (id int) SERVER far;
		CREATE TABLE coded (id int PRIMARY KEY, code text REFERENCES listed); INSERT INTO coded VALUES (1, 'a')`))
	ctx := t.Context()
	var log strings.Builder
	store, err := snapshot.NewStore(b.pool, snapshot.WithDir(b.dir), snapshot.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	require.NoError(t, err)
	info, err := store.Create(ctx, "a")
	require.NoError(t, err)
	want := []string{
		"public.cache extension", "public.empty unpopulated", "public.far_away foreign", "public.labels extension", "public.listed extension", "public.refused condition",
		"groundhog.mine groundhog", "public.schema_migrations migration",
	}
	tell := func(info snapshot.Info) (out []string) {
		for _, o := range info.Outside {
			out = append(out, o.Name+" "+string(o.Why))
		}
		return out
	}
	require.ElementsMatch(t, want, tell(info))
	require.Contains(t, info.String(), `outside: table public.listed (extension conf names none of its rows as the user's)`)
	require.Contains(t, info.String(), `outside: materialized view public.empty (it was not populated)`)
	listed, err := store.List(ctx)
	require.NoError(t, err)
	require.ElementsMatch(t, want, tell(listed[0]), "the file says it")
	lines := slices.DeleteFunc(strings.Split(log.String(), "\n"), func(line string) bool { return !strings.Contains(line, "no part of the snapshot") })
	require.Len(t, lines, 1)
	for _, holds := range []string{"public.listed", "public.labels", "public.schema_migrations", "groundhog.mine", "public.far_away"} {
		require.Contains(t, lines[0], holds)
	}
	for _, holds := range []string{"public.empty", "public.refused", "public.cache"} {
		require.NotContains(t, lines[0], holds)
	}
}

// TestAKeyToWhatIsOutside never leads nowhere, whatever the way back.
func TestAKeyToWhatIsOutside(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	url := confServer(t)
	for way, prepare := range map[string]string{"undone": `SELECT`, "loaded": `CREATE TABLE passing (id int); DROP TABLE passing`} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			b := setup(t, fixtures.WithURL(url), fixtures.WithSchema(confSchema, `
				CREATE TABLE coded (id int PRIMARY KEY, code text REFERENCES listed); INSERT INTO coded VALUES (1, 'a'), (2, 'b');
				CREATE TABLE schema_migrations (version bigint PRIMARY KEY, coded int REFERENCES coded ON DELETE CASCADE); INSERT INTO schema_migrations VALUES (7, 1)`))
			ctx := t.Context()
			_, err := b.store.Create(ctx, "a")
			require.NoError(t, err)
			occupied(t, b.pool)
			fails := func(change, table string) {
				t.Helper()
				exec(t, b.pool, prepare)
				exec(t, b.pool, change)
				before := state(t, b.pool)
				_, err := b.store.Restore(ctx, "a")
				require.ErrorContains(t, err, table)
				require.ErrorContains(t, err, "no part of a snapshot")
				require.Equal(t, before, state(t, b.pool), "nothing was changed")
			}
			works := func(change string) {
				t.Helper()
				exec(t, b.pool, change)
				_, err := b.store.Restore(ctx, "a")
				require.NoError(t, err)
				require.Equal(t, `(1,a) (2,b)`, text(t, b.pool, `SELECT * FROM coded`))
			}
			fails(`DELETE FROM coded WHERE code = 'b'; DELETE FROM listed WHERE code = 'b'`, "public.listed")
			works(`INSERT INTO listed VALUES ('b')`)
			fails(`INSERT INTO coded VALUES (3, 'a'); INSERT INTO schema_migrations VALUES (8, 3)`, "public.schema_migrations")
			works(`DELETE FROM schema_migrations WHERE version = 8`)
			// A row that the extension brought is no part of the snapshot either.
			exec(t, b.pool, `SELECT`)
			works(prepare + `; DELETE FROM app`)
			if way == "loaded" {
				fails(`DELETE FROM app; DELETE FROM "a ""rule"" é"; DELETE FROM setting WHERE name = 'brought'`, "public.setting")
			} else {
				works(`DELETE FROM app; DELETE FROM "a ""rule"" é"; DELETE FROM setting WHERE name = 'brought'`)
			}
		})
	}
}

// TestATableOfAnExtensionThatTheRoleDoesNotOwn is outside for that role alone.
func TestATableOfAnExtensionThatTheRoleDoesNotOwn(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	url := confServer(t)
	admin := setup(t, fixtures.WithURL(url), fixtures.WithSchema(`CREATE EXTENSION conf; INSERT INTO zone (label) VALUES ('north');
		ALTER TABLE version ENABLE ROW LEVEL SECURITY`))
	ctx := t.Context()
	role := "other_" + admin.pool.Config().ConnConfig.Database[len("groundhog_test_"):]
	exec(t, admin.pool, fmt.Sprintf(`CREATE ROLE %s LOGIN; GRANT CREATE ON SCHEMA public TO %[1]s; GRANT SELECT, REFERENCES ON zone TO %[1]s`, role))
	t.Cleanup(func() {
		_, err := admin.pool.Exec(context.Background(), `DROP OWNED BY `+role+` CASCADE`)
		require.NoError(t, err)
		_, err = admin.pool.Exec(context.Background(), `DROP ROLE `+role)
		require.NoError(t, err)
	})
	config := admin.pool.Config()
	config.ConnConfig.User = role
	pool, err := pgxpool.NewWithConfig(ctx, config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	plain, err := snapshot.NewStore(pool, snapshot.WithDir(admin.dir))
	require.NoError(t, err)
	exec(t, pool, `CREATE TABLE app (id serial PRIMARY KEY, zone int REFERENCES zone); INSERT INTO app (zone) VALUES (1)`)
	changed := func() {
		t.Helper()
		exec(t, admin.pool, `UPDATE zone SET label = 'changed'; INSERT INTO zone (label) VALUES ('new')`)
		exec(t, pool, `INSERT INTO app (zone) VALUES (1)`)
	}
	all, own := `(1,north,)`, `(1,1)`
	zones, apps := `SELECT * FROM zone`, `SELECT * FROM app`

	byPlain, err := plain.Create(ctx, "plain")
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(byPlain.Outside, func(o snapshot.Outside) bool { return o.Name == "public.zone" && o.Why == snapshot.OutsideRights }))
	_, err = admin.store.Create(ctx, "all")
	require.NoError(t, err)
	for range 2 {
		changed()
		_, err = admin.store.Restore(ctx, "all")
		require.NoError(t, err)
		require.Equal(t, all, text(t, admin.pool, zones))
		require.Equal(t, own, text(t, admin.pool, apps))
	}

	changed()
	_, err = plain.Restore(ctx, "plain")
	require.NoError(t, err)
	require.Equal(t, own, text(t, admin.pool, apps))
	require.Contains(t, text(t, admin.pool, zones), "changed", "the role may not change it")
	_, err = plain.Restore(ctx, "all")
	require.NoError(t, err, "a superuser's file")
	require.Contains(t, text(t, admin.pool, zones), "changed")
	_, err = admin.store.Restore(ctx, "plain")
	require.NoError(t, err, "a file of the plain role")
	require.Contains(t, text(t, admin.pool, zones), "changed", "it has no rows of the table")
	for range 2 {
		_, err = admin.store.Restore(ctx, "all")
		require.NoError(t, err)
		require.Equal(t, all, text(t, admin.pool, zones))
		changed()
	}
	// What the plain role's journal does not watch is not taken for watched.
	exec(t, admin.pool, fmt.Sprintf(`GRANT SET ON PARAMETER session_replication_role TO %s; GRANT CREATE ON DATABASE %s TO %[1]s`, role, config.ConnConfig.Database))
	t.Cleanup(func() {
		_, err := admin.pool.Exec(context.Background(), fmt.Sprintf(`REVOKE SET ON PARAMETER session_replication_role FROM %s`, role))
		require.NoError(t, err)
	})
	_, err = admin.store.Restore(ctx, "all")
	require.NoError(t, err)
	require.NoError(t, admin.store.Untrack(ctx))
	again, err := snapshot.NewStore(pool, snapshot.WithDir(admin.dir))
	require.NoError(t, err)
	_, err = again.Restore(ctx, "plain")
	require.NoError(t, err)
	_, err = admin.store.Create(ctx, "all", snapshot.Replace())
	require.NoError(t, err)
	changed()
	_, err = admin.store.Restore(ctx, "all")
	require.NoError(t, err)
	require.Equal(t, all, text(t, admin.pool, zones))
}

// TestScopesAndExtensions: a scope names their tables as any others.
func TestScopesAndExtensions(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	b := setup(t, fixtures.WithURL(confServer(t)), fixtures.WithSchema(confSchema))
	ctx := t.Context()
	tables := func(opts ...snapshot.CreateOption) string {
		t.Helper()
		info, err := b.store.Create(ctx, "a", append(opts, snapshot.Replace())...)
		require.NoError(t, err)
		var out []string
		for _, table := range info.Tables {
			out = append(out, fmt.Sprintf("%s %d", table.Name, table.Rows))
		}
		slices.Sort(out)
		return strings.Join(out, ", ")
	}
	require.Equal(t, `public."a ""rule"" é" 2, public.app 2, public.keyless 2, public.part 1, public.setting 1, public.version 1, public.zone 2`, tables())
	require.Equal(t, `public.app 2`, tables(snapshot.Tables("app")))
	require.Equal(t, `public.setting 3, public.zone 2`, tables(snapshot.Tables("setting", "zone"), snapshot.RowsOf("setting", "true")))
	require.Equal(t, `public.setting 0`, tables(snapshot.Rows("own")))
	require.Equal(t, `public.app 2`, tables(snapshot.Tables("app")))
	exec(t, b.pool, `UPDATE app SET zone = 1; DELETE FROM zone WHERE parent = 1 AND id NOT IN (SELECT zone FROM "a ""rule"" é")`)
	_, err := b.store.Restore(ctx, "a")
	require.NoError(t, err)
	require.NoError(t, b.store.Clean(ctx))
	require.Equal(t, `("brought too") (brought)`, text(t, b.pool, `SELECT name FROM setting`), "what the extension brought stays")
	require.Empty(t, text(t, b.pool, `SELECT * FROM zone`))
}

// TestAFileFromBefore the format had rows of extensions' tables says so, and changes none
// of them where it is loaded anyway.
func TestAFileFromBefore(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	url := confServer(t)
	const app = `CREATE TABLE plain (id int PRIMARY KEY); INSERT INTO plain VALUES (1)`
	before := setup(t, fixtures.WithURL(url), fixtures.WithSchema(app))
	b := setup(t, fixtures.WithURL(url), fixtures.WithSchema(app, confSchema, `DROP TABLE app`))
	ctx := t.Context()
	info, err := before.store.Create(ctx, "a")
	require.NoError(t, err)
	file, err := os.ReadFile(info.Path)
	require.NoError(t, err)
	file[8] = snapfile.Extensions - 1
	binary.LittleEndian.PutUint32(file[12:], crc32.Checksum(file[:12], crc32.MakeTable(crc32.Castagnoli)))
	require.NoError(t, os.MkdirAll(b.dir, 0o755))
	require.NoError(t, os.WriteFile(b.dir+"/a.groundhog", resigned(t, file, manifestOf(t, file)), 0o600))
	exec(t, b.pool, `INSERT INTO plain VALUES (2)`)
	want := state(t, b.pool)
	_, err = b.store.Restore(ctx, "a")
	require.ErrorIs(t, err, snapshot.ErrSchemaMismatch)
	require.ErrorContains(t, err, "before version 3")
	restored, err := b.store.Restore(ctx, "a", snapshot.OnSchemaMismatch(snapshot.Warn))
	require.NoError(t, err)
	require.NotEmpty(t, restored.Differences)
	require.Equal(t, `(1)`, text(t, b.pool, `SELECT * FROM plain`))
	got := state(t, b.pool)
	delete(want, "plain")
	delete(got, "plain")
	require.Equal(t, want, got)
}

// TestATableThatATestTakesFromItsExtension is another schema: which of its rows are the
// user's is not known any more.
func TestATableThatATestTakesFromItsExtension(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	b := setupCopied(t, fixtures.WithURL(confServer(t)), fixtures.WithSchema(confSchema))
	_, err := b.store.Create(t.Context(), "a")
	require.NoError(t, err)
	before := picture(t, b.pool)
	take := `ALTER EXTENSION conf DROP TABLE setting; INSERT INTO setting (name, value) VALUES ('more', 'm')`
	exec(t, b.pool, take)
	restored, err := b.store.Restore(t.Context(), "a")
	require.NoError(t, err)
	require.Contains(t, waysIn(restored), snapshot.Exchanged)
	require.Equal(t, before, picture(t, b.pool))

	exec(t, b.pool, take)
	occupied(t, b.pool)
	changed := picture(t, b.pool)
	_, err = b.store.Restore(t.Context(), "a")
	require.ErrorIs(t, err, snapshot.ErrSchemaMismatch)
	require.ErrorContains(t, err, "of extension conf")
	require.Equal(t, changed, picture(t, b.pool))
}

// TestConditionsThatNeedASearchPath: what is loaded after a condition failed over a name
// is the baseline anyway.
func TestConditionsThatNeedASearchPath(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	url := extensionServer(t, map[string]string{
		"named.control": "default_version = '1.0'\nrelocatable = false\n",
		"named--1.0.sql": `CREATE FUNCTION helper(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 LIKE ''m%''';
			CREATE FUNCTION mine(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT helper($1)';
			CREATE TABLE conf (id int PRIMARY KEY, v text);
			SELECT pg_extension_config_dump('conf', 'WHERE @extschema@.mine(v)');`,
	})
	prove(t, kind{
		changes: []string{`INSERT INTO conf VALUES (2, 'm two'); UPDATE conf SET v = 'm changed' WHERE id = 1; DELETE FROM app WHERE id < 3; UPDATE app SET v = 'changed' WHERE id = 4; INSERT INTO app VALUES (9, 'new'); DELETE FROM keyless`},
		changed: []string{"public.app", "public.conf", "public.keyless"},
	}, setup(t, fixtures.WithURL(url), fixtures.WithSchema(`CREATE EXTENSION named; INSERT INTO conf VALUES (1, 'm one');
		CREATE TABLE app (id int PRIMARY KEY, v text); INSERT INTO app SELECT g, 'v' FROM generate_series(1, 5) g; CREATE TABLE keyless (v text); INSERT INTO keyless VALUES ('k')`)))
}
