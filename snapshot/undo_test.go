package snapshot_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/snapshot"
)

// setupTracked is setupSmall after a first restore, which reloads.
func setupTracked(t testing.TB) (bundle, map[string]string) {
	t.Helper()
	b := setupSmall(t)
	b.store.WithCopies()
	_, err := b.store.Create(t.Context(), "a")
	require.NoError(t, err)
	_, err = b.store.Restore(t.Context(), "a")
	require.NoError(t, err)
	return b, state(t, b.pool)
}

// cond is a if ok, else b.
func cond[T any](ok bool, a, b T) T {
	if ok {
		return a
	}
	return b
}

// ask returns the one value of a query.
func ask(t testing.TB, pool *pgxpool.Pool, sql string) (value string) {
	t.Helper()
	require.NoError(t, pool.QueryRow(context.WithoutCancel(t.Context()), "SELECT ("+sql+")::text").Scan(&value))
	return value
}

// restored restores, requires that the database is as it was, and returns by table.
func (b bundle) restored(t testing.TB, baseline map[string]string, opts ...snapshot.RestoreOption) map[string]snapshot.TableMethod {
	t.Helper()
	restored, err := b.store.Restore(t.Context(), "a", opts...)
	require.NoError(t, err)
	require.Equal(t, baseline, state(t, b.pool))
	ways := map[string]snapshot.TableMethod{}
	for _, w := range restored.Methods {
		ways[w.Table] = w
	}
	return ways
}

func TestARestoreTakesTheCheapestWay(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	t.Run("alone", func(t *testing.T) {
		t.Parallel()
		b, baseline := setupTracked(t)
		copies := ask(t, b.pool, `SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user`) == "true"
		takesTheCheapestWay(t, b, baseline, cond(copies, snapshot.Exchanged, snapshot.Reloaded))
	})
	t.Run("occupied", func(t *testing.T) {
		t.Parallel()
		b, baseline := setupTracked(t)
		occupied(t, b.pool)
		takesTheCheapestWay(t, b, baseline, snapshot.Reloaded)
	})
}

// takesTheCheapestWay is told which way undoes changes of the schema.
func takesTheCheapestWay(t *testing.T, b bundle, baseline map[string]string, altered snapshot.Method) {
	t.Helper()
	ways := b.restored(t, baseline)
	require.Equal(t, snapshot.Unchanged, ways["public.author"].Method)
	require.Equal(t, snapshot.Unchanged, ways["public.book"].Method)

	exec(t, b.pool, `UPDATE author SET name = 'changed' WHERE id = 1; SELECT nextval('author_id_seq')`)
	ways = b.restored(t, baseline)
	require.Equal(t, snapshot.Undone, ways["public.author"].Method)
	require.EqualValues(t, 2, ways["public.author"].Changed, "removed and put back")
	require.Equal(t, snapshot.Unchanged, ways["public.book"].Method)

	exec(t, b.pool, `SELECT nextval('book_id_seq')`)
	ways = b.restored(t, baseline)
	require.Equal(t, snapshot.Unchanged, ways["public.author"].Method)

	exec(t, b.pool, `UPDATE author SET name = 'changed' WHERE id = 1; TRUNCATE book`)
	ways = b.restored(t, baseline)
	require.Equal(t, snapshot.Undone, ways["public.author"].Method)
	require.Equal(t, snapshot.Reloaded, ways["public.book"].Method)
	require.Contains(t, ways["public.book"].Why, "truncated")

	exec(t, b.pool, `ALTER TABLE book ADD COLUMN passing int; ALTER TABLE book DROP COLUMN passing`)
	ways = b.restored(t, baseline)
	require.Equal(t, altered, ways["public.author"].Method)
	require.Contains(t, ways["public.author"].Why, "schema")
	require.Equal(t, snapshot.Unchanged, b.restored(t, baseline)["public.author"].Method)
}

func TestAChangedSchemaIsExplainedAlsoWhenTracked(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	b, baseline := setupTracked(t)
	occupied(t, b.pool) // else it is brought back
	for name, sql := range map[string][2]string{
		"a table":  {`CREATE TABLE added (id int)`, `DROP TABLE added`},
		"a column": {`ALTER TABLE book ADD COLUMN added int`, `ALTER TABLE book DROP COLUMN added`},
		"a value":  {`CREATE TYPE added AS ENUM ('a')`, `DROP TYPE added`},
	} {
		exec(t, b.pool, sql[0])
		_, err := b.store.Restore(t.Context(), "a")
		require.ErrorIs(t, err, snapshot.ErrSchemaMismatch, name)
		require.ErrorContains(t, err, "added", name)
		exec(t, b.pool, sql[1])
		b.restored(t, baseline)
	}
}

