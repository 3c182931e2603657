package main

import (
	"io"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/bulk"
	"github.com/groundhogdb/groundhog/fixtures"
)

func TestProve(t *testing.T) {
	before := state{"a": {2, "11"}, "b": {1, "7"}}
	changed := state{"a": {3, "12"}, "b": {1, "8"}}
	with := func(s state, name string, c content) state {
		s = maps.Clone(s)
		s[name] = c
		return s
	}
	without := maps.Clone(before)
	delete(without, "b")
	for name, tc := range map[string]struct {
		changed, after state
		want           string
	}{
		"as before":              {changed, before, ""},
		"another count":          {changed, with(before, "a", content{3, "11"}), "these tables differ: a"},
		"other content":          {changed, with(before, "b", content{1, "8"}), "these tables differ: b"},
		"nothing restored":       {changed, changed, "these tables differ: a, b"},
		"a table is missing":     {changed, without, "these tables differ: b"},
		"an empty table is new":  {changed, with(before, "c", content{0, "0"}), "these tables differ: c"},
		"nothing changed":        {before, before, "nothing is proved"},
		"one table is untouched": {with(changed, "b", before["b"]), before, "in these tables: b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			err := prove(&out, english, before, tc.changed, tc.after)
			if tc.want == "" {
				require.NoError(t, err)
				require.Contains(t, out.String(), english.proved)
				return
			}
			require.ErrorContains(t, err, tc.want)
			require.NotContains(t, out.String(), english.proved)
		})
	}
	require.Error(t, prove(io.Discard, english, nil, nil, nil), "no tables are no proof")
}

// Whatever is done to a single row shows; the order of the rows does not.
func TestStateSeesEachChange(t *testing.T) {
	t.Parallel()
	db := fixtures.Open(t, fixtures.WithSchema(fixtures.WelfareSchema,
		`CREATE SCHEMA "Other"; CREATE TABLE "Other"."T 1" (id int); INSERT INTO "Other"."T 1" VALUES (1), (2), (2)`))
	bulk.Staffs(t, db, bulk.Offices(t, db, 2), 2)
	now := func() state {
		s, err := stateOf(t.Context(), db)
		require.NoError(t, err)
		return s
	}
	before := now()
	require.Len(t, before, 7)
	require.Equal(t, int64(5), before["staffs"].rows)
	require.Equal(t, int64(3), before["Other.T 1"].rows)

	for table, sql := range map[string]string{
		"staffs":        "UPDATE staffs SET locked_at = '2026-01-02 03:04:05.000001Z' WHERE id = (SELECT id FROM staffs LIMIT 1)",
		"offices":       "UPDATE offices SET phone_number = NULL WHERE id = (SELECT id FROM offices LIMIT 1)",
		"office_staffs": "DELETE FROM office_staffs WHERE id = (SELECT id FROM office_staffs LIMIT 1)",
		"Other.T 1":     `UPDATE "Other"."T 1" SET id = 1 WHERE ctid = (SELECT max(ctid) FROM "Other"."T 1")`,
	} {
		was := now()
		_, err := db.Exec(t.Context(), sql)
		require.NoError(t, err)
		is := now()
		require.NotEqual(t, was[table].hash, is[table].hash, table)
		delete(was, table)
		delete(is, table)
		require.Equal(t, was, is)
	}

	was := now()
	_, err := db.Exec(t.Context(), `WITH gone AS (DELETE FROM "Other"."T 1" RETURNING id) INSERT INTO "Other"."T 1" SELECT id FROM gone ORDER BY id DESC`)
	require.NoError(t, err)
	require.Equal(t, was, now(), "another order of the same rows")
}
