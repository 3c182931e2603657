package snapshot_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	osexec "os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/snapshot"
)

// A database is replaced by a copy of itself at the snapshot.

// richSchema has something of every kind that a test may change.
const richSchema = shelfSchema + `;
	CREATE TYPE mood AS ENUM ('sad', 'glad');
	CREATE DOMAIN few AS int CHECK (VALUE < 1000);
	CREATE SCHEMA other;
	CREATE TABLE other.feeling (id serial PRIMARY KEY, m mood DEFAULT 'glad', f few, doubled int GENERATED ALWAYS AS (f * 2) STORED);
	INSERT INTO other.feeling (m, f) SELECT 'sad', i FROM generate_series(1, 50) i;
	CREATE INDEX book_title ON book (title);
	CREATE VIEW titles AS SELECT title FROM book;
	CREATE MATERIALIZED VIEW names AS SELECT name FROM author;
	CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1';
	CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
	CREATE TRIGGER stamped BEFORE INSERT ON tag FOR EACH ROW EXECUTE FUNCTION stamp();
	CREATE FUNCTION nothing() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
	CREATE EVENT TRIGGER nothing ON ddl_command_start EXECUTE FUNCTION nothing();
	CREATE POLICY mine ON tag USING (id > 0);
	CREATE SEQUENCE counter INCREMENT 5;
	CREATE RULE quiet AS ON DELETE TO other.feeling DO ALSO NOTHING;
	CREATE STATISTICS pair ON author, title FROM book;
	COMMENT ON TABLE author IS 'who writes';
	CREATE TABLE schema_migrations (version int PRIMARY KEY); INSERT INTO schema_migrations VALUES (1), (2)`

// volatile are the columns of pg_catalog that say how and when something was stored, and
// which the server changes by itself.
var volatile = []string{
	"relfilenode", "relpages", "reltuples", "relallvisible", "relallfrozen", "relfrozenxid", "relminmxid",
	"reltoastrelid", "datfrozenxid", "datminmxid", "stxdndistinct", "stxddependencies", "stxdmcv", "stxdexpr",
}

