package track_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/track"
)

// ownerRule is one of those that make the undo of an owner exact, or keep it from giving up:
// a schema and statements that need it, and SQL that takes it out.
type ownerRule struct {
	name    string
	schema  string
	test    string // what the test writes
	way     string // what going back is with the rule: undone, or the reason for which all is loaded
	without string
	always  string // the same, with and without the rule: it takes out others
	set     string // of the session that goes back
}

// inChecked is SQL that replaces what a pattern finds in the undo of an owner.
func inChecked(pattern, by string) string {
	return replace("^undo_checked$|^part_|^undo_loaded$|^restore$|^finish_undo$|^truncated$", pattern, by)
}

const pair = `CREATE TABLE p (id int PRIMARY KEY, code text UNIQUE);
	CREATE TABLE c (id int PRIMARY KEY, code text REFERENCES p (code) ON DELETE CASCADE ON UPDATE CASCADE);
	INSERT INTO p VALUES (1, 'A'), (2, 'B'); INSERT INTO c VALUES (10, 'A'), (20, 'B');`

const logged = `CREATE TABLE log (m text); CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'), (2, 'b'); INSERT INTO log VALUES ('l');
	CREATE FUNCTION log_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (TG_OP); RETURN NEW; END $$;
	CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;`

const unindexed = `CREATE TABLE p (id int PRIMARY KEY, v text); CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p, v text);
	INSERT INTO p SELECT g, 'p' FROM generate_series(1, 200) g; INSERT INTO c SELECT g, 1, 'c' FROM generate_series(1, 3000) g`

const loadedTogether = logged + `CREATE TABLE c (t int PRIMARY KEY REFERENCES t ON DELETE CASCADE ON UPDATE CASCADE); INSERT INTO c VALUES (1)`

const secured = `CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'), (2, 'b');
	ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t FORCE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (id < 2)`

const refreshed = logged + `CREATE MATERIALIZED VIEW seen AS SELECT count(*) FROM t; CREATE FUNCTION hear() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
	CREATE EVENT TRIGGER hear ON ddl_command_end WHEN TAG IN ('REFRESH MATERIALIZED VIEW') EXECUTE FUNCTION hear();
	CREATE OR REPLACE FUNCTION hear() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN `

const heard = `CREATE TABLE t (id int, v text); INSERT INTO t VALUES (1, 'a'), (2, 'b'); CREATE PUBLICATION p FOR TABLE t`

