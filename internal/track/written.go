package track

import (
	"context"
	"sync"

	"github.com/jackc/pgx/v5"
)

// writtenSQL is the query of Written.
var writtenSQL = sync.OnceValue(func() string { return render("written", shared) })

// Written returns the tables that were written to since the baseline, or why nothing is
// known of that. With a token it has to be the baseline of that snapshot. A table has a
// cause to be loaded again, as from Restore, where its journal does not tell all of its
// changes: that of a table that only can't be undone does.
func Written(ctx context.Context, tx pgx.Tx, token *string, serverID string) (out Outcome, err error) {
	err = pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, writtenSQL(), token, serverID, version)
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
	if err == nil {
		return out, nil
	}
	sub, failed := tx.Begin(ctx) // what is asked may fail too, and the caller goes on
	if failed != nil {
		return out, err
	}
	defer sub.Rollback(ctx)
	if why := unusable(ctx, sub, err); why != "" {
		return Outcome{Unusable: why}, nil
	}
	return out, err
}
