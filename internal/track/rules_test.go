package track_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/internal/track"
)

// rule is one of those that make the journal exact: a history that needs it, and
// SQL that takes it out.
type rule struct {
	name    string
	without string
	history func(w *world) error // returns what going back returned
}

// replace is SQL that replaces what a pattern finds in functions of ours, of which
// some have it.
func replace(functions, pattern, by string) string {
	return fmt.Sprintf(`DO $do$ DECLARE f record; d text; found boolean := false; BEGIN
		FOR f IN SELECT p.oid FROM pg_proc p WHERE p.pronamespace = 'groundhog'::regnamespace AND p.proname ~ '%s' LOOP
			d := pg_get_functiondef(f.oid);
			IF d ~ $p$%s$p$ THEN
				found := true;
				EXECUTE regexp_replace(d, $p$%[2]s$p$, '%s', 'g');
			END IF;
		END LOOP;
		IF NOT found THEN RAISE 'there is nothing to take out'; END IF;
	END $do$`, functions, pattern, by)
}

// onTriggers is SQL that does something to each trigger of that name; %s is its
// definition, quoted as it is created.
func onTriggers(name, do string) string {
	return fmt.Sprintf(`DO $do$ DECLARE t record; BEGIN
		FOR t IN SELECT tgrelid::regclass AS rel, tgname, pg_get_triggerdef(oid) AS def FROM pg_trigger WHERE tgname = '%s' LOOP
			EXECUTE format('DROP TRIGGER %%I ON %%s', t.tgname, t.rel);
			%s
		END LOOP;
	END $do$`, name, do)
}

const ten = `CREATE TABLE t (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, v text); INSERT INTO t SELECT g, 'b' FROM generate_series(1, 10) g`

// advance makes the next restore one that has something to do.
func (w *world) advance() {
	w.Helper()
	w.sql(connect(w.T, w.url), `UPDATE t SET v = 'advance' WHERE id = 5`)
	w.same()
}

func (w *world) goBack() error {
	return w.back(&ways{why: map[track.Reason]int{}}, func(pgx.Tx) error { return nil })
}

var rules = []rule{
	{
		name:    "only newer rows are deleted",
		without: replace("^undo_", `pg_catalog\.age\(t\.xmin\) OPERATOR\(pg_catalog\.<\) pg_catalog\.age\(undo_\d+\.baseline_xid\)`, "true"),
		history: func(w *world) error {
			w.sql(connect(w.T, w.url), `BEGIN; INSERT INTO t VALUES (3, 'beside'); DELETE FROM t WHERE v = 'beside'; COMMIT`)
			return w.goBack()
		},
	},
	{
		name:    "a transaction that is older than the baseline",
		without: replace("^enter$", `own OPERATOR\(pg_catalog\.<=\) baseline`, "false"),
		history: func(w *world) error {
			old := connect(w.T, w.url)
			w.sql(old, `BEGIN; SELECT pg_current_xact_id()`)
			w.advance()
			w.sql(old, `INSERT INTO t VALUES (20, 'old'); UPDATE t SET v = 'old' WHERE id = 2; COMMIT`)
			w.sql(connect(w.T, w.url), `UPDATE t SET v = 'new' WHERE id = 2`)
			return w.goBack()
		},
	},
	{
		name:    "a snapshot that is older than the baseline",
		without: replace("^enter$", `baseline IS DISTINCT FROM \(SELECT h\.last_value FROM groundhog\.newest_baseline_xid h\)`, "false"),
		history: func(w *world) error {
			w.advance()
			old := connect(w.T, w.url)
			w.sql(old, `BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_current_xact_id(), count(*) FROM t`)
			w.advance()
			w.sql(old, `INSERT INTO t VALUES (20, 'old'); COMMIT`)
			return w.goBack()
		},
	},
	{
		name:    "the writers' lock",
		without: replace("^enter$", `PERFORM pg_catalog\.pg_advisory_xact_lock_shared\(\d+\);`, ""),
		history: func(w *world) error {
			open := connect(w.T, w.url)
			w.sql(w.conn, `SET lock_timeout = '200ms'`)
			w.sql(open, `BEGIN; INSERT INTO t VALUES (20, 'open')`)
			err := w.goBack()
			var pg *pgconn.PgError
			if errors.As(err, &pg) && pg.Code == "55P03" { // it is told that somebody writes
				w.sql(open, `ROLLBACK`)
				return w.goBack()
			}
			w.sql(open, `COMMIT`)
			return err
		},
	},
	{
		name:    "what is skipped is noted",
		without: replace("^enter$", `INSERT INTO groundhog\.touched VALUES \(x\.root, 'too_many_changes'\);`, ""),
		history: func(w *world) error {
			w.skip("t")
			w.sql(connect(w.T, w.url), `UPDATE t SET v = 'x' WHERE id = 1; INSERT INTO t VALUES (20, 'n')`)
			return w.goBack()
		},
	},
	{
		name:    "keys that change",
		without: onTriggers("zzz_groundhog_key", ""),
		history: func(w *world) error {
			w.sql(connect(w.T, w.url), `UPDATE t SET id = id + 100 WHERE id < 3`)
			return w.goBack()
		},
	},
	{
		name: "only versions of the baseline are kept",
		without: onTriggers("zzz_groundhog_old", `EXECUTE regexp_replace(t.def, 'WHEN \(.*\) EXECUTE', 'EXECUTE');
			EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', t.rel, t.tgname);`),
		history: func(w *world) error {
			w.sql(connect(w.T, w.url), `UPDATE t SET v = 'x' WHERE id = 1`)
			w.sql(connect(w.T, w.url), `UPDATE t SET v = 'y' WHERE id = 1`)
			return w.goBack()
		},
	},
	{
		name:    "rows that came are counted",
		without: replace("^undo_", `THEN -1`, "THEN 0"),
		history: func(w *world) error {
			w.sql(connect(w.T, w.url), `INSERT INTO t VALUES (20, 'passing')`)
			w.sql(connect(w.T, w.url), `DELETE FROM t WHERE id = 20`)
			return w.goBack()
		},
	},
	{
		name:    "rows that went to another key are counted",
		without: replace("^note_", `, \('g', OLD\.[^)]*\)`, ""),
		history: func(w *world) error {
			other := connect(w.T, w.url)
			w.sql(other, `DELETE FROM t WHERE id = 1`)
			w.sql(other, `INSERT INTO t VALUES (1, 'again')`)
			w.sql(other, `UPDATE t SET id = 30 WHERE id = 1`)
			return w.goBack()
		},
	},
}

