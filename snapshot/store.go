package snapshot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/groundhogdb/groundhog/internal/bubble"
	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/guard"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/snapfile"
	"github.com/groundhogdb/groundhog/internal/testdb"
)

// Store keeps the snapshots of one database in one folder. It is the
// error-returning form of this package's functions, for programs. It is safe for
// use by several goroutines and processes at once, and holds nothing open
// between calls.
type Store struct {
	storeConfig
	pool *pgxpool.Pool
	fs   snapfile.FS
	of   *pgxpool.Pool // the database whose template it is, or nil; see Store.databases

	// origin tells where the file is that a builder starts from; nil: beside the
	// snapshots. See Store.keepOrigin.
	origin func() (string, error)
}

// lockWait is how long an operation waits for locks that others hold.
const lockWait = 5 * time.Second

// NewStore returns the store of the database behind db. It neither connects nor
// makes the folder: the first operation does. A nil db, an empty folder name or
// an unknown language is [ErrInvalidArgument].
func NewStore(db *pgxpool.Pool, opts ...StoreOption) (*Store, error) {
	s := &Store{pool: db, fs: snapfile.OS}
	if err := apply(&s.storeConfig, opts, func(o StoreOption) { o.store(&s.storeConfig) }); err != nil {
		return nil, err
	}
	if db == nil {
		return nil, errs.New(ErrInvalidArgument, msg.NilPool.In(s.lang), nil)
	}
	return s, nil
}

// made reports whether NewStore made s: a nil one, or Store{}, has no database.
func (s *Store) made() error {
	if s == nil || s.pool == nil {
		return errs.New(ErrInvalidArgument, msg.NoStore.In(""), nil)
	}
	return nil
}

var discard = slog.New(slog.DiscardHandler)

// check proves options and settles what they left open.
func (c *storeConfig) check() error {
	if c.lang != "" {
		lang, ok := msg.Parse(string(c.lang))
		if !ok {
			return errs.New(ErrInvalidArgument, msg.UnknownLanguage.In("", string(c.lang)), nil)
		}
		c.lang = lang
	}
	if c.logger == nil {
		c.logger = discard
	}
	switch {
	case c.dirNamed && strings.TrimSpace(c.dir) == "":
		return errs.New(ErrInvalidArgument, msg.DirEmpty.In(c.lang), nil)
	case c.dir == "":
		c.dir = defaultDir(c)
	}
	if dir, err := filepath.Abs(c.dir); err == nil { // a test may change the working directory later
		c.dir = dir
	}
	return c.checkScope()
}

// apply applies the options of one call to its copy c of the store's settings.
func apply[O any](c *storeConfig, opts []O, one func(O)) error {
	for i, o := range opts {
		if any(o) == nil {
			return errs.New(ErrInvalidArgument, msg.OptionNil.In(c.lang, strconv.Itoa(i+1)), nil)
		}
		one(o)
	}
	return c.check()
}

// extension ends the name of a snapshot file.
const extension = ".groundhog"

// path returns where the snapshot called name is. The name becomes a file name,
// so it must be one everywhere: it can't leave the folder, nor mean something to
// a file system.
func (c *storeConfig) path(name string) (string, error) {
	if why := badName(name); why != "" {
		return "", errs.New(ErrInvalidName, msg.BadName.In(c.lang, name, why), nil)
	}
	return filepath.Join(c.dir, name+extension), nil
}

// badName returns what is wrong with a name, as a word that all languages read.
func badName(name string) string {
	const most = 100 // with extension, prefix and suffix below the 255 bytes of file systems
	switch {
	case name == "":
		return `""`
	case len(name) > most:
		return fmt.Sprintf("%d > %d bytes", len(name), most)
	case strings.ToValidUTF8(name, "") != name:
		return "UTF-8"
	case strings.HasPrefix(name, "."), strings.HasPrefix(name, "-"), strings.HasPrefix(name, " "):
		return fmt.Sprintf("%q…", name[:1])
	case strings.HasSuffix(name, "."), strings.HasSuffix(name, " "):
		return fmt.Sprintf("…%q", name[len(name)-1:])
	}
	for _, r := range name {
		if r < ' ' || r == 0x7f || strings.ContainsRune(`/\:*?"<>|`, r) {
			return fmt.Sprintf("%q", r)
		}
	}
	stem, _, _ := strings.Cut(strings.ToLower(name), ".")
	stem = strings.TrimRight(stem, " ")
	device, number := strings.TrimRight(stem, "0123456789¹²³"), 0
	if device != stem {
		number = utf8.RuneCountInString(stem[len(device):])
	}
	if slices.Contains([]string{"con", "prn", "aux", "nul", "conin$", "conout$"}, stem) || number == 1 && (device == "com" || device == "lpt") {
		return stem
	}
	return ""
}

// open opens a snapshot file and proves every byte of it.
func (c *storeConfig) open(path, name string, unpack bool) (*snapfile.Reader, error) {
	r, err := snapfile.Open(path)
	if err == nil {
		if err = r.Verify(unpack); err == nil {
			return r, nil
		}
		r.Close()
	}
	var damage *snapfile.CorruptError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errs.New(ErrNotFound, msg.SnapshotNotFound.In(c.lang, name, c.dir, c.known()), nil)
	case errors.As(err, &damage):
		return nil, errs.New(ErrCorrupt, msg.SnapshotCorrupt.In(c.lang, name), err)
	}
	return nil, c.explain(err, msg.SnapshotUnreadable, name)
}

// clash returns the name of another snapshot in the folder that a file system
// without cases, or with other rules for accents, takes for the same.
func (c *storeConfig) clash(name string) string {
	fold := func(s string) string { return cases.Fold().String(norm.NFC.String(s)) }
	names := c.names()
	i := slices.IndexFunc(names, func(other string) bool { return fold(other) == fold(name) })
	if i < 0 || slices.Contains(names, name) {
		return ""
	}
	return names[i]
}

