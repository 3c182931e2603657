package snapshot

import (
	"context"

	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/track"
)

// untrackDatabase removes the journal.
func untrackDatabase(ctx context.Context, d *database, cfg *settings) error {
	err := operation{db: d, cfg: cfg}.change(ctx, func(t *transaction) error { return track.Drop(ctx, t.tx) })
	if err == nil {
		d.setLikeness("") // nothing is known of the database any more
	}
	return cfg.explain(err, msg.CantUntrack)
}
