package track

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/schema"
)

// Restore goes back to the baseline of the snapshot called token, in a transaction
// of its own and one round trip. It is all or nothing: partly tells that nothing was
// done since tables must be loaded, the first of which is told; see Undo.
func Restore(ctx context.Context, conn *pgx.Conn, token, home string) (out Outcome, partly bool, err error) {
	out, err = restore(ctx, conn, token, home, false)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "GH001" {
		return Outcome{Tables: []Table{{Name: schema.Name{Schema: pg.SchemaName, Name: pg.TableName}, Reload: causeOf(pg.Detail)}}}, true, nil
	}
	if void := unusable(err); void != "" {
		return Outcome{Unusable: void}, false, nil
	}
	return out, false, err
}

// unusable says what an error tells of what is kept in the database, if it does.
func unusable(err error) (why Reason) {
	var pg *pgconn.PgError
	switch {
	case !errors.As(err, &pg):
	case pg.Code == "3F000" || pg.Code == "42883" && strings.Contains(pg.Message, "groundhog.restore("): // invalid_schema_name, undefined_function
		return NoBaseline
	case strings.HasPrefix(pg.Code, "42"): // syntax_error_or_access_rule_violation
		return Damaged
	}
	return ""
}

// Undo is Restore within the caller's transaction, but for the tables that must be
// loaded. When these are, FinishUndo ends it.
func Undo(ctx context.Context, tx pgx.Tx, token, home string) (Outcome, error) {
	return restore(ctx, tx, token, home, true)
}

func restore(ctx context.Context, q catalog.Querier, token, home string, partly bool) (out Outcome, err error) {
	rows, err := q.Query(ctx, `SELECT space, name, way, coalesce(why, ''), changed FROM groundhog.restore($1, $2, $3, $4)`, token, home, partly, version)
	if err != nil {
		return out, err
	}
	var t Table
	var way, why string
	_, err = pgx.ForEachRow(rows, []any{&t.Schema, &t.Name.Name, &way, &why, &t.Changed}, func() error {
		if way == "void" {
			out.Unusable = Reason(why)
			return nil
		}
		t.Reload = causeOf(why)
		out.Tables = append(out.Tables, t)
		return nil
	})
	return out, err
}

// FinishUndo ends what Undo began: the caller has loaded the tables that it named.
func FinishUndo(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `SELECT groundhog.settle()`)
	return err
}
