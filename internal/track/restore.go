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
// of its own and one round trip. It is all or nothing: with partly, nothing was done
// since tables must be loaded, the first of which is in the outcome; see Undo.
func Restore(ctx context.Context, conn *pgx.Conn, token, serverID string) (out Outcome, partly bool, err error) {
	out, err = restore(ctx, conn, token, serverID, false)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "GH001" {
		return Outcome{Tables: []Table{{Name: schema.Name{Schema: pg.SchemaName, Name: pg.TableName}, Reload: causeOf(pg.Detail)}}}, true, nil
	}
	if why := unusable(ctx, conn, err); why != "" {
		return Outcome{Unusable: why}, false, nil
	}
	return out, false, err
}

// unusable returns why what is kept in the database can't be used, if an error tells.
func unusable(ctx context.Context, q catalog.Querier, err error) (why Reason) {
	var pg *pgconn.PgError
	switch {
	case !errors.As(err, &pg):
	case pg.Code == "3F000" || pg.Code == "42883" && strings.Contains(pg.Message, "groundhog.restore("): // invalid_schema_name, undefined_function
		return NoBaseline
	case strings.HasPrefix(pg.Code, "42"): // syntax_error_or_access_rule_violation
		if v, err := versionOf(ctx, q); err == nil && v != version {
			return OtherVersion // which has other functions and columns
		}
		return Damaged
	}
	return ""
}

// Undo is Restore within the caller's transaction, but for the tables that must be
// loaded. When these are, FinishUndo ends it.
func Undo(ctx context.Context, tx pgx.Tx, token, serverID string) (Outcome, error) {
	return restore(ctx, tx, token, serverID, true)
}

func restore(ctx context.Context, q catalog.Querier, token, serverID string, partly bool) (out Outcome, err error) {
	rows, err := q.Query(ctx, `SELECT space, name, way, coalesce(why, ''), changed FROM groundhog.restore($1, $2, $3, $4)`, token, serverID, partly, version)
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
	_, err := tx.Exec(ctx, `SELECT groundhog.finish_undo()`)
	return err
}
