package snapshot_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
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

// bundle is a database with a store of its own.
type bundle struct {
	pool  *pgxpool.Pool
	store *snapshot.Store
	dir   string
}

// setup opens a database that is not replaced by copies, so that tests meet the other
// methods; see setupCopied.
func setup(t testing.TB, opts ...fixtures.Option) bundle {
	t.Helper()
	b := setupCopied(t, opts...)
	b.store.WithoutCopies()
	return b
}

// setupCopied opens a database that may be replaced by copies.
func setupCopied(t testing.TB, opts ...fixtures.Option) bundle {
	t.Helper()
	pool := fixtures.Open(t, opts...)
	dir := filepath.Join(t.TempDir(), "snapshots")
	store, err := snapshot.NewStore(pool, snapshot.WithDir(dir))
	require.NoError(t, err)
	store.SetWaits(time.Millisecond)
	return bundle{pool: pool, store: store, dir: dir}
}

func setupOdd(t testing.TB) bundle {
	t.Helper()
	b := setup(t, fixtures.WithSchema(oddSchema))
	exec(t, b.pool, oddRows)
	exec(t, b.pool, oddTriggers)
	return b
}

// exec runs several statements at once, as a script is run.
func exec(t testing.TB, pool *pgxpool.Pool, sql string) {
	t.Helper()
	_, err := pool.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
}

// isSuperuser reports whether a superuser runs the suite (see internal/cmd/asrole).
func isSuperuser(t testing.TB, pool *pgxpool.Pool) bool {
	t.Helper()
	return text(t, pool, `SELECT FROM pg_roles WHERE rolname = current_user AND rolsuper`) != ""
}

// superuser skips what an ordinary role can't show.
func superuser(t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	if !isSuperuser(t, pool) {
		t.Skip("only a superuser may do this")
	}
}

// several skips a test of more than one database where the role may not create
// them.
func several(t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	if text(t, pool, `SELECT FROM pg_roles WHERE rolname = current_user AND (rolsuper OR rolcreatedb)`) == "" {
		t.Skip("needs more than one database")
	}
}

// occupied keeps an idle connection in the database that is none of its pool's, until t
// ends: then it can't be replaced by a copy.
func occupied(t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), pool.Config().ConnString())
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(context.Background()) })
}

// state tells all that a restore has to bring back, by other means than those
// of the library: a hash over each table's rows, every sequence, and the states
// of triggers and constraints.
func state(t testing.TB, pool *pgxpool.Pool) map[string]string {
	t.Helper()
	ctx := context.Background()
	out := map[string]string{}
	list := func(sql string) map[string]string {
		rows, err := pool.Query(ctx, sql)
		require.NoError(t, err)
		found := map[string]string{}
		var key, value string
		_, err = pgx.ForEachRow(rows, []any{&key, &value}, func() error { found[key] = value; return nil })
		require.NoError(t, err)
		return found
	}
	for table, ident := range list(`SELECT c.oid::regclass::text, format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'groundhog')`) {
		var hash string
		err := pool.QueryRow(ctx, `SELECT count(*) || ' ' || coalesce(sum(hashtextextended(whole_row::text, 0)::numeric), 0) FROM ONLY `+ident+` whole_row`).Scan(&hash)
		require.NoError(t, err, ident)
		out[table] = hash
	}
	for sequence := range list(`SELECT c.oid::regclass::text, '' FROM pg_class c WHERE relkind = 'S' AND relnamespace IS DISTINCT FROM to_regnamespace('groundhog')`) {
		var value string
		require.NoError(t, pool.QueryRow(ctx, `SELECT last_value || ' ' || is_called FROM `+sequence).Scan(&value))
		out[sequence] = value
	}
	maps.Copy(out, list(`SELECT tgrelid::regclass || ' ' || tgname, tgenabled::text FROM pg_trigger JOIN pg_proc p ON p.oid = tgfoid
		WHERE NOT tgisinternal AND p.pronamespace IS DISTINCT FROM to_regnamespace('groundhog')`))
	maps.Copy(out, list(`SELECT conrelid::regclass || ' ' || conname, condeferrable || ' ' || condeferred || ' ' || convalidated FROM pg_constraint
		WHERE conrelid >= 16384 AND connamespace IS DISTINCT FROM to_regnamespace('groundhog')`))
	return out
}

// sameBytes requires that two snapshot files differ in their creation time only.
func sameBytes(t *testing.T, a, b string) {
	t.Helper()
	files := make([]string, 2)
	for i, path := range []string{a, b} {
		r, err := snapfile.Open(path)
		require.NoError(t, err)
		created := r.Manifest.CreatedAt.Format(time.RFC3339Nano)
		require.NoError(t, r.Close())
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		body := content[:len(content)-56] // without the trailer's sums
		files[i] = strings.Replace(string(body), created, "", 1)
	}
	require.True(t, files[0] == files[1], "%s and %s differ", a, b)
}

