package snapshot

import (
	"cmp"
	"context"
	"errors"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/groundhogdb/groundhog/internal/bubble"
	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/snapfile"
	"github.com/groundhogdb/groundhog/internal/track"
)

// ensurer brings a database to a snapshot, which it makes where there is none to use.
type ensurer struct {
	db         *database
	cfg        *ensureConfig
	path, name string
	build      func(context.Context) error
	live       liveState
	origin     *origin
}

// ensureSnapshot brings the database to the snapshot called name in the file at path.
// originFile tells where its origin is kept, for a database that fixtures made.
func ensureSnapshot(ctx context.Context, d *database, cfg *ensureConfig, path, name string, originFile func() (string, error), build func(context.Context) error) (_ Restored, err error) {
	if cfg.builder, err = builderKey(cfg.version); err != nil {
		return Restored{}, cfg.explain(err, msg.CantReadSources)
	}
	e := ensurer{db: d, cfg: cfg, path: path, name: name, build: build}
	if originFile != nil && cfg.maker != nil {
		if restored := e.takeCopy(ctx); restored != nil {
			return *restored, nil
		}
	}
	if err := e.inspect(ctx); err != nil {
		return Restored{}, err
	}
	e.origin = &origin{db: d, cfg: &cfg.settings, live: e.live, own: originFile}
	unsaved := e.origin.save(ctx)
	if unsaved != nil && !readOnlyFolder(unsaved) {
		return Restored{}, unsaved
	}
	f, _, err := e.usable()
	if err != nil {
		return Restored{}, err
	}
	if f == nil {
		if unsaved != nil {
			return Restored{}, unsaved
		}
		var built *Restored
		if f, built, err = e.buildAlone(ctx); err != nil {
			return Restored{}, err
		}
		if built != nil {
			return *built, nil
		}
	} else if unsaved != nil {
		cfg.logger.WarnContext(ctx, msg.OriginUnkept.In(cfg.lang), "snapshot", name, "error", unsaved)
	}
	defer f.close()
	d.files.remember(f)
	return restoreSnapshot(ctx, d, &restoreConfig{settings: cfg.settings, maker: cfg.maker}, f)
}

// takeCopy puts a copy of the database at the snapshot, of a template that another process
// made, in the place of a database that was not used before. That one is kept: a builder may
// ask for it. It returns nil where there is no such template, or the file can't be used.
func (e *ensurer) takeCopy(ctx context.Context) *Restored {
	began, d, cfg := time.Now(), e.db, &e.cfg.settings
	if d.root != d || d.baselineFile() != nil || d.keptOrigin() != nil || cfg.scoped() != nil {
		return nil
	}
	f, err := readSnapshotFile(e.path, e.name)
	if err != nil {
		return nil // it is told, or built
	}
	defer f.close()
	e.live.fingerprint = f.manifest.Fingerprint // else the template is no match
	if e.unfit(&f.manifest) != "" {
		return nil
	}
	pool := clonePoolOf(d, e.cfg.maker, f.sum)
	var proof errgroup.Group
	proof.Go(func() error { return f.reader.Verify(false) })
	sought, err := pool.seek(ctx, d, cfg, e.cfg.maker, f)
	if err := errors.Join(err, proof.Wait()); err != nil || sought == nil {
		if sought != nil {
			_ = sought.giveUp()
		}
		return nil // whatever is wrong is told by what follows
	}
	x := &exchanger{db: d, cfg: &restoreConfig{settings: *cfg, maker: e.cfg.maker}, file: f, maker: e.cfg.maker, pool: pool}
	awaited := false
	x.await = func() (*clone, error) {
		awaited = true
		return sought.end()
	}
	x.keepFormer = func(former *clone) { d.keepOrigin(&originCopy{former, f.manifest.Fingerprint}) }
	restored, err := x.run(ctx, track.NoBaseline.Because(), 0)
	if err != nil { // it has done nothing
		if !awaited {
			if c, err := sought.end(); err == nil {
				pool.ready.putBack(c)
			}
		}
		return nil
	}
	d.files.remember(f)
	restored.finish(ctx, d, cfg, f, began)
	return &restored
}

// buildAlone builds the snapshot, or waits for another process that builds it and
// returns what that one made.
func (e *ensurer) buildAlone(ctx context.Context) (*snapshotFile, *Restored, error) {
	dir := folder{&e.cfg.settings}
	if err := dir.distinct(e.name); err != nil {
		return nil, nil, err
	}
	unlock, err := dir.lock(ctx, e.path, e.name)
	if err != nil {
		return nil, nil, err
	}
	defer unlock()
	f, why, err := e.usable()
	if f != nil || err != nil {
		return f, nil, err
	}
	built, err := e.buildLocked(ctx, why)
	if err != nil {
		return nil, nil, err
	}
	return nil, &built, nil
}

