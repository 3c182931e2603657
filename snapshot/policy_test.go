package snapshot_test

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/internal/snapfile"
	"github.com/groundhogdb/groundhog/snapshot"
)

// TestAnotherSchemaAndWhatToDo changes the schema in every way that matters to
// rows, and asks for each policy.
func TestAnotherSchemaAndWhatToDo(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	const schema = `
		CREATE TYPE mood AS ENUM ('sad', 'glad');
		CREATE TABLE parent (id int PRIMARY KEY);
		CREATE TABLE thing (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n int, v varchar(9), m mood, double int GENERATED ALWAYS AS (n * 2) STORED, x point);
		CREATE TABLE other (id int, v text, extra bytea);
		INSERT INTO parent VALUES (1);
		INSERT INTO thing (n, v, m, x) VALUES (1, E'a\tb', 'sad', '(1,2)'), (2, NULL, 'glad', NULL);
		INSERT INTO other VALUES (1, E'tab\t nl\n \\ back', '\x00ff'), (2, NULL, NULL);`
	for _, c := range []struct{ name, change, warn, skip, table, want string }{
		{"added", `ALTER TABLE thing ADD region text; CREATE TABLE third (id int); INSERT INTO third VALUES (1)`, "", "", `SELECT id, v, region FROM thing`, "(1,\"a\tb\",) (2,,)"},
		{"added with default", `ALTER TABLE other ADD region text NOT NULL DEFAULT 'east'`, "", "", `SELECT id, region FROM other`, "(1,east) (2,east)"},
		{"no value", `ALTER TABLE other ADD region text NOT NULL DEFAULT 'x'; ALTER TABLE other ALTER region DROP DEFAULT`, "no value for columns", "no value for columns", "", ""},
		{"column gone", `ALTER TABLE other DROP extra`, "SkipMissing", "", `SELECT * FROM other`, "(1,\"tab\t nl\n \\\\ back\") (2,)"},
		{"column gone from text", `ALTER TABLE thing DROP x`, "SkipMissing", "", `SELECT * FROM thing`, "(1,1,\"a\tb\",sad,2) (2,2,,glad,4)"},
		{"column and its type gone", `ALTER TABLE thing DROP m; DROP TYPE mood`, "SkipMissing", "", `SELECT id FROM thing`, "(1) (2)"},
		{"table gone", `DROP TABLE other`, "SkipMissing", "", `SELECT id FROM thing`, "(1) (2)"},
		{"now generated", `ALTER TABLE other DROP v; ALTER TABLE other ADD v text GENERATED ALWAYS AS ('x' || id::text) STORED`, "SkipMissing", "", `SELECT id, v FROM other`, "(1,x1) (2,x2)"},
		{"other type", `ALTER TABLE other ALTER id TYPE numeric(5,1); ALTER TABLE parent ALTER id TYPE bigint; ALTER TABLE thing ALTER v TYPE text, ALTER m TYPE text`, "", "", `SELECT * FROM other, thing WHERE thing.id = 1 AND other.id = 2`, "(2.0,,,1,1,\"a\tb\",sad,2,\"(1,2)\")"},
		{"no longer generated", `ALTER TABLE thing ALTER double DROP EXPRESSION`, "", "", `SELECT id, double FROM thing`, "(1,) (2,)"},
		{"type that does not fit", `ALTER TABLE other DROP v; ALTER TABLE other ADD v int`, "invalid input syntax", "invalid input syntax", "", ""},
		{"label gone", `ALTER TABLE thing DROP m; DROP TYPE mood; CREATE TYPE mood AS ENUM ('glad', 'mad'); ALTER TABLE thing ADD m mood`, "invalid input value for enum", "invalid input value for enum", "", ""},
		{"foreign key added", `TRUNCATE thing; ALTER TABLE thing ADD FOREIGN KEY (n) REFERENCES parent`, "public.thing: 1 rows would reference", "public.thing: 1 rows would reference", "", ""},
		{"order", `ALTER TABLE other DROP v; ALTER TABLE other ADD v text; CREATE INDEX ON other (v)`, "same", "", `SELECT id, v IS NULL FROM other`, "(1,f) (2,t)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			b := setup(t, fixtures.WithSchema(schema))
			if c.name == "foreign key added" {
				superuser(t, b.pool) // others hear of it from the server, not from us
			}
			_, err := b.store.Create(ctx, "a")
			require.NoError(t, err)
			exec(t, b.pool, c.change)
			changed := state(t, b.pool)
			_, err = b.store.Restore(ctx, "a")
			if c.warn == "same" {
				require.NoError(t, err)
				require.Equal(t, c.want, text(t, b.pool, c.table))
				return
			}
			require.ErrorIs(t, err, snapshot.ErrSchemaMismatch)
			require.Equal(t, changed, state(t, b.pool))

			var log bytes.Buffer
			opts := []snapshot.RestoreOption{snapshot.OnSchemaMismatch(snapshot.Warn), snapshot.WithLogger(slog.New(slog.NewTextHandler(&log, nil)))}
			restored, err := b.store.Restore(ctx, "a", opts...)
			if c.warn != "" {
				require.ErrorContains(t, err, c.warn)
				require.Equal(t, changed, state(t, b.pool))
				restored, err = b.store.Restore(ctx, "a", append(opts, snapshot.SkipMissing())...)
			}
			if c.skip != "" {
				require.ErrorContains(t, err, c.skip)
				require.Equal(t, changed, state(t, b.pool))
				return
			}
			require.NoError(t, err)
			require.NotEmpty(t, restored.Differences)
			require.Contains(t, log.String(), "another schema")
			require.Equal(t, c.want, text(t, b.pool, c.table))
		})
	}
	t.Run("no such policy", func(t *testing.T) {
		t.Parallel()
		b := setup(t, fixtures.WithSchema(schema))
		_, err := b.store.Restore(t.Context(), "a", snapshot.OnSchemaMismatch("rebuild"))
		require.ErrorIs(t, err, snapshot.ErrInvalidArgument)
	})
}

