package catalog_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/track"
)

func TestMain(m *testing.M) { fixtures.Main(m, func(testing.TB) {}) }

// digested is a database with a thing of many kinds, of which held are the tables that a
// snapshot holds.
const digested = `
	CREATE TABLE t (id serial PRIMARY KEY, v text DEFAULT 'x', n int CHECK (n > 0)); INSERT INTO t (n) SELECT g FROM generate_series(1, 10) g;
	CREATE TABLE child (id int PRIMARY KEY, t int REFERENCES t, long text) WITH (toast.autovacuum_enabled = off); CREATE INDEX child_t ON child (t);
	INSERT INTO child SELECT g, g, repeat('x', 9000) || random() FROM generate_series(1, 10) g;
	CREATE TABLE part (id int, v text) PARTITION BY RANGE (id); CREATE TABLE part0 PARTITION OF part FOR VALUES FROM (0) TO (10); CREATE TABLE part1 PARTITION OF part DEFAULT;
	INSERT INTO part SELECT g, 'p' FROM generate_series(1, 20) g;
	CREATE TABLE schema_migrations (version text); INSERT INTO schema_migrations VALUES ('1');
	CREATE TABLE numbered (id serial); CREATE TABLE loose (id int, v text); CREATE SEQUENCE alone; CREATE SEQUENCE free;
	CREATE VIEW seen AS SELECT id FROM t; CREATE MATERIALIZED VIEW kept AS SELECT id FROM t; CREATE INDEX ON kept (id);
	CREATE FUNCTION plus(a int) RETURNS int LANGUAGE sql AS 'SELECT a + 1'; CREATE FUNCTION fired() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
	CREATE FUNCTION heard() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER ear ON ddl_command_end WHEN TAG IN ('COMMENT') EXECUTE FUNCTION heard(); ALTER EVENT TRIGGER ear DISABLE;
	CREATE TRIGGER fires AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION fired(); CREATE RULE ruled AS ON UPDATE TO child WHERE NEW.id < 0 DO NOTHING;
	CREATE POLICY few ON child USING (id > 0); CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE TYPE pair AS (a int, b int); CREATE DOMAIN plusone AS int CHECK (VALUE > 0); CREATE TYPE span AS RANGE (subtype = int);
	CREATE COLLATION c (provider = icu, locale = 'und'); CREATE STATISTICS linked ON id, t FROM child; CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE USER MAPPING FOR PUBLIC SERVER s OPTIONS (a 'b');
	CREATE FOREIGN TABLE far (id int) SERVER s; CREATE PUBLICATION pub FOR TABLE t; CREATE TEXT SEARCH DICTIONARY dict (TEMPLATE = simple); CREATE TEXT SEARCH CONFIGURATION conf (PARSER = "default");
	CREATE OPERATOR === (FUNCTION = int4eq, LEFTARG = int, RIGHTARG = int); CREATE AGGREGATE total (int) (SFUNC = int4pl, STYPE = int);
	CREATE SCHEMA other; COMMENT ON TABLE t IS 'first'; ALTER DEFAULT PRIVILEGES IN SCHEMA other GRANT SELECT ON TABLES TO PUBLIC`

var held = []schema.Name{{Schema: "public", Name: "t"}, {Schema: "public", Name: "child"}, {Schema: "public", Name: "part"}}