// whole tells all that is in a database and of it, as SQL sees it: every row of every
// catalog, all rows, sequences and large objects, its traits and what pg_dump writes.
// Object identifiers are compared too: statements and types that a pool knows go on.
func whole(t testing.TB, pool *pgxpool.Pool) map[string]string {
	t.Helper()
	ctx := context.Background()
	dumped := dump(t, pool)
	out := state(t, pool)
	rows, err := pool.Query(ctx, `SELECT relname FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r' AND NOT relisshared
		AND relname NOT IN ('pg_statistic', 'pg_statistic_ext_data', 'pg_largeobject')`)
	require.NoError(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	for _, name := range names {
		// TRUNCATE and REFRESH give a table another one for its large values.
		keys := []string{"oid", "attrelid", "indexrelid", "indrelid", "objid", "refobjid"}
		object := func(key string) string { return `(c->>'` + key + `')::oid` }
		sql := `SELECT (c - $1::text[])::text AS line, coalesce(` + object("oid") + `, ` + object("attrelid") + `, ` + object("objid") + `, 16384) < 16384 AS servers
			FROM (SELECT to_jsonb(c) FROM pg_catalog.` + name + ` c OFFSET 0) x(c) WHERE true`
		for _, key := range keys {
			sql += ` AND (NOT c ? '` + key + `' OR ` + object(key) + ` < 16384 OR ` + object(key) + ` NOT IN (SELECT oid FROM pg_class WHERE relnamespace = 'pg_toast'::regnamespace))`
		}
		// Of what every server has, which is much, a hash says enough.
		rows, err := pool.Query(ctx, `WITH lines AS (`+sql+`) SELECT line FROM lines WHERE NOT servers
			UNION ALL SELECT md5(string_agg(line, ',' ORDER BY line COLLATE "C")) FROM lines WHERE servers HAVING count(*) > 0`, volatile)
		require.NoError(t, err)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		slices.Sort(lines)
		out[name] = strings.Join(lines, "\n")
	}
	name := pool.Config().ConnConfig.Database
	traits, err := catalog.Traits(ctx, pool, name)
	require.NoError(t, err)
	out["traits"] = fmt.Sprint(traits)
	out["database"] = text(t, pool, `SELECT to_jsonb(d) - 'oid' - '`+strings.Join(volatile, "' - '")+`' FROM pg_database d WHERE datname = current_database()`)
	out["large objects"] = text(t, pool, `SELECT oid, lo_get(oid) FROM pg_largeobject_metadata`)
	out["names"] = text(t, pool, `SELECT * FROM names`)
	if text := dumped(); text != "" {
		out["dump"] = text
		lines := strings.Split(text, "\n")
		slices.Sort(lines)
		out["dump in any order"] = strings.Join(lines, "\n")
	}
	return out
}

// sessionKey is what pg_dump makes up for each run.
var sessionKey = regexp.MustCompile(`(?m)^\\(un)?restrict .*$`)

// dump begins to run pg_dump. What it returns waits for what that writes, which is nothing
// where there is none of the server's version.
func dump(t testing.TB, pool *pgxpool.Pool) func() string {
	t.Helper()
	none := func() string { return "" }
	program, err := osexec.LookPath("pg_dump")
	if err != nil {
		return none
	}
	version, err := osexec.Command(program, "--version").Output()
	major, _, _ := strings.Cut(ask(t, pool, `SELECT current_setting('server_version')`), ".")
	if err != nil || !strings.Contains(string(version), " "+major+".") {
		return none
	}
	var written, failed bytes.Buffer
	cmd := osexec.Command(program, "--create", "--exclude-schema=groundhog", "--dbname="+pool.Config().ConnString())
	cmd.Stdout, cmd.Stderr = &written, &failed
	require.NoError(t, cmd.Start())
	return func() string {
		t.Helper()
		require.NoError(t, cmd.Wait(), failed.String())
		return sessionKey.ReplaceAllString(written.String(), "")
	}
}

// requireWhole tells what differs only.
func requireWhole(t testing.TB, want, got map[string]string, what string) {
	t.Helper()
	if maps.Equal(want, got) {
		return
	}
	var out strings.Builder
	keys := slices.Sorted(maps.Keys(want))
	for key := range got {
		if _, ok := want[key]; !ok {
			keys = append(keys, key)
		}
	}
	for _, key := range keys {
		if want[key] != got[key] {
			fmt.Fprintf(&out, "%s:\n", key)
			was, is := strings.Split(want[key], "\n"), strings.Split(got[key], "\n")
			for _, line := range was {
				if !slices.Contains(is, line) {
					fmt.Fprintf(&out, "  - %.400s\n", line)
				}
			}
			for _, line := range is {
				if !slices.Contains(was, line) {
					fmt.Fprintf(&out, "  + %.400s\n", line)
				}
			}
		}
	}
	require.Fail(t, "the database is not what it was", "%s\n%s", what, out.String())
}

// maintenance connects to another database of the server.
func maintenance(t testing.TB, pool *pgxpool.Pool) *pgx.Conn {
	t.Helper()
	config := pool.Config().ConnConfig.Copy()
	config.Database = "postgres"
	conn, err := pgx.ConnectConfig(context.Background(), config)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// deeds are the worst that a test does. DATABASE stands for its database. Those of the
// second kind come from another one.
var deeds = []struct {
	name, sql string
	outside   bool
	rows      bool // they concern rows alone, which the journal or a load brings back too
}{
	{name: "drop schema public", sql: `DROP SCHEMA public CASCADE`},
	{name: "drop and make schema public", sql: `DROP SCHEMA public CASCADE; CREATE SCHEMA public`},
	{name: "drop another schema", sql: `DROP SCHEMA other CASCADE`},
	{name: "drop a column", sql: `ALTER TABLE book DROP COLUMN title CASCADE`},
	{name: "add a column", sql: `ALTER TABLE book ADD COLUMN more text DEFAULT 'x'; UPDATE book SET more = 'y'`},
	{name: "rename a column", sql: `ALTER TABLE author RENAME name TO called`},
	{name: "rename a table", sql: `ALTER TABLE tag RENAME TO label`},
	{name: "exchange the names of tables", sql: `ALTER TABLE tag RENAME TO x; ALTER TABLE author RENAME TO tag; ALTER TABLE x RENAME TO author`},
	{name: "move a table", sql: `ALTER TABLE tag SET SCHEMA other`},
	{name: "type of a column", sql: `ALTER TABLE tag ALTER name TYPE varchar(80)`},
	{name: "value of an enum", sql: `ALTER TYPE mood ADD VALUE 'calm'`},
	{name: "rename a value of an enum", sql: `ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'`},
	{name: "domain", sql: `ALTER DOMAIN few DROP CONSTRAINT few_check; UPDATE other.feeling SET f = 5000`},
	{name: "make a function", sql: `CREATE FUNCTION two() RETURNS int LANGUAGE sql AS 'SELECT 2'`},
	{name: "change a function", sql: `CREATE OR REPLACE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 11'`},
	{name: "drop a function", sql: `DROP FUNCTION one`},
	{name: "make a view", sql: `CREATE VIEW v AS SELECT 1 AS x`},
	{name: "change a view", sql: `CREATE OR REPLACE VIEW titles AS SELECT title, id FROM book`},
	{name: "drop a view", sql: `DROP VIEW titles`},
	{name: "refresh a view", sql: `UPDATE author SET name = 'x'; REFRESH MATERIALIZED VIEW names; CREATE TABLE x ()`},
	{name: "make a trigger", sql: `CREATE TRIGGER t AFTER UPDATE ON author FOR EACH ROW EXECUTE FUNCTION stamp()`},
	{name: "drop a trigger", sql: `DROP TRIGGER stamped ON tag`},
	{name: "triggers off", sql: `ALTER TABLE tag DISABLE TRIGGER USER; DELETE FROM tag`},
	{name: "all triggers off", sql: `ALTER TABLE author DISABLE TRIGGER ALL; DELETE FROM author`},
	{name: "make an index", sql: `CREATE INDEX i ON author (name)`},
	{name: "drop an index", sql: `DROP INDEX book_title`},
	{name: "drop a key", sql: `ALTER TABLE book DROP CONSTRAINT book_author_fkey; DELETE FROM author`},
	{name: "make a policy", sql: `CREATE POLICY yours ON author USING (false); ALTER TABLE author ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY`},
	{name: "drop a policy", sql: `DROP POLICY mine ON tag`},
	{name: "rule", sql: `DROP RULE quiet ON other.feeling; CREATE RULE loud AS ON INSERT TO tag DO INSTEAD NOTHING`},
	{name: "drop a language", sql: `DROP EXTENSION plpgsql CASCADE`},
	{name: "statistics target", sql: `ALTER TABLE book ALTER title SET STATISTICS 7`},
	{name: "options of a column", sql: `ALTER TABLE book ALTER title SET (n_distinct = 5)`},
	{name: "options of a table", sql: `ALTER TABLE book SET (fillfactor = 50); ALTER TABLE schema_migrations SET UNLOGGED`},
	{name: "statistics", sql: `DROP STATISTICS pair`},
	{name: "comment", sql: `COMMENT ON TABLE author IS 'other'`},
	{name: "grant on a table", sql: `GRANT SELECT ON tag TO PUBLIC`},
	{name: "default privileges", sql: `ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC`},
	{name: "parameters of a sequence", sql: `ALTER SEQUENCE counter INCREMENT 7 CYCLE`},
	{name: "drop a sequence", sql: `DROP SEQUENCE counter`},
	{name: "publication", sql: `CREATE PUBLICATION p FOR TABLE tag`},
	{name: "setting of the database", sql: `ALTER DATABASE DATABASE SET work_mem = '9MB'`},
	{name: "setting of a role here", sql: `ALTER ROLE CURRENT_USER IN DATABASE DATABASE SET work_mem = '8MB'`},
	{name: "grant on the database", sql: `GRANT CREATE ON DATABASE DATABASE TO PUBLIC`},
	{name: "revoke on the database", sql: `REVOKE ALL ON DATABASE DATABASE FROM PUBLIC`},
	{name: "comment on the database", sql: `COMMENT ON DATABASE DATABASE IS 'mine'`},
	{name: "limit of connections", sql: `ALTER DATABASE DATABASE CONNECTION LIMIT 40`},
	{name: "no connections", sql: `ALTER DATABASE DATABASE ALLOW_CONNECTIONS false`, outside: true},
	{name: "a template", sql: `ALTER DATABASE DATABASE IS_TEMPLATE true`, outside: true},
	{name: "drop the database", sql: `DROP DATABASE DATABASE WITH (FORCE)`, outside: true},
	{name: "rename the database", sql: `ALTER DATABASE DATABASE RENAME TO groundhog_test_renamed_DATABASE`, outside: true},
	{name: "large object", sql: `SELECT lo_from_bytea(0, 'x')`},
	{name: "large objects and rows", sql: `SELECT lo_from_bytea(0, 'x') FROM generate_series(1, 5); DELETE FROM tag`},
	{name: "truncate", sql: `TRUNCATE author RESTART IDENTITY CASCADE`, rows: true},
	{name: "all rows", sql: `UPDATE author SET name = name || 'x'; UPDATE book SET title = 'x'; DELETE FROM tag; DELETE FROM other.feeling`, rows: true},
	{name: "sequences", sql: `SELECT setval('counter', 5001), nextval('author_id_seq')`, rows: true},
	{name: "drop schema groundhog", sql: `DROP SCHEMA groundhog CASCADE; DELETE FROM tag`},
	{name: "drop event triggers", sql: `DO $$ DECLARE n text; BEGIN FOR n IN SELECT evtname FROM pg_event_trigger LOOP EXECUTE format('DROP EVENT TRIGGER %I', n); END LOOP; END $$; ALTER TABLE tag ADD x int`},
	{name: "disable event triggers", sql: `DO $$ DECLARE n text; BEGIN FOR n IN SELECT evtname FROM pg_event_trigger LOOP EXECUTE format('ALTER EVENT TRIGGER %I DISABLE', n); END LOOP; END $$; ALTER TABLE tag ADD x int`},
	{name: "spoil the journal", sql: `DELETE FROM tag; ALTER TABLE groundhog.state RENAME TO states`},
	{name: "rows of migrations", sql: `INSERT INTO schema_migrations VALUES (3); CREATE TABLE x ()`},
	{name: "in vain", sql: `BEGIN; DROP SCHEMA public CASCADE; ROLLBACK`, rows: true},
}

// deeper does deeds, and tells what the database was before.
type deeper struct {
	bundle
	admin  *pgx.Conn
	before map[string]string // all of it
	state  map[string]string // what changes of rows change
}

func newDeeper(t *testing.T) *deeper {
	t.Helper()
	// Where others make many templates, that of the test may go.
	b := setupCopied(t, fixtures.WithURL(ownServer(t).URL()), fixtures.WithSchema(richSchema))
	_, err := b.store.Create(t.Context(), "a")
	require.NoError(t, err)
	b.requireTemplate(t, "a")
	created := picture(t, b.pool)
	exec(t, b.pool, `CREATE TABLE x ()`)
	restored, err := b.store.Restore(t.Context(), "a")
	require.NoError(t, err)
	require.Contains(t, waysIn(restored), snapshot.Exchanged)
	require.Equal(t, created, picture(t, b.pool))
	return &deeper{bundle: b, admin: maintenance(t, b.pool), before: whole(t, b.pool), state: state(t, b.pool)}
}

func (d *deeper) do(t testing.TB, i int) {
	t.Helper()
	name := d.pool.Config().ConnConfig.Database
	sql := strings.ReplaceAll(deeds[i].sql, "DATABASE DATABASE", "DATABASE "+pgx.Identifier{name}.Sanitize())
	renamed := "groundhog_test_renamed_" + name
	sql = strings.ReplaceAll(sql, "groundhog_test_renamed_DATABASE", pgx.Identifier{renamed}.Sanitize())
	if deeds[i].outside {
		d.pool.Reset()
		_, err := d.admin.Exec(t.Context(), `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1`, name)
		require.NoError(t, err)
		_, err = d.admin.Exec(t.Context(), sql)
		require.NoError(t, err)
		t.Cleanup(func() {
			_, err := d.admin.Exec(context.Background(), "DROP DATABASE IF EXISTS "+pgx.Identifier{renamed}.Sanitize())
			require.NoError(t, err)
		})
		return
	}
	exec(t, d.pool, sql)
}

// back restores, and requires that all is as it was, twice.
func (d *deeper) back(t testing.TB, what string, rows bool) {
	t.Helper()
	restored, err := d.store.Restore(t.Context(), "a")
	require.NoError(t, err, what)
	if !rows {
		require.Contains(t, waysIn(restored), snapshot.Exchanged, "%s: %v", what, restored.Methods)
		require.Empty(t, restored.NotExchanged)
	}
	inOrder := slices.Contains(waysIn(restored), snapshot.Exchanged)
	d.same(t, inOrder, what)

	exec(t, d.pool, `UPDATE author SET name = 'x' WHERE id <= 10`)
	restored, err = d.store.Restore(t.Context(), "a")
	require.NoError(t, err, what)
	require.Contains(t, waysIn(restored), snapshot.Undone, "after %s: %v", what, restored.Methods)
	require.NotContains(t, waysIn(restored), snapshot.Exchanged)
	require.NotContains(t, waysIn(restored), snapshot.Reloaded)
	requireWhole(t, d.state, state(t, d.pool), "ten rows after "+what)
}

// same requires that all is as it was. Only a copy has the rows in the same order.
func (d *deeper) same(t testing.TB, inOrder bool, what string) {
	t.Helper()
	want, got := maps.Clone(d.before), whole(t, d.pool)
	if !inOrder {
		delete(want, "dump")
		delete(got, "dump")
	}
	requireWhole(t, want, got, what)
}

func TestWhateverATestDoesComesBack(t *testing.T) {
	t.Parallel()
	d := newDeeper(t)
	const part = 10
	first := rand.IntN(part)
	for i, deed := range deeds {
		if testing.Short() && i%part != first {
			continue // the whole of it takes half a minute
		}
		t.Run(deed.name, func(t *testing.T) {
			d.do(t, i)
			d.back(t, deed.name, deed.rows)
		})
	}
}

// TestMuchThatATestDoesComesBack: several deeds between two restores, in one database.
func TestMuchThatATestDoesComesBack(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	d := newDeeper(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range times(12, 300) {
		var done []string
		rows := true
		for _, i := range random.Perm(len(deeds))[:1+random.IntN(4)] {
			if deeds[i].outside {
				continue // what follows would find no database
			}
			// What was done before may have taken what it needs.
			sql := strings.ReplaceAll(deeds[i].sql, "DATABASE DATABASE", "DATABASE "+pgx.Identifier{d.pool.Config().ConnConfig.Database}.Sanitize())
			if _, err := d.pool.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
				continue
			}
			done = append(done, deeds[i].name)
			rows = rows && deeds[i].rows
		}
		d.back(t, strings.Join(done, ", "), rows)
	}
}

// requireTemplate restores until there is a template: on a slow machine a connection that was
// closed may still be there when it is made.
func (b bundle) requireTemplate(t testing.TB, name string) {
	t.Helper()
	require.Eventually(t, func() bool {
		b.store.AwaitCopies()
		if b.store.HasTemplate(name) {
			return true
		}
		_, err := b.store.Restore(t.Context(), name)
		require.NoError(t, err)
		return false
	}, time.Minute, time.Millisecond)
}

// TestPoolsGoOnAfterAnExchange: a test notices nothing, however it connects.
func TestPoolsGoOnAfterAnExchange(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	alone := fixtures.WithURL(ownServer(t).URL()) // others would make more templates than a server keeps
	enum := func(ctx context.Context, conn *pgx.Conn) error {
		mood, err := conn.LoadType(ctx, "mood")
		if err == nil {
			conn.TypeMap().RegisterType(mood)
		}
		return err
	}
	for name, configure := range map[string]func(c *pgxpool.Config){
		"as it is":       func(*pgxpool.Config) {},
		"one connection": func(c *pgxpool.Config) { c.MaxConns = 1 },
		"ready":          func(c *pgxpool.Config) { c.MinConns, c.HealthCheckPeriod = 2, time.Millisecond },
		"idle ones":      func(c *pgxpool.Config) { c.MinIdleConns, c.HealthCheckPeriod = 2, time.Millisecond },
		"short lives":    func(c *pgxpool.Config) { c.MaxConnLifetime, c.HealthCheckPeriod = time.Millisecond, time.Millisecond },
		"enum":           func(c *pgxpool.Config) { c.AfterConnect = enum },
		"descriptions":   func(c *pgxpool.Config) { c.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setupCopied(t, alone, fixtures.WithSchema(richSchema), fixtures.WithPoolConfig(configure))
			_, err := b.store.Create(t.Context(), "a")
			require.NoError(t, err)
			b.requireTemplate(t, "a")
			db := stdlib.OpenDBFromPool(b.pool)
			defer func() { require.NoError(t, db.Close()) }()

			stop := make(chan struct{})
			var pollers sync.WaitGroup
			failures := make(chan error, 100)
			queries := make(chan struct{}, 1)
			for i := range 3 {
				pollers.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						var m string
						var err error
						if i == 0 {
							err = db.QueryRowContext(context.Background(), `SELECT m::text FROM other.feeling WHERE id = $1`, 1).Scan(&m)
						} else {
							err = b.pool.QueryRow(context.Background(), `SELECT m FROM other.feeling WHERE id = $1`, 1).Scan(&m)
						}
						if err != nil || m != "sad" {
							failures <- fmt.Errorf("%q: %w", m, err)
							return
						}
						select {
						case queries <- struct{}{}:
						default:
						}
					}
				})
			}
			exchanged := 0
			for range 4 {
				for range 20 { // they are at it
					<-queries
				}
				exec(t, b.pool, `ALTER TABLE book ADD COLUMN more int; UPDATE author SET name = 'x' WHERE id = 1`)
				restored, err := b.store.Restore(t.Context(), "a")
				require.NoError(t, err)
				require.Contains(t, waysIn(restored), snapshot.Exchanged)
				exchanged++
				require.Same(t, b.pool, fixtures.DB(t))
				require.Empty(t, text(t, b.pool, `SELECT FROM author WHERE name = 'x'`))
			}
			close(stop)
			pollers.Wait()
			close(failures)
			for err := range failures {
				require.NoError(t, err)
			}
			require.Equal(t, 4, exchanged)
		})
	}
}

