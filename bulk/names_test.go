package bulk_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/bulk"
	"github.com/groundhogdb/groundhog/fixtures"
)

func sanitize(parts ...string) string { return pgx.Identifier(parts).Sanitize() }

// TestErrorsOfOddTables: row, column and constraint are found, whatever the table, its
// sequence and its constraints are called.
func TestErrorsOfOddTables(t *testing.T) {
	t.Parallel()
	db := fixtures.Open(t)
	type row struct {
		ID    int
		Value string
		S     int `db:"s,default"`
	}
	for _, name := range []string{"$groundhog$", "%s", `a"b`, "'", `\`, "two\nlines", "a\r\nb", "COPY", "COPY x", "COPY x, line 7, column value: ", "C", "7", "line 9", "a.b", "(", "a)=(b", "→", "列", strings.Repeat("長", 21), "$1", "value"} {
		sequence := sanitize(name[:min(len(name), 60)] + "()")
		execSQL(t, db, `CREATE SEQUENCE `+sequence)
		execSQL(t, db, `CREATE TABLE `+sanitize("public", name)+` (id int PRIMARY KEY, value varchar(9), s int DEFAULT nextval(E'`+strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(sequence)+`') UNIQUE,
			CONSTRAINT `+sanitize(name)+` CHECK (value <> 'no'))`)
		insert := func(rows ...row) error {
			_, err := bulk.InsertRows(t.Context(), db, sanitize("public", name), rows)
			return err
		}
		var bad *bulk.RowError
		require.ErrorAs(t, insert(row{1, "a", 1}, row{2, "b", 2}, row{3, `too long: "line 1, column id: "`, 3}), &bad, name)
		require.Equal(t, []any{2, "value", "Value"}, []any{bad.Row, bad.Column, bad.Field}, "%q: %s", name, bad)
		require.NotContains(t, bad.Table, "\n")
		var broken *bulk.ConstraintError
		require.ErrorAs(t, insert(row{1, "a", 1}, row{2, "no", 2}), &broken, name)
		require.Equal(t, []any{bulk.Check, 1, name}, []any{broken.Kind, broken.Row, broken.Constraint}, "%q: %s", name, broken)
		require.ErrorAs(t, insert(row{1, "a", 1}, row{1, "b", 2}), &broken, name)
		require.Equal(t, []any{bulk.Unique, 1, []string{"id"}}, []any{broken.Kind, broken.Row, broken.Columns}, "%q: %s", name, broken)
		require.NoError(t, insert(row{1, "a", 5}, row{2, "b", 0}, row{3, "c", 0}), "the sequence goes past what was given: %q", name)
		require.NoError(t, insert(row{4, "a", 0}, row{5, "b", 0}, row{6, "b", 0}), name)
	}
}

// TestErrorsOfOddColumns: also where the server's text could be read in another way.
func TestErrorsOfOddColumns(t *testing.T) {
	t.Parallel()
	db := fixtures.Open(t)
	checkColumns[struct {
		ID    int
		Value string `db:"a: \"b"`
		A     string `db:"a"`
	}](t, db, "a: \"b", "a")
	checkColumns[struct {
		ID    int
		Value string `db:"two\nlines"`
		A     string `db:"lines"`
	}](t, db, "two\nlines", "lines")
	checkColumns[struct {
		ID    int
		Value string `db:"column"`
		A     string `db:"c"`
	}](t, db, "column", "c")
	checkColumns[struct {
		ID    int
		Value string `db:"COPY t line 3"`
		A     string `db:"line 3"`
	}](t, db, "COPY t line 3", "line 3")
	checkColumns[struct {
		ID    int
		Value string `db:"null input"`
		A     string `db:"列"`
	}](t, db, "null input", "列")
	checkColumns[struct {
		ID    int
		Value string `db:"%s\\"`
		A     string `db:"$1"`
	}](t, db, `%s\`, "$1")
}

// checkColumns loads rows of which the last is wrong in the first column, then in the
// second.
func checkColumns[T any](t *testing.T, db *pgxpool.Pool, names ...string) {
	t.Helper()
	execSQL(t, db, `DROP TABLE IF EXISTS t; CREATE TABLE t (id int PRIMARY KEY, `+sanitize(names[0])+` varchar(3), `+sanitize(names[1])+` varchar(3))`, pgx.QueryExecModeSimpleProtocol)
	for i, name := range names {
		values := []string{"a", "b"}
		values[i] = "too long, column " + names[1-i] + ": x"
		rows, err := db.Query(t.Context(), `SELECT 1 AS id, $1::text AS `+sanitize(names[0])+`, $2::text AS `+sanitize(names[1]), values[0], values[1])
		require.NoError(t, err)
		bad, err := pgx.CollectRows(rows, pgx.RowToStructByName[T])
		require.NoError(t, err)
		_, err = bulk.InsertRows(t.Context(), db, "t", slices.Clone(bad))
		var wrong *bulk.RowError
		require.ErrorAs(t, err, &wrong, name)
		require.Equal(t, []any{0, name}, []any{wrong.Row, wrong.Column}, "%q: %s", name, wrong)
		require.NotContains(t, strings.TrimSuffix(wrong.Error(), wrong.Detail), "\n")
	}
}