var ownerRules = []ownerRule{
	{
		name:    "what foreign keys write is counted",
		schema:  pair,
		test:    `UPDATE p SET id = 3 WHERE id = 1`,
		way:     string(track.SideEffect),
		without: inChecked(`groundhog\.rows_written\(\) OPERATOR\(pg_catalog\.<>\) \(before`, "before OPERATOR(pg_catalog.<>) (before OPERATOR(pg_catalog.-) done.written OPERATOR(pg_catalog.-) set_aside"),
	},
	{
		name: "what triggers truncate is seen",
		schema: logged + `CREATE TABLE c (t int REFERENCES t ON DELETE CASCADE); INSERT INTO c VALUES (1);
			CREATE FUNCTION empty_log() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN TRUNCATE log; RETURN NULL; END $$;
			CREATE TRIGGER e AFTER DELETE ON c FOR EACH STATEMENT EXECUTE FUNCTION empty_log()`,
		test:    `INSERT INTO t VALUES (3, 'c')`,
		way:     string(track.SideEffect),
		without: inChecked(`RETURN now`, "RETURN false AND now"),
	},
	{
		name:    "rows that were to be written were written",
		schema:  logged + `CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION refuse();`,
		always:  inChecked(`FOREACH x IN ARRAY sleep LOOP`, "FOREACH x IN ARRAY ARRAY[]::text[] LOOP"),
		test:    `DELETE FROM t WHERE id = 1`,
		way:     string(track.SideEffect),
		without: inChecked(`done\.written OPERATOR\(pg_catalog\.<>\) done\.meant`, "false"),
	},
	{
		name: "only rows that are newer than the baseline leave",
		// In replica role a key is there twice.
		schema:  `CREATE TABLE t (id int PRIMARY KEY DEFERRABLE, v text); INSERT INTO t VALUES (1, 'a'), (2, 'b')`,
		test:    `SET session_replication_role = replica; BEGIN; SET CONSTRAINTS ALL DEFERRED; INSERT INTO t VALUES (1, 'new'); DELETE FROM t WHERE v = 'new'; COMMIT`,
		way:     "undone",
		without: inChecked(`pg_catalog\.age\(t\.xmin\) OPERATOR\(pg_catalog\.<\) pg_catalog\.age\(\$1\)`, "true"),
	},
	{
		name:    "the image of a key is put back",
		schema:  `CREATE TABLE t (id numeric PRIMARY KEY, v text); INSERT INTO t VALUES (1.0, 'a')`,
		test:    `UPDATE t SET id = 1.00`,
		way:     "undone",
		without: inChecked(`UPDATE ONLY public\.t t SET id = m\.c1,|UPDATE ONLY "public"\."t" t SET "id" = m\.c1,`, "UPDATE ONLY public.t t SET"),
	},
	{
		name: "the image of a key that others have is not put back",
		schema: `CREATE TABLE t (id numeric PRIMARY KEY); CREATE TABLE c (id int PRIMARY KEY, t numeric REFERENCES t ON UPDATE CASCADE);
			INSERT INTO t VALUES (1.0); INSERT INTO c VALUES (1, 1.0), (2, 1.000)`,
		test:    `UPDATE t SET id = 1.00`,
		way:     string(track.SideEffect),
		without: inChecked(`groundhog\.rows_written\(\) OPERATOR\(pg_catalog\.<>\) \(before`, "before OPERATOR(pg_catalog.<>) (before OPERATOR(pg_catalog.-) done.written OPERATOR(pg_catalog.-) set_aside"),
	},
	{
		name: "an identity that UPDATE can't set",
		schema: `CREATE TABLE t (id int PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY); CREATE TABLE c (t int REFERENCES t ON DELETE CASCADE);
			INSERT INTO t VALUES (1), (2)`,
		test:    `UPDATE t SET n = DEFAULT WHERE id = 1`,
		way:     string(track.FixedIdentity),
		without: inChecked(`IF done\.stuck`, "IF false"),
	},
	{
		name: "what is deferred is checked before triggers wake",
		schema: logged + `CREATE TABLE c (id int PRIMARY KEY, t int REFERENCES t DEFERRABLE INITIALLY DEFERRED); INSERT INTO c VALUES (1, 1);
			CREATE TRIGGER l BEFORE INSERT OR UPDATE ON c FOR EACH ROW EXECUTE FUNCTION log_it()`,
		test:    `UPDATE c SET t = 2`,
		way:     "undone",
		without: inChecked(`SET CONSTRAINTS ALL IMMEDIATE;`, ""),
	},
	{
		name: "triggers sleep",
		schema: logged + `CREATE TRIGGER l BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION log_it();
			CREATE CONSTRAINT TRIGGER d AFTER INSERT OR UPDATE ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION log_it();
			ALTER TABLE t ENABLE ALWAYS TRIGGER l`,
		test:    `UPDATE t SET v = 'x'`,
		way:     "undone",
		without: inChecked(`FOREACH x IN ARRAY sleep LOOP`, "FOREACH x IN ARRAY ARRAY[]::text[] LOOP"),
	},
	{
		name: "triggers wake",
		schema: logged + `CREATE TRIGGER l BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION log_it();
			CREATE TRIGGER m BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION log_it(); ALTER TABLE t DISABLE TRIGGER m`,
		test:    `UPDATE t SET v = 'x'`,
		way:     "undone",
		without: inChecked(`FOREACH x IN ARRAY wake LOOP`, "FOREACH x IN ARRAY ARRAY[]::text[] LOOP"),
	},
	{
		name: "triggers wake as what they were",
		schema: logged + `CREATE TRIGGER l BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION log_it(); ALTER TABLE t ENABLE ALWAYS TRIGGER l;
			CREATE TRIGGER m BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION log_it(); ALTER TABLE t ENABLE REPLICA TRIGGER m;
			CREATE TRIGGER n BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION log_it()`,
		test:    `UPDATE t SET v = 'x'`,
		way:     "undone",
		without: inChecked(`ENABLE ALWAYS TRIGGER`, "ENABLE TRIGGER"),
	},
	{
		name: "unique values are set aside",
		schema: `CREATE TABLE t (id int PRIMARY KEY, u int NOT NULL UNIQUE, v varchar(5) NOT NULL UNIQUE, w numeric(4, 1) NOT NULL UNIQUE, x int UNIQUE NULLS NOT DISTINCT);
			CREATE TABLE c (t int REFERENCES t ON DELETE CASCADE); INSERT INTO t VALUES (1, 10, 'a', 1, 1), (2, 20, 'b', 2, NULL); INSERT INTO c VALUES (1)`,
		test:    `UPDATE t SET u = 30, v = 'c', w = 3, x = 3 WHERE id = 1; UPDATE t SET u = 10, v = 'a', w = 1, x = 1 WHERE id = 2; UPDATE t SET u = 20, v = 'b', w = 2, x = NULL WHERE id = 1`,
		way:     "undone",
		without: inChecked(`IF aside THEN`, "IF false THEN"),
	},
	{
		name: "a value whose passing one is refused",
		schema: `CREATE TABLE t (id int PRIMARY KEY, u int NOT NULL UNIQUE, g int GENERATED ALWAYS AS (u * 100) STORED);
			CREATE TABLE c (t int REFERENCES t ON DELETE CASCADE); INSERT INTO t VALUES (1, 10), (2, 20); INSERT INTO c VALUES (1)`,
		test: `UPDATE t SET u = 30 WHERE id = 1; UPDATE t SET u = 10 WHERE id = 2; UPDATE t SET u = 20 WHERE id = 1`,
		way:  string(track.Constraint),
	},
	{
		name:    "writes that are not counted",
		schema:  pair,
		test:    `UPDATE p SET id = 3 WHERE id = 1`,
		set:     `SET track_counts = off`,
		way:     string(track.NotCounted),
		without: inChecked(`NOT pg_catalog\.current_setting\(''?track_counts''?\)::boolean`, "false"),
	},
	{
		name:    "rules sleep",
		schema:  logged + `CREATE RULE r AS ON DELETE TO t DO INSTEAD INSERT INTO log VALUES ('rule')`,
		test:    `INSERT INTO t VALUES (3, 'c'); UPDATE t SET v = 'x' WHERE id = 1`,
		way:     "undone",
		without: inChecked(`FOREACH x IN ARRAY sleep LOOP`, "FOREACH x IN ARRAY ARRAY[]::text[] LOOP"),
	},
	{
		name: "a row whose key others have is updated",
		schema: `CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE); CREATE TABLE c (t int REFERENCES t ON DELETE CASCADE);
			INSERT INTO t VALUES (1, 10), (2, 20); INSERT INTO c VALUES (1)`,
		test: `UPDATE t SET u = 11 WHERE id = 1`,
		way:  "undone",
		without: inChecked(`WHERE NOT EXISTS \(SELECT FROM ([no])_(\d+) \1 WHERE n\.c1 OPERATOR\(pg_catalog\.=\) o\.c1\)`,
			`WHERE NOT EXISTS (SELECT FROM \1_\2 \1 WHERE n.was OPERATOR(pg_catalog.*=) ROW(o.c1, o.c2))`) + "; " +
			inChecked(`WHERE n\.was OPERATOR\(pg_catalog\.\*<>\)`, "WHERE false AND n.was OPERATOR(pg_catalog.*<>)"),
	},
	{
		name:   "rows of one deferrable key all leave",
		schema: `CREATE TABLE t (id int PRIMARY KEY DEFERRABLE, v text); INSERT INTO t VALUES (1, 'a'), (2, 'b')`,
		test:   `SET session_replication_role = replica; UPDATE t SET v = 'x' WHERE id = 1; INSERT INTO t VALUES (1, 'a'), (1, 'a')`,
		way:    "undone",
		without: inChecked(`SELECT n\.at, n\.rel FROM n_(\d+) n`, `SELECT n.at, n.rel FROM n_\1 n WHERE NOT EXISTS (SELECT FROM o_\1 o WHERE n.was OPERATOR(pg_catalog.*=) ROW(o.c1, o.c2))`) + "; " +
			inChecked(`SELECT o\.c1, o\.c2 FROM o_(\d+) o`, `SELECT o.c1, o.c2 FROM o_\1 o WHERE NOT EXISTS (SELECT FROM n_\1 n WHERE n.was OPERATOR(pg_catalog.*=) ROW(o.c1, o.c2))`),
	},
	{
		name:    "a key without an index would be read for each row",
		schema:  unindexed,
		always:  `UPDATE groundhog.journals SET rows = 10`,
		test:    `INSERT INTO p SELECT g, 'n' FROM generate_series(1001, 1200) g`,
		way:     string(track.UnindexedKey),
		without: inChecked(`IF reads OPERATOR`, "IF false AND reads OPERATOR"),
	},
	{
		name:    "only rows that leave are looked for in a table without an index",
		schema:  unindexed,
		always:  `UPDATE groundhog.journals SET rows = 10`,
		test:    `UPDATE p SET v = 'x'`,
		way:     "undone",
		without: replace("^unindexed_reads$", `WHERE j\.kind OPERATOR\(pg_catalog\.=\) %L`, "WHERE true OR %L IS NULL"),
	},
	{
		name:    "a key that has an index",
		schema:  unindexed + `; CREATE INDEX ON c (p, v)`,
		always:  `UPDATE groundhog.journals SET rows = 10`,
		test:    `INSERT INTO p SELECT g, 'n' FROM generate_series(1001, 1200) g`,
		way:     "undone",
		without: `INSERT INTO groundhog.unindexed SELECT 'p'::regclass, 'c'::regclass`,
	},
	{
		name:    "an extension that keeps in memory what a table holds",
		schema:  logged,
		always:  `INSERT INTO groundhog.cache_resets VALUES ('t'::regclass, 'SELECT', 'SELECT')`,
		test:    `UPDATE t SET v = 'x'`,
		way:     string(track.ExtensionCache),
		without: inChecked(`IF EXISTS \(SELECT FROM groundhog\.cache_resets`, "IF false AND EXISTS (SELECT FROM groundhog.cache_resets"),
	},
	{
		name:    "an extension whose tables no test writes to",
		schema:  logged,
		always:  `INSERT INTO groundhog.cache_resets VALUES ('log'::regclass, 'SELECT', 'SELECT')`,
		test:    `UPDATE t SET v = 'x'`,
		way:     "undone",
		without: inChecked(`ON t\.root OPERATOR\(pg_catalog\.=\) k\.root`, "ON true"),
	},
	{
		name:    "what must be loaded is loaded",
		schema:  loadedTogether,
		test:    `TRUNCATE t CASCADE; INSERT INTO t VALUES (1, 'x'); UPDATE log SET m = 'x'`,
		way:     string(track.Truncated),
		without: inChecked(`IF sources\[place\] IS NOT NULL`, "IF false"),
	},
	{
		name:    "what refers to a table that is loaded stays",
		schema:  loadedTogether,
		test:    `BEGIN; DELETE FROM c; TRUNCATE t CASCADE; INSERT INTO t VALUES (1, 'x'); INSERT INTO c VALUES (1); COMMIT; UPDATE log SET m = 'x'`,
		way:     string(track.Truncated),
		without: inChecked(`WHERE NOT EXISTS \(SELECT FROM ([no])_(\d+) \1 WHERE n\.c1 OPERATOR\(pg_catalog\.=\) o\.c1\)`, "WHERE true"),
	},
	{
		name: "unique values are set aside where tables are loaded",
		schema: logged + `CREATE TABLE s (id int PRIMARY KEY, u int NOT NULL UNIQUE); CREATE TABLE c (s int REFERENCES s ON DELETE CASCADE);
			INSERT INTO s VALUES (1, 10), (2, 20); INSERT INTO c VALUES (1)`,
		test:    `UPDATE s SET u = 30 WHERE id = 1; UPDATE s SET u = 10 WHERE id = 2; UPDATE s SET u = 20 WHERE id = 1; TRUNCATE t`,
		way:     string(track.Truncated),
		without: inChecked(`IF aside THEN`, "IF false THEN"),
	},
	{
		name: "unique values of a table that is loaded are set aside",
		schema: `CREATE TABLE s (id int PRIMARY KEY, u int NOT NULL UNIQUE); CREATE TABLE c (s int REFERENCES s ON DELETE CASCADE);
			INSERT INTO s VALUES (1, 10), (2, 20); INSERT INTO c VALUES (1)`,
		test:    `TRUNCATE s CASCADE; INSERT INTO s VALUES (1, 20), (2, 10)`,
		way:     string(track.Truncated),
		without: inChecked(`aside := moved`, "aside := false"),
	},
	{
		name:    "passing values that a constraint refuses are not taken where none is needed",
		schema:  logged + `CREATE TABLE s (id int PRIMARY KEY, u int NOT NULL UNIQUE CHECK (u > 0)); CREATE TABLE c (s int REFERENCES s ON DELETE CASCADE); INSERT INTO s VALUES (1, 10), (2, 20)`,
		test:    `UPDATE s SET u = 30 WHERE id = 1; TRUNCATE t`,
		way:     string(track.Truncated),
		without: inChecked(`WHEN SQLSTATE ''?GH004''? THEN\s+aside := false`, "WHEN SQLSTATE ''GH004'' THEN aside := true"),
	},
	{
		name:    "row level security sleeps",
		schema:  secured,
		test:    `UPDATE t SET v = 'x'`,
		way:     string(track.RowSecurity),
		without: inChecked(`NO FORCE ROW`, "FORCE ROW"),
	},
	{
		name:    "row level security wakes",
		schema:  secured,
		test:    `UPDATE t SET v = 'x'`,
		way:     string(track.RowSecurity),
		without: inChecked(`'' FORCE ROW|' FORCE ROW`, "'' NO FORCE ROW"),
	},
	{
		name:    "a published table without an identity gets one",
		schema:  heard,
		test:    `INSERT INTO t VALUES (3, 'c')`,
		way:     "undone",
		without: inChecked(`FOREACH x IN ARRAY sleep LOOP`, "FOREACH x IN ARRAY ARRAY[]::text[] LOOP"),
	},
	{
		name:    "a published table loses the identity again",
		schema:  heard,
		test:    `INSERT INTO t VALUES (3, 'c')`,
		way:     "undone",
		without: inChecked(`FOREACH x IN ARRAY wake LOOP`, "FOREACH x IN ARRAY ARRAY[]::text[] LOOP"),
	},
	{
		name: "a table whose updates are published",
		schema: `CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'); ALTER TABLE t REPLICA IDENTITY NOTHING;
			CREATE PUBLICATION p FOR TABLE t WITH (publish = 'update')`,
		test:    `TRUNCATE t; INSERT INTO t VALUES (1, 'x')`,
		way:     string(track.Truncated),
		without: inChecked(`FOREACH x IN ARRAY sleep LOOP`, "FOREACH x IN ARRAY ARRAY[]::text[] LOOP"),
	},
	{
		name:    "a table that is published, and whose rows are hidden",
		schema:  secured + `; ALTER TABLE t REPLICA IDENTITY NOTHING; CREATE PUBLICATION p FOR TABLE t`,
		test:    `TRUNCATE t; INSERT INTO t VALUES (1, 'x')`,
		way:     string(track.Truncated),
		without: inChecked(`FOREACH x IN ARRAY sleep LOOP`, "FOREACH x IN ARRAY ARRAY[]::text[] LOOP"),
	},
	{
		name:    "what an event trigger writes when views are refreshed, after a load",
		schema:  refreshed + `INSERT INTO log VALUES ('refresh'); END $$`,
		test:    `TRUNCATE t`,
		way:     string(track.SideEffect),
		without: inChecked(`IF groundhog\.rows_written\(\) OPERATOR\(pg_catalog\.<>\) written`, "IF false"),
	},
	{
		name:    "what an event trigger truncates when views are refreshed",
		schema:  refreshed + `TRUNCATE log; END $$`,
		test:    `UPDATE t SET v = 'x'`,
		way:     string(track.SideEffect),
		without: inChecked(`RETURN now`, "RETURN false AND now"),
	},
	{
		name:   "a table that has an identity and nothing else",
		schema: `CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, g int GENERATED ALWAYS AS (id * 2) STORED); INSERT INTO t DEFAULT VALUES; INSERT INTO t DEFAULT VALUES`,
		test:   `DELETE FROM t WHERE id = 1; INSERT INTO t DEFAULT VALUES`,
		way:    "undone",
	},
}

