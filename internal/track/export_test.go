package track

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Version is that of what is kept in the database.
const Version = version

// RestoreAside is the second try of Restore, with unique values out of each other's way.
func RestoreAside(ctx context.Context, conn *pgx.Conn, token, serverID string) (Outcome, error) {
	return orRefused(query(ctx, conn, question{token: &token, serverID: serverID, aside: true}))
}
