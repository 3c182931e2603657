package track_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/track"
)

// restoreOr goes back where the alternative is no better.
func (w *world) restoreOr(alt *track.Alternative) (track.Outcome, bool) {
	w.Helper()
	out, partly, err := track.Restore(w.Context(), w.conn, token, w.home, alt)
	require.NoError(w, err)
	return out, partly
}

func (w *world) likeness() string {
	w.Helper()
	likeness, err := catalog.Likeness(w.Context(), w.conn)
	require.NoError(w, err)
	return likeness
}

// TestDatabaseAltered: each change of the database itself is told, and with nothing
// changed, or after it is changed back, the journal is undone.
func TestDatabaseAltered(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	for name, alter := range map[string]struct{ there, back string }{
		"a setting":         {"ALTER DATABASE %s SET work_mem = '5MB'", "ALTER DATABASE %s RESET work_mem"},
		"a role's setting":  {"ALTER ROLE CURRENT_USER IN DATABASE %s SET work_mem = '5MB'", "ALTER ROLE CURRENT_USER IN DATABASE %s RESET work_mem"},
		"a grant":           {"GRANT CREATE ON DATABASE %s TO PUBLIC", ""},
		"a revoked one":     {"REVOKE TEMPORARY ON DATABASE %s FROM PUBLIC", ""},
		"the owner":         {"ALTER DATABASE %s OWNER TO pg_monitor", ""},
		"the comment":       {"COMMENT ON DATABASE %s IS 'other'", "COMMENT ON DATABASE %s IS NULL"},
		"connections":       {"ALTER DATABASE %s CONNECTION LIMIT 77", "ALTER DATABASE %s CONNECTION LIMIT -1"},
		"what a name means": {"ALTER DATABASE %s SET search_path = other, pg_catalog", "ALTER DATABASE %s RESET search_path"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, ten, `CREATE SCHEMA other; CREATE FUNCTION other.never(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT false';
				CREATE OPERATOR other.<> (FUNCTION = other.never, LEFTARG = text, RIGHTARG = text)`)
			alt := &track.Alternative{Likeness: w.likeness(), Most: -1}
			other := connect(t, w.url)
			w.sql(other, "UPDATE t SET v = 'x' WHERE id = 1")
			out, _ := w.restoreOr(alt)
			require.Empty(t, out.Unusable)
			require.Len(t, out.Tables, 1)

			database := catalog.Identifier(w.conn.Config().Database)
			for _, written := range []string{"SELECT", "UPDATE t SET v = 'x' WHERE id = 1", "TRUNCATE t", "CREATE TABLE u ()"} {
				w.sql(other, written)
				w.sql(other, fmt.Sprintf(alter.there, database))
				w.sql(w.conn, "SET search_path = other, pg_catalog")
				out, partly := w.restoreOr(alt)
				require.Equal(t, track.Outcome{Unusable: track.DatabaseAltered}, out)
				require.False(t, partly)
				w.sql(w.conn, "RESET search_path")
				if alter.back == "" {
					return
				}
				w.sql(other, fmt.Sprintf(alter.back, database))
				require.Equal(t, alt.Likeness, w.likeness())
				out, _ = w.restoreOr(alt)
				require.NotEqual(t, track.DatabaseAltered, out.Unusable)
				w.sql(other, "DROP TABLE IF EXISTS u")
				w.same()
			}
		})
	}
}

// TestCostly: nothing is undone where more rows than the caller allows would be, and the
// costs are told.
func TestCostly(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	const large = `CREATE TABLE large (id int PRIMARY KEY, v text); INSERT INTO large SELECT g, 'large' FROM generate_series(1, 5000) g;
		CREATE TABLE part (id int PRIMARY KEY, v text) PARTITION BY RANGE (id); CREATE TABLE part0 PARTITION OF part FOR VALUES FROM (0) TO (100); CREATE TABLE part1 PARTITION OF part DEFAULT;
		INSERT INTO part SELECT g, 'p' FROM generate_series(1, 200) g`
	public := func(table string) schema.Name { return schema.Name{Schema: "public", Name: table} }
	reload := func(table string, why track.Reason, rows int64) track.Table {
		return track.Table{Name: public(table), Reload: why.Because(), Changed: rows}
	}
	undo := func(table string, entries int64) track.Table {
		return track.Table{Name: public(table), Changed: entries}
	}
	for name, c := range map[string]struct {
		sql  string
		most int64 // of which one less is too few
		want []track.Table
	}{
		"few rows":            {"UPDATE t SET v = 'x' WHERE id < 4", 3, []track.Table{undo("t", 3)}},
		"several tables":      {"UPDATE t SET v = 'x' WHERE id < 4; UPDATE part SET v = 'x' WHERE id > 90", 3 + 110, []track.Table{undo("t", 3), undo("part", 110)}},
		"a large journal":     {"UPDATE large SET v = 'x' WHERE id <= 3000", 3000, []track.Table{undo("large", 3000)}},
		"a table to load":     {"TRUNCATE part1", 2 * 200, []track.Table{reload("part", track.Truncated, 200)}},
		"both":                {"UPDATE t SET v = 'x' WHERE id < 4; TRUNCATE part1", 3 + 2*200, []track.Table{undo("t", 3), reload("part", track.Truncated, 200)}},
		"too many changes":    {"UPDATE large SET v = 'x'; UPDATE large SET id = id + 10000", 2 * 5000, []track.Table{reload("large", track.TooManyChanges, 5000)}},
		"as many as allowed":  {"DELETE FROM large WHERE id <= 4500", 4500, []track.Table{undo("large", 4500)}},
		"fewer than its rows": {"DELETE FROM large WHERE id <= 2500; DELETE FROM large WHERE id <= 4990", 4990, []track.Table{reload("large", track.TooManyChanges, 5000)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, ten, large)
			w.sql(w.conn, "UPDATE groundhog.journals SET rows = CASE name WHEN 't' THEN 10 WHEN 'part' THEN 200 ELSE 5000 END")
			other := connect(t, w.url)
			w.sql(other, c.sql)
			likeness := w.likeness()
			for _, most := range []int64{0, c.most - 1} {
				out, partly := w.restoreOr(&track.Alternative{Likeness: likeness, Most: most})
				require.False(t, partly)
				require.Equal(t, track.Costly, out.Unusable)
				require.ElementsMatch(t, c.want, out.Tables)
			}
			for _, most := range []int64{c.most, -1} {
				out, partly := w.restoreOr(&track.Alternative{Likeness: likeness, Most: most})
				require.Empty(t, out.Unusable)
				require.Equal(t, partly, c.want[len(c.want)-1].Reload != track.Cause{})
			}
			w.same()
		})
	}
}

// TestCostlyByWhatIsLeft: what DELETE leaves in a journal is no entry.
func TestCostlyByWhatIsLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'b' FROM generate_series(1, 1000) g`)
	other := connect(t, w.url)
	w.sql(other, "UPDATE t SET v = 'x'")
	w.same()
	w.sql(other, "UPDATE t SET v = 'x' WHERE id = 1")
	out, _ := w.restoreOr(&track.Alternative{Likeness: w.likeness(), Most: 1})
	require.Equal(t, track.Outcome{Tables: []track.Table{{Name: schema.Name{Schema: "public", Name: "t"}, Changed: 2}}}, out)
}
