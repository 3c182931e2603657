package snapshot

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/snapfile"
)

// dataVersion is the version of the rows that this library's factories make. A
// release that makes other rows raises it, so that Ensure builds again.
const dataVersion = 1

// Ensure brings the database to the snapshot called name, and makes the snapshot
// first when there is none to use: when it is missing, damaged, of another
// schema, of another builder or too old.
//
// To make it, the database is brought to where it was at the store's first use
// of it, then build fills it, over any connection and with any commits, and the
// result is saved. When several processes want the same snapshot, one builds it;
// the others wait and use it. When build fails, its error comes back, the former
// file stands, and the rows that it committed stay too.
//
// On success it costs a [Store.Restore], or build and a [Store.Create].
func (s *Store) Ensure(ctx context.Context, name string, build func(context.Context) error, opts ...EnsureOption) (Restored, error) {
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
	unlock, err := cfg.lock(ctx, path, name)
	if err != nil {
		return Restored{}, err
	}
	defer unlock()
	if err := s.keepOrigin(ctx, &cfg.createConfig); err != nil {
		return Restored{}, err
	}
	r, why, err := s.usable(ctx, &cfg, path, name)
	if err != nil {
		return Restored{}, err
	}
	if r != nil {
		defer r.Close()
		return s.load(ctx, &cfg.storeConfig, r, name)
	}
	return s.build(ctx, &cfg, path, name, why, build)
}

// usable opens the snapshot when it may be used as it is, else says why not.
func (s *Store) usable(ctx context.Context, cfg *ensureConfig, path, name string) (r *snapfile.Reader, why string, err error) {
	r, err = cfg.open(path, name, false)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, msg.WhyMissing.In(cfg.lang), nil
	case errors.Is(err, ErrCorrupt):
		return nil, err.Error(), nil
	case err != nil:
		return nil, "", err
	}
	why, err = s.unfit(ctx, cfg, &r.Manifest)
	if why != "" || err != nil {
		r.Close()
		return nil, why, err
	}
	return r, "", nil
}

// unfit says why a whole snapshot can't be used, or nothing.
func (s *Store) unfit(ctx context.Context, cfg *ensureConfig, m *snapfile.Manifest) (why string, err error) {
	if m.Builder != cfg.builder {
		return msg.WhyBuilder.In(cfg.lang), nil
	}
	if age := time.Since(m.CreatedAt); age > cfg.maxAge {
		return msg.WhyAge.In(cfg.lang, age.Round(time.Second).String(), cfg.maxAge.String()), nil
	}
	fingerprint, err := s.fingerprint(ctx, &cfg.storeConfig)
	if err == nil && fingerprint != m.Fingerprint {
		why = msg.WhySchema.In(cfg.lang)
	}
	return why, err
}

// fingerprint is that of the live database's schema.
func (s *Store) fingerprint(ctx context.Context, cfg *storeConfig) (fingerprint string, err error) {
	err = s.withConn(ctx, func(conn *pgx.Conn) error {
		tx, err := conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
		if err != nil {
			return err
		}
		defer tx.Rollback(ctx)
		l := loader{ctx: ctx, tx: tx, lang: cfg.lang}
		if err := l.readCatalog(); err != nil {
			return err
		}
		fingerprint = l.cat.Schema.Fingerprint()
		return nil
	})
	return fingerprint, cfg.explain(err, msg.CantReadSchema)
}

// build makes the snapshot anew. The caller holds its lock.
func (s *Store) build(ctx context.Context, cfg *ensureConfig, path, name, why string, build func(context.Context) error) (Restored, error) {
	began := time.Now()
	cfg.logger.InfoContext(ctx, msg.Building.In(cfg.lang), "snapshot", name, "why", why)
	if err := s.toOrigin(ctx, &cfg.storeConfig); err != nil {
		return Restored{}, err
	}
	if err := build(ctx); err != nil {
		return Restored{}, errs.New(nil, msg.BuilderFailed.In(cfg.lang, name), err)
	}
	info, err := s.write(ctx, &cfg.createConfig, path, name)
	if err != nil {
		return Restored{}, err
	}
	return restoredOf(info, Built, why, began), nil
}

// quiet takes the log lines of work that is a step of another.
var quiet = slog.New(slog.DiscardHandler)

// originName is the snapshot of what was in a database at the first use.
const originName = ".origin"

// originPath returns where the origin of the database is kept: where fixtures
// said, for a database that it made, else beside the snapshots.
func (s *Store) originPath(cfg *storeConfig) string {
	return cmp.Or(s.origin, filepath.Join(cfg.dir, originName+extension))
}

// keepOrigin saves the rows that are in the database at its first use. Those of
// a schema that has changed since can't be loaded any more and are saved anew.
func (s *Store) keepOrigin(ctx context.Context, cfg *createConfig) error {
	path := s.originPath(&cfg.storeConfig)
	r, err := snapfile.Open(path)
	if err == nil {
		defer r.Close()
		fingerprint, err := s.fingerprint(ctx, &cfg.storeConfig)
		if err != nil || fingerprint == r.Manifest.Fingerprint {
			return err
		}
	}
	own := createConfig{storeConfig: cfg.storeConfig}
	own.dir, own.logger = filepath.Dir(path), quiet
	unlock, err := own.lock(ctx, path, originName)
	if err != nil {
		return err
	}
	defer unlock()
	_, err = s.write(ctx, &own, path, originName)
	return err
}

// toOrigin brings the database to where a builder starts.
func (s *Store) toOrigin(ctx context.Context, cfg *storeConfig) error {
	r, err := cfg.open(s.originPath(cfg), originName, false)
	if err != nil {
		return err
	}
	defer r.Close()
	own := *cfg
	own.logger = quiet
	_, err = s.load(ctx, &own, r, originName)
	return err
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

// goFiles lists the Go files of a folder in order, and tells whether tests are
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