func TestAnotherFileIsNotTakenForTheBaseline(t *testing.T) {
	t.Parallel()
	b, baseline := setupTracked(t)
	exec(t, b.pool, `UPDATE author SET name = 'other'`)
	other := state(t, b.pool)
	info, err := b.store.Create(t.Context(), "b")
	require.NoError(t, err)
	for range 2 {
		b.restored(t, baseline)
		_, err = b.store.Restore(t.Context(), "b")
		require.NoError(t, err)
		require.Equal(t, other, state(t, b.pool))
	}
	exec(t, b.pool, `UPDATE author SET name = 'third'`)
	third := state(t, b.pool)
	_, err = b.store.Create(t.Context(), "b", snapshot.Replace())
	require.NoError(t, err)
	b.restored(t, baseline)
	_, err = b.store.Restore(t.Context(), "b")
	require.NoError(t, err)
	require.Equal(t, third, state(t, b.pool))
	require.NoError(t, os.Remove(info.Path))
	_, err = b.store.Restore(t.Context(), "b")
	require.ErrorIs(t, err, snapshot.ErrNotFound)
	require.Equal(t, third, state(t, b.pool))
}

func TestWritersInFlightAreNamedOrEnded(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	b, baseline := setupTracked(t)
	ctx := context.WithoutCancel(t.Context())
	idle, err := b.pool.Acquire(ctx)
	require.NoError(t, err)
	defer idle.Release()
	_, err = idle.Exec(ctx, `BEGIN; UPDATE author SET name = 'leaks'`, pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
	_, err = b.store.Restore(ctx, "a")
	require.ErrorIs(t, err, snapshot.ErrLocked)
	require.ErrorContains(t, err, "idle in transaction")
	require.ErrorContains(t, err, "UPDATE author")
	require.Contains(t, err.Error(), "TerminateBlockers")
	began := time.Now()
	require.Equal(t, snapshot.Unchanged, b.restored(t, baseline, snapshot.TerminateBlockers())["public.author"].Method)
	require.Less(t, time.Since(began), 5*time.Second)
	require.Error(t, idle.Ping(ctx))
}

func TestPreparedTransactionsAreNamedOrEnded(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	b, baseline := setupTracked(t)
	if ask(t, b.pool, `SELECT current_setting('max_prepared_transactions')`) == "0" {
		t.Skip("the server allows no prepared transactions")
	}
	exec(t, b.pool, `BEGIN; INSERT INTO author (name) VALUES ('prepared'); PREPARE TRANSACTION 'left ''open'''`)
	_, err := b.store.Restore(t.Context(), "a")
	require.ErrorIs(t, err, snapshot.ErrLocked)
	require.ErrorContains(t, err, "left 'open'")
	b.restored(t, baseline, snapshot.TerminateBlockers())
	require.Equal(t, "0", ask(t, b.pool, `SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()`))
}

func TestUntrackLeavesNothing(t *testing.T) {
	t.Parallel()
	b, baseline := setupTracked(t)
	exec(t, b.pool, `DELETE FROM book`)
	require.NoError(t, b.store.Untrack(t.Context()))
	require.NoError(t, b.store.Untrack(t.Context()), "again")
	require.Equal(t, "0", ask(t, b.pool, `SELECT (SELECT count(*) FROM pg_namespace WHERE nspname = 'groundhog')
		+ (SELECT count(*) FROM pg_trigger WHERE tgname LIKE '%groundhog%') + (SELECT count(*) FROM pg_event_trigger WHERE evtname LIKE 'groundhog%')`))
	require.Equal(t, snapshot.Reloaded, b.restored(t, baseline)["public.book"].Method)
	require.Equal(t, snapshot.Unchanged, b.restored(t, baseline)["public.book"].Method)
}

// TestAnUndoThatFails as none should: then all is loaded, and the reason told.
func TestAnUndoThatFails(t *testing.T) {
	t.Parallel()
	b, baseline := setupTracked(t)
	journal := ask(t, b.pool, `SELECT 'groundhog.journal_' || 'public.author'::regclass::oid::text`)
	for range 2 {
		exec(t, b.pool, `UPDATE author SET name = 'x' WHERE id = 2; INSERT INTO `+journal+` SELECT 'v', * FROM author WHERE id = 1`)
		way := b.restored(t, baseline)["public.author"]
		require.Equal(t, snapshot.Reloaded, way.Method)
		require.Contains(t, way.Why, "duplicate key")
	}
	exec(t, b.pool, `UPDATE author SET name = 'x' WHERE id = 2`)
	require.Equal(t, snapshot.Undone, b.restored(t, baseline)["public.author"].Method)
}

func TestALaterVersionIsLeftAlone(t *testing.T) {
	t.Parallel()
	b, baseline := setupTracked(t)
	exec(t, b.pool, `UPDATE groundhog.state SET version = version + 1`)
	for range 2 {
		exec(t, b.pool, `UPDATE author SET name = 'x'`)
		require.Equal(t, snapshot.Reloaded, b.restored(t, baseline)["public.author"].Method)
	}
	require.NotEqual(t, "0", ask(t, b.pool, `SELECT count(*) FROM groundhog.touched`), "what we loaded is in its journal")
	require.NoError(t, b.store.Untrack(t.Context()))
}

// TestTrackedWithoutSuperuser: a role that may set session_replication_role, and no more,
// has a journal too; it sees schema changes by looking at the catalog.
func TestTrackedWithoutSuperuser(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	b := setupSmall(t)
	superuser(t, b.pool)
	role := "groundhog_test_replica_" + ask(t, b.pool, `SELECT md5(current_database())`)
	exec(t, b.pool, `CREATE ROLE `+role+` LOGIN PASSWORD 'x'; GRANT SET ON PARAMETER session_replication_role TO `+role+`;
		GRANT CREATE ON DATABASE `+ask(t, b.pool, `SELECT quote_ident(current_database())`)+` TO `+role+`;
		ALTER TABLE author OWNER TO `+role+`; ALTER TABLE book OWNER TO `+role+`; ALTER SCHEMA public OWNER TO `+role)
	t.Cleanup(func() {
		ctx := context.Background()
		admin, err := pgx.Connect(ctx, fixtures.URL(t))
		require.NoError(t, err)
		defer admin.Close(ctx)
		_, err = admin.Exec(ctx, `DROP OWNED BY `+role+` CASCADE; REVOKE ALL ON PARAMETER session_replication_role FROM `+role+`; DROP ROLE `+role, pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err)
	})
	config, err := pgxpool.ParseConfig(fixtures.URL(t))
	require.NoError(t, err)
	config.ConnConfig.User, config.ConnConfig.Password = role, "x"
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	defer pool.Close()
	store, err := snapshot.NewStore(pool, snapshot.WithDir(t.TempDir()))
	require.NoError(t, err)
	own := bundle{pool: b.pool, store: store}
	_, err = store.Create(t.Context(), "a")
	require.NoError(t, err)
	baseline := state(t, b.pool)
	require.Equal(t, snapshot.Unchanged, own.restored(t, baseline)["public.author"].Method)
	for _, sql := range []string{`DELETE FROM book; UPDATE author SET name = 'x'`, `VACUUM FULL author`, `ANALYZE`, `REINDEX TABLE author`} {
		exec(t, b.pool, sql)
	}
	require.Equal(t, snapshot.Undone, own.restored(t, baseline)["public.author"].Method)
	for _, sql := range []string{
		`CREATE TABLE passing (id int); DROP TABLE passing; CREATE INDEX passing ON book (id)`,
		`DROP INDEX passing`,
		`ALTER TABLE book DISABLE TRIGGER USER`,
		`ALTER TABLE book ENABLE TRIGGER USER; CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'`,
		`CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2'`,
	} {
		exec(t, b.pool, sql)
		baseline = state(t, b.pool)
		require.Equal(t, snapshot.Reloaded, own.restored(t, baseline)["public.author"].Method, sql)
		require.Equal(t, snapshot.Unchanged, own.restored(t, baseline)["public.author"].Method, sql)
	}
}

// TestWhatWasCreatedIsTheBaseline: the first restore after Create or a build has
// only the changes since to undo.
func TestWhatWasCreatedIsTheBaseline(t *testing.T) {
	t.Parallel()
	b := setupSmall(t)
	_, err := b.store.Create(t.Context(), "a")
	require.NoError(t, err)
	baseline := state(t, b.pool)
	require.Equal(t, snapshot.Unchanged, b.restored(t, baseline)["public.author"].Method)
	exec(t, b.pool, `INSERT INTO author (name) VALUES ('x')`)
	ways := b.restored(t, baseline)
	require.Equal(t, snapshot.Undone, ways["public.author"].Method)
	require.Equal(t, snapshot.Unchanged, ways["public.book"].Method)

	exec(t, b.pool, `INSERT INTO author (name) VALUES ('kept')`)
	baseline = state(t, b.pool)
	_, err = b.store.Create(t.Context(), "a", snapshot.Replace())
	require.NoError(t, err)
	exec(t, b.pool, `DELETE FROM book; UPDATE author SET name = 'y'`)
	require.Equal(t, snapshot.Undone, b.restored(t, baseline)["public.author"].Method)

	_, err = b.store.Ensure(t.Context(), "built", func(ctx context.Context) error {
		_, err := b.pool.Exec(ctx, `INSERT INTO author (name) SELECT 'built' FROM generate_series(1, 10)`)
		return err
	})
	require.NoError(t, err)
	baseline = state(t, b.pool)
	exec(t, b.pool, `DELETE FROM author WHERE name = 'built'`)
	restored, err := b.store.Restore(t.Context(), "built")
	require.NoError(t, err)
	require.Equal(t, snapshot.Undone, restored.Methods[0].Method)
	require.Equal(t, baseline, state(t, b.pool))
}

// TestCreateDoesNotWaitForWriters for longer than a moment: what they write is not
// in the snapshot, and the first restore loads.
func TestCreateDoesNotWaitForWriters(t *testing.T) {
	t.Parallel()
	b, _ := setupTracked(t)
	tx, err := b.pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `INSERT INTO author (name) VALUES ('later')`)
	require.NoError(t, err)
	baseline := state(t, b.pool)
	_, err = b.store.Create(t.Context(), "a", snapshot.Replace())
	require.NoError(t, err)
	require.NoError(t, tx.Commit(t.Context()))
	baseline["author_id_seq"] = ask(t, b.pool, `SELECT last_value || ' ' || is_called FROM author_id_seq`) // sequences know no transactions
	require.Equal(t, snapshot.Reloaded, b.restored(t, baseline)["public.author"].Method)
}

