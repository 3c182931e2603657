package snapshot_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/snapshot"
)

// origins lists the files in which origins are kept.
func origins(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, ".origin-*.groundhog"))
	require.NoError(t, err)
	return paths
}

// TestAnOriginIsThatOfItsDatabase: another one in the same folder has its own.
func TestAnOriginIsThatOfItsDatabase(t *testing.T) {
	t.Parallel()
	first := &builder{bundle: setupSmall(t)}
	several(t, first.pool)
	first.ensure(t, "a")
	second := &builder{bundle: setupSmall(t)}
	exec(t, second.pool, `INSERT INTO author (name) VALUES ('of the second')`)
	store, err := snapshot.NewStore(second.pool, snapshot.WithDir(first.dir))
	require.NoError(t, err)
	second.store = store
	second.ensure(t, "b")
	require.Equal(t, []string{"made by the schema", "of the second"}, second.found)
	paths := origins(t, first.dir)
	require.Len(t, paths, 2)

	// One that was copied over another is not loaded.
	content, err := os.ReadFile(paths[0])
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(paths[1], content, 0o600))
	runs := first.runs.Load() + second.runs.Load()
	for i, b := range []*builder{first, second} {
		_, err := b.store.Ensure(t.Context(), "c", b.build, snapshot.Version(fmt.Sprint(i)))
		if err != nil {
			require.ErrorIs(t, err, snapshot.ErrCorrupt)
			require.ErrorContains(t, err, paths[1])
		} else {
			runs++
		}
	}
	require.Equal(t, runs, first.runs.Load()+second.runs.Load(), "one of them was refused")
}

// TestALostOriginIsNotMadeOfWhatABuilderLeft: by then nobody knows what was in the
// database before.
func TestALostOriginIsNotMadeOfWhatABuilderLeft(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	for name, c := range map[string]struct {
		lose func(t *testing.T, dir, path string)
		want error
	}{
		"gone":        {func(t *testing.T, _, path string) { require.NoError(t, os.Remove(path)) }, snapshot.ErrNotFound},
		"all gone":    {func(t *testing.T, dir, _ string) { require.NoError(t, os.RemoveAll(dir)) }, snapshot.ErrNotFound},
		"damaged":     {func(t *testing.T, _, path string) { require.NoError(t, os.Truncate(path, 100)) }, snapshot.ErrCorrupt},
		"no snapshot": {func(t *testing.T, _, path string) { require.NoError(t, os.WriteFile(path, []byte("x"), 0o600)) }, snapshot.ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &builder{bundle: setupSmall(t)}
			b.ensure(t, "a")
			before := state(t, b.pool)
			path := origins(t, b.dir)[0]
			c.lose(t, b.dir, path)
			_, err := b.store.Ensure(t.Context(), "b", b.build)
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, path)
			require.ErrorContains(t, err, "DROP VIEW IF EXISTS groundhog.origin")
			require.EqualValues(t, 1, b.runs.Load())
			require.Equal(t, before, state(t, b.pool))

			// What the text says mends it.
			exec(t, b.pool, `DELETE FROM author WHERE name = 'built'; DROP VIEW IF EXISTS groundhog.origin`)
			require.NoError(t, os.RemoveAll(path))
			b.ensure(t, "b")
			require.Equal(t, []string{"made by the schema"}, b.found)
		})
	}
}

// TestAnOriginAfterAChangeOfTheSchema: what still has a place is where a builder
// starts, and what the change brought stays.
func TestAnOriginAfterAChangeOfTheSchema(t *testing.T) {
	t.Parallel()
	b := &builder{bundle: setupSmall(t)}
	exec(t, b.pool, `INSERT INTO book (author, title) VALUES (1, 'at first')`)
	b.ensure(t, "a")
	exec(t, b.pool, `INSERT INTO author (name) VALUES ('of a test');
		ALTER TABLE book ADD pages int DEFAULT 7; ALTER TABLE book DROP title;
		CREATE TABLE "sh*lf" (id int PRIMARY KEY, author int REFERENCES author); INSERT INTO "sh*lf" VALUES (1, 1)`)
	for _, name := range []string{"a", "b"} {
		b.ensure(t, name)
		require.Equal(t, []string{"made by the schema"}, b.found)
		require.Equal(t, "(1,1,7)", text(t, b.pool, `SELECT id, author, pages FROM book`))
		require.Equal(t, "(1,1)", text(t, b.pool, `SELECT * FROM "sh*lf"`))
	}
	exec(t, b.pool, `ALTER TABLE author ADD born date; UPDATE author SET born = now(); ALTER TABLE author ALTER born SET NOT NULL`)
	before := state(t, b.pool)
	_, err := b.store.Ensure(t.Context(), "a", b.build)
	require.ErrorIs(t, err, snapshot.ErrSchemaMismatch)
	require.ErrorContains(t, err, "public.author")
	require.ErrorContains(t, err, origins(t, b.dir)[0])
	require.Equal(t, before, state(t, b.pool))
}

