package track

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/internal/catalog"
)

// RecordFingerprint notes what a baseline that was just set has besides what the journal
// watches, for MatchesFingerprint. The note goes when what tracks is installed again, as
// it is by a restore after a change of the schema, which then passes for the baseline's.
func RecordFingerprint(ctx context.Context, conn *pgx.Conn) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		return withoutEventTriggers(ctx, tx, render("fingerprint", shared))
	})
}

// MatchesFingerprint reports whether the schema is still what RecordFingerprint found, as
// far as the journal can't tell of it, and so are the tables that no baseline has.
func MatchesFingerprint(ctx context.Context, q catalog.Querier) (ok bool, err error) {
	err = q.QueryRow(ctx, `SELECT coalesce(pg_catalog.bool_and(b.fingerprint = groundhog.unwatched_fingerprint()), false) FROM groundhog.unwatched b`).Scan(&ok)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && (pg.Code == "42P01" || pg.Code == "3F000" || pg.Code == "42883") { // it is gone
		return false, nil
	}
	return ok, err
}
