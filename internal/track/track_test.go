package track_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'b' FROM generate_series(1, 10) g")
	require.Equal(t, 1, w.same().nothing)
}

// TestUndone: each history of one table is undone without a reload.
func TestUndone(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"update":                         "UPDATE t SET v = 'x' WHERE id < 4",
		"update twice":                   "UPDATE t SET v = 'x' WHERE id < 4; UPDATE t SET v = 'y' WHERE id < 6",
		"insert":                         "INSERT INTO t VALUES (20, 'n')",
		"delete":                         "DELETE FROM t WHERE id % 2 = 0",
		"delete all":                     "DELETE FROM t",
		"insert, delete":                 "INSERT INTO t VALUES (20, 'n'); DELETE FROM t WHERE id = 20",
		"insert, delete, insert":         "INSERT INTO t VALUES (20, 'n'); DELETE FROM t WHERE id = 20; INSERT INTO t VALUES (20, 'n')",
		"insert, delete twice":           "INSERT INTO t VALUES (20, 'n'); DELETE FROM t WHERE id = 20; INSERT INTO t VALUES (20, 'n'); DELETE FROM t WHERE id = 20",
		"delete, insert":                 "DELETE FROM t WHERE id < 5; INSERT INTO t SELECT g, 'n' FROM generate_series(1, 4) g",
		"delete, insert, update":         "DELETE FROM t WHERE id < 5; INSERT INTO t SELECT g, 'n' FROM generate_series(1, 4) g; UPDATE t SET v = v || 'x'",
		"update, delete":                 "UPDATE t SET v = 'x'; DELETE FROM t WHERE id < 5",
		"update, delete, insert, delete": "UPDATE t SET v = 'x'; DELETE FROM t WHERE id < 5; INSERT INTO t VALUES (1, 'n'); DELETE FROM t",
		"key":                            "UPDATE t SET id = id + 100 WHERE id < 4",
		"key of a new row":               "INSERT INTO t VALUES (20, 'n'); UPDATE t SET id = 21 WHERE id = 20; DELETE FROM t WHERE id = 21",
		"key taken by another":           "DELETE FROM t WHERE id = 1; UPDATE t SET id = 1 WHERE id = 2",
		"key taken and left":             "DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (1, 'n'); UPDATE t SET id = 30 WHERE id = 1",
		"key taken, left and taken":      "DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (30, 'n'); UPDATE t SET id = 1 WHERE id = 30; DELETE FROM t WHERE id = 2",
	} {
		prove := func(t *testing.T, w *world) {
			other := connect(t, w.url)
			for range 3 {
				w.sql(other, sql)
				count := w.same()
				require.Equal(t, 1, count.undone, count.why)
				require.Zero(t, count.reloaded, count.why)
			}
		}
		schema := "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'b' FROM generate_series(1, 10) g"
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			prove(t, newWorld(t, schema))
		})
		t.Run(name+", as the owner", func(t *testing.T) {
			t.Parallel()
			prove(t, newOwnersWorld(t, schema))
		})
	}
}
