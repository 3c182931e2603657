package snapshot

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
)

// write makes the file at path. Once the database is known to be one for tests,
// it calls lock, so that nobody else writes the file until what that returns is
// called.
func (s *Store) write(ctx context.Context, cfg *createConfig, path, name string, lock func() (unlock func(), err error)) (Info, error) {
	began := time.Now()
	var info Info
	err := cfg.repeat(ctx, name, func() error {
		return s.withConn(ctx, func(conn *pgx.Conn) error {
			if _, err := cfg.guarded(ctx, conn); err != nil {
				return err
			}
			unlock, err := lock()
			if err != nil {
				return err
			}
			defer unlock()
			cfg.sweep()
			cfg.routine(ctx, slog.LevelDebug, msg.SnapshotCreating, "snapshot", name, "path", path)
			err = s.reading(ctx, conn, func(searchPath string) (err error) {
				v := saver{store: s, cfg: cfg, path: path, name: name, searchPath: searchPath}
				info, err = v.save(ctx, conn, s.newMarker(ctx, cfg))
				if errs.IsClass(err, ErrLocked) {
					// Who has the lock may be waiting for the marker.
					v = saver{store: s, cfg: cfg, path: path, name: name, searchPath: searchPath}
					info, err = v.save(ctx, conn, nil)
				}
				return err
			})
			return s.locked(ctx, &cfg.storeConfig, s.blame(ctx, &cfg.storeConfig, err))
		})
	})
	if err != nil {
		return Info{}, cfg.explain(err, msg.CantCreate, name)
	}
	cfg.routine(ctx, slog.LevelInfo, msg.SnapshotCreated, "snapshot", name, "rows", info.Rows, "bytes", info.Bytes,
		"tables", len(info.Tables), "took", time.Since(began).Round(time.Millisecond))
	return info, nil
}
