package track_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/catalog"
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
	return replace("^undo_checked$|^part_|^restore$|^finish_undo$|^rows_written$", pattern, by)
}

const pair = `CREATE TABLE p (id int PRIMARY KEY, code text UNIQUE);
	CREATE TABLE c (id int PRIMARY KEY, code text REFERENCES p (code) ON DELETE CASCADE ON UPDATE CASCADE);
	INSERT INTO p VALUES (1, 'A'), (2, 'B'); INSERT INTO c VALUES (10, 'A'), (20, 'B');`

const logged = `CREATE TABLE log (m text); CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'), (2, 'b'); INSERT INTO log VALUES ('l');
	CREATE FUNCTION log_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (TG_OP); RETURN NEW; END $$;
	CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;`

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
		without: inChecked(`1e15`, "0"),
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
				err := w.back(&count, func(tx pgx.Tx) (err error) {
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
