package snapshot

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/groundhogdb/groundhog/internal/bubble"
	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/snapfile"
	"github.com/groundhogdb/groundhog/internal/testdb"
	"github.com/groundhogdb/groundhog/internal/track"
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

// Create writes the snapshot called name: all rows of all tables and the state
// of all sequences, as one transaction sees them, or what a [ScopeOption] names.
// Writers wait for some milliseconds at most, while it is marked what the snapshot sees,
// so that the first [Store.Restore] has nothing to load.
//
// On error the folder is as it was. A name that differs from that of another
// snapshot in its case only is [ErrInvalidName], since some file systems know no
// cases. An existing snapshot is [ErrExists], unless
// [Replace] is given; then it stands until the new one is whole. Too little room
// in the folder is [ErrDiskSpace], with what is needed and what is free, and is
// looked for before a byte is written. A table that somebody has for himself for
// more than 5 s is [ErrLocked], with who that is. When the connection is lost, the tables
// are read again from the start into a new file, three times in all, with waits of
// 2 s and 4 s; then it is [ErrConnection]. On success the file is durable.
//
// The cost is that of reading every table once, over two connections when there
// are some megabytes to read; memory does not grow with the rows, but a value of
// hundreds of megabytes is held in memory once.
//
// Of an extension's tables the rows are saved that it names as the user's, with
// pg_extension_config_dump, as pg_dump does; a role that does not own the extension's
// tables leaves them out. Left out are also system schemas, temporary tables, foreign
// tables, views, what else belongs to an extension, and a schema called groundhog; the
// tables of known migration tools are left alone, and the version that they tell is
// kept in [Info]. [Info] lists what is outside, and the log says once what of it holds
// rows. A database with large objects is refused, and so is a role from which
// row level security hides rows.
func (s *Store) Create(ctx context.Context, name string, opts ...CreateOption) (Info, error) {
	if err := s.made(); err != nil {
		return Info{}, err
	}
	if bubble.In() {
		return bubble.Do(ctx, func(ctx context.Context) (Info, error) { return s.Create(ctx, name, opts...) })
	}
	cfg := createConfig{storeConfig: s.storeConfig}
	if err := apply(&cfg.storeConfig, opts, func(o CreateOption) { o.create(&cfg) }); err != nil {
		return Info{}, err
	}
	path, err := cfg.path(name)
	if err != nil {
		return Info{}, err
	}
	return s.write(ctx, &cfg, path, name, func() (unlock func(), err error) {
		if err := cfg.distinct(name); err != nil {
			return nil, err
		}
		unlock, err = cfg.lock(ctx, path, name)
		if err != nil || cfg.replace {
			return unlock, err
		}
		ok, err := cfg.exists(path, name)
		if ok {
			err = errs.New(ErrExists, msg.SnapshotExists.In(cfg.lang, name, path), nil)
		}
		if err != nil {
			unlock()
		}
		return unlock, err
	})
}

