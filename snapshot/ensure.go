package snapshot

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/bubble"
	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/snapfile"
)

// dataVersion is the version of the rows that this library's factories make. A
// release that makes other rows raises it, so that Ensure builds again.
const dataVersion = 1

// Ensure brings the database to the snapshot called name, and makes the snapshot
// first when there is none to use: when it is missing, damaged, of another
// schema, of another scope, of another builder or too old, or when the environment
// variable GROUNDHOG_UPDATE is 1. One log line says why.
//
// To make it, the database is brought to where it was at its first use, then
// build fills it, over any connection and with any commits, and the result is
// saved. When several processes want the same snapshot, one builds it; the others
// wait and use it. When build fails, its error comes back, the former file stands,
// and the rows that it committed stay too.
//
// What was in the database at its first use is kept in a file of the folder; of a
// database that fixtures.Open made, in a temporary one. After a change of the
// schema, the rows of that file that still have a place are the start, with those
// of the tables that are new. When the file is gone or damaged, that is
// [ErrNotFound] or [ErrCorrupt]: what is in the database by then may come from a
// builder. So that this is noticed, there is a view groundhog.origin in the
// database, where the role may make it.
//
// On success it costs a [Store.Restore], or build and a [Store.Create].
func (s *Store) Ensure(ctx context.Context, name string, build func(context.Context) error, opts ...EnsureOption) (Restored, error) {
	if err := s.made(); err != nil {
		return Restored{}, err
	}
	if bubble.In() {
		return bubble.Do(ctx, func(ctx context.Context) (Restored, error) { return s.Ensure(ctx, name, build, opts...) })
	}
	cfg := ensureConfig{createConfig: createConfig{storeConfig: s.storeConfig, replace: true}, maxAge: defaultMaxAge}
	if err := apply(&cfg.storeConfig, opts, func(o EnsureOption) { o.ensure(&cfg) }); err != nil {
		return Restored{}, err
	}
	if build == nil {
		return Restored{}, errs.New(ErrInvalidArgument, msg.NilBuilder.In(cfg.lang), nil)
	}
	if cfg.maxAge <= 0 {
		return Restored{}, errs.New(ErrInvalidArgument, msg.BadMaxAge.In(cfg.lang, cfg.maxAge.String()), nil)
	}
	path, err := cfg.path(name)
	if err != nil {
		return Restored{}, err
	}
	if cfg.builder, err = builderKey(cfg.version); err != nil {
		return Restored{}, cfg.explain(err, msg.CantReadSources)
	}
	if err := s.look(ctx, &cfg); err != nil {
		return Restored{}, err
	}
	unkept := s.keepOrigin(ctx, &cfg)
	if unkept != nil && !readOnlyFolder(unkept) {
		return Restored{}, unkept
	}
	r, _, err := s.usable(&cfg, path, name)
	switch {
	case r != nil && unkept != nil:
		cfg.logger.WarnContext(ctx, msg.OriginUnkept.In(cfg.lang), "snapshot", name, "error", unkept)
	case err == nil && unkept != nil:
		err = unkept
	case r == nil && err == nil:
		var built *Restored
		if r, built, err = s.buildAlone(ctx, &cfg, path, name, build); built != nil {
			return *built, nil
		}
	}
	if err != nil {
		return Restored{}, err
	}
	f, err := fileOf(r, name)
	if err != nil {
		return Restored{}, cfg.explain(err, msg.SnapshotUnreadable, name)
	}
	f.remember()
	defer f.close()
	return s.bring(ctx, &restoreConfig{storeConfig: cfg.storeConfig}, f)
}

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

// builderKey tells builders apart: by the version that the caller gave them,
// else by the Go files of the package under test, else, where no sources are,
// by the program itself.
func builderKey(version string) (string, error) {
	if version != "" {
		return fmt.Sprintf("%d version %s", dataVersion, version), nil
	}
	sum, err := programSum()
	return fmt.Sprintf("%d %s", dataVersion, sum), err
}

var programSum = sync.OnceValues(func() (string, error) {
	sources, tests := goFiles(workDir)
	if testing.Testing() && tests {
		sum, err := sumFiles(sources)
		return "sources " + sum, err
	}
	program, err := os.Executable()
	if err != nil {
		return "", err
	}
	sum, err := sumFiles([]string{program})
	return "program " + sum, err
})

// goFiles lists the Go files of a folder in order, and reports whether tests are
// among them.
func goFiles(dir string) (paths []string, tests bool) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".go" {
			paths = append(paths, filepath.Join(dir, e.Name()))
			tests = tests || strings.HasSuffix(e.Name(), "_test.go")
		}
	}
	return paths, tests
}

func sumFiles(paths []string) (string, error) {
	sum := sha256.New()
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%s\n", filepath.Base(path))
		n, err := io.Copy(sum, f)
		f.Close()
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "\n%d\n", n)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
