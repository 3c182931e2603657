package snapshot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/snapfile"
	"github.com/groundhogdb/groundhog/internal/track"
)

// originName is the snapshot of what was in a database at its first use.
const originName = ".origin"

// originPath returns where the origin of the database is kept at its first use:
// where fixtures said, for a database that it made, else beside the snapshots,
// under the name of the database. Each scope has its own, since the rows out of
// scope are not touched.
func (s *Store) originPath(cfg *ensureConfig) (string, error) {
	path := filepath.Join(cfg.dir, originName+"-"+cfg.identity.String()+extension)
	if s.origin != nil {
		var err error
		if path, err = s.origin(); err != nil {
			return "", err
		}
	}
	if scope := cfg.scoped(); scope != nil {
		sum := sha256.Sum256([]byte(scopeText(scope)))
		path = strings.TrimSuffix(path, extension) + "-" + hex.EncodeToString(sum[:4]) + extension
	}
	return path, nil
}

// keepOrigin saves the rows that are in the database at its first use, which is
// when the database notes nothing of one: a file may be there from a database that
// was in the same place.
func (s *Store) keepOrigin(ctx context.Context, cfg *ensureConfig) error {
	if state, err := s.findOrigin(ctx, cfg); state == originFits || err != nil {
		return err
	}
	path := cfg.origin
	own := createConfig{storeConfig: cfg.storeConfig, builder: cfg.identity.String()}
	own.dir, own.step, own.noProgress = filepath.Dir(path), true, true
	unlock, err := own.lock(ctx, path, originName)
	if err != nil {
		return err
	}
	defer unlock()
	// By now it may have been kept by whom we waited for, and who may be building.
	state, err := s.findOrigin(ctx, cfg)
	if state == originOutdated && err == nil {
		err = s.carryOver(ctx, cfg)
	}
	if state == originFits || err != nil {
		return err
	}
	if _, err := s.write(ctx, &own, path, originName, alreadyLocked); err != nil {
		return err
	}
	cfg.origin = path
	if s.origin != nil {
		kept.Store(path, true)
		return nil
	}
	pruneOrigins(own.dir, cfg.identity)
	// Until it is noted, nothing has happened that would have changed the database.
	err = s.withConn(ctx, func(conn *pgx.Conn) error { return track.RecordOrigin(ctx, conn, filepath.Base(path), path) })
	return cfg.explain(err, msg.OriginUnmarked)
}

// originState is what there is of an origin.
type originState int

const (
	originNone     originState = iota // the database was not used before
	originFits                        // it is there, and of the schema as it is
	originOutdated                    // it is of a former schema
)

// findOrigin finds the origin, which may be in the folder of another package that
// was given the same database. It refuses to take a database that was used before
// for one that was not.
func (s *Store) findOrigin(ctx context.Context, cfg *ensureConfig) (originState, error) {
	own, err := s.originPath(cfg)
	if err != nil {
		return originNone, cfg.explain(err, msg.FolderUnwritable, os.TempDir())
	}
	mark, noted, err := s.originMark(ctx, cfg, own)
	if err != nil {
		return originNone, err
	}
	cfg.origin = own
	if mark == track.OriginUnknown {
		return originNone, nil
	}
	if _, err := os.Lstat(own); mark == track.OriginRecorded && errors.Is(err, fs.ErrNotExist) {
		cfg.origin = noted
	}
	f, err := cfg.openOrigin()
	switch {
	case errors.Is(err, ErrNotFound) && mark == track.OriginUnrecordable:
		return originNone, nil
	case errors.Is(err, ErrNotFound):
		return originNone, errs.New(ErrNotFound, msg.OriginGone.In(cfg.lang, cfg.origin), nil)
	case err != nil:
		return originNone, err
	}
	defer f.close()
	if f.manifest.Fingerprint != cfg.fingerprint {
		return originOutdated, nil
	}
	return originFits, nil
}

// kept are the origins of databases that fixtures made, which this process has
// saved.
var kept sync.Map