// TestOthersInTheDatabase prevent an exchange, and are told and ended.
func TestOthersInTheDatabase(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	alone := fixtures.WithURL(ownServer(t).URL()) // others would make more templates than a server keeps
	// Each returns what it is called.
	for name, enter := range map[string]func(t *testing.T, b bundle) (told []string){
		"held": func(t *testing.T, b bundle) []string {
			c, err := b.pool.Acquire(t.Context())
			require.NoError(t, err)
			t.Cleanup(c.Release)
			_, err = c.Exec(t.Context(), `SET application_name = 'holder'`)
			require.NoError(t, err)
			_, err = c.Exec(t.Context(), `SELECT 'the last query'`)
			require.NoError(t, err)
			return []string{fmt.Sprint(c.Conn().PgConn().PID()), "holder", "the last query"}
		},
		"transaction": func(t *testing.T, b bundle) []string {
			tx, err := b.pool.Begin(t.Context())
			require.NoError(t, err)
			t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
			_, err = tx.Exec(t.Context(), `SELECT 'in a transaction'`)
			require.NoError(t, err)
			return []string{fmt.Sprint(tx.Conn().PgConn().PID()), "in a transaction"}
		},
		"listener": func(t *testing.T, b bundle) []string {
			c, err := b.pool.Acquire(t.Context())
			require.NoError(t, err)
			_, err = c.Exec(t.Context(), `LISTEN news`)
			require.NoError(t, err)
			pid := c.Conn().PgConn().PID()
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _ = c.Conn().WaitForNotification(ctx)
				c.Release()
			}()
			t.Cleanup(func() { cancel(); <-done })
			return []string{fmt.Sprint(pid), "LISTEN news"}
		},
		"second pool": func(t *testing.T, b bundle) []string {
			config, err := pgxpool.ParseConfig(fixtures.URL(t))
			require.NoError(t, err)
			config.ConnConfig.RuntimeParams["application_name"] = "the worker"
			second, err := pgxpool.NewWithConfig(t.Context(), config)
			require.NoError(t, err)
			t.Cleanup(second.Close)
			_, err = second.Exec(t.Context(), `SELECT 'work'`)
			require.NoError(t, err)
			return []string{"the worker", "work"}
		},
		"prepared transaction": func(t *testing.T, b bundle) []string {
			if ask(t, b.pool, `SELECT current_setting('max_prepared_transactions')`) == "0" {
				t.Skip("the server allows no prepared transactions")
			}
			exec(t, b.pool, `BEGIN; SELECT txid_current(); PREPARE TRANSACTION 'still ''open'''`)
			return []string{`still 'open'`}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setupCopied(t, alone, fixtures.WithSchema(richSchema))
			_, err := b.store.Create(t.Context(), "a")
			require.NoError(t, err)
			b.requireTemplate(t, "a")
			before := picture(t, b.pool)
			told := enter(t, b)

			exec(t, b.pool, `CREATE INDEX passing ON author (name); DROP INDEX passing; DELETE FROM book`)
			restored, err := b.store.Restore(t.Context(), "a")
			require.NoError(t, err)
			require.Contains(t, waysIn(restored), snapshot.Reloaded)
			for _, words := range told {
				require.Contains(t, restored.NotExchanged, words)
			}
			requireWhole(t, before, picture(t, b.pool), "rows are loaded")

			exec(t, b.pool, `ALTER TABLE tag ADD COLUMN more int; UPDATE author SET name = 'x'`)
			changed := picture(t, b.pool)
			_, err = b.store.Restore(t.Context(), "a")
			require.ErrorIs(t, err, snapshot.ErrSchemaMismatch)
			for _, words := range append(told, "TerminateBlockers", "more") {
				require.ErrorContains(t, err, words)
			}
			requireWhole(t, changed, picture(t, b.pool), "all or nothing")

			restored, err = b.store.Restore(t.Context(), "a", snapshot.TerminateBlockers())
			require.NoError(t, err)
			require.Contains(t, waysIn(restored), snapshot.Exchanged)
			require.Empty(t, restored.NotExchanged)
			requireWhole(t, before, picture(t, b.pool), "they were ended")
			require.Equal(t, "0", ask(t, b.pool, `SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()`))
		})
	}
}