// distinct refuses a new name that is another's in some file systems.
func (c *storeConfig) distinct(name string) error {
	if other := c.clash(name); other != "" {
		return errs.New(ErrInvalidName, msg.NameClashes.In(c.lang, name, other), nil)
	}
	return nil
}

// known lists the names of the snapshots that are there, for a text.
func (c *storeConfig) known() string {
	return cmp.Or(strings.Join(c.names(), ", "), "-")
}

func (c *storeConfig) names() (names []string) {
	entries, _ := os.ReadDir(c.dir)
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), extension); ok && badName(name) == "" {
			names = append(names, name)
		}
	}
	return names
}

// Verify proves every byte of the snapshot called name and unpacks all of it,
// without a database. A missing file is [ErrNotFound], a damaged one
// [ErrCorrupt] with the place of the damage. It costs a read of the file.
func (s *Store) Verify(ctx context.Context, name string) (Info, error) {
	if err := s.made(); err != nil {
		return Info{}, err
	}
	path, err := s.path(name)
	if err != nil {
		return Info{}, err
	}
	if err := ctx.Err(); err != nil {
		return Info{}, err
	}
	r, err := s.storeConfig.open(path, name, true)
	if err != nil {
		return Info{}, err
	}
	defer r.Close()
	return infoOf(&r.Manifest, path, r.Size), nil
}

// List describes the snapshots in the store's folder, newest first. Files that
// are no snapshots, or damaged ones, are left out with a log line; a missing
// folder holds none. It reads the manifests, not the data: see [Store.Verify].
func (s *Store) List(ctx context.Context) ([]Info, error) {
	if err := s.made(); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, s.explain(err, msg.FolderUnreadable, s.dir)
	}
	list := []Info{}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		name, ok := strings.CutSuffix(e.Name(), extension)
		if !ok || badName(name) != "" {
			continue
		}
		path := filepath.Join(s.dir, e.Name())
		r, err := snapfile.Open(path)
		if err != nil {
			s.logger.WarnContext(ctx, msg.LeftOutOfList.In(s.lang), "path", path, "error", err.Error())
			continue
		}
		list = append(list, infoOf(&r.Manifest, path, r.Size))
		r.Close()
	}
	slices.SortStableFunc(list, func(a, b Info) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(a.Name, b.Name))
	})
	return list, nil
}

// Exists reports whether there is a snapshot called name, be it whole or not.
func (s *Store) Exists(ctx context.Context, name string) (bool, error) {
	if err := s.made(); err != nil {
		return false, err
	}
	path, err := s.path(name)
	if err != nil {
		return false, err
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}
	return s.exists(path, name)
}

func (c *storeConfig) exists(path, name string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, c.explain(err, msg.SnapshotUnreadable, name)
}

// Delete removes the snapshot called name, waiting for a builder that is at it.
// A missing one is [ErrNotFound]. The database is not touched.
func (s *Store) Delete(ctx context.Context, name string) error {
	if err := s.made(); err != nil {
		return err
	}
	if bubble.In() {
		return bubble.Err(ctx, func(ctx context.Context) error { return s.Delete(ctx, name) })
	}
	path, err := s.path(name)
	if err != nil {
		return err
	}
	if ok, err := s.exists(path, name); err != nil {
		return err
	} else if !ok {
		return errs.New(ErrNotFound, msg.SnapshotNotFound.In(s.lang, name, s.dir, s.known()), nil)
	}
	unlock, err := s.lock(ctx, path, name)
	if err != nil {
		return err
	}
	defer unlock()
	err = s.fs.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return errs.New(ErrNotFound, msg.SnapshotNotFound.In(s.lang, name, s.dir, s.known()), nil)
	}
	return s.explain(err, msg.CantDelete, name)
}

// withConn runs f over a connection of its own: a test may have taken all those
// of the pool, and settings that we change must not stay on one that it uses.
func (s *Store) withConn(ctx context.Context, f func(*pgx.Conn) error) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	return f(conn)
}

func (s *Store) connect(ctx context.Context) (*pgx.Conn, error) {
	config := s.pool.Config()
	cc := config.ConnConfig
	if config.BeforeConnect != nil {
		if err := config.BeforeConnect(ctx, cc); err != nil {
			return nil, err
		}
	}
	cc.RuntimeParams["application_name"] = testdb.Application
	conn, err := pgx.ConnectConfig(ctx, cc)
	if err != nil {
		return nil, err
	}
	// Roles and databases may have a limit that is meant for those who use them, and
	// habits in which pgx won't talk. A parameter of the connection's start would be
	// refused by poolers.
	if _, err := conn.Exec(ctx, "SET statement_timeout = 0; SET client_encoding = 'UTF8'; SET standard_conforming_strings = on", pgx.QueryExecModeSimpleProtocol); err != nil {
		closeConn(conn)
		return nil, err
	}
	return conn, nil
}

// closeConn does not use the context of the call: the server must hear of the end
// even after a cancelled one.
func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn.Close(ctx)
}

// guarded asks the database who it is and refuses one that is not for tests.
func (c *storeConfig) guarded(ctx context.Context, q catalog.Querier) (catalog.Powers, error) {
	powers, err := catalog.ReadPowers(ctx, q)
	if err != nil {
		return powers, err
	}
	if err := guard.Check(powers.Database, c.allowed, c.lang); err != nil {
		return powers, err
	}
	if powers.Objects > 0 {
		return powers, errs.New(nil, msg.LargeObjects.In(c.lang, msg.Count(powers.Objects)), nil)
	}
	return powers, nil
}
