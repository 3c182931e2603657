package snapshot

import (
	"context"

	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/track"
)

// untrack removes the journal.
func untrack(ctx context.Context, d *database, cfg *settings) error {
	err := operation{db: d, cfg: cfg}.change(ctx, func(t *transaction) error { return track.Drop(ctx, t.tx) })
	return cfg.explain(err, msg.CantUntrack)
}