// changes are those that a digest tells.
var changes = []string{
	`CREATE TABLE u ()`, `DROP TABLE numbered`, `ALTER TABLE t RENAME TO u`, `ALTER TABLE t SET SCHEMA other`, `ALTER TABLE t ADD COLUMN more int`, `ALTER TABLE t DROP COLUMN n`,
	`ALTER TABLE t RENAME COLUMN v TO w`, `ALTER TABLE t ALTER v SET NOT NULL`, `ALTER TABLE t ALTER v SET DEFAULT 'y'`, `ALTER TABLE t ALTER n TYPE bigint`, `ALTER TABLE t ALTER v SET STORAGE external`,
	`ALTER TABLE t ALTER v SET STATISTICS 50`, `ALTER TABLE t ALTER v SET (n_distinct = 5)`, `ALTER TABLE t SET (fillfactor = 50)`, `ALTER TABLE child SET (toast.autovacuum_enabled = on)`, `ALTER TABLE numbered SET UNLOGGED`,
	`ALTER TABLE t OWNER TO pg_monitor`, `ALTER TABLE t REPLICA IDENTITY FULL`, `ALTER TABLE t DISABLE TRIGGER fires`, `ALTER TABLE t ENABLE ROW LEVEL SECURITY`, `ALTER TABLE t FORCE ROW LEVEL SECURITY`, `ALTER TABLE child CLUSTER ON child_pkey`,
	`ALTER TABLE t ADD CHECK (n < 100)`, `ALTER TABLE child DROP CONSTRAINT child_t_fkey`, `ALTER TABLE child ALTER CONSTRAINT child_t_fkey DEFERRABLE`, `ALTER TABLE part DETACH PARTITION part0`, `CREATE TABLE inherits () INHERITS (t)`,
	`DROP INDEX child_t`, `CREATE INDEX ON t (v)`, `ALTER INDEX child_t SET (fillfactor = 50)`, `ALTER INDEX child_t RENAME TO other_t`, `CREATE OR REPLACE VIEW seen AS SELECT id + 0 AS id FROM t`, `DROP MATERIALIZED VIEW kept`,
	`REFRESH MATERIALIZED VIEW kept WITH NO DATA`, `CREATE OR REPLACE FUNCTION plus(a int) RETURNS int LANGUAGE sql AS 'SELECT a + 2'`, `ALTER FUNCTION plus COST 5`, `GRANT EXECUTE ON FUNCTION plus TO pg_monitor`,
	`CREATE TRIGGER more AFTER DELETE ON t FOR EACH ROW EXECUTE FUNCTION fired()`, `DROP TRIGGER fires ON t`, `ALTER TRIGGER fires ON t RENAME TO fire`, `CREATE OR REPLACE RULE ruled AS ON UPDATE TO child WHERE NEW.id < 1 DO NOTHING`,
	`ALTER POLICY few ON child USING (id > 1)`, `ALTER TYPE mood ADD VALUE 'ok'`, `ALTER TYPE mood RENAME VALUE 'sad' TO 'bad'`, `ALTER TYPE mood OWNER TO pg_monitor`, `ALTER TYPE pair ADD ATTRIBUTE c int`, `REVOKE USAGE ON TYPE mood FROM PUBLIC`,
	`ALTER DOMAIN plusone SET DEFAULT 3`, `ALTER DOMAIN plusone ADD CHECK (VALUE < 9)`, `DROP TYPE span`, `ALTER COLLATION c RENAME TO d`, `ALTER STATISTICS linked SET STATISTICS 3`, `DROP STATISTICS linked`,
	`ALTER SERVER s OPTIONS (a 'b')`, `ALTER FOREIGN DATA WRAPPER w OPTIONS (a 'b')`, `ALTER USER MAPPING FOR PUBLIC SERVER s OPTIONS (SET a 'c')`, `ALTER FOREIGN TABLE far OPTIONS (a 'b')`, `GRANT USAGE ON FOREIGN SERVER s TO PUBLIC`,
	`CREATE PUBLICATION more FOR ALL TABLES`, `ALTER PUBLICATION pub ADD TABLE child`, `ALTER PUBLICATION pub ADD TABLES IN SCHEMA other`, `ALTER PUBLICATION pub SET (publish = 'insert')`,
	`ALTER TEXT SEARCH DICTIONARY dict (StopWords = english)`, `ALTER TEXT SEARCH CONFIGURATION conf ADD MAPPING FOR word WITH simple`, `DROP TEXT SEARCH CONFIGURATION conf`,
	`CREATE TEXT SEARCH TEMPLATE tem (LEXIZE = dsimple_lexize)`, `CREATE TEXT SEARCH PARSER par (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype)`,
	`CREATE OPERATOR #== (FUNCTION = int4eq, LEFTARG = int, RIGHTARG = int)`, `ALTER OPERATOR === (int, int) OWNER TO pg_monitor`, `CREATE OPERATOR FAMILY fam USING btree`, `CREATE OPERATOR CLASS cla FOR TYPE mood USING hash AS OPERATOR 1 =(anyenum, anyenum), FUNCTION 1 hashenum(anyenum)`,
	`CREATE OR REPLACE AGGREGATE total (int) (SFUNC = int4pl, STYPE = int, INITCOND = '1')`, `CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler`, `CREATE CAST (mood AS pair) WITH INOUT`, `CREATE CONVERSION conv FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1`,
	`CREATE LANGUAGE plsecond HANDLER plpgsql_call_handler`, `ALTER LANGUAGE plpgsql OWNER TO pg_monitor`, `DROP EXTENSION plpgsql CASCADE`, `ALTER EXTENSION plpgsql ADD TABLE numbered`, `ALTER FUNCTION plus DEPENDS ON EXTENSION plpgsql`,
	`CREATE SCHEMA third`, `GRANT USAGE ON SCHEMA other TO PUBLIC`, `GRANT CREATE ON SCHEMA public TO pg_monitor`, `ALTER SCHEMA other RENAME TO third`, `ALTER DEFAULT PRIVILEGES IN SCHEMA other GRANT INSERT ON TABLES TO PUBLIC`,
	`GRANT SELECT ON t TO PUBLIC`, `GRANT SELECT (v) ON t TO PUBLIC`, `GRANT SELECT (ctid) ON t TO PUBLIC`, `GRANT USAGE ON SEQUENCE t_id_seq TO PUBLIC`, `GRANT SELECT ON pg_authid TO PUBLIC`, `GRANT SELECT (rolname) ON pg_authid TO pg_monitor`, `GRANT EXECUTE ON FUNCTION pg_ls_dir(text) TO PUBLIC`,
	`COMMENT ON TABLE t IS 'second'`, `COMMENT ON TABLE t IS NULL`, `COMMENT ON COLUMN t.v IS 'v'`, `COMMENT ON SCHEMA public IS 'p'`, `COMMENT ON FUNCTION pg_catalog.now() IS 'then'`,
	`ALTER SEQUENCE t_id_seq INCREMENT 2`, `ALTER SEQUENCE t_id_seq OWNED BY NONE`, `ALTER SEQUENCE alone OWNED BY t.id`, `ALTER SEQUENCE alone CACHE 9`,
	`ALTER EVENT TRIGGER ear ENABLE`, `CREATE EVENT TRIGGER second ON sql_drop EXECUTE FUNCTION heard()`, `DROP EVENT TRIGGER ear`,
	`INSERT INTO schema_migrations VALUES ('2')`, `UPDATE schema_migrations SET version = version`, `DELETE FROM schema_migrations`, `INSERT INTO numbered VALUES (5)`, `SELECT lo_create(77)`, `SELECT lo_from_bytea(78, 'x')`,
	`ALTER TABLE t ADD EXCLUDE USING btree (n WITH =)`, `CREATE PROCEDURE proc() LANGUAGE sql AS ''`, `CREATE TABLE other.t AS SELECT * FROM t`, `ALTER TABLE part ATTACH PARTITION loose FOR VALUES FROM (100) TO (200)`,
	`DELETE FROM pg_cast WHERE castsource = 'int4'::regtype AND casttarget = 'int8'::regtype`, `CREATE TRANSFORM FOR int LANGUAGE plpgsql (FROM SQL WITH FUNCTION prsd_lextype(internal))`,
}

