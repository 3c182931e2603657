//go:build unix

package snapshot_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/snapshot"
)

// Exchanges by other processes and roles, in bubbles, and with what belongs to one very
// database.

// ensuredBuilder inserts what the snapshots of other processes have.
const ensuredBuilder = `INSERT INTO author (name) VALUES ('built'); DELETE FROM tag WHERE id > 250; SELECT nextval('counter')`

func init() {
	fault.Register("ensure next", func(args []string) error { return ensureNext(args[0], args[1], args[2], args[3] == "scoped", args[4:]) })
}

// ensureNext ensures versions of a snapshot one after the other, in a database that was
// prepared, and lets the parent look at it after each.
func ensureNext(server, dir, prepare string, scoped bool, versions []string) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	s, err := fixtures.Start(ctx, fixtures.WithURL(server))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	db, err := s.CreateDatabase(ctx, fixtures.WithSchema(richSchema))
	if err != nil {
		return err
	}
	if err := script(ctx, db.Pool, strings.ReplaceAll(prepare, "DATABASE DATABASE", "DATABASE "+pgx.Identifier{db.Name}.Sanitize())); err != nil {
		return err
	}
	store, err := snapshot.NewStore(db.Pool, snapshot.WithDir(dir))
	if err != nil {
		return err
	}
	name, options := "a", []snapshot.EnsureOption(nil)
	if scoped {
		name, options = "scoped", []snapshot.EnsureOption{snapshot.Tables("tag")}
	}
	for i, version := range versions {
		found := "no builder"
		restored, err := store.Ensure(ctx, name, func(ctx context.Context) error {
			if err := db.Pool.QueryRow(ctx, `SELECT format('builder found %s %s %s %s', (SELECT count(*) FROM author), (SELECT count(*) FROM tag), (SELECT last_value FROM counter), one())`).Scan(&found); err != nil {
				return err
			}
			return script(ctx, db.Pool, ensuredBuilder)
		}, append(options, snapshot.Version(version))...)
		if err != nil {
			return err
		}
		if i+1 < len(versions) { // the next builder starts from the origin of a database that was replaced
			if err := script(ctx, db.Pool, `CREATE TABLE x ()`); err != nil {
				return err
			}
			if restored, err = store.Restore(ctx, name); err != nil {
				return err
			}
		}
		fmt.Printf("ensured %d|%s|%s|%s|%s\n", i, restored.Methods[0].Method, found, strings.Join(strings.Fields(restored.Why+" "+restored.NotExchanged), " "), db.URL)
	}
	<-ctx.Done() // the parent has looked
	return nil
}

// ensured is what ensureNext tells.
type ensured struct {
	method, found, why string
	pool               *pgxpool.Pool
}

// ensureInChild runs ensureNext, and tells what the last Ensure did.
func ensureInChild(t *testing.T, server, dir, prepare, scope string, versions ...string) (out []ensured) {
	t.Helper()
	p := fault.Child(t, "ensure next", append([]string{server, dir, prepare, scope}, versions...)...)
	var parts []string
	for i := range versions {
		parts = strings.Split(p.Line(fmt.Sprintf("ensured %d|", i)), "|")
		out = append(out, ensured{method: parts[1], found: parts[2], why: parts[3]})
	}
	pool, err := pgxpool.New(t.Context(), parts[4])
	require.NoError(t, err)
	for i := range out {
		out[i].pool = pool
	}
	t.Cleanup(func() {
		pool.Close()
		p.Signal(syscall.SIGINT)
		exit := p.Wait()
		require.Zero(t, exit.Code, exit)
	})
	return out
}