// TestNoOlderSchemaComesBack: what Open or a migration made is never replaced.
func TestNoOlderSchemaComesBack(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	alone := fixtures.WithURL(ownServer(t).URL()) // others would make more templates than a server keeps
	b := setupCopied(t, alone, fixtures.WithSchema(richSchema))
	_, err := b.store.Create(t.Context(), "a")
	require.NoError(t, err)
	b.requireTemplate(t, "a")
	exec(t, b.pool, `CREATE TABLE x ()`)
	restored, err := b.store.Restore(t.Context(), "a")
	require.NoError(t, err)
	require.Contains(t, waysIn(restored), snapshot.Exchanged, "there is a template on the server")

	t.Run("another schema", func(t *testing.T) {
		t.Parallel()
		later := setupCopied(t, alone, fixtures.WithSchema(richSchema+`; ALTER TABLE author ADD COLUMN later int`))
		store, err := snapshot.NewStore(later.pool, snapshot.WithDir(b.dir))
		require.NoError(t, err)
		before := picture(t, later.pool)
		for range 2 {
			_, err = store.Restore(t.Context(), "a")
			require.ErrorIs(t, err, snapshot.ErrSchemaMismatch)
			require.ErrorContains(t, err, "later")
			requireWhole(t, before, picture(t, later.pool), "another schema")
		}
	})
	t.Run("another function", func(t *testing.T) {
		t.Parallel()
		later := setupCopied(t, alone, fixtures.WithSchema(richSchema+`; CREATE OR REPLACE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 111'; COMMENT ON TABLE tag IS 'later'`))
		store, err := snapshot.NewStore(later.pool, snapshot.WithDir(b.dir))
		require.NoError(t, err)
		exec(t, later.pool, `DELETE FROM tag`)
		restored, err := store.Restore(t.Context(), "a")
		require.NoError(t, err, "for rows the schema is the same")
		require.NotContains(t, waysIn(restored), snapshot.Exchanged)
		require.Equal(t, "111", ask(t, later.pool, `one()`))
		exec(t, later.pool, `DROP TABLE tag`)
		restored, err = store.Restore(t.Context(), "a")
		require.NoError(t, err)
		require.Contains(t, waysIn(restored), snapshot.Exchanged, "by its own template")
		require.Equal(t, "111", ask(t, later.pool, `one()`))
		require.Equal(t, "later", ask(t, later.pool, `obj_description('tag'::regclass)`))
	})
	t.Run("warn", func(t *testing.T) {
		t.Parallel()
		own := setupCopied(t, alone, fixtures.WithSchema(richSchema))
		_, err := own.store.Create(t.Context(), "a")
		require.NoError(t, err)
		exec(t, own.pool, `ALTER TABLE tag ADD COLUMN more int; DROP TABLE book CASCADE`)
		restored, err := own.store.Restore(t.Context(), "a", snapshot.OnSchemaMismatch(snapshot.Warn), snapshot.SkipMissing())
		require.NoError(t, err)
		require.NotContains(t, waysIn(restored), snapshot.Exchanged)
		require.Contains(t, restored.NotExchanged, "OnSchemaMismatch(Warn)")
		require.Equal(t, "300 0", ask(t, own.pool, `SELECT count(*) || ' ' || count(more) FROM tag`))
		require.Equal(t, "true", ask(t, own.pool, `to_regclass('book') IS NULL`))
	})
	for name, scope := range map[string][]snapshot.CreateOption{
		"rows":   {snapshot.Tables("tag"), snapshot.RowsOf("tag", "id < 100")},
		"tables": {snapshot.Tables("tag")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own := setupCopied(t, alone, fixtures.WithSchema(richSchema))
			_, err := own.store.Create(t.Context(), "a", scope...)
			require.NoError(t, err)
			for range 2 {
				exec(t, own.pool, `CREATE INDEX ON book (author); DELETE FROM author WHERE id = 5; DELETE FROM tag WHERE id < 100`)
				restored, err := own.store.Restore(t.Context(), "a")
				require.NoError(t, err)
				require.Equal(t, []snapshot.Method{snapshot.Reloaded}, waysIn(restored))
				require.NotEmpty(t, restored.NotExchanged)
				require.Equal(t, "300", ask(t, own.pool, `SELECT count(*) FROM tag`))
				require.Equal(t, "0", ask(t, own.pool, `SELECT count(*) FROM author WHERE id = 5`))
			}
		})
	}
}

