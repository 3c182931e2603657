package track_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/track"
)

// bulk are tables whose rows are noted in all ways. Most of 4,000 rows are more than 3,800.
const bulk = `CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'b' FROM generate_series(1, 4000) g;
	CREATE TABLE short (id int PRIMARY KEY); INSERT INTO short SELECT g FROM generate_series(1, 4000) g;
	CREATE TABLE child (id int PRIMARY KEY, t int REFERENCES t ON DELETE CASCADE, v text); INSERT INTO child SELECT g, 1, 'c' FROM generate_series(1, 4000) g;
	CREATE INDEX ON child (t);
	CREATE TABLE keyless (id int, v text); INSERT INTO keyless SELECT g, 'k' FROM generate_series(1, 4000) g;
	CREATE TABLE part (id int PRIMARY KEY, v text) PARTITION BY HASH (id); CREATE TABLE part0 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	CREATE TABLE part1 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 1); INSERT INTO part SELECT g, 'p' FROM generate_series(1, 4000) g;
	CREATE TABLE base (id int PRIMARY KEY, v text); INSERT INTO base SELECT g, 'b' FROM generate_series(1, 4000) g;
	CREATE TABLE heir () INHERITS (base); INSERT INTO heir SELECT -g, 'h' FROM generate_series(1, 4000) g`

// TestBulkDeletions: the rows of a DELETE are not copied where there are too many for an undo.
// What a savepoint takes back counts for nothing.
func TestBulkDeletions(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	const (
		undone = -1
		some   = -2 // entries of a table to be loaded
	)
	for name, c := range map[string]struct {
		sql  string
		want map[string]int // the entries of tables to be loaded; or undone
	}{
		"all":                    {`DELETE FROM t WHERE id > 1`, map[string]int{"t": 0}},
		"all, of short rows":     {`DELETE FROM short`, map[string]int{"short": 0}},
		"not too many":           {`DELETE FROM t WHERE id > 201`, map[string]int{"t": undone}},
		"just too many":          {`DELETE FROM t WHERE id > 199`, map[string]int{"t": 0}},
		"one by one":             {`DO 'BEGIN FOR i IN 2 .. 3000 LOOP DELETE FROM t WHERE id = i; END LOOP; END'`, map[string]int{"t": undone}},
		"of two statements":      {`DELETE FROM t WHERE id BETWEEN 2 AND 1000; DELETE FROM t WHERE id > 100`, map[string]int{"t": undone}},
		"a cascade":              {`DELETE FROM t WHERE id = 1`, map[string]int{"t": undone, "child": 0}},
		"two parts of one":       {`WITH a AS (DELETE FROM t WHERE id > 2000), b AS (DELETE FROM t WHERE id BETWEEN 2 AND 2000) SELECT`, map[string]int{"t": 0}},
		"other writes":           {`DELETE FROM t WHERE id > 1; INSERT INTO t VALUES (5000, 'n'), (5, 'again'); UPDATE t SET v = 'x' WHERE id = 1`, map[string]int{"t": 3}},
		"other writes before":    {`UPDATE t SET v = 'x'; INSERT INTO t VALUES (5000, 'n'); DELETE FROM t WHERE id > 1`, map[string]int{"t": 4001}},
		"and in again":           {`DELETE FROM t WHERE id > 1; INSERT INTO t SELECT g, 'again' FROM generate_series(2, 4000) g; DELETE FROM t WHERE id BETWEEN 2 AND 5`, map[string]int{"t": 3999 + 4}},
		"new rows":               {`INSERT INTO t SELECT g, 'n' FROM generate_series(5001, 9000) g; DELETE FROM t WHERE id > 5000`, map[string]int{"t": 4000}},
		"taken back":             {`BEGIN; SAVEPOINT s; DELETE FROM t WHERE id > 1; ROLLBACK TO s; DELETE FROM t WHERE id = 3; COMMIT`, map[string]int{"t": undone}},
		"taken back in part":     {`BEGIN; DELETE FROM t WHERE id = 3; SAVEPOINT s; DELETE FROM t WHERE id > 4; SAVEPOINT r; RELEASE r; ROLLBACK TO s; UPDATE t SET v = 'x' WHERE id = 4; COMMIT`, map[string]int{"t": undone}},
		"rolled back":            {`BEGIN; DELETE FROM t WHERE id > 1; ROLLBACK; DELETE FROM t WHERE id = 3`, map[string]int{"t": undone}},
		"replica role":           {`SET session_replication_role = replica; DELETE FROM t WHERE id > 1`, map[string]int{"t": 0}},
		"with no counts":         {`SET track_counts = off; DELETE FROM t WHERE id > 1`, map[string]int{"t": undone}},
		"forgotten settings":     {`BEGIN; DELETE FROM part WHERE id > 1; RESET ALL; DELETE FROM part; INSERT INTO part VALUES (1, 'x'); COMMIT`, map[string]int{"part": 1}},
		"no key":                 {`DELETE FROM keyless`, map[string]int{"keyless": 0}},
		"no key, not too many":   {`DELETE FROM keyless WHERE id > 201`, map[string]int{"keyless": undone}},
		"no key, just too many":  {`DELETE FROM keyless WHERE id > 199`, map[string]int{"keyless": 0}},
		"no key, one by one":     {`DO 'BEGIN FOR i IN 1 .. 3000 LOOP DELETE FROM keyless WHERE id = i; END LOOP; END'`, map[string]int{"keyless": undone}},
		"no key, but new rows":   {`BEGIN; INSERT INTO keyless SELECT g, 'n' FROM generate_series(1, 4000) g; DELETE FROM keyless WHERE v = 'k'; COMMIT`, map[string]int{"keyless": undone}},
		"no key, taken back":     {`BEGIN; SAVEPOINT s; DELETE FROM keyless; ROLLBACK TO s; DELETE FROM keyless WHERE id < 4; COMMIT`, map[string]int{"keyless": undone}},
		"partitions":             {`DELETE FROM part`, map[string]int{"part": 0}},
		"partitions, new rows":   {`DELETE FROM part; INSERT INTO part VALUES (1, 'x'), (5000, 'n'); UPDATE part SET v = 'y' WHERE id = 1`, map[string]int{"part": 2}},
		"a partition":            {`DELETE FROM part0`, map[string]int{"part": undone}},
		"each partition":         {`BEGIN; DELETE FROM part0 WHERE id > 50; DELETE FROM part1; COMMIT`, map[string]int{"part": some}},
		"partitions, taken back": {`BEGIN; SAVEPOINT s; DELETE FROM part; ROLLBACK TO s; DELETE FROM part WHERE id < 4; INSERT INTO part VALUES (1, 'x'); COMMIT`, map[string]int{"part": undone}},
		"heirs":                  {`DELETE FROM base`, map[string]int{"base": 0, "heir": 0}},
		"without heirs":          {`DELETE FROM ONLY base`, map[string]int{"base": 0, "heir": 0}}, // as after a TRUNCATE
	} {
		for role, world := range map[string]func(*testing.T, ...string) *world{"superuser": newWorld, "owner": newOwnersWorld} {
			t.Run(name+"/"+role, func(t *testing.T) {
				t.Parallel()
				w := world(t, bulk)
				w.sql(w.conn, "UPDATE groundhog.journals SET rows = 4000")
				other := connect(t, w.url)
				for range 2 {
					w.sql(other, c.sql+"; RESET ALL")
					why := w.written()
					loaded := 0
					for table, entries := range c.want {
						reason, ok := why[table]
						require.True(t, ok)
						if entries == undone {
							require.Empty(t, reason, table)
							require.NotZero(t, w.entries(table), table)
							continue
						}
						loaded++
						require.Equal(t, track.TooManyChanges, reason, table)
						if entries == some {
							require.NotZero(t, w.entries(table), table)
							continue
						}
						require.Equal(t, entries, w.entries(table), table)
					}
					count := w.same()
					require.Zero(t, count.void)
					require.GreaterOrEqual(t, count.why[track.TooManyChanges], loaded)
					for table := range c.want {
						require.Zero(t, w.entries(table))
					}
				}
			})
		}
	}
}