// TestEnsureInANewProcess copies the template of another process, where all is the same
// that the file does not have, and there alone.
func TestEnsureInANewProcess(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	server := ownServer(t)
	db, err := server.CreateDatabase(t.Context(), fixtures.WithSchema(richSchema))
	require.NoError(t, err)
	dir := t.TempDir()
	store, err := snapshot.NewStore(db.Pool, snapshot.WithDir(dir))
	require.NoError(t, err)
	build := func(ctx context.Context) error { return script(ctx, db.Pool, ensuredBuilder) }
	_, err = store.Ensure(t.Context(), "scoped", build, snapshot.Tables("tag"), snapshot.Version("1"))
	require.NoError(t, err)
	scoped := picture(t, db.Pool)
	_, err = store.Ensure(t.Context(), "a", build, snapshot.Version("1"))
	require.NoError(t, err)
	store.AwaitCopies()
	require.True(t, store.HasTemplate("a"))
	require.False(t, store.HasTemplate("scoped"))
	want := picture(t, db.Pool)
	exec(t, db.Pool, `CREATE TABLE x ()`)
	restored, err := store.Restore(t.Context(), "a")
	require.NoError(t, err)
	require.Contains(t, waysIn(restored), snapshot.Exchanged)
	wantAll := everything(t, db.Pool)

	for name, prepare := range map[string]string{
		"as it was":    `SELECT 1`,
		"rows changed": `DELETE FROM book; UPDATE author SET name = 'x'; INSERT INTO tag VALUES (-1, 'x'); SELECT setval('counter', 5001)`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			is := ensureInChild(t, server.URL(), dir, prepare, "", "1")[0]
			require.Equal(t, "no builder", is.found)
			if is.method == string(snapshot.Exchanged) { // or to load took less time, on a busy machine
				requireWhole(t, wantAll, everything(t, is.pool), name)
			}
			requireWhole(t, want, picture(t, is.pool), name)
		})
	}
	for name, c := range map[string]struct{ prepare, kept, value string }{
		"function":                {`CREATE OR REPLACE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 111'`, `one()`, "111"},
		"comment":                 {`COMMENT ON TABLE tag IS 'later'`, `obj_description('tag'::regclass)`, "later"},
		"grant":                   {`GRANT SELECT ON tag TO PUBLIC`, `has_table_privilege('pg_monitor', 'tag', 'SELECT')`, "true"},
		"statistics target":       {`ALTER TABLE book ALTER title SET STATISTICS 7`, `SELECT attstattarget FROM pg_attribute WHERE attrelid = 'book'::regclass AND attname = 'title'`, "7"},
		"row of migrations":       {`INSERT INTO schema_migrations VALUES (3)`, `SELECT max(version) FROM schema_migrations`, "3"},
		"setting of the database": {`ALTER DATABASE DATABASE SET work_mem = '9MB'`, `current_setting('work_mem')`, "9MB"},
		"comment on the database": {`COMMENT ON DATABASE DATABASE IS 'later'`, `SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()`, "later"},
		"grant on the database":   {`GRANT CREATE ON DATABASE DATABASE TO PUBLIC`, `has_database_privilege('pg_monitor', current_database(), 'CREATE')`, "true"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			is := ensureInChild(t, server.URL(), dir, c.prepare+`; DELETE FROM book`, "", "1")[0]
			require.Equal(t, c.value, ask(t, is.pool, c.kept), "%s, %s: its own schema stays", is.method, is.why)
			require.Equal(t, "no builder", is.found)
			require.NotEqual(t, string(snapshot.Exchanged), is.method)
			for _, table := range []string{"author", "book", "tag", "other.feeling", "counter"} {
				require.Equal(t, want[table], state(t, is.pool)[table], table)
			}
		})
	}
	t.Run("default of a column", func(t *testing.T) { // that a file compares
		t.Parallel()
		own := t.TempDir()
		require.NoError(t, os.CopyFS(own, os.DirFS(dir)))
		is := ensureInChild(t, server.URL(), own, `ALTER TABLE tag ALTER name SET DEFAULT 'later'`, "", "1")[0]
		require.NotEqual(t, string(snapshot.Exchanged), is.method)
		require.Equal(t, `'later'::text`, ask(t, is.pool, `SELECT column_default FROM information_schema.columns WHERE table_name = 'tag' AND column_name = 'name'`))
		require.Equal(t, want["tag"], state(t, is.pool)["tag"])
	})
	t.Run("another version", func(t *testing.T) {
		t.Parallel()
		own := t.TempDir()
		require.NoError(t, os.CopyFS(own, os.DirFS(dir)))
		// The builder starts from what the database was before the first Ensure, exchanged or not.
		is := ensureInChild(t, server.URL(), own, `DELETE FROM tag WHERE id < 101; SELECT setval('counter', 26)`, "", "1", "2")
		require.Equal(t, []string{string(snapshot.Exchanged), "no builder"}, []string{is[0].method, is[0].found}, is[0].why)
		require.Equal(t, []string{string(snapshot.Built), "builder found 2000 200 26 1"}, []string{is[1].method, is[1].found})
		require.Contains(t, is[1].why, "builder")
		require.Equal(t, "150", ask(t, is[1].pool, `SELECT count(*) FROM tag`))
	})
	t.Run("another version at once", func(t *testing.T) {
		t.Parallel()
		own := t.TempDir()
		require.NoError(t, os.CopyFS(own, os.DirFS(dir)))
		is := ensureInChild(t, server.URL(), own, `DELETE FROM tag WHERE id < 101; CREATE OR REPLACE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 111'`, "", "2")[0]
		require.Equal(t, []string{string(snapshot.Built), "builder found 2000 200 1 111"}, []string{is.method, is.found})
	})
	t.Run("scope", func(t *testing.T) {
		t.Parallel()
		is := ensureInChild(t, server.URL(), dir, `DELETE FROM author WHERE id = 5; DELETE FROM tag`, "scoped", "1")[0]
		require.Equal(t, "no builder", is.found)
		require.Equal(t, string(snapshot.Reloaded), is.method)
		require.Equal(t, scoped["tag"], state(t, is.pool)["tag"])
		require.Equal(t, "1999", ask(t, is.pool, `SELECT count(*) FROM author`), "rows outside of the scope stay")
	})
}