// TestExchangesBetweenSnapshots alternately, with whatever was done between.
func TestExchangesBetweenSnapshots(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	alone := fixtures.WithURL(ownServer(t).URL()) // others would make more templates than a server keeps
	b := setupCopied(t, alone, fixtures.WithSchema(richSchema))
	_, err := b.store.Create(t.Context(), "a")
	require.NoError(t, err)
	b.requireTemplate(t, "a")
	wants := map[string]map[string]string{"a": picture(t, b.pool)}
	exec(t, b.pool, `UPDATE author SET name = 'b'; DELETE FROM tag; INSERT INTO author (name) VALUES ('only in b')`)
	_, err = b.store.Create(t.Context(), "b")
	require.NoError(t, err)
	wants["b"] = picture(t, b.pool)
	for i, deed := range []string{`SELECT 1`, `DROP TABLE tag`, `UPDATE author SET name = 'x' WHERE id = 1`, `SELECT 1`, `SELECT lo_from_bytea(0, 'x')`, `SELECT 1`, `TRUNCATE book`, `DROP SCHEMA public CASCADE`} {
		exec(t, b.pool, deed)
		name := cond(i%2 == 0, "a", "b")
		_, err := b.store.Restore(t.Context(), name)
		require.NoError(t, err)
		requireWhole(t, wants[name], picture(t, b.pool), fmt.Sprint(i, " ", deed))
	}
}

