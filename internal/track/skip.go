package track

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/schema"
)

// Skip names the tables whose writes are not journaled any more, in place of those that
// it named before: a transaction that writes to one notes that alone, which costs next
// to nothing, and the table then has the cause TooManyChanges. Other tables of the
// same transaction are journaled. A partition counts by its root; tables that are not
// tracked are left out. A transaction that has written to a table goes on as it began.
//
// SetBaseline ends it, an undo does not. Where nothing tracks the database, Skip does
// nothing.
func Skip(ctx context.Context, conn *pgx.Conn, tables []schema.Name) error {
	spaces, names := make([]string, 0, len(tables)), make([]string, 0, len(tables))
	for _, t := range tables {
		spaces, names = append(spaces, t.Schema), append(names, t.Name)
	}
	_, err := conn.Exec(ctx, `SELECT groundhog.skip($1, $2)`, spaces, names)
	if unusable(ctx, conn, err) != "" {
		return nil
	}
	return err
}
