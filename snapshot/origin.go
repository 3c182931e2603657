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
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/snapfile"
	"github.com/groundhogdb/groundhog/internal/track"
)

// originName is the snapshot of what was in a database at its first use.
const originName = ".origin"

// liveState is what the database says of itself.
type liveState struct {
	identity    catalog.Identity
	tables      []catalog.Table // those that are in scope
	fingerprint string          // of their schema
}

// origin is what was in a database at its first use, which is where a builder starts.
type origin struct {
	db   *database
	cfg  *settings
	live liveState
	own  func() (string, error) // where the file is of a database that fixtures made; nil: of another one
	path string                 // of the file; see find
}

// ownPath returns where the origin of the database is kept at its first use:
// where fixtures said, for a database that it made, else beside the snapshots,
// under the name of the database. Each scope has its own, since the rows out of
// scope are not touched.
func (o *origin) ownPath() (string, error) {
	path := filepath.Join(o.cfg.dir, originName+"-"+o.identity()+fileExtension)
	if o.own != nil {
		var err error
		if path, err = o.own(); err != nil {
			return "", err
		}
	}
	if scope := o.cfg.scoped(); scope != nil {
		sum := sha256.Sum256([]byte(scopeText(scope)))
		path = strings.TrimSuffix(path, fileExtension) + "-" + hex.EncodeToString(sum[:4]) + fileExtension
	}
	return path, nil
}

// owner tells whose origin a file is. A database that fixtures made may be replaced by a copy,
// and no other database's file is where its own is.
func (o *origin) owner() string {
	if o.own != nil {
		return "fixtures"
	}
	return o.identity()
}

// identity is that of the database at its first use: an exchange puts another one there.
func (o *origin) identity() string { return o.db.firstIdentity(o.live.identity.String()) }

// save saves the rows that are in the database at its first use, which is
// when the database notes nothing of one: a file may be there from a database that
// was in the same place.
func (o *origin) save(ctx context.Context) error {
	if kept, ok := o.db.keptOrigin().(*originCopy); ok && o.cfg.scoped() == nil {
		if kept.fingerprint == o.live.fingerprint {
			return nil // it is there, if not as a file
		}
		if err := o.write(ctx); err != nil {
			return err
		}
	}
	if state, err := o.find(ctx); state == originFits || err != nil {
		return err
	}
	path := o.path
	cfg := createConfig{settings: *o.cfg, builder: o.owner()}
	cfg.dir, cfg.nested, cfg.noProgress = filepath.Dir(path), true, true
	unlock, err := folder{&cfg.settings}.lock(ctx, path, originName)
	if err != nil {
		return err
	}
	defer unlock()
	// By now it may have been saved by the process that was waited for, which may be
	// building.
	state, err := o.find(ctx)
	if state == originOutdated && err == nil {
		err = o.carryOver(ctx)
	}
	if state == originFits || err != nil {
		return err
	}
	if _, err := createSnapshot(ctx, o.db, &cfg, path, originName, true); err != nil {
		return err
	}
	o.path = path
	if o.own != nil {
		o.db.setOrigin(path)
		return nil
	}
	pruneOrigins(cfg.dir, o.live.identity)
	o.db.noteOrigin(filepath.Base(path), path)
	// Until it is noted, nothing has happened that would have changed the database.
	err = o.db.withConn(ctx, func(conn *pgx.Conn) error { return track.RecordOrigin(ctx, conn, filepath.Base(path), path) })
	return o.cfg.explain(err, msg.OriginUnmarked)
}

// originState is what there is of an origin.
type originState int

const (
	originNone     originState = iota // the database was not used before
	originFits                        // it is there, and of the schema as it is
	originOutdated                    // it is of a former schema
)

// find finds the file, which may be in the folder of another package that was given the
// same database. It refuses to take a database that was used before for one that was
// not.
func (o *origin) find(ctx context.Context) (originState, error) {
	own, err := o.ownPath()
	if err != nil {
		return originNone, o.cfg.explain(err, msg.FolderUnwritable, os.TempDir())
	}
	mark, noted, err := o.mark(ctx, own)
	if err != nil {
		return originNone, err
	}
	o.path = own
	if mark == track.OriginUnknown {
		return originNone, nil
	}
	if _, err := os.Lstat(own); mark == track.OriginRecorded && errors.Is(err, fs.ErrNotExist) {
		o.path = noted
	}
	f, err := o.open()
	switch {
	case errors.Is(err, ErrNotFound) && mark == track.OriginUnrecordable:
		return originNone, nil
	case errors.Is(err, ErrNotFound):
		return originNone, errs.New(ErrNotFound, msg.OriginGone.In(o.cfg.lang, o.path), nil)
	case err != nil:
		return originNone, err
	}
	defer f.close()
	if f.manifest.Fingerprint != o.live.fingerprint {
		return originOutdated, nil
	}
	return originFits, nil
}

