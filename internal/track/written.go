package track

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Written tells which tables were written to since the baseline, or why nothing is
// known of that. With a token it has to be the baseline of that snapshot. Like
// Restore it speaks of Reload where the journal of a table does not tell all: that of
// a table that only can't be undone does.
func Written(ctx context.Context, tx pgx.Tx, token *string, home string) (out Outcome, err error) {
	err = pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT coalesce(v.void, ''), w.name IS NOT NULL, coalesce(w.space, ''), coalesce(w.name, ''),
				coalesce(nullif(w.why, '`+string(Published)+`'), CASE WHEN x.owner IS NOT NULL THEN '`+string(UnseenWrite)+`' END, ''), coalesce(w.rows, 0)
			FROM groundhog.verdict($1, $2, $3) v LEFT JOIN groundhog.written() w ON v.void IS NULL LEFT JOIN groundhog.native x ON x.owner = w.owner`, token, home, version)
		if err != nil {
			return err
		}
		out = Outcome{Unusable: Crash} // without a row: see schema.sql
		var t Table
		var written bool
		var why string
		_, err = pgx.ForEachRow(rows, []any{&out.Unusable, &written, &t.Schema, &t.Name.Name, &why, &t.Rows}, func() error {
			if written {
				t.Reload = causeOf(why)
				out.Tables = append(out.Tables, t)
			}
			return nil
		})
		return err
	})
	if void := unusable(err); void != "" {
		return Outcome{Unusable: void}, nil
	}
	return out, err
}
