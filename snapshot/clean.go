package snapshot

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/catalog"
)

func (s *Store) cleanIn(ctx context.Context, cfg *cleanConfig, se *session) error {
	return s.changeIn(ctx, &cfg.storeConfig, se, func(tx pgx.Tx, powers catalog.Powers, _ bool) error {
		l := loader{store: s, se: se, tx: tx, powers: powers, cfg: &restoreConfig{storeConfig: cfg.storeConfig}}
		if err := l.readCatalog(ctx, cfg.scoped(), true); err != nil {
			return err
		}
		_, err := l.replace(ctx, nil, nil)
		return err
	})
}
