package track

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// RecordFingerprint notes what a baseline that was just set has besides what the journal
// watches; see Reuse. The note goes when what tracks is installed again, as
// it is by a restore after a change of the schema, which then passes for the baseline's.
func RecordFingerprint(ctx context.Context, conn *pgx.Conn) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		return withoutEventTriggers(ctx, tx, render("fingerprint", shared))
	})
}