// TestRules: each history comes out right with its rule, and wrong without.
func TestRules(t *testing.T) {
	t.Parallel()
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			for _, with := range []bool{true, false} {
				w := newWorld(t, ten)
				if !with {
					w.inTx(func(tx pgx.Tx) { w.sql(tx, r.without) })
				}
				err := r.history(w)
				var found []string
				w.inTx(func(tx pgx.Tx) {
					var err error
					found, err = w.differences(tx)
					require.NoError(t, err)
				})
				if with {
					require.NoError(t, err)
					require.Empty(t, found)
				} else {
					require.True(t, err != nil || len(found) > 0, "nothing goes wrong without it")
				}
			}
		})
	}
}

// TestChaosNeedsEveryRule: without any one of them the random test finds something.
// It takes minutes, and runs with the long form of that test.
func TestChaosNeedsEveryRule(t *testing.T) {
	if steps() <= 10_000 {
		t.Skip("only in the long form: set " + envSteps)
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			require.NotEmpty(t, chaos(t, 1, 40_000, r.without))
		})
	}
}

// TestRowsOfOneKey: in replica role nobody checks a deferred key, so that there can be
// several rows of one key. All of them are gone afterwards, and the baseline's is there.
func TestRowsOfOneKey(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	for name, sql := range map[string]string{
		"deleted, then inserted twice":        `DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (1, 'a'), (1, 'b')`,
		"deleted, then inserted three times":  `DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (1, 'a'), (1, 'b'), (1, 'c')`,
		"all deleted, then inserted twice":    `DELETE FROM t; INSERT INTO t SELECT g % 12, 'all' FROM generate_series(1, 30) g`,
		"inserted beside the baseline's":      `INSERT INTO t VALUES (1, 'a'), (1, 'b'); DELETE FROM t WHERE v = 'a'`,
		"inserted, and all deleted":           `INSERT INTO t VALUES (1, 'a'), (1, 'b'); DELETE FROM t WHERE id = 1`,
		"inserted, and the baseline's gone":   `INSERT INTO t VALUES (1, 'a'), (1, 'c'); DELETE FROM t WHERE id = 1 AND v = 'b'`,
		"updated, deleted, inserted twice":    `UPDATE t SET v = 'x' WHERE id = 1; DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (1, 'a'), (1, 'c')`,
		"moved to the key of another":         `UPDATE t SET id = 2 WHERE id = 1; UPDATE t SET id = 2 WHERE id = 3; DELETE FROM t WHERE id = 2`,
		"moved to a key that was deleted":     `DELETE FROM t WHERE id = 2; UPDATE t SET id = 2 WHERE id IN (1, 3)`,
		"moved away and inserted twice again": `UPDATE t SET id = 20 WHERE id = 1; INSERT INTO t VALUES (1, 'a'), (1, 'c'); DELETE FROM t WHERE id = 20`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, ten)
			w.sql(connect(t, w.url), `BEGIN; SET LOCAL session_replication_role = replica; `+sql+`; COMMIT`)
			w.same()
			w.sql(connect(t, w.url), `UPDATE t SET v = 'once more'`)
			w.same()
		})
	}
}
