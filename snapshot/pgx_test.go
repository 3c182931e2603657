package snapshot_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
)

// TestRowsReadTheSameWithEachPgx reads what versions of pgx read from text in
// different ways.
func TestRowsReadTheSameWithEachPgx(t *testing.T) {
	t.Parallel()
	b := setup(t, fixtures.WithSchema(`
		CREATE TABLE t (id int PRIMARY KEY, boxes box[], at timestamptz, ats timestamptz[], span tstzrange, spans tstzmultirange, x xml);`))
	exec(t, b.pool, "SELECT set_config('timezone', 'Asia/Kolkata', false)")
	_, err := b.store.Create(t.Context(), "a")
	require.NoError(t, err)
	_, err = b.store.Restore(t.Context(), "a")
	require.NoError(t, err)
	exec(t, b.pool, `INSERT INTO t VALUES (1, '{(2,2),(0,0);NULL;(1,1),(0,0)}', '2026-05-06 07:08:09+05:30', '{2026-05-06 07:08:09+05:30}',
		'[2026-05-06 07:08:09+05:30,)', '{[2026-05-06 07:08:09+05:30,2026-05-06 07:08:10+05:30)}', '<a/>')`)
	changes, err := b.store.Changes(t.Context())
	require.NoError(t, err)
	row := changes.Tables[0].Rows[0].New

	at := time.Date(2026, 5, 6, 1, 38, 9, 0, time.UTC).Local()
	box := func(x float64) pgtype.Box { return pgtype.Box{P: [2]pgtype.Vec2{{X: x, Y: x}, {}}, Valid: true} }
	for column, want := range map[string]any{
		"boxes": []any{box(2), nil, box(1)},
		"at":    at,
		"ats":   []any{at},
		"x":     []byte("<a/>"),
	} {
		got, err := row.Get(column)
		require.NoError(t, err, column)
		require.Equal(t, want, got, column)
	}
	got, err := row.Get("span")
	require.NoError(t, err)
	require.Equal(t, at, got.(pgtype.Range[any]).Lower)
	got, err = row.Get("spans")
	require.NoError(t, err)
	require.Equal(t, at, got.(pgtype.Multirange[pgtype.Range[any]])[0].Lower)

	type read struct {
		ID    int
		Boxes []pgtype.Box
		At    time.Time
		Ats   []time.Time
		Span  pgtype.Range[time.Time]
		Spans pgtype.Multirange[pgtype.Range[time.Time]]
		X     string
	}
	all, err := pgx.RowToStructByName[read](row)
	require.NoError(t, err)
	require.Equal(t, []pgtype.Box{box(2), {}, box(1)}, all.Boxes)
	require.Equal(t, []time.Time{at}, all.Ats)
	require.Equal(t, at, all.At)
	require.Equal(t, at, all.Span.Lower)
	require.Equal(t, at, all.Spans[0].Lower)
}