// TestFilesOfEarlierVersionsAreRestored: the files were created from the odd
// schema by the releases of their time, on PostgreSQL 15 and on 18, and never
// change. On another server this is the proof that files travel.
func TestFilesOfEarlierVersionsAreRestored(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	files, err := filepath.Glob("testdata/frozen/*.groundhog")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), snapfile.Version)
	for _, file := range files {
		b := setup(t, fixtures.WithSchema(oddSchema))
		several(t, b.pool)
		exec(t, b.pool, oddTriggers)
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(b.dir, 0o755))
		frozen := filepath.Join(b.dir, "odd.groundhog")
		require.NoError(t, os.WriteFile(frozen, content, 0o600))
		restored, err := b.store.Restore(t.Context(), "odd")
		require.NoError(t, err, file)
		require.Equal(t, "odd", restored.Name)
		require.Equal(t, "20261124", restored.SchemaVersion)
		again, err := b.store.Create(t.Context(), "again")
		require.NoError(t, err)
		sameRows(t, b, frozen, again.Path)
	}
}

// TestAFileTravelsBetweenDatabases whose types have other numbers.
func TestAFileTravelsBetweenDatabases(t *testing.T) {
	t.Parallel()
	a := setupOdd(t)
	several(t, a.pool)
	b := setup(t, fixtures.WithSchema("CREATE TYPE earlier AS ENUM ('a'); DROP TYPE earlier;"+oddSchema))
	exec(t, b.pool, oddTriggers)
	const number = `SELECT 'mood[]'::regtype::oid`
	require.NotEqual(t, text(t, a.pool, number), text(t, b.pool, number))
	_, err := a.store.Create(t.Context(), "a")
	require.NoError(t, err)
	store, err := snapshot.NewStore(b.pool, snapshot.WithDir(a.dir))
	require.NoError(t, err)
	_, err = store.Restore(t.Context(), "a")
	require.NoError(t, err)
	want := state(t, a.pool)
	got := state(t, b.pool)
	delete(want, "schema_migrations") // left alone
	delete(got, "schema_migrations")
	require.Equal(t, want, got)
}

// sameRows requires that two files hold the same rows, be it in different
// formats: it loads the first and the second and compares the databases.
func sameRows(t *testing.T, b bundle, first, second string) {
	t.Helper()
	parts := map[string]string{}
	for i, path := range []string{first, second} {
		r, err := snapfile.Open(path)
		require.NoError(t, err)
		for n, table := range r.Manifest.Tables {
			data, err := io.ReadAll(r.Table(n))
			require.NoError(t, err)
			key := table.Name.String() + " " + table.Format
			if i == 0 {
				parts[key] = string(data)
			} else if want, ok := parts[key]; ok { // of the same format
				require.Equal(t, want, string(data), "%s in %s", key, path)
			}
		}
		require.NoError(t, r.Close())
	}
	name := strings.TrimSuffix(filepath.Base(first), ".groundhog")
	_, err := b.store.Restore(t.Context(), name)
	require.NoError(t, err)
	want := state(t, b.pool)
	require.NoError(t, b.store.Clean(t.Context()))
	_, err = b.store.Restore(t.Context(), strings.TrimSuffix(filepath.Base(second), ".groundhog"))
	require.NoError(t, err)
	require.Equal(t, want, state(t, b.pool))
}