// TestRulesOfAnOwner: each history comes out right and in its way with its rule, and not
// without.
func TestRulesOfAnOwner(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	for _, r := range ownerRules {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			for _, with := range []bool{true, false} {
				if !with && r.without == "" {
					continue
				}
				w := newOwnersWorld(t, r.schema)
				w.watchTriggers()
				admin := connect(t, w.url)
				if r.always != "" {
					w.sql(admin, r.always)
				}
				if !with {
					w.sql(admin, r.without)
				}
				w.sql(connect(t, w.url), r.test)
				if r.set != "" {
					w.sql(w.conn, "RESET ROLE; "+r.set+"; "+w.asOwner())
				}
				count := ways{why: map[track.Reason]int{}}
				var found []string
				w.switched = []string{"t"}
				err := w.back(&count, func(tx pgx.Tx) (err error) {
					w.sql(tx, "RESET ROLE") // row level security hides rows from the owner
					found, err = w.differences(tx)
					return err
				})
				way := "undone"
				for why := range count.why {
					way = string(why)
				}
				if with {
					require.NoError(t, err)
					require.Empty(t, found)
					require.Equal(t, r.way, way)
				} else {
					require.True(t, err != nil || len(found) > 0 || way != r.way, "nothing goes wrong without it")
					t.Log(err, way, strings.Join(found, "; "))
				}
			}
		})
	}
}

