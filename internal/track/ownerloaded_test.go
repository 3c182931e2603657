package track_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/track"
)

// TestLonePartitionOfAnOwner: a partition whose root is not tracked is loaded together with
// what is undone.
func TestLonePartitionOfAnOwner(t *testing.T) {
	t.Parallel()
	w := newOwnersWorld(t, `CREATE TABLE p (id int PRIMARY KEY, v text) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100);
		CREATE TABLE p2 PARTITION OF p DEFAULT; CREATE TABLE t (id int PRIMARY KEY, p int REFERENCES p ON DELETE CASCADE);
		INSERT INTO p SELECT g, 'p' FROM generate_series(1, 3) g; INSERT INTO t VALUES (1, 1), (2, 2)`)
	public := func(name string) schema.Name { return schema.Name{Schema: "public", Name: name} }
	w.inTx(func(tx pgx.Tx) {
		w.sql(tx, "SET LOCAL search_path = pg_catalog; "+w.asOwner())
		require.NoError(t, track.SetBaseline(t.Context(), tx, track.Baseline{Token: token, ServerID: w.home, Checked: true, Reinstall: true, Tables: []schema.Name{public("p1"), public("t")}}))
	})
	w.sql(w.conn, `CREATE TEMPORARY TABLE the_rows AS SELECT * FROM p1`)
	w.sql(connect(t, w.url), `DELETE FROM p WHERE id = 1; UPDATE p SET v = 'x' WHERE id = 2; INSERT INTO p VALUES (4, 'n')`)
	for _, sources := range [][]track.Source{nil, {{Table: public("p1"), From: "the_rows"}}} {
		tx, err := w.conn.Begin(t.Context())
		require.NoError(t, err)
		out, err := track.Undo(t.Context(), tx, token, w.home)
		require.NoError(t, err)
		require.Len(t, out.Tables, 2)
		out, err = track.UndoLoaded(t.Context(), tx, sources)
		require.NoError(t, err)
		if sources == nil {
			require.Equal(t, track.Outcome{Unusable: track.LonePartition}, out)
			require.NoError(t, tx.Rollback(t.Context()))
			continue
		}
		require.Empty(t, out.Unusable)
		found, err := w.differences(tx)
		require.NoError(t, err)
		require.Empty(t, found)
		why, err := track.FinishUndo(t.Context(), tx)
		require.NoError(t, err)
		require.Empty(t, why)
		require.NoError(t, tx.Commit(t.Context()))
	}
}

// TestTruncatedByOthers: a table that another session rewrites meanwhile is not truncated by what
// the restore does.
func TestTruncatedByOthers(t *testing.T) {
	t.Parallel()
	w := newOwnersWorld(t, ten)
	other := connect(t, w.url)
	truncated := func(tx pgx.Tx, sql func()) (yes bool) {
		var files []string
		require.NoError(t, tx.QueryRow(t.Context(), `SELECT groundhog.files()`).Scan(&files))
		sql()
		require.NoError(t, tx.QueryRow(t.Context(), `SELECT groundhog.truncated($1)`, files).Scan(&yes))
		return yes
	}
	w.inTx(func(tx pgx.Tx) {
		require.False(t, truncated(tx, func() { w.sql(other, `VACUUM FULL t`) }))
		require.False(t, truncated(tx, func() { w.sql(tx, `ALTER TABLE t ENABLE ROW LEVEL SECURITY`) }))
		require.True(t, truncated(tx, func() { w.sql(tx, `TRUNCATE t`) }))
	})
}
