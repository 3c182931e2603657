package track

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Version is that of what is kept in the database.
const Version = version

// RestoreAside is the second try of Restore, with unique values out of each other's way.
func RestoreAside(ctx context.Context, conn *pgx.Conn, token, serverID string) (Outcome, error) {
	out, err := query(ctx, conn, question{token: &token, serverID: serverID, aside: true})
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "GH003" {
		return Outcome{Unusable: Reason(pg.Detail)}, nil
	}
	if notPutBack(err) {
		return Outcome{Unusable: Constraint}, nil
	}
	return out, err
}