// TestNeighboursOfAnOwner: what a foreign key does to a table that is not tracked is seen.
func TestNeighboursOfAnOwner(t *testing.T) {
	t.Parallel()
	for _, with := range []bool{true, false} {
		w := newOwnersWorld(t, pair)
		w.inTx(func(tx pgx.Tx) {
			w.sql(tx, "RESET ROLE")
			b := track.Baseline{Token: token, ServerID: w.home, Checked: true, Reinstall: true, Tables: []schema.Name{{Schema: "public", Name: "p"}}}
			if with {
				b.OutsideKeys = []track.OutsideKey{{ForeignKey: catalog.ForeignKey{Table: schema.Name{Schema: "public", Name: "c"}, Target: schema.Name{Schema: "public", Name: "p"}}}}
			}
			w.sql(tx, "SET LOCAL search_path = pg_catalog; "+w.asOwner())
			require.NoError(t, track.SetBaseline(t.Context(), tx, b))
		})
		w.sql(connect(t, w.url), `UPDATE p SET id = 3 WHERE id = 1`)
		out, _, err := track.Restore(t.Context(), w.conn, token, w.home, nil)
		require.NoError(t, err)
		if with {
			require.Equal(t, track.SideEffect, out.Unusable)
		} else {
			require.Empty(t, out.Unusable, "the rows of c are gone")
		}
	}
}