// mark reports whether it was noted that the origin was saved, and where: for a
// database that fixtures made, by this process, else in the database.
func (o *origin) mark(ctx context.Context, path string) (mark track.OriginState, file string, err error) {
	if o.own != nil {
		if o.db.hasOrigin(path) {
			mark = track.OriginRecorded
		}
		return mark, path, nil
	}
	if noted := o.db.notedOrigin(filepath.Base(path)); noted != "" && o.identity() != o.live.identity.String() {
		return track.OriginRecorded, noted, nil
	}
	err = o.db.withConn(ctx, func(conn *pgx.Conn) (err error) {
		mark, file, err = track.ReadOrigin(ctx, conn, filepath.Base(path))
		return err
	})
	if err == nil && mark == track.OriginRecorded {
		o.db.noteOrigin(filepath.Base(path), file)
	}
	return mark, file, o.cfg.explain(err, msg.CantReadSchema)
}

// open opens the file, which must be that of this very database.
func (o *origin) open() (*snapshotFile, error) {
	f, err := verify(o.cfg, o.path, originName)
	if err == nil && f.manifest.Builder != o.owner() {
		f.close()
		err = errs.New(ErrCorrupt, msg.OriginDamaged.In(o.cfg.lang, o.path), nil)
	}
	var damage *snapfile.CorruptError
	if errors.As(err, &damage) {
		err = errs.New(ErrCorrupt, msg.OriginDamaged.In(o.cfg.lang, o.path), damage)
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// carryOver brings the database to its origin although the schema has changed
// since: what of it still has a place is loaded, and tables that are new keep what
// the change brought.
func (o *origin) carryOver(ctx context.Context) error {
	f, err := o.open()
	if err != nil {
		return err
	}
	defer f.close()
	known := map[schema.Name]bool{}
	for _, t := range f.manifest.Tables {
		known[t.Name] = true
	}
	var added []string
	for _, t := range o.live.tables {
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
	cfg := restoreConfig{settings: *o.cfg, mismatch: Warn, skipMissing: true}
	cfg.noProgress = true
	if _, err := restoreSnapshot(ctx, o.db, &cfg, f); err != nil {
		if refusesRows(err) {
			return errs.New(ErrSchemaMismatch, msg.OriginUnfit.In(o.cfg.lang, o.path), err)
		}
		// A lock or a lost connection, for example.
		return errs.New(errs.Class(err), msg.OriginUnfit.In(o.cfg.lang, o.path), err)
	}
	return nil
}

// refusesRows reports whether the server refused the rows of a file, by an error that
// has no class.
func refusesRows(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && errs.Class(pg) == nil
}

// originCopy is the database itself as it was at its first use, which a copy at a snapshot
// took the place of.
type originCopy struct {
	clone       *clone
	fingerprint string // of its schema
}

// Close drops the database.
func (o *originCopy) Close() error { return o.clone.source.Drop() }

// write writes the file from the database that is kept, which then goes.
func (o *origin) write(ctx context.Context) (err error) {
	kept, ok := o.db.takeOrigin().(*originCopy)
	if !ok {
		return nil
	}
	c := kept.clone
	defer func() { err = errors.Join(err, kept.Close()) }()
	path, err := o.ownPath()
	if err != nil {
		return o.cfg.explain(err, msg.FolderUnwritable, os.TempDir())
	}
	if err := c.lend(ctx, o.db.root, o.cfg, nil, ""); err != nil {
		return err
	}
	cfg := createConfig{settings: *o.cfg, builder: o.owner(), replace: true}
	cfg.dir, cfg.nested, cfg.noProgress = filepath.Dir(path), true, true
	unlock, err := folder{&cfg.settings}.lock(ctx, path, originName)
	if err == nil {
		_, err = createSnapshot(ctx, c.db, &cfg, path, originName, true)
		unlock()
	}
	_, ended := c.end(ctx, nil, nil)
	c.close()
	if err = errors.Join(err, ended); err == nil {
		o.path = path
		o.db.setOrigin(path)
	}
	return err
}

// restore brings the database to where a builder starts.
func (o *origin) restore(ctx context.Context) error {
	if o.cfg.scoped() == nil {
		if err := o.write(ctx); err != nil {
			return err
		}
	}
	f, err := o.open()
	if err != nil {
		return err
	}
	defer f.close()
	cfg := restoreConfig{settings: *o.cfg}
	cfg.nested, cfg.noProgress = true, true
	_, err = restoreSnapshot(ctx, o.db, &cfg, f)
	return err
}

// literally writes a name as the pattern that only it matches.
func literally(name string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(name)
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
		id, ok := strings.CutPrefix(strings.TrimSuffix(e.Name(), fileExtension), originName+"-")
		if !ok || filepath.Ext(e.Name()) != fileExtension {
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

// readOnlyFolder reports whether files can't be made.
func readOnlyFolder(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
}