// everything is whole, without what belongs to the name of the database.
func everything(t testing.TB, pool *pgxpool.Pool) map[string]string {
	t.Helper()
	out := whole(t, pool)
	for _, key := range []string{"database", "dump", "dump in any order"} {
		delete(out, key)
	}
	return out
}

// TestExchangesLeaveNothing: neither a database but shared templates, nor a session, nor a
// goroutine.
func TestExchangesLeaveNothing(t *testing.T) {
	fault.SkipShort(t)
	admin := ownServer(t)
	conn, err := pgx.Connect(t.Context(), admin.URL())
	require.NoError(t, err)
	defer conn.Close(context.Background())
	others := func() []string {
		rows, err := conn.Query(context.Background(), `SELECT concat_ws(' ', datname, application_name, state, query) FROM pg_stat_activity
			WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY 1`)
		require.NoError(t, err)
		all, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		return all
	}
	first, err := admin.CreateDatabase(t.Context(), fixtures.WithSchema(swapSchema)) // what stays with the server is there
	require.NoError(t, err)
	for _, private := range []bool{false, true} {
		t.Run(cond(private, "private", "shared"), func(t *testing.T) {
			before := others()
			fault.NoGoroutines(t)
			server, err := fixtures.Start(t.Context(), fixtures.WithURL(admin.URL()))
			require.NoError(t, err)
			db, err := server.CreateDatabase(t.Context(), swapSchemaOption(private))
			require.NoError(t, err)
			store, err := snapshot.NewStore(db.Pool, snapshot.WithDir(t.TempDir()))
			require.NoError(t, err)
			w := &swapper{db: db.Pool, store: store, hashes: map[string]string{}}
			for v, name := range []string{"a", "b"} {
				require.NoError(t, w.prepare(t.Context(), name, v+1))
			}
			exchanged := 0
			for i := range 6 {
				require.NoError(t, script(t.Context(), db.Pool, swapChanges[4+i]))
				restored, err := store.Restore(t.Context(), []string{"a", "b"}[i%2])
				require.NoError(t, err)
				if restored.Methods[0].Method == snapshot.Exchanged {
					exchanged++
				}
			}
			require.Equal(t, 6, exchanged)
			require.NoError(t, server.Close()) // at once, while copies are made and dropped
			requireOnlyDatabases(t, conn)
			require.Eventually(t, func() bool { return len(others()) <= len(before) }, 10*time.Second, time.Millisecond, "sessions are left: %v", others())
			require.Equal(t, before, others())
		})
	}
	t.Run("test", func(t *testing.T) {
		var name string
		t.Run("ends", func(t *testing.T) {
			b := setupCopied(t, fixtures.WithURL(admin.URL()), fixtures.WithSchema(swapSchema))
			_, err := b.store.Create(t.Context(), "a")
			require.NoError(t, err)
			for range 3 {
				exec(t, b.pool, `DROP TABLE tag`)
				restored, err := b.store.Restore(t.Context(), "a")
				require.NoError(t, err)
				require.Contains(t, waysIn(restored), snapshot.Exchanged)
			}
			name = b.pool.Config().ConnConfig.Database
		})
		require.NotEmpty(t, name)
		requireOnlyDatabases(t, conn)
		for _, other := range others() {
			require.True(t, strings.HasPrefix(other, "postgres ") || strings.HasPrefix(other, first.Name+" "), "a session is left: %s", other)
		}
	})
}