// TestAnOriginThatWaitsForALock: the schema has changed, but that is not what is in
// the way.
func TestAnOriginThatWaitsForALock(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	b := &builder{bundle: setupSmall(t)}
	b.ensure(t, "a")
	exec(t, b.pool, `ALTER TABLE book ADD pages int DEFAULT 7`)
	other, err := b.pool.Begin(t.Context())
	require.NoError(t, err)
	defer other.Rollback(t.Context())
	_, err = other.Exec(t.Context(), `LOCK TABLE author IN ROW EXCLUSIVE MODE`)
	require.NoError(t, err)
	_, err = b.store.Ensure(t.Context(), "a", b.build)
	require.ErrorIs(t, err, snapshot.ErrLocked)
	require.NotErrorIs(t, err, snapshot.ErrSchemaMismatch)
	require.ErrorContains(t, err, origins(t, b.dir)[0])
}

// TestAnOriginOfADatabaseInTheSamePlace is not that of one that was not used yet:
// servers that are copies of each other tell the same of themselves.
func TestAnOriginOfADatabaseInTheSamePlace(t *testing.T) {
	t.Parallel()
	b := &builder{bundle: setupSmall(t)}
	b.ensure(t, "a")
	exec(t, b.pool, `DROP SCHEMA groundhog CASCADE; TRUNCATE author CASCADE; INSERT INTO author (name) VALUES ('of the copy')`)
	b.ensure(t, "b")
	require.Equal(t, []string{"of the copy"}, b.found)
}

// TestAnOriginInAnotherFolder is that of a package which was given the same
// database before.
func TestAnOriginInAnotherFolder(t *testing.T) {
	t.Parallel()
	b := &builder{bundle: setupSmall(t)}
	b.ensure(t, "a")
	first := b.dir
	b.dir = filepath.Join(t.TempDir(), "other")
	store, err := snapshot.NewStore(b.pool, snapshot.WithDir(b.dir))
	require.NoError(t, err)
	b.store = store
	b.ensure(t, "b")
	require.Equal(t, []string{"made by the schema"}, b.found)
	require.Empty(t, origins(t, b.dir))
	require.NoError(t, os.RemoveAll(first))
	_, err = b.store.Ensure(t.Context(), "c", b.build)
	require.ErrorIs(t, err, snapshot.ErrNotFound)
	require.ErrorContains(t, err, first)
}

// TestOriginsDoNotPileUp: those of databases that are gone go too.
func TestOriginsDoNotPileUp(t *testing.T) {
	t.Parallel()
	b := &builder{bundle: setupSmall(t)}
	b.ensure(t, "a")
	kept := origins(t, b.dir)
	require.Len(t, kept, 1)
	var system string
	require.NoError(t, b.pool.QueryRow(t.Context(), `SELECT system_identifier::text FROM pg_control_system()`).Scan(&system))
	write := func(name string, age time.Duration) string {
		path := filepath.Join(b.dir, name)
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		at := time.Now().Add(-age)
		require.NoError(t, os.Chtimes(path, at, at))
		return path
	}
	write(".origin-"+system+"-4294967295.groundhog", time.Hour)
	write(".origin-"+system+"-4294967295-abcdef01.groundhog", time.Hour)
	kept = append(kept, write(".origin-"+system+"-4294967294.groundhog", 0)) // may be of a database that was just made
	theirs := write(".origin-of-my-own.groundhog", time.Hour)
	for i := range 20 {
		path := write(fmt.Sprintf(".origin-1234-%d.groundhog", i), time.Duration(i)*time.Minute)
		if i < 16 {
			kept = append(kept, path)
		}
	}
	b.ensure(t, "scope", snapshot.Exclude("book")) // has an origin of its own
	scoped, err := filepath.Glob(strings.TrimSuffix(kept[0], ".groundhog") + "-*.groundhog")
	require.NoError(t, err)
	require.Len(t, scoped, 1)
	require.ElementsMatch(t, append(kept, theirs, scoped[0]), origins(t, b.dir))
}

// TestATemporaryFolderOfATest takes what is in it with it, but not the origin of
// a database that belongs to an enclosing test.
func TestATemporaryFolderOfATest(t *testing.T) {
	pool := fixtures.Open(t, fixtures.WithSchema(smallSchema))
	dir, err := os.MkdirTemp("", "groundhog-test-*")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	var found string
	build := func(t testing.TB) {
		found = text(t, pool, `SELECT name FROM author`)
		exec(t, pool, `INSERT INTO author (name) VALUES ('built')`)
	}
	t.Run("sets TMPDIR", func(t *testing.T) {
		t.Setenv("TMPDIR", t.TempDir())
		snapshot.Ensure(t, "a", build, snapshot.WithDir(dir))
	})
	snapshot.Ensure(t, "b", build, snapshot.WithDir(dir))
	require.Equal(t, `("made by the schema")`, found)
}

// TestTheOriginOfARoleThatMayDoLittle is kept all the same: one that may neither
// make tables nor ask which server this is.
func TestTheOriginOfARoleThatMayDoLittle(t *testing.T) {
	t.Parallel()
	b := &builder{bundle: asOwner(t, smallSchema)}
	superuser(t, fixtures.DB(t))
	exec(t, fixtures.DB(t), fmt.Sprintf(`REVOKE EXECUTE ON FUNCTION pg_control_system FROM PUBLIC; REVOKE CREATE ON DATABASE %s FROM %s`, b.pool.Config().ConnConfig.Database, b.pool.Config().ConnConfig.User))
	b.ensure(t, "a")
	b.ensure(t, "b")
	require.Equal(t, []string{"made by the schema"}, b.found)
	require.Equal(t, "()", text(t, b.pool, `SELECT to_regclass('groundhog.origin')`))
	require.Contains(t, origins(t, b.dir)[0], ".origin-0-")
}