// TestTrackingIsInNobodysWay: what a test may do to its schema it may do to a
// tracked one, and write to it afterwards.
func TestTrackingIsInNobodysWay(t *testing.T) {
	t.Parallel()
	b := setup(t, fixtures.WithSchema(`CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE TYPE pair AS (a date, b int); CREATE DOMAIN few AS int CHECK (VALUE < 10);
		CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
		CREATE TABLE t (id int PRIMARY KEY, v text, m mood, ms mood[], p pair, f few);
		CREATE TABLE k (m mood, c text COLLATE nocase, v text, PRIMARY KEY (m, c));
		INSERT INTO t SELECT g, 'v', 'sad', '{sad,glad}', ('2024-02-01', g)::pair, g FROM generate_series(1, 5) g;
		INSERT INTO k VALUES ('sad', 'A', 'v'), ('glad', 'B', 'w')`))
	superuser(t, b.pool) // sets parameters
	_, err := b.store.Create(t.Context(), "a")
	require.NoError(t, err)
	baseline := state(t, b.pool)
	write := `UPDATE t SET id = id + 10, v = 'x', m = NULL, p = NULL; DELETE FROM t WHERE id > 13; INSERT INTO t (id, p) VALUES (3, ('2024-12-31', 1)); DELETE FROM k WHERE c = 'a'; INSERT INTO k VALUES ('sad', 'a', 'again')`
	exec(t, b.pool, `SET datestyle = 'German'; `+write+`; RESET datestyle`)
	ways := b.restored(t, baseline)
	require.Equal(t, snapshot.Undone, ways["public.t"].Method, ways["public.t"].Why)
	require.Equal(t, snapshot.Undone, ways["public.k"].Method, ways["public.k"].Why)
	for _, sql := range []string{
		`ALTER TABLE t RENAME COLUMN v TO w`,
		`ALTER TABLE t RENAME COLUMN id TO key`,
		`ALTER TABLE t DROP COLUMN v`,
		`ALTER TABLE t ALTER COLUMN id TYPE bigint`,
		`ALTER TABLE k DROP COLUMN m; ALTER TABLE t DROP COLUMN m, DROP COLUMN ms; DROP TYPE mood`,
		`ALTER TABLE t DROP COLUMN p; DROP TYPE pair`,
		`ALTER TABLE t DROP COLUMN f; DROP DOMAIN few`,
		`DROP TABLE k; DROP COLLATION nocase`,
		`DROP TABLE t`,
		`ALTER TABLE t SET SCHEMA pg_catalog`,
	} {
		tx, err := b.pool.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), `SET allow_system_table_mods = on; UPDATE t SET f = 1; `+sql+`; UPDATE k SET v = 'x'; `+
			`DO $$ BEGIN UPDATE t SET f = 2; INSERT INTO t SELECT * FROM t WHERE false; DELETE FROM t; EXCEPTION WHEN undefined_table OR undefined_column THEN NULL; END $$`, pgx.QueryExecModeSimpleProtocol)
		if sql != `DROP TABLE k; DROP COLLATION nocase` {
			require.NoError(t, err, sql)
		}
		require.NoError(t, tx.Rollback(t.Context()))
		b.restored(t, baseline)
	}
}