// requireOnlyDatabases requires that no database is left but the server's own ones and
// templates that processes share: one for each schema, and one for each snapshot of the shared
// schema.
func requireOnlyDatabases(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	rows, err := conn.Query(t.Context(), `SELECT datname FROM pg_database WHERE datname NOT IN ('postgres', 'template0', 'template1') AND datname !~ '^groundhog_test_[tc]_'`)
	require.NoError(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Len(t, names, 1, "besides that of the test")
}

// TestOrdinaryRolesExchange: a role that may create databases and is no superuser has no
// event triggers. What its tests do to the schema comes back, too.
func TestOrdinaryRolesExchange(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	conn, err := pgx.Connect(t.Context(), ownServer(t).URL())
	require.NoError(t, err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(t.Context(), `CREATE ROLE plain LOGIN CREATEDB; CREATE ROLE tracking LOGIN CREATEDB`, pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
	var version int
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT current_setting('server_version_num')::int`).Scan(&version))
	start := func(role string) (*fixtures.Database, *snapshot.Store) {
		config := conn.Config()
		server, err := fixtures.Start(t.Context(), fixtures.WithURL(fmt.Sprintf("host=%s port=%d user=%s dbname=postgres", config.Host, config.Port, role)))
		require.NoError(t, err)
		fault.AtEnd(t, server.Close)
		db, err := server.CreateDatabase(t.Context(), fixtures.WithSchema(strings.Replace(richSchema, `CREATE EVENT TRIGGER nothing ON ddl_command_start EXECUTE FUNCTION nothing();`, ``, 1)))
		require.NoError(t, err)
		require.False(t, isSuperuser(t, db.Pool))
		store, err := snapshot.NewStore(db.Pool, snapshot.WithDir(t.TempDir()))
		require.NoError(t, err)
		_, err = store.Create(t.Context(), "a")
		require.NoError(t, err)
		return db, store
	}

	if version >= 150000 { // before, there are no such grants
		_, err = conn.Exec(t.Context(), `GRANT SET ON PARAMETER session_replication_role TO tracking`)
		require.NoError(t, err)
	}
	for _, role := range []string{"plain", "tracking"} {
		db, store := start(role)
		before := picture(t, db.Pool)
		for _, sql := range []string{
			`ALTER TABLE tag ADD COLUMN more int`, `DROP TABLE tag`, `DROP INDEX book_title`, `CREATE TABLE passing AS SELECT 1 AS id`,
			`ALTER TABLE author RENAME name TO called`, `CREATE OR REPLACE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 11'`, `DROP FUNCTION one`,
			`ALTER TYPE mood ADD VALUE 'calm'`, `DROP VIEW titles`, `DROP TRIGGER stamped ON tag`, `DROP POLICY mine ON tag`, `ALTER SEQUENCE counter INCREMENT 7`,
			`DROP SCHEMA other CASCADE`, `DROP SCHEMA groundhog CASCADE; DELETE FROM tag`, `ALTER TABLE book DROP CONSTRAINT book_author_fkey; DELETE FROM author`,
			`SELECT lo_from_bytea(0, 'x')`,
		} {
			exec(t, db.Pool, `UPDATE author SET name = 'x' WHERE id < 9; `+sql)
			restored, err := store.Restore(t.Context(), "a")
			require.NoError(t, err, sql)
			if restored.NotExchanged == "" {
				requireWhole(t, before, picture(t, db.Pool), fmt.Sprintf("%s: %v", sql, waysIn(restored)))
			}
			require.Contains(t, waysIn(restored), snapshot.Exchanged, "%s: %s", sql, restored.NotExchanged)
		}
	}
}

// TestWhatIsBoundPreventsAnExchange: no copy has the subscriptions and slots of a database,
// so they are named, and when they are gone it is exchanged again.
func TestWhatIsBoundPreventsAnExchange(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	url := fault.Server(t, ownServer(t).URL(), fault.Extra{Settings: map[string]string{"wal_level": "logical", "max_replication_slots": "4", "max_wal_senders": "4"}})
	for name, c := range map[string]struct{ bind, free, english, japanese string }{
		"slot":         {`SELECT pg_create_logical_replication_slot('bound_slot', 'pgoutput')`, `SELECT pg_drop_replication_slot('bound_slot')`, `logical replication slot "bound_slot"`, `論理レプリケーションスロット "bound_slot"`},
		"subscription": {`CREATE SUBSCRIPTION bound_sub CONNECTION 'dbname=none' PUBLICATION p WITH (connect = false, slot_name = NONE)`, `DROP SUBSCRIPTION bound_sub`, `subscription "bound_sub"`, `サブスクリプション "bound_sub"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setupCopied(t, fixtures.WithURL(url), fixtures.WithSchema(richSchema))
			japanese, err := snapshot.NewStore(b.pool, snapshot.WithDir(b.dir), snapshot.WithLanguage("ja"))
			require.NoError(t, err)
			_, err = b.store.Create(t.Context(), "a")
			require.NoError(t, err)
			b.store.AwaitCopies()
			before := picture(t, b.pool)
			for range 2 {
				exec(t, b.pool, c.bind)
				for _, s := range []struct {
					store *snapshot.Store
					told  string
				}{{b.store, c.english}, {japanese, c.japanese}} {
					exec(t, b.pool, `CREATE INDEX passing ON author (name); DROP INDEX passing; DELETE FROM book`)
					restored, err := s.store.Restore(t.Context(), "a")
					require.NoError(t, err)
					require.NotContains(t, waysIn(restored), snapshot.Exchanged)
					require.Contains(t, restored.NotExchanged, s.told)
					requireWhole(t, before, picture(t, b.pool), "rows are loaded")

					exec(t, b.pool, `ALTER TABLE tag ADD COLUMN more int; UPDATE author SET name = 'x'`)
					changed := picture(t, b.pool)
					for _, options := range [][]snapshot.RestoreOption{nil, {snapshot.TerminateBlockers()}} {
						_, err = s.store.Restore(t.Context(), "a", options...)
						require.ErrorIs(t, err, snapshot.ErrSchemaMismatch)
						require.ErrorContains(t, err, s.told)
						require.NotContains(t, err.Error(), "pid ", "what must go is named alone")
						requireWhole(t, changed, picture(t, b.pool), "all or nothing")
					}
					exec(t, b.pool, `ALTER TABLE tag DROP COLUMN more`)
				}
				exec(t, b.pool, c.free)
				restored, err := b.store.Restore(t.Context(), "a")
				require.NoError(t, err)
				require.Contains(t, waysIn(restored), snapshot.Exchanged)
				requireWhole(t, before, picture(t, b.pool), "it is gone")
			}
		})
	}
}

// TestBubblesAndExchanges is run in a process of its own, as TestBubblesLeaveNothing is.
func TestBubblesAndExchanges(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	several(t, fixtures.Open(t))
	out, err := testsInChild(t, "^TestExchangeInBubble$", "exchange", "-test.v", "-test.count=2")
	require.NoError(t, err, out)
	require.Equal(t, 2, strings.Count(out, "--- PASS: TestExchangeInBubble ("), out)
}

func TestExchangeInBubble(t *testing.T) {
	if os.Getenv(envBubbles) != "exchange" {
		t.Skip("a part of TestBubblesAndExchanges")
	}
	const count = `SELECT count(*) || ' ' || count(name) FROM tag`
	schema := fixtures.WithSchema(shelfSchema)
	t.Run("opened inside", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			db := fixtures.Open(t, schema)
			snapshot.Create(t, "inside", snapshot.Replace())
			for _, change := range []string{`DROP TABLE tag`, `ALTER TABLE tag DROP COLUMN name`, `DROP SCHEMA public CASCADE`} {
				exec(t, db, change)
				require.Contains(t, waysIn(snapshot.Restore(t, "inside")), snapshot.Exchanged, change)
				require.Same(t, db, fixtures.DB(t))
				require.Equal(t, "300 300", ask(t, db, count))
			}
		})
	})
	t.Run("opened outside", func(t *testing.T) {
		outer := setupCopied(t, schema)
		_, err := outer.store.Create(t.Context(), "outside")
		require.NoError(t, err)
		for range 2 {
			for _, c := range []struct {
				change string
				needed bool
			}{{`ALTER TABLE author ADD COLUMN passing int; ALTER TABLE author DROP COLUMN passing; DELETE FROM tag`, false}, {`ALTER TABLE tag DROP COLUMN name`, true}} {
				exec(t, outer.pool, c.change)
				synctest.Test(t, func(t *testing.T) { // which must not use the pool itself
					restored, err := outer.store.Restore(t.Context(), "outside")
					if c.needed {
						require.ErrorIs(t, err, snapshot.ErrSchemaMismatch)
						require.ErrorContains(t, err, "testing/synctest")
						require.ErrorContains(t, err, "Open the database inside the bubble")
						return
					}
					require.NoError(t, err)
					require.NotContains(t, waysIn(restored), snapshot.Exchanged)
					require.Contains(t, restored.NotExchanged, "testing/synctest")
				})
			}
			restored, err := outer.store.Restore(t.Context(), "outside") // after it, it is exchanged
			require.NoError(t, err)
			require.Contains(t, waysIn(restored), snapshot.Exchanged)
			require.Equal(t, "300 300", ask(t, outer.pool, count))
		}
	})
}

// TestExtensionsOfATestGo, with the tables of their types, and those of the snapshot come back.
func TestExtensionsOfATestGo(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	b := setupCopied(t, fixtures.WithURL(ownServer(t).URL()), fixtures.WithSchema(richSchema))
	superuser(t, b.pool)
	if text(t, b.pool, `SELECT FROM pg_available_extensions WHERE name IN ('hstore', 'pg_trgm') HAVING count(*) = 2`) == "" {
		t.Skip("the server has no hstore and pg_trgm")
	}
	_, err := b.store.Create(t.Context(), "a")
	require.NoError(t, err)
	back := func(name string, before map[string]string) {
		restored, err := b.store.Restore(t.Context(), name)
		require.NoError(t, err)
		require.Contains(t, waysIn(restored), snapshot.Exchanged, name)
		requireWhole(t, before, whole(t, b.pool), name)
	}
	first := picture(t, b.pool)
	exec(t, b.pool, `CREATE TABLE x ()`)
	_, err = b.store.Restore(t.Context(), "a")
	require.NoError(t, err)
	requireWhole(t, first, picture(t, b.pool), "the first exchange")
	before := whole(t, b.pool) // with what is in copies alone
	exec(t, b.pool, `CREATE EXTENSION hstore; CREATE TABLE pairs (id int PRIMARY KEY, p hstore); INSERT INTO pairs SELECT i, 'a=>b' FROM generate_series(1, 50) i;
		CREATE EXTENSION pg_trgm; CREATE INDEX ON author USING gin (name gin_trgm_ops); UPDATE author SET name = 'x'`)
	back("a", before)

	exec(t, b.pool, `CREATE EXTENSION hstore; CREATE TABLE pairs (id int PRIMARY KEY, p hstore); INSERT INTO pairs SELECT i, 'a=>b' FROM generate_series(1, 50) i`)
	_, err = b.store.Create(t.Context(), "b")
	require.NoError(t, err)
	first = picture(t, b.pool)
	restored, err := b.store.Restore(t.Context(), "b") // the journal of the new table begins
	require.NoError(t, err)
	require.NotEmpty(t, waysIn(restored))
	exec(t, b.pool, `CREATE TABLE x ()`)
	_, err = b.store.Restore(t.Context(), "b")
	require.NoError(t, err)
	requireWhole(t, first, picture(t, b.pool), "the first exchange")
	with := whole(t, b.pool)
	for _, sql := range []string{`DROP EXTENSION hstore CASCADE`, `DROP TABLE pairs; DROP EXTENSION hstore; CREATE EXTENSION hstore; CREATE TABLE pairs (id int, p hstore)`, `UPDATE pairs SET p = p || 'c=>d'; ALTER TABLE pairs ADD x int`} {
		exec(t, b.pool, sql)
		back("b", with)
	}
}

// TestSnapshotsOfSchemasThatChange: a snapshot of a schema that a test has changed can be
// gone back to at once, and so can the one of before.
func TestSnapshotsOfSchemasThatChange(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	b := setupCopied(t, fixtures.WithURL(ownServer(t).URL()), fixtures.WithSchema(richSchema))
	before := map[string]map[string]string{}
	create := func(name string) {
		_, err := b.store.Create(t.Context(), name)
		require.NoError(t, err)
		require.True(t, b.store.HasTemplate(name) || awaited(b.store, name), name)
		before[name] = picture(t, b.pool)
	}
	create("a")
	for i, sql := range []string{
		`CREATE TABLE more (id int PRIMARY KEY, v text); INSERT INTO more SELECT i, 'v' FROM generate_series(1, 300) i`,
		`ALTER TABLE author ADD COLUMN born date; UPDATE author SET born = '2000-01-01'`,
		`DROP TABLE tag; CREATE VIEW another AS SELECT 1 AS one`,
	} {
		exec(t, b.pool, sql)
		create(fmt.Sprint("b", i))
	}
	for _, name := range []string{"b2", "a", "b1", "b0", "b2", "b1", "a"} {
		exec(t, b.pool, `ALTER TABLE book ADD COLUMN passing int; UPDATE author SET name = 'x'`)
		restored, err := b.store.Restore(t.Context(), name)
		require.NoError(t, err, name)
		require.Contains(t, waysIn(restored), snapshot.Exchanged, "%s: %v %s", name, restored.Methods, restored.NotExchanged)
		requireWhole(t, before[name], picture(t, b.pool), name)
	}
}

// awaited reports whether there is a template when all is done in the background.
func awaited(s *snapshot.Store, name string) bool {
	s.AwaitCopies()
	return s.HasTemplate(name)
}

// TestTablesThatTestsRewrite: what tests change most of is not journaled after some
// exchanges, and is again when a test changed little.
func TestTablesThatTestsRewrite(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	b := setupCopied(t, fixtures.WithURL(ownServer(t).URL()), fixtures.WithSchema(shelfSchema+`; INSERT INTO book (author, title) SELECT 1, i::text FROM generate_series(1, 20000) i`))
	_, err := b.store.Create(t.Context(), "a")
	require.NoError(t, err)
	before := state(t, b.pool)
	test := func(sql string) (snapshot.Restored, int) {
		exec(t, b.pool, sql)
		restored, err := b.store.Restore(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, before, state(t, b.pool))
		b.store.AwaitCopies()
		var skipped int
		require.NoError(t, b.pool.QueryRow(t.Context(), `SELECT count(*) FROM groundhog.skipped`).Scan(&skipped))
		return restored, skipped
	}
	until := func(sql string, tries int, is func(snapshot.Restored, int) bool) {
		t.Helper()
		var log []string
		for range tries { // copies that were made before are used up, and a slow machine loads
			restored, skipped := test(sql)
			if is(restored, skipped) {
				return
			}
			log = append(log, fmt.Sprint(restored.Methods, skipped))
			if restored.Methods[1].Method == snapshot.Reloaded {
				b.store.MakeReady("a") // and is told that copies are quick
			}
		}
		require.Fail(t, sql, strings.Join(log, "\n"))
	}
	until(`UPDATE book SET title = title || 'x'; UPDATE author SET name = 'x' WHERE id = 1`, 20, func(_ snapshot.Restored, skipped int) bool { return skipped == 1 }) // book, but not author
	until(`UPDATE book SET title = 'x' WHERE id = 5`, 6, func(restored snapshot.Restored, skipped int) bool {
		return restored.Methods[1].Method == snapshot.Undone && skipped == 0
	})
}