// usable returns the file when it may be used as it is, else says why not.
func (e *ensurer) usable() (f *snapshotFile, why string, err error) {
	f, err = verify(&e.cfg.settings, e.path, e.name)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, msg.WhyMissing.In(e.cfg.lang), nil
	case errors.Is(err, ErrCorrupt):
		return nil, err.Error(), nil
	case err != nil:
		return nil, "", err
	}
	if why = e.unfit(&f.manifest); why != "" {
		f.close()
		return nil, why, nil
	}
	return f, "", nil
}

// inspect asks the live database who it is, and for its schema as far as it is in
// scope.
func (e *ensurer) inspect(ctx context.Context) error {
	op := operation{db: e.db, cfg: &e.cfg.settings}
	err := op.retry(ctx, func() error {
		return op.persist(ctx, nil, func() error { return e.db.withConn(ctx, func(conn *pgx.Conn) error { return e.readLive(ctx, conn) }) })
	})
	return e.cfg.explain(err, msg.CantReadSchema)
}

func (e *ensurer) readLive(ctx context.Context, conn *pgx.Conn) (err error) {
	if e.live.identity, err = catalog.ReadIdentity(ctx, conn); err != nil {
		return err
	}
	tx, err := catalog.Begin(ctx, conn, readOnly, readSettings)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx)
	privileges, err := e.cfg.guarded(ctx, tx)
	if err == nil {
		err = e.cfg.writable(privileges)
	}
	if err != nil {
		return err
	}
	cat, err := catalog.Read(ctx, tx, e.cfg.lang)
	if err != nil {
		return err
	}
	sel, err := within(cat, e.cfg.scoped(), true, e.cfg.lang)
	if err != nil {
		return err
	}
	e.live.tables, e.live.fingerprint = sel.Tables, sel.Schema.Fingerprint()
	return nil
}

// buildLocked makes the snapshot again. The caller holds its lock.
func (e *ensurer) buildLocked(ctx context.Context, why string) (Restored, error) {
	began, cfg := time.Now(), e.cfg
	cfg.logger.InfoContext(ctx, msg.Building.In(cfg.lang), "snapshot", e.name, "why", why)
	if err := e.origin.restore(ctx); err != nil {
		return Restored{}, err
	}
	var err error
	bubble.Inside(ctx, func(ctx context.Context) { err = e.build(context.WithValue(ctx, building(e.path), true)) })
	if err != nil {
		return Restored{}, errs.New(ErrSetup, msg.BuilderFailed.In(cfg.lang, e.name), err)
	}
	if err = refreshViews(ctx, e.db, &cfg.settings); err != nil {
		return Restored{}, cfg.explain(err, msg.BuilderFailed, e.name)
	}
	info, err := createSnapshot(ctx, e.db, &cfg.createConfig, e.path, e.name, true)
	if err != nil {
		return Restored{}, err
	}
	built := builtOf(info, why, began)
	built.count()
	return built, nil
}

// EnvUpdate names the environment variable that, when it is 1, makes [Ensure]
// build snapshots again that were made before this process began. With -count=1 go test
// does so though it has a result in its cache.
const EnvUpdate = "GROUNDHOG_UPDATE"

var processBegan = time.Now()

// unfit says why a whole snapshot can't be used, or nothing.
func (e *ensurer) unfit(m *snapfile.Manifest) (why string) {
	update, _ := strconv.ParseBool(os.Getenv(EnvUpdate))
	age := time.Since(m.CreatedAt)
	switch {
	case m.Builder != e.cfg.builder:
		return msg.WhyBuilder.In(e.cfg.lang)
	case !sameScope(m.Scope, e.cfg.scoped()):
		return msg.WhyOtherScope.In(e.cfg.lang, orWhole(scopeText(m.Scope), e.cfg.lang), orWhole(scopeText(e.cfg.scoped()), e.cfg.lang))
	case m.Fingerprint != e.live.fingerprint:
		return msg.WhySchema.In(e.cfg.lang)
	case age > e.cfg.maxAge:
		return msg.WhyAge.In(e.cfg.lang, age.Round(time.Second).String(), e.cfg.maxAge.String())
	case update && m.CreatedAt.Before(processBegan):
		return msg.WhyUpdate.In(e.cfg.lang, EnvUpdate)
	}
	return ""
}

func orWhole(scope string, lang msg.Lang) string {
	return cmp.Or(scope, msg.WholeDatabase.In(lang))
}