// Restore brings the database back to the snapshot called name: afterwards every
// table has exactly the snapshot's rows, and every sequence its state.
// Connections stay usable. User triggers, event triggers and rules do not fire;
// materialised views are refreshed, so that they show the same after each restore.
// Of a snapshot with a scope, only the rows in it are changed: see [ScopeOption].
//
// It is one transaction: on any error the database is exactly as it was. A
// missing file is [ErrNotFound]; a damaged one [ErrCorrupt], found before a row
// is changed; a database whose schema is not the snapshot's is
// [ErrSchemaMismatch], difference by difference, unless [OnSchemaMismatch] says
// otherwise; locks that others hold for more than 5 s are [ErrLocked], with who
// holds them. When the connection is lost, the whole transaction is tried again,
// three times in all, with waits of 2 s and 4 s; then it is [ErrConnection].
//
// A restore costs what was changed since the database was last as the snapshot has
// it: a journal in a schema called groundhog, in which triggers note what is written,
// by whomever, over any connection, is undone. The first [Store.Create] or Restore
// makes the journal. A file that is neither what the database was last restored to
// nor what was last created of it is loaded: all tables are emptied and filled, at a
// cost of what the file holds.
//
// The journal is not trusted blindly: what it can't undo with certainty is loaded
// again, table by table or as a whole, as after TRUNCATE, a change of the schema or
// a crash of the server; see [Restored]. A table that can't have a journal, as one of
// 1,600 columns, is loaded when it was written to; one on which the server refuses
// triggers, each time. With materialised views, all of them are
// made anew once anything was written. Writers in flight are waited for, since
// what they commit later would show up in the next test: [TerminateBlockers] ends
// them instead. The tables' own writes get slower: by some 50 to 100 µs for each
// transaction and table, updates of a thousand rows by half, and deletes of so many
// to between two and three times. [Store.Untrack] removes it all.
//
// Subscribers and logical slots hear of a restore as of any other transaction: of an
// undo, each row that was changed; of a load, all rows. A published table whose rows the
// server does not let be deleted, having no key for instance, has all its columns as
// replica identity meanwhile, which waits for readers in open transactions too.
//
// A role that may set session_replication_role (a superuser, or who was granted
// it) has a journal, and loads without checking each row's foreign keys. Any other
// must own the tables, and always loads all of them, with foreign keys checked, which takes
// about twice the time. Event triggers stay awake there: rows that they insert into the
// snapshot's tables meanwhile are removed, anything else that they do to them is an
// error. Memory does not grow with the
// data.
//
// Not reset is the schema (a test that changes it needs a [Store.Clone]): columns,
// types, keys, foreign keys and sequences are compared; triggers, checks, defaults,
// views, functions and other indexes are not looked at. Nor are the session state of
// pooled connections (SET, LISTEN, temporary tables, advisory locks, numbers taken
// ahead from a sequence with CACHE), ALTER DATABASE and ALTER ROLE, and the physical
// order of rows.
func (s *Store) Restore(ctx context.Context, name string, opts ...RestoreOption) (Restored, error) {
	if err := s.made(); err != nil {
		return Restored{}, err
	}
	if bubble.In() {
		return bubble.Do(ctx, func(ctx context.Context) (Restored, error) { return s.Restore(ctx, name, opts...) })
	}
	cfg := restoreConfig{storeConfig: s.storeConfig}
	if err := apply(&cfg.storeConfig, opts, func(o RestoreOption) { o.restore(&cfg) }); err != nil {
		return Restored{}, err
	}
	if cfg.mismatch != "" && cfg.mismatch != Fail && cfg.mismatch != Warn {
		return Restored{}, errs.New(ErrInvalidArgument, msg.UnknownPolicy.In(cfg.lang, string(cfg.mismatch)), nil)
	}
	path, err := cfg.path(name)
	if err != nil {
		return Restored{}, err
	}
	f, err := cfg.look(path, name)
	if err != nil {
		return Restored{}, err
	}
	defer f.close()
	return s.bring(ctx, &cfg, f)
}

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

// Changes tells what was changed in the database since it was last brought to a
// snapshot by this process, or created of it, by whomever it was changed; without
// either, since what the journal knows; without a journal too it is [ErrNotFound].
// What is not committed is not seen. Nothing is locked, and nothing is changed.
//
// The journal tells at a cost of what was changed; see [Store.Restore]. Where it
// can't, as after TRUNCATE or a change of the schema, or without the rights for a
// journal, the table is compared with the snapshot's file, at a cost of what it
// holds. All changed rows are held in memory. Generated columns that are not stored
// are left out, and where a file is compared all of them.
func (s *Store) Changes(ctx context.Context, opts ...ChangesOption) (ChangeSet, error) {
	if err := s.made(); err != nil {
		return ChangeSet{}, err
	}
	if bubble.In() {
		return bubble.Do(ctx, func(ctx context.Context) (ChangeSet, error) { return s.Changes(ctx, opts...) })
	}
	cfg := changesConfig{storeConfig: s.storeConfig}
	err := apply(&cfg.storeConfig, opts, func(o ChangesOption) { o.changes(&cfg) })
	if err == nil {
		err = cfg.checkIgnored()
	}
	if err != nil {
		return ChangeSet{}, err
	}
	var set ChangeSet
	err = cfg.repeat(ctx, "", func() error {
		return s.inSession(ctx, &cfg.storeConfig, func(se *session) (err error) {
			err = s.reading(ctx, se.conn, func(searchPath string) (err error) {
				c := comparer{store: s, cfg: &cfg, se: se, base: baselineOf(s.pool), searchPath: searchPath}
				set, err = c.compare(ctx)
				return err
			})
			return s.locked(ctx, &cfg.storeConfig, s.blame(ctx, &cfg.storeConfig, err))
		})
	})
	return set, cfg.explain(err, msg.CantTellChanges)
}