type rollback struct{ error }

// digestIn digests what statements make of a database, and takes them back.
func digestIn(t *testing.T, conn *pgx.Conn, sql ...string) (digest string) {
	t.Helper()
	err := pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
		for _, one := range sql {
			_, err := tx.Exec(t.Context(), one, pgx.QueryExecModeSimpleProtocol)
			require.NoError(t, err, one)
		}
		var err error
		digest, err = catalog.Digest(t.Context(), tx, held)
		require.NoError(t, err, sql)
		return rollback{}
	})
	require.ErrorIs(t, err, rollback{})
	return digest
}

func digestOf(t *testing.T, conn *pgx.Conn, held ...schema.Name) string {
	t.Helper()
	digest, err := catalog.Digest(t.Context(), conn, held)
	require.NoError(t, err)
	return digest
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	conn, err := pgx.Connect(ctx, url)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(ctx) })
	return conn
}

// TestDigestTells: each change alone makes another digest.
func TestDigestTells(t *testing.T) {
	t.Parallel()
	fixtures.Open(t, fixtures.WithSchema(digested))
	conn := connect(t, fixtures.URL(t))
	seen := map[string]string{digestOf(t, conn, held...): "nothing"}
	for _, sql := range changes {
		got := digestIn(t, conn, "SET LOCAL allow_system_table_mods = on", sql)
		require.Empty(t, seen[got], sql)
		seen[got] = sql
		require.Equal(t, "nothing", seen[digestOf(t, conn, held...)], "%s, taken back", sql)
	}
	_, err := conn.Exec(t.Context(), "SELECT nextval('numbered_id_seq')")
	require.NoError(t, err)
	require.Empty(t, seen[digestOf(t, conn, held...)], "a sequence of a table that is not held")
	require.Empty(t, seen[digestOf(t, conn, held[1:]...)], "fewer are held")
}

