package bulk_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/bulk"
)

// TestTheServersWords: what the server says besides its message is in the text, once.
func TestTheServersWords(t *testing.T) {
	t.Parallel()
	type row struct {
		ID   int
		Text string
	}
	for _, c := range []struct {
		name, sql string
		spoil     func(rows []row)
		code      string
		once      []string
		never     string
	}{
		{"a function's detail and hint", `CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
				IF NEW.id = 3 THEN RAISE 'not this one' USING DETAIL = 'It is the third.', HINT = 'Take another one.'; END IF; RETURN NEW; END $$;
			CREATE TRIGGER no BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION no()`, nil,
			"P0001", []string{"not this one", "It is the third.", "Take another one.", "PL/pgSQL function no() line 2 at RAISE"}, "COPY t"},
		{"a deferred one's", `CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
				RAISE 'not at all' USING DETAIL = 'Never.', HINT = 'Go away.'; END $$;
			CREATE CONSTRAINT TRIGGER no AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION no()`, nil,
			"P0001", []string{"not at all", "Never.", "Go away."}, ""},
		{"of a key", "", func(rows []row) { rows[4].ID = 1 }, "23505", []string{"Key (id)=(1) already exists."}, "COPY t"},
		{"of a text", "", func(rows []row) { rows[4].Text = "\x00" }, "22021", []string{"invalid byte sequence"}, "COPY t"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			db := tablesOf(t, "CREATE TABLE t (id int PRIMARY KEY, text text);"+c.sql)
			rows := make([]row, 10)
			for i := range rows {
				rows[i] = row{i + 1, "x"}
			}
			if c.spoil != nil {
				c.spoil(rows)
			}
			_, err := bulk.InsertRows(t.Context(), db, "t", rows)
			var pg *pgconn.PgError
			require.True(t, errors.As(err, &pg))
			require.Equal(t, c.code, pg.Code)
			for _, words := range c.once {
				require.Equal(t, 1, strings.Count(err.Error(), words), "%s: %s", words, err)
			}
			if c.never != "" {
				require.NotContains(t, err.Error(), c.never)
			}
		})
	}
}
