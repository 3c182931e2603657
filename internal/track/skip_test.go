package track_test

import (
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/track"
)

func (w *world) skip(tables ...string) {
	w.Helper()
	var names []schema.Name
	for _, t := range tables {
		names = append(names, schema.Name{Schema: "public", Name: t})
	}
	require.NoError(w, track.Skip(w.Context(), w.conn, names))
}

// written returns the tables that were written to, and why they must be loaded.
func (w *world) written() map[string]track.Reason {
	w.Helper()
	found := map[string]track.Reason{}
	w.inTx(func(tx pgx.Tx) {
		of := token
		out, err := track.Written(w.Context(), tx, &of, w.home)
		require.NoError(w, err)
		require.Empty(w, out.Unusable)
		for _, t := range out.Tables {
			found[t.Name.Name] = t.Reload.Reason
		}
	})
	return found
}

// entries counts those of a table's journal.
func (w *world) entries(table string) (n int) {
	w.Helper()
	require.NoError(w, w.conn.QueryRow(w.Context(), `SELECT 'public.`+table+`'::regclass::oid::bigint`).Scan(&n))
	require.NoError(w, w.conn.QueryRow(w.Context(), `SELECT count(*) FROM groundhog.journal_`+strconv.Itoa(n)).Scan(&n))
	return n
}

// TestSkipped: what is written to a skipped table is not journaled, and the table is loaded.
func TestSkipped(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	const tables = ten + `; CREATE TABLE other (id int PRIMARY KEY, v text); INSERT INTO other SELECT g, 'o' FROM generate_series(1, 10) g;
		CREATE TABLE part (id int PRIMARY KEY, v text) PARTITION BY RANGE (id); CREATE TABLE part0 PARTITION OF part FOR VALUES FROM (0) TO (10); CREATE TABLE part1 PARTITION OF part DEFAULT;
		INSERT INTO part SELECT g, 'p' FROM generate_series(1, 20) g;
		CREATE TABLE base (id int PRIMARY KEY, v text); INSERT INTO base VALUES (1, 'b'); CREATE TABLE heir () INHERITS (base); INSERT INTO heir VALUES (2, 'h'), (3, 'h')`
	for name, c := range map[string]struct {
		skip       []string
		sql        string
		none, some []string // whose journals are empty, or not
	}{
		"update":               {[]string{"t"}, `UPDATE t SET v = 'x'`, []string{"t"}, nil},
		"insert":               {[]string{"t"}, `INSERT INTO t VALUES (11, 'n')`, []string{"t"}, nil},
		"delete":               {[]string{"t"}, `DELETE FROM t WHERE id < 4`, []string{"t"}, nil},
		"keys":                 {[]string{"t"}, `UPDATE t SET id = id + 100`, []string{"t"}, nil},
		"several":              {[]string{"t", "other"}, `BEGIN; DELETE FROM t; UPDATE other SET v = 'x'; DELETE FROM other; COMMIT`, []string{"t", "other"}, nil},
		"another as ever":      {[]string{"t"}, `BEGIN; UPDATE other SET v = 'x'; UPDATE t SET v = 'x'; DELETE FROM other WHERE id = 1; COMMIT`, []string{"t"}, []string{"other"}},
		"partitions":           {[]string{"part"}, `UPDATE part SET v = 'x'; INSERT INTO part0 VALUES (0, 'n'); DELETE FROM part1 WHERE id = 15; UPDATE part SET id = 30 WHERE id = 3`, []string{"part"}, nil},
		"named by a partition": {[]string{"part1"}, `UPDATE part0 SET v = 'x'`, []string{"part"}, nil},
		"heirs":                {[]string{"heir"}, `UPDATE base SET v = 'x'`, []string{"heir"}, []string{"base"}},
		// The heir is loaded too, as after a TRUNCATE.
		"parents":            {[]string{"base"}, `UPDATE base SET v = 'x'; DELETE FROM ONLY base`, []string{"base"}, []string{"heir"}},
		"taken back":         {[]string{"t"}, `BEGIN; SAVEPOINT s; UPDATE t SET v = 'x'; ROLLBACK TO s; UPDATE t SET v = 'y'; COMMIT`, []string{"t"}, nil},
		"replica role":       {[]string{"t"}, `BEGIN; SET LOCAL session_replication_role = replica; UPDATE t SET v = 'x'; COMMIT`, []string{"t"}, nil},
		"forgotten settings": {[]string{"t"}, `BEGIN; UPDATE t SET v = 'x'; RESET ALL; UPDATE t SET v = 'y'; COMMIT`, []string{"t"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tables)
			w.skip(c.skip...)
			other := connect(t, w.url)
			for range 2 { // an undo does not end it
				w.sql(other, c.sql)
				why := w.written()
				for _, name := range c.none {
					require.Equal(t, track.TooManyChanges, why[name])
					require.Zero(t, w.entries(name), name)
				}
				for _, name := range c.some {
					require.Contains(t, why, name)
					require.NotZero(t, w.entries(name), name)
				}
				count := w.same()
				require.Equal(t, len(why), count.undone+count.why[track.TooManyChanges])
			}
			w.sql(other, c.sql)
			w.sql(w.conn, "UPDATE groundhog.state SET token = NULL")
			require.Equal(t, 1, w.same().void)
			w.sql(other, c.sql)
			require.NotZero(t, w.entries(c.none[0]), "a baseline ends it")
			w.same()
		})
	}
}

// TestSkippedLater: a transaction goes on as it began, and a table is skipped no longer
// when others are.
func TestSkippedLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ten+`; CREATE TABLE other (id int PRIMARY KEY, v text)`)
	begun := connect(t, w.url)
	w.sql(begun, `BEGIN; UPDATE t SET v = 'x' WHERE id = 1`)
	w.skip("t", "gone")
	w.sql(begun, `UPDATE t SET v = 'x' WHERE id = 2; COMMIT`)
	require.Equal(t, map[string]track.Reason{"t": ""}, w.written())
	require.Equal(t, 2, w.entries("t"))
	w.sql(begun, `UPDATE t SET v = 'x' WHERE id = 3`)
	require.Equal(t, map[string]track.Reason{"t": track.TooManyChanges}, w.written())
	w.same()
	w.skip("other")
	w.sql(begun, `UPDATE t SET v = 'x' WHERE id = 3`)
	require.Equal(t, map[string]track.Reason{"t": ""}, w.written())
	require.Equal(t, 1, w.same().undone)
	w.skip()
	w.inTx(func(tx pgx.Tx) { require.NoError(t, track.Drop(t.Context(), tx)) })
	w.skip("t") // nothing tracks it
}