// TestDigestLeavesOut: what is not the schema's, or is groundhog's, makes no other digest.
func TestDigestLeavesOut(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	fixtures.Open(t, fixtures.WithSchema(digested))
	conn := connect(t, fixtures.URL(t))
	before := digestOf(t, conn, held...)
	do := func(sql string) {
		t.Helper()
		_, err := conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err, sql)
		require.Equal(t, before, digestOf(t, conn, held...), sql)
	}
	everything := func() {
		t.Helper()
		for _, sql := range []string{
			"INSERT INTO t (n) SELECT g FROM generate_series(1, 1000) g", "UPDATE t SET v = v", "DELETE FROM t WHERE id > 20", "INSERT INTO part VALUES (3, 'n')", "COPY child FROM PROGRAM 'true'", "SELECT nextval('t_id_seq')",
			"SELECT setval('t_id_seq', 3)", "ALTER SEQUENCE t_id_seq RESTART", "SELECT nextval('alone')", "ANALYZE", "VACUUM", "VACUUM FULL t", "VACUUM FULL child", "VACUUM FREEZE", "TRUNCATE t, child RESTART IDENTITY", "TRUNCATE part0", "REINDEX TABLE child",
			"REINDEX TABLE pg_class", "CHECKPOINT", "REFRESH MATERIALIZED VIEW kept", "CREATE TEMPORARY TABLE mine (id serial PRIMARY KEY, v text CHECK (v <> ''))", "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "DISCARD TEMP",
			"SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off", "RESET ALL", "BEGIN; CREATE TABLE passing (); ROLLBACK", "VACUUM FULL",
		} {
			do(sql)
		}
	}
	everything()

	home, err := track.ServerID(ctx, conn)
	require.NoError(t, err)
	baseline := track.Baseline{Token: "token", ServerID: home, EventTriggers: true, Tables: append([]schema.Name{{Schema: "public", Name: "part0"}, {Schema: "public", Name: "part1"}}, held...), Rows: map[schema.Name]int64{}}
	require.NoError(t, pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "SET LOCAL session_replication_role = replica")
		require.NoError(t, err)
		return track.SetBaseline(ctx, tx, baseline)
	}))
	require.Equal(t, before, digestOf(t, conn, held...), "with a journal")
	everything()
	require.NoError(t, track.RecordFingerprint(ctx, conn))
	require.NoError(t, track.RecordOrigin(ctx, conn, "origin", "file"))
	require.Equal(t, before, digestOf(t, conn, held...), "with notes")
	_, err = conn.Exec(ctx, track.SessionSettings(false), pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
	out, partly, err := track.Restore(ctx, conn, "token", home, nil)
	require.NoError(t, err)
	require.True(t, partly || out.Unusable != "")
	require.Equal(t, before, digestOf(t, conn, held...), "after a restore")
	require.NoError(t, pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return track.Drop(ctx, tx) }))
	require.Equal(t, before, digestOf(t, conn, held...), "without it again")
	require.Equal(t, before, digestOf(t, conn, append(held, schema.Name{Schema: "public", Name: "gone"})...), "a held table that is not there")
}

