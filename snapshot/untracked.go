package snapshot

import (
	"context"
	"log/slog"

	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/track"
)

// tellUntracked says of each table that can't have a journal that it is loaded again,
// once for each reason.
func (s *Store) tellUntracked(ctx context.Context, c *storeConfig) func(track.Table) {
	return func(t track.Table) {
		s.note(ctx, c, slog.LevelWarn, msg.TableUntracked, t.Name.String()+" "+t.Reload.String(), "table", t.Name.String(), "why", t.Reload.Text(c.lang))
	}
}
