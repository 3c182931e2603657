package snapshot

import (
	"context"
	"sync"

	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/track"
)

// untracked are the tables of which it was told that they can't be tracked.
var untracked sync.Map // of [3]string: database, table, reason

// tellUntracked says of each table that can't have a journal that it is loaded again,
// once for each reason.
func (c *storeConfig) tellUntracked(ctx context.Context, se *session) func(track.Table) {
	return func(t track.Table) {
		why := whyReloaded(t.Reload, c.lang)
		if _, was := untracked.LoadOrStore([3]string{se.powers.Database, t.Name.String(), t.Reload}, true); !was {
			c.logger.WarnContext(ctx, msg.TableUntracked.In(c.lang), "table", t.Name.String(), "why", why)
		}
	}
}