// TestNoRowOfADamagedFileIsCommitted damages every byte of a small snapshot.
func TestNoRowOfADamagedFileIsCommitted(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	b := setupSmall(t)
	info, err := b.store.Create(t.Context(), "a")
	require.NoError(t, err)
	content, err := os.ReadFile(info.Path)
	require.NoError(t, err)
	exec(t, b.pool, `INSERT INTO author (name) VALUES ('kept')`)
	before := state(t, b.pool)
	for i := range content {
		bad := bytes.Clone(content)
		bad[i] ^= 1 << (i % 8)
		require.NoError(t, os.WriteFile(info.Path, bad, 0o600))
		_, err := b.store.Restore(t.Context(), "a")
		require.ErrorIs(t, err, snapshot.ErrCorrupt, "byte %d", i)
		require.ErrorContains(t, err, info.Path)
		require.ErrorContains(t, err, "offset")
		require.ErrorContains(t, err, "snapshot.Ensure")
	}
	require.Equal(t, before, state(t, b.pool))
}

// TestMigrationToolsAreKnown makes each tool's table as the tool does.
func TestMigrationToolsAreKnown(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	for table, sql := range map[string]string{
		"public.schema_migrations":      `CREATE TABLE schema_migrations (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL); INSERT INTO schema_migrations VALUES (7, false)`,
		"public.goose_db_version":       `CREATE TABLE goose_db_version (id int PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, version_id bigint NOT NULL, is_applied boolean NOT NULL, tstamp timestamp NOT NULL DEFAULT now()); INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, true), (7, true)`,
		"public.alembic_version":        `CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY); INSERT INTO alembic_version VALUES ('7')`,
		"public.atlas_schema_revisions": `CREATE TABLE atlas_schema_revisions (version varchar PRIMARY KEY, description varchar NOT NULL, executed_at timestamptz NOT NULL); INSERT INTO atlas_schema_revisions VALUES ('7', '', now())`,
		"public.flyway_schema_history":  `CREATE TABLE flyway_schema_history (installed_rank int PRIMARY KEY, version varchar(50), script varchar(1000)); INSERT INTO flyway_schema_history VALUES (1, '6', ''), (2, '7', ''), (3, NULL, 'repeatable')`,
		"public.schema_version":         `CREATE TABLE schema_version (version int4 NOT NULL); INSERT INTO schema_version VALUES (7)`,
		"public.bun_migrations":         `CREATE TABLE bun_migrations (id bigserial PRIMARY KEY, name varchar, group_id bigint, migrated_at timestamptz NOT NULL DEFAULT now()); CREATE TABLE bun_migration_locks (id bigserial PRIMARY KEY, table_name varchar UNIQUE); INSERT INTO bun_migrations (name) VALUES ('7')`,
		"sqitch.changes":                `CREATE SCHEMA sqitch; CREATE TABLE sqitch.projects (project text PRIMARY KEY); CREATE TABLE sqitch.changes (change_id text PRIMARY KEY, project text REFERENCES sqitch.projects, committed_at timestamptz DEFAULT now()); INSERT INTO sqitch.projects VALUES ('p'); INSERT INTO sqitch.changes VALUES ('7', 'p')`,
	} {
		t.Run(table, func(t *testing.T) {
			t.Parallel()
			b := setup(t, fixtures.WithSchema(smallSchema+sql))
			info, err := b.store.Create(t.Context(), "a")
			require.NoError(t, err)
			require.Equal(t, "7", info.SchemaVersion)
			require.Len(t, info.Tables, 2)
			before := text(t, b.pool, "SELECT * FROM "+table)
			require.NoError(t, b.store.Clean(t.Context()))
			_, err = b.store.Restore(t.Context(), "a")
			require.NoError(t, err)
			require.Equal(t, before, text(t, b.pool, "SELECT * FROM "+table))
		})
	}
}

func TestInfoIsATableForPeople(t *testing.T) {
	b := setup(t, fixtures.WithSchema(mixedSchema))
	info, err := b.store.Create(t.Context(), "odd", snapshot.Description("some rows"), snapshot.Rows("test"))
	require.NoError(t, err)
	for _, part := range []string{"snapshot odd: 8 rows in 5 tables", "some rows", info.Path, "PostgreSQL", `Rows("test")`, "3 rows", "public.staff"} {
		require.Contains(t, info.String(), part)
	}
	t.Logf("\n%s", info)
	t.Setenv("GROUNDHOG_LANG", "ja")
	require.Contains(t, info.String(), "5 テーブル")
}
