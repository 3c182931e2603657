package track_test

import (
	_ "embed"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/track"
)

//go:embed testdata/version3.sql
var version3 string

//go:embed testdata/version4.sql
var version4 string

// TestAnOlderJournalIsReplaced: the journal of an earlier version is no baseline of this
// one, and what comes next to be the baseline takes its place without a trace.
func TestAnOlderJournalIsReplaced(t *testing.T) {
	t.Parallel()
	for _, v := range []struct {
		name, made, begin, baseline string
		gone                        []string // functions and tables that this version has not
	}{
		{"3", version3, "SET LOCAL groundhog.off = on", `SELECT groundhog.mark($1, $2, '{public}', '{t}', '{10}', false)`,
			[]string{"watch", "settle", "mark", "blind", "owners", "moved", "tree", "horizon"}},
		{"4", version4, "SET LOCAL groundhog.disabled = on", `SELECT groundhog.set_baseline($1, $2, '{public}', '{t}', '{10}', false)`, nil},
	} {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			olderJournal(t, v.made, v.begin, v.baseline, v.gone)
		})
	}
}

func olderJournal(t *testing.T, made, begin, baseline string, gone []string) {
	ctx := t.Context()
	fixtures.Open(t, fixtures.WithSchema(`CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'b' FROM generate_series(1, 10) g`))
	w := &world{T: t, url: fixtures.URL(t)}
	w.session()
	number := func(sql string) (n int) {
		require.NoError(t, w.conn.QueryRow(ctx, sql).Scan(&n))
		return n
	}
	w.inTx(func(tx pgx.Tx) {
		w.read(tx)
		w.sql(tx, "CREATE TEMPORARY TABLE "+copyOf(w.cat.Tables[0])+" AS SELECT * FROM t")
		w.sql(tx, begin)
		w.sql(tx, strings.ReplaceAll(made, "@oid@", fmt.Sprint(number(`SELECT 't'::regclass::oid::int`))))
		_, err := tx.Exec(ctx, baseline, token, w.home)
		require.NoError(t, err)
		w.truth, err = w.state(tx)
		require.NoError(t, err)
	})
	other := connect(t, w.url)
	w.sql(other, `UPDATE t SET v = 'x' WHERE id < 4; DELETE FROM t WHERE id = 5; INSERT INTO t VALUES (20, 'n')`)
	require.Positive(t, number(`SELECT count(*) FROM groundhog.touched`), "it is awake")

	for _, alt := range []*track.Alternative{nil, {Likeness: "any", Most: -1}} {
		out, partly, err := track.Restore(ctx, w.conn, token, w.home, alt)
		require.NoError(t, err)
		require.False(t, partly)
		require.Equal(t, track.Outcome{Unusable: track.OtherVersion}, out)
	}
	w.inTx(func(tx pgx.Tx) {
		of := token
		out, err := track.Written(ctx, tx, &of, w.home)
		require.NoError(t, err)
		require.Equal(t, track.Outcome{Unusable: track.OtherVersion}, out)
		ready, err := track.Ready(ctx, tx, w.home)
		require.NoError(t, err)
		require.False(t, ready)
	})

	w.inTx(func(tx pgx.Tx) {
		mark, err := track.BeginUntracked(ctx, tx)
		require.NoError(t, err)
		require.True(t, mark)
		before := number(`SELECT count(*) FROM groundhog.touched`)
		require.NoError(t, w.load(ctx, tx, w.cat.Tables[0]))
		require.Equal(t, before, number(`SELECT count(*) FROM groundhog.touched`), "its triggers note what is loaded")
		require.NoError(t, w.baseline(tx))
	})
	require.Equal(t, track.Version, number(`SELECT version FROM groundhog.state`))
	for _, name := range gone {
		require.Zero(t, number(`SELECT (SELECT count(*) FROM pg_proc WHERE pronamespace = 'groundhog'::regnamespace AND proname = '`+name+`')
			+ (SELECT count(*) FROM pg_class WHERE relnamespace = 'groundhog'::regnamespace AND relname = '`+name+`')`), name)
	}
	require.Equal(t, 2, number(`SELECT count(*) FROM pg_event_trigger`))
	require.Equal(t, 6, number(`SELECT count(*) FROM pg_trigger WHERE tgrelid = 't'::regclass AND tgname ~ 'groundhog'`), "triggers of one journal")
	w.sql(other, `UPDATE t SET v = 'x' WHERE id < 4; DELETE FROM t WHERE id = 5; INSERT INTO t VALUES (20, 'n')`)
	require.Equal(t, 1, w.same().undone)
}
