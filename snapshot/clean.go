package snapshot

import (
	"context"
	"time"

	"github.com/groundhogdb/groundhog/internal/msg"
)

// cleanDatabase empties the tables in scope, and puts the sequences back.
func cleanDatabase(ctx context.Context, d *database, cfg *settings) error {
	began := time.Now()
	err := operation{db: d, cfg: cfg}.write(ctx, func(se *session) error {
		err := change(ctx, d, cfg, se, func(t *transaction) error {
			l := newLoader(t, cfg)
			if err := l.read(ctx, cfg.scoped(), true); err != nil {
				return err
			}
			_, err := l.replace(ctx, nil, nil)
			return err
		})
		if err == nil {
			tellRights(ctx, d, cfg, se)
		}
		return err
	})
	if err == nil {
		d.setBaseline(nil)
		cfg.logger.InfoContext(ctx, msg.DatabaseCleaned.In(cfg.lang), "took", time.Since(began).Round(100*time.Microsecond))
	}
	return cfg.explain(err, msg.CantClean)
}