// TestClonesAreExchanged too, and what is created in one.
func TestClonesAreExchanged(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	alone := fixtures.WithURL(ownServer(t).URL()) // others would make more templates than a server keeps
	b := setupCopied(t, alone, fixtures.WithSchema(richSchema))
	dir := snapshot.WithDir(b.dir)
	_, err := b.store.Create(t.Context(), "a")
	require.NoError(t, err)
	b.requireTemplate(t, "a")
	want := picture(t, b.pool)
	for i := range 3 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			db := snapshot.Clone(t, "a", dir)
			own := func() map[string]string { return picture(t, db) }
			requireWhole(t, want, own(), "the clone")
			exec(t, db, `DROP SCHEMA public CASCADE`)
			require.Contains(t, waysIn(snapshot.Restore(t, "a", dir)), snapshot.Exchanged)
			require.Same(t, db, fixtures.DB(t))
			requireWhole(t, want, own(), "the clone, restored")

			exec(t, db, `UPDATE author SET name = 'clone'`)
			name := fmt.Sprint("clone", i)
			snapshot.Create(t, name, dir)
			created := own()
			for range 2 {
				exec(t, db, `DROP TABLE tag; DELETE FROM book`)
				require.Contains(t, waysIn(snapshot.Restore(t, name, dir)), snapshot.Exchanged)
				requireWhole(t, created, own(), "a snapshot of the clone")
			}
			snapshot.Restore(t, "a", dir)
			requireWhole(t, want, own(), "back from it")
		})
	}
}