// Clone makes a database of its own at the snapshot called name. Call [Cloned.Close]
// at the end. The store's database must be one that package fixtures made, with its
// schema, as a role that may create databases; another one is [ErrInvalidArgument],
// and so is a snapshot of some rows only (see [ScopeOption]).
//
// The database is a copy of a template, which is made once for each snapshot and
// server by the schema that fixtures was given and the rows of the file, by one
// process while others wait. What was made after it in the origin's schema by other
// means is an [ErrSchemaMismatch]. The first copy costs the template, each further
// one a CREATE DATABASE; a database that was used before, and whose changes the
// journal could undo, costs nothing but that. One is made ahead where copying is
// quick. There are GOMAXPROCS + 4 at a time: who wants one more waits, and gets it when
// none became free for 10 s, or when it would wait for itself, as a subtest of a test
// that has one.
//
// Databases that are not in use go with the origin, those of a killed process with
// the next one that uses the server.
func (s *Store) Clone(ctx context.Context, name string, opts ...CloneOption) (*Cloned, error) {
	if err := s.made(); err != nil {
		return nil, err
	}
	if bubble.In() {
		return bubble.Do(ctx, func(ctx context.Context) (*Cloned, error) { return s.Clone(ctx, name, opts...) })
	}
	cfg, f, err := s.cloneConfig(name, opts)
	if err != nil {
		return nil, err
	}
	h := herdOf(testdb.MakerOf(s.pool), f.sum)
	c, err := h.take(ctx, s, cfg, f, "")
	if err != nil {
		return nil, cfg.explain(err, msg.CantClone, name)
	}
	return &Cloned{Pool: c.db.Pool, URL: c.db.URL, herd: h, clone: c}, nil
}

// Clean empties every table that a snapshot would hold, and puts every sequence
// back to its start. With a [ScopeOption] it removes the rows in scope only, and
// sequences go past what the other rows use. It is one transaction, like
// [Store.Restore], and needs the same rights.
func (s *Store) Clean(ctx context.Context, opts ...CleanOption) error {
	if err := s.made(); err != nil {
		return err
	}
	if bubble.In() {
		return bubble.Err(ctx, func(ctx context.Context) error { return s.Clean(ctx, opts...) })
	}
	cfg := cleanConfig{storeConfig: s.storeConfig}
	if err := apply(&cfg.storeConfig, opts, func(o CleanOption) { o.clean(&cfg) }); err != nil {
		return err
	}
	began := time.Now()
	err := cfg.repeat(ctx, "", func() error {
		return s.inSession(ctx, &cfg.storeConfig, func(se *session) error {
			return s.resolving(ctx, &cfg.storeConfig, se, func() error {
				return s.locking(ctx, &cfg.storeConfig, se, "", false, func() error { return s.cleanIn(ctx, &cfg, se) })
			})
		})
	})
	if err == nil {
		forgetBaseline(s.pool)
		cfg.logger.InfoContext(ctx, msg.DatabaseCleaned.In(cfg.lang), "took", time.Since(began).Round(100*time.Microsecond))
	}
	return cfg.explain(err, msg.CantClean)
}

// Untrack removes from the database everything with which its changes are tracked:
// the schema groundhog, the triggers on its tables, and the event triggers. The
// next [Store.Restore] makes it again. Without any it does nothing. It waits for
// writers, like a restore; locks that others hold for more than 5 s are
// [ErrLocked].
func (s *Store) Untrack(ctx context.Context) error {
	if err := s.made(); err != nil {
		return err
	}
	if bubble.In() {
		return bubble.Err(ctx, func(ctx context.Context) error { return s.Untrack(ctx) })
	}
	err := s.repeat(ctx, "", func() error {
		return s.inSession(ctx, &s.storeConfig, func(se *session) error {
			return s.locking(ctx, &s.storeConfig, se, "", false, func() error {
				return s.changeIn(ctx, &s.storeConfig, se, func(tx pgx.Tx, _ catalog.Powers, _ bool) error { return track.Drop(ctx, tx) })
			})
		})
	})
	return s.explain(err, msg.CantUntrack)
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