// TestBulkDeletionOfAnUnindexedKey: where the rows of a DELETE were not copied, the journal still
// tells of new rows, which alone are looked for in tables whose foreign keys have no index.
func TestBulkDeletionOfAnUnindexedKey(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	w := newOwnersWorld(t, `CREATE TABLE p (id int PRIMARY KEY, v text); CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p ON DELETE SET NULL, v text);
		INSERT INTO p SELECT g, 'p' FROM generate_series(1, 4000) g; INSERT INTO c SELECT g, 1, 'c' FROM generate_series(1, 6000) g`)
	w.sql(w.conn, "UPDATE groundhog.journals SET rows = 4000")
	other := connect(t, w.url)
	w.sql(other, `DELETE FROM p WHERE id > 1; INSERT INTO p VALUES (5000, 'n')`)
	require.Equal(t, track.TooManyChanges, w.written()["p"])
	require.Equal(t, 1, w.same().reloaded)
	w.sql(other, `DELETE FROM p WHERE id > 1; INSERT INTO p SELECT g, 'n' FROM generate_series(5000, 9000) g`)
	require.Equal(t, 1, w.same().why[track.UnindexedKey])
	w.sql(w.conn, "UPDATE groundhog.journals SET rows = 4000")
	w.skip("p") // nothing tells of new rows
	w.sql(connect(t, w.url), `DELETE FROM p WHERE id > 1`)
	require.Equal(t, 1, w.same().why[track.UnindexedKey])
}

// TestCostOfABulkDeletion: it costs what the least DELETE of that kind does, so that it is
// exchanged no sooner than one whose rows were copied.
func TestCostOfABulkDeletion(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rows, most int64
	}{{4000, 1000 + 4000*7/10}, {100, 2 * 100}} {
		t.Run(fmt.Sprint(c.rows), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, bulk)
			w.sql(w.conn, fmt.Sprintf("UPDATE groundhog.journals SET rows = %d", c.rows))
			w.sql(connect(t, w.url), `DELETE FROM short`)
			loads := []track.Table{{Name: schema.Name{Schema: "public", Name: "short"}, Reload: track.TooManyChanges.Because(), Changed: c.rows}}
			out, partly := w.restoreOr(&track.Alternative{Likeness: w.likeness(), Most: c.most - 1})
			require.False(t, partly)
			require.Equal(t, track.Outcome{Unusable: track.Costly, Tables: loads}, out)
			out, partly = w.restoreOr(&track.Alternative{Likeness: w.likeness(), Most: c.most})
			require.True(t, partly)
			require.Empty(t, out.Unusable)
			w.same()
		})
	}
}
