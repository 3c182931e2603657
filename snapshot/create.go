package snapshot

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
)

// createSnapshot writes the snapshot called name to the file at path. Once the database
// is known to be one for tests, it takes the lock of the file, unless the caller has it,
// so that no other process writes the file meanwhile.
func createSnapshot(ctx context.Context, d *database, cfg *createConfig, path, name string, locked bool) (Info, error) {
	began := time.Now()
	var info Info
	var marked bool
	var likeness string
	op := operation{db: d, cfg: &cfg.settings, what: name}
	err := op.retry(ctx, func() error {
		return op.persist(ctx, nil, func() error {
			return d.withConn(ctx, func(conn *pgx.Conn) error {
				if _, err := cfg.guarded(ctx, conn); err != nil {
					return err
				}
				if !locked {
					unlock, err := claim(ctx, cfg, path, name)
					if err != nil {
						return err
					}
					defer unlock()
				}
				folder{&cfg.settings}.sweep()
				cfg.routine(ctx, slog.LevelDebug, msg.SnapshotCreating, "snapshot", name, "path", path)
				err := reading(ctx, d, conn, func(searchPath string) (err error) {
					read := func(marker *baselineMarker) {
						info, err = newExporter(d, cfg, path, name, searchPath).export(ctx, conn, marker)
					}
					marker := newBaselineMarker(ctx, d, &cfg.settings)
					read(marker)
					marked = marker.isSet()
					if marker != nil && errs.IsClass(err, ErrLocked) { // the session that has the lock may be waiting for the marker
						read(nil)
					}
					return err
				})
				if err == nil && marked && cfg.maker != nil {
					likeness, err = catalog.Likeness(ctx, conn)
				}
				return blame(ctx, d, &cfg.settings, err)
			})
		})
	})
	if err != nil {
		return Info{}, cfg.explain(err, msg.CantCreate, name)
	}
	if marked && cfg.maker != nil {
		d.setLikeness(likeness)
		if err := clonePoolsOf(d).sinceCrash(ctx, cfg.maker); err != nil { // it is not known what is in the copies
			_ = clonePoolsOf(d).dropAll()
		}
		if f := d.baselineFile(); f != nil {
			clonePoolOf(d, cfg.maker, f.sum).keepTemplate(ctx, d, &cfg.settings, cfg.maker, f)
		}
	}
	cfg.routine(ctx, slog.LevelInfo, msg.SnapshotCreated, "snapshot", name, "rows", info.Rows, "bytes", info.Bytes,
		"tables", len(info.Tables), "took", time.Since(began).Round(time.Millisecond))
	return info, nil
}

// claim takes the lock of a file that is to be made.
func claim(ctx context.Context, cfg *createConfig, path, name string) (unlock func(), err error) {
	f := folder{&cfg.settings}
	if err := f.distinct(name); err != nil {
		return nil, err
	}
	unlock, err = f.lock(ctx, path, name)
	if err != nil || cfg.replace {
		return unlock, err
	}
	ok, err := f.exists(path, name)
	if ok {
		err = errs.New(ErrExists, msg.SnapshotExists.In(cfg.lang, name, path), nil)
	}
	if err != nil {
		unlock()
	}
	return unlock, err
}
