package snapshot

import (
	"cmp"
	"context"
	"errors"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/bubble"
	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/snapfile"
)

// buildAlone builds the snapshot, or waits for another process that builds it and
// opens what that one made.
func (s *Store) buildAlone(ctx context.Context, cfg *ensureConfig, path, name string, build func(context.Context) error) (*snapfile.Reader, *Restored, error) {
	if err := cfg.distinct(name); err != nil {
		return nil, nil, err
	}
	unlock, err := cfg.lock(ctx, path, name)
	if err != nil {
		return nil, nil, err
	}
	defer unlock()
	r, why, err := s.usable(cfg, path, name)
	if r != nil || err != nil {
		return r, nil, err
	}
	built, err := s.build(ctx, cfg, path, name, why, build)
	if err != nil {
		return nil, nil, err
	}
	return nil, &built, nil
}

// usable opens the snapshot when it may be used as it is, else says why not.
func (s *Store) usable(cfg *ensureConfig, path, name string) (r *snapfile.Reader, why string, err error) {
	r, err = cfg.open(path, name, false)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, msg.WhyMissing.In(cfg.lang), nil
	case errors.Is(err, ErrCorrupt):
		return nil, err.Error(), nil
	case err != nil:
		return nil, "", err
	}
	if why = cfg.unfit(&r.Manifest); why != "" {
		r.Close()
		return nil, why, nil
	}
	return r, "", nil
}

// EnvUpdate names the environment variable that, when it is 1, makes [Ensure]
// build snapshots anew that were made before this process began. With -count=1 go test
// does so though it has a result in its cache.
const EnvUpdate = "GROUNDHOG_UPDATE"

var processBegan = time.Now()

// unfit says why a whole snapshot can't be used, or nothing.
func (c *ensureConfig) unfit(m *snapfile.Manifest) (why string) {
	update, _ := strconv.ParseBool(os.Getenv(EnvUpdate))
	age := time.Since(m.CreatedAt)
	switch {
	case m.Builder != c.builder:
		return msg.WhyBuilder.In(c.lang)
	case !sameScope(m.Scope, c.scoped()):
		return msg.WhyOtherScope.In(c.lang, orWhole(scopeText(m.Scope), c.lang), orWhole(scopeText(c.scoped()), c.lang))
	case m.Fingerprint != c.fingerprint:
		return msg.WhySchema.In(c.lang)
	case age > c.maxAge:
		return msg.WhyAge.In(c.lang, age.Round(time.Second).String(), c.maxAge.String())
	case update && m.CreatedAt.Before(processBegan):
		return msg.WhyUpdate.In(c.lang, EnvUpdate)
	}
	return ""
}

func orWhole(scope string, lang msg.Lang) string {
	return cmp.Or(scope, msg.WholeDatabase.In(lang))
}

// look asks the live database who it is, and for its schema as far as it is in
// scope.
func (s *Store) look(ctx context.Context, cfg *ensureConfig) error {
	err := cfg.repeat(ctx, "", func() error {
		return s.withConn(ctx, func(conn *pgx.Conn) (err error) {
			if cfg.identity, err = catalog.ReadIdentity(ctx, conn); err != nil {
				return err
			}
			tx, err := catalog.Begin(ctx, conn, readOnly, readSettings)
			if err != nil {
				return err
			}
			defer tx.Rollback(ctx)
			powers, err := cfg.guarded(ctx, tx)
			if err == nil {
				err = cfg.writable(powers)
			}
			if err != nil {
				return err
			}
			cat, err := catalog.Read(ctx, tx, cfg.lang)
			if err != nil {
				return s.locked(ctx, &cfg.storeConfig, err)
			}
			sel, err := within(cat, cfg.scoped(), true, cfg.lang)
			if err != nil {
				return err
			}
			cfg.tables, cfg.fingerprint = sel.Tables, sel.Schema.Fingerprint()
			return nil
		})
	})
	return cfg.explain(err, msg.CantReadSchema)
}

// alreadyLocked is for a file whose lock is held.
func alreadyLocked() (unlock func(), err error) { return func() {}, nil }

// build makes the snapshot anew. The caller holds its lock.
func (s *Store) build(ctx context.Context, cfg *ensureConfig, path, name, why string, build func(context.Context) error) (Restored, error) {
	began := time.Now()
	cfg.logger.InfoContext(ctx, msg.Building.In(cfg.lang), "snapshot", name, "why", why)
	if err := s.toOrigin(ctx, cfg); err != nil {
		return Restored{}, err
	}
	var err error
	bubble.Inside(ctx, func(ctx context.Context) { err = build(context.WithValue(ctx, building(path), true)) })
	if err != nil {
		return Restored{}, errs.New(nil, msg.BuilderFailed.In(cfg.lang, name), err)
	}
	if err = s.refreshViews(ctx); err != nil {
		return Restored{}, cfg.explain(err, msg.BuilderFailed, name)
	}
	info, err := s.write(ctx, &cfg.createConfig, path, name, alreadyLocked)
	if err != nil {
		return Restored{}, err
	}
	built := builtOf(info, why, began)
	built.count()
	return built, nil
}