// TestRestoreUndoesWhateverHappened is the property: create, change everything,
// restore, create gives the same bytes.
func TestRestoreUndoesWhateverHappened(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	b := setupOdd(t)
	ctx := t.Context()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	before := state(t, b.pool)
	first, err := b.store.Create(ctx, "first")
	require.NoError(t, err)
	kept := filepath.Join(t.TempDir(), "kept.groundhog")
	content, err := os.ReadFile(first.Path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(kept, content, 0o600))

	worked := map[string]bool{}
	for range 12 {
		for _, i := range random.Perm(len(oddChanges))[:1+random.IntN(len(oddChanges))] {
			sql := oddChanges[i]
			if _, err := b.pool.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol); err == nil {
				worked[sql] = true
			}
		}
		restored, err := b.store.Restore(ctx, "first")
		require.NoError(t, err)
		require.Equal(t, first.Rows, restored.Rows)
		require.Equal(t, before, state(t, b.pool))
		again, err := b.store.Create(ctx, "first", snapshot.Replace())
		require.NoError(t, err)
		sameBytes(t, kept, again.Path)
	}
	require.Greater(t, len(worked), len(oddChanges)/2, "too few of the changes change anything")
}

func TestInfoTellsWhatTheFileHolds(t *testing.T) {
	t.Parallel()
	b := setupOdd(t)
	info, err := b.store.Create(t.Context(), "odd", snapshot.Description("an odd one"))
	require.NoError(t, err)
	require.Equal(t, "odd", info.Name)
	require.Equal(t, "an odd one", info.Description)
	require.Equal(t, "20261124", info.SchemaVersion)
	require.Equal(t, filepath.Join(b.dir, "odd.groundhog"), info.Path)
	require.WithinDuration(t, time.Now(), info.CreatedAt, time.Minute)
	rows := map[string]int64{}
	for _, table := range info.Tables {
		rows[table.Name] = table.Rows
	}
	require.EqualValues(t, 5, rows["public.nokey"])
	require.EqualValues(t, 151, rows["public.part"])
	require.EqualValues(t, 2, rows["public.parent"], "its own rows only")
	require.EqualValues(t, 2, rows["public.child"])
	require.EqualValues(t, 4, rows["Second Schema.node"])
	for _, absent := range []string{"public.schema_migrations", "public.some_view", "public.part_rest"} {
		require.NotContains(t, rows, absent)
	}
	verified, err := b.store.Verify(t.Context(), "odd")
	require.NoError(t, err)
	require.Equal(t, info, verified)
}

func TestMigrationTablesAreLeftAlone(t *testing.T) {
	t.Parallel()
	b := setupOdd(t)
	_, err := b.store.Create(t.Context(), "a")
	require.NoError(t, err)
	exec(t, b.pool, `UPDATE schema_migrations SET version = 5`)
	_, err = b.store.Restore(t.Context(), "a")
	require.NoError(t, err)
	var version int64
	require.NoError(t, b.pool.QueryRow(t.Context(), `SELECT version FROM schema_migrations`).Scan(&version))
	require.EqualValues(t, 5, version)
}

// TestRestoreWithoutSuperuser takes the slower way: triggers disabled one by one,
// foreign keys deferred.
func TestRestoreWithoutSuperuser(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	admin := setup(t)
	superuser(t, admin.pool)
	role := fmt.Sprintf("plain_%d", os.Getpid())
	exec(t, admin.pool, fmt.Sprintf(`CREATE ROLE %s LOGIN; CREATE EXTENSION citext; CREATE EXTENSION hstore; GRANT CREATE ON DATABASE %s TO %[1]s; GRANT CREATE ON SCHEMA public TO %[1]s`,
		role, pgx.Identifier{admin.pool.Config().ConnConfig.Database}.Sanitize()))
	t.Cleanup(func() {
		_, err := admin.pool.Exec(context.Background(), `DROP OWNED BY `+role+`; DROP ROLE `+role, pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err)
	})
	config := admin.pool.Config()
	config.ConnConfig.User = role
	pool, err := pgxpool.NewWithConfig(ctx, config)
	require.NoError(t, err)
	defer pool.Close()
	exec(t, pool, strings.NewReplacer("CREATE EXTENSION citext;", "", "CREATE EXTENSION hstore;", "").Replace(oddSchema))
	exec(t, pool, `ALTER TABLE guarded NO FORCE ROW LEVEL SECURITY`) // else even its owner can't read it
	exec(t, pool, oddRows)
	exec(t, pool, oddTriggers)
	store, err := snapshot.NewStore(pool, snapshot.WithDir(admin.dir))
	require.NoError(t, err)
	before := state(t, pool)
	_, err = store.Create(ctx, "plain")
	require.NoError(t, err)
	for _, sql := range oddChanges {
		_, _ = pool.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
	}
	require.NotEqual(t, before, state(t, pool))
	_, err = store.Restore(ctx, "plain")
	require.NoError(t, err)
	require.Equal(t, before, state(t, pool))
}