// TestDigestOfCopies: a copy has the same digest, whichever way it is made, until one of
// the two changes.
func TestDigestOfCopies(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := fixtures.Open(t, fixtures.WithSchema(digested))
	config := pool.Config().ConnConfig.Copy()
	pool.Reset()
	conn, err := pgx.ConnectConfig(ctx, config)
	require.NoError(t, err)
	before := digestOf(t, conn, held...)
	require.NoError(t, conn.Close(ctx))
	admin := config.Copy()
	admin.Database = "postgres"
	other, err := pgx.ConnectConfig(ctx, admin)
	require.NoError(t, err)
	t.Cleanup(func() { other.Close(context.WithoutCancel(ctx)) })
	for _, strategy := range []string{"FILE_COPY", "WAL_LOG"} {
		copied := config.Copy()
		copied.Database += "_" + strategy
		_, err = other.Exec(ctx, "CREATE DATABASE "+catalog.Identifier(copied.Database)+" TEMPLATE "+catalog.Identifier(config.Database)+" STRATEGY "+strategy)
		require.NoError(t, err)
		t.Cleanup(func() {
			_, err := other.Exec(context.WithoutCancel(ctx), "DROP DATABASE "+catalog.Identifier(copied.Database)+" WITH (FORCE)")
			require.NoError(t, err)
		})
		conn, err := pgx.ConnectConfig(ctx, copied)
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close(context.WithoutCancel(ctx)) })
		require.Equal(t, before, digestOf(t, conn, held...), strategy)
		_, err = conn.Exec(ctx, "UPDATE schema_migrations SET version = version")
		require.NoError(t, err)
		require.NotEqual(t, before, digestOf(t, conn, held...), strategy)
	}
}

// TestDigestOfWhatIsHidden: where the role can't see all, each digest is another one.
func TestDigestOfWhatIsHidden(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for name, hide := range map[string]string{
		"nothing":         "",
		"a table":         "REVOKE SELECT ON schema_migrations FROM pg_monitor",
		"rows":            "ALTER TABLE schema_migrations ENABLE ROW LEVEL SECURITY",
		"a large object":  "SELECT lo_create(1)",
		"the held tables": "REVOKE ALL ON t FROM pg_monitor",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fixtures.Open(t, fixtures.WithSchema(digested))
			conn := connect(t, fixtures.URL(t))
			_, err := conn.Exec(ctx, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO pg_monitor; GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO pg_monitor; "+hide+"; SET ROLE pg_monitor", pgx.QueryExecModeSimpleProtocol)
			require.NoError(t, err)
			if name == "nothing" || name == "the held tables" {
				require.Equal(t, digestOf(t, conn, held...), digestOf(t, conn, held...))
			} else {
				require.NotEqual(t, digestOf(t, conn, held...), digestOf(t, conn, held...))
			}
		})
	}
}

// TestDigestKnowsEveryCatalog: of a new one it must be decided what it tells.
func TestDigestKnowsEveryCatalog(t *testing.T) {
	t.Parallel()
	fixtures.Open(t, fixtures.WithSchema(`CREATE TABLE t ()`))
	conn := connect(t, fixtures.URL(t))
	rows, err := conn.Query(t.Context(), `SELECT relname FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r' AND NOT relisshared`)
	require.NoError(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Subset(t, catalog.DigestedCatalogs(), all)
}

// TestDigestCost: see the log.
func TestDigestCost(t *testing.T) {
	t.Parallel()
	for _, tables := range []int{44, 1000} {
		fixtures.Open(t, fixtures.WithSchema(fixtures.WelfareSchema+fmt.Sprintf(`; DO $$ BEGIN FOR i IN 7..%d LOOP
			EXECUTE format('CREATE TABLE more_%%s (id serial PRIMARY KEY, staff_id uuid REFERENCES staffs, v text)', i); END LOOP; END $$`, tables)))
		conn := connect(t, fixtures.URL(t))
		rows, err := conn.Query(t.Context(), `SELECT 'public', relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'`)
		require.NoError(t, err)
		names, err := pgx.CollectRows(rows, pgx.RowToStructByPos[schema.Name])
		require.NoError(t, err)
		require.Len(t, names, tables)
		for _, settings := range []string{"", "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_seqscan = off; SET jit = off"} {
			_, err = conn.Exec(t.Context(), settings, pgx.QueryExecModeSimpleProtocol)
			require.NoError(t, err)
			digestOf(t, conn, names...)
			began := time.Now()
			for range 20 {
				digestOf(t, conn, names...)
			}
			t.Logf("%d tables, %q: %v", tables, settings, time.Since(began)/20)
		}
	}
}
