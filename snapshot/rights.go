package snapshot

import (
	"context"
	"log/slog"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/track"
)

// tellRights logs once what a role that is no superuser goes without, and which statement of
// a superuser changes that.
func tellRights(ctx context.Context, d *database, c *settings, se *session) {
	p := se.privileges
	if p.Super || !d.notices.untold(ctx, c.logger, slog.LevelInfo, msg.RoleGoesWithout, p.Role) {
		return
	}
	role := pgx.Identifier{p.Role}.Sanitize()
	var without []string
	if !p.Replica {
		without = append(without, msg.WithoutReplica.In(c.lang, "GRANT SET ON PARAMETER session_replication_role TO "+role))
	}
	if !p.CreateDB {
		without = append(without, msg.WithoutCopies.In(c.lang, "ALTER ROLE "+role+" CREATEDB"))
	}
	if watched, err := track.HasEventTriggers(ctx, se.conn); err != nil || !watched {
		without = append(without, msg.WithoutEventTriggers.In(c.lang))
	}
	if len(without) > 0 {
		d.notices.note(ctx, c.logger, c.lang, slog.LevelInfo, msg.RoleGoesWithout, p.Role, "role", p.Role, "without", strings.Join(without, "; "))
	}
}

// grantSchemas is the statement that lets a role create schemas.
func grantSchemas(p catalog.Privileges) string {
	return "GRANT CREATE ON DATABASE " + pgx.Identifier{p.Database}.Sanitize() + " TO " + pgx.Identifier{p.Role}.Sanitize()
}