// originMark reports whether it was noted that the origin was kept, and where: for a
// database that fixtures made, by this process, else in the database.
func (s *Store) originMark(ctx context.Context, cfg *ensureConfig, path string) (mark track.OriginState, file string, err error) {
	if s.origin != nil {
		if _, ok := kept.Load(path); ok {
			mark = track.OriginRecorded
		}
		return mark, path, nil
	}
	err = s.withConn(ctx, func(conn *pgx.Conn) (err error) {
		mark, file, err = track.ReadOrigin(ctx, conn, filepath.Base(path))
		return err
	})
	return mark, file, cfg.explain(err, msg.CantReadSchema)
}

// readOnlyFolder tells that files can't be made.
func readOnlyFolder(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
}

// openOrigin opens the origin, which must be that of this very database.
func (c *ensureConfig) openOrigin() (*file, error) {
	r, err := c.open(c.origin, originName, false)
	if err == nil && r.Manifest.Builder != c.identity.String() {
		r.Close()
		err = errs.New(ErrCorrupt, msg.OriginDamaged.In(c.lang, c.origin), nil)
	}
	var damage *snapfile.CorruptError
	if errors.As(err, &damage) {
		err = errs.New(ErrCorrupt, msg.OriginDamaged.In(c.lang, c.origin), damage)
	}
	if err != nil {
		return nil, err
	}
	return fileOf(r, originName)
}

// carryOver brings the database to its origin although the schema has changed
// since: what of it still has a place is loaded, and tables that are new keep what
// the change brought.
func (s *Store) carryOver(ctx context.Context, cfg *ensureConfig) error {
	f, err := cfg.openOrigin()
	if err != nil {
		return err
	}
	defer f.close()
	known := map[schema.Name]bool{}
	for _, t := range f.manifest.Tables {
		known[t.Name] = true
	}
	var added []string
	for _, t := range cfg.tables {
		if !known[t.Name] {
			added = append(added, literally(t.Name.String()))
		}
	}
	if len(added) > 0 {
		var scope snapfile.Scope
		if f.manifest.Scope != nil {
			scope = *f.manifest.Scope
		}
		scope.Exclude = slices.Concat(scope.Exclude, added)
		f.manifest.Scope = &scope
	}
	own := restoreConfig{storeConfig: cfg.storeConfig, mismatch: Warn, skipMissing: true}
	own.noProgress = true
	if _, err := s.bring(ctx, &own, f); err != nil {
		return errs.New(nil, msg.OriginUnfit.In(cfg.lang, cfg.origin), err)
	}
	return nil
}

// literally writes a name as the pattern that only it matches.
func literally(name string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(name)
}

// toOrigin brings the database to where a builder starts.
func (s *Store) toOrigin(ctx context.Context, cfg *ensureConfig) error {
	f, err := cfg.openOrigin()
	if err != nil {
		return err
	}
	defer f.close()
	own := restoreConfig{storeConfig: cfg.storeConfig}
	own.step, own.noProgress = true, true
	_, err = s.bring(ctx, &own, f)
	return err
}

// originsOfOthers is how many origins of other servers' databases a folder keeps:
// whether those are still there can't be known.
const originsOfOthers = 16

// originYoung is for how long an origin is kept of a database that is not known.
const originYoung = 10 * time.Minute

// pruneOrigins removes the origins of databases that are gone.
func pruneOrigins(dir string, me catalog.Identity) {
	entries, _ := os.ReadDir(dir)
	var others []os.FileInfo
	remove := func(name string) {
		path := filepath.Join(dir, name)
		_ = os.Remove(path)
		_ = os.Remove(lockPath(path))
	}
	for _, e := range entries {
		id, ok := strings.CutPrefix(strings.TrimSuffix(e.Name(), extension), originName+"-")
		if !ok || filepath.Ext(e.Name()) != extension {
			continue
		}
		system, rest, _ := strings.Cut(id, "-")
		number, _, _ := strings.Cut(rest, "-")
		oid, err := strconv.ParseUint(number, 10, 32)
		switch {
		case err != nil: // not ours
		case system == me.System && me.Known():
			// One that is young may be of a database that is younger than what we know.
			info, err := e.Info()
			if err == nil && time.Since(info.ModTime()) > originYoung && !slices.Contains(me.Others, uint32(oid)) {
				remove(e.Name())
			}
		default:
			if info, err := e.Info(); err == nil {
				others = append(others, info)
			}
		}
	}
	slices.SortFunc(others, func(a, b os.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	for _, info := range others[min(len(others), originsOfOthers):] {
		remove(info.Name())
	}
}
