package snapshot

import (
	"cmp"
	"context"
	"weak"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/groundhogdb/groundhog/internal/bubble"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/memory"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/snapfile"
	"github.com/groundhogdb/groundhog/internal/testdb"
)

// Store keeps the snapshots of one database in one folder. It is the
// error-returning form of this package's functions, for programs. It is safe for
// use by several goroutines and processes at once. It needs no Close: a connection that
// is kept for the next call is closed a second after the pool has no connections any more, or
// after a second where the database is not one that package fixtures made.
type Store struct {
	settings
	pool *pgxpool.Pool
	db   *database

	// originFile tells where the file is of what was in the database at its first use;
	// nil: next to the snapshots. See origin.
	originFile func() (string, error)
}

// NewStore returns the store of the database behind db. It neither connects nor
// makes the folder: the first operation does. It returns an error wrapping
// [ErrInvalidArgument] if db is nil or options are wrong, which names all that is.
func NewStore(db *pgxpool.Pool, opts ...StoreOption) (*Store, error) {
	s := &Store{pool: db, settings: settings{fs: snapfile.OS}}
	configure(&s.settings, opts, func(o StoreOption) { o.applyStore(&s.settings) })
	if db == nil {
		s.faults.Add(msg.NilPool)
	}
	if err := s.err(); err != nil {
		return nil, err
	}
	s.db = databaseOf(db)
	if testdb.MakerOf(db) != nil {
		pool := weak.Make(db)
		// Package fixtures forgets a pool that it closes. A pool without connections may be one that the
		// test has closed or reset, to copy or rename the database.
		s.db.sessions.keepWhile(func() bool {
			p := pool.Value()
			return p != nil && testdb.MakerOf(p) != nil && p.Stat().TotalConns() > 0
		})
	}
	return s, nil
}

// made reports whether NewStore made s: a nil one, or Store{}, has no database.
func (s *Store) made() error {
	if s == nil || s.db == nil {
		return errs.New(ErrInvalidArgument, msg.NoStore.In(""), nil)
	}
	return nil
}

// runOutside runs an operation of a store that NewStore made, outside of the synctest
// bubble that the caller may be in.
func runOutside[T any](ctx context.Context, s *Store, work func(context.Context) (T, error)) (T, error) {
	if err := s.made(); err != nil {
		var none T
		return none, err
	}
	result, err := bubble.Do(ctx, work)
	if err != nil {
		memory.Explain(err, s.lang, s.pool.Config().ConnConfig.Host)
	}
	return result, err
}

// Create writes the snapshot called name: all rows of all tables and the state
// of all sequences, as one transaction sees them, or what a [ScopeOption] names.
// Writers wait for some milliseconds at most, while it is marked what the snapshot sees,
// so that the first [Store.Restore] has nothing to load. A database that package fixtures
// made is copied then, unless sessions of others are connected: its pool's idle connections
// are closed, and new ones wait for as long as the copy takes, some hundredths of a second
// for 30,000 rows.
//
// On error the folder is unchanged. A name that differs from that of another snapshot
// in its case only is [ErrInvalidName], since some file systems know no cases. An
// existing snapshot is [ErrExists], unless [Replace] is given; then it stands until the
// new one is whole. Too little room in the folder is [ErrDiskSpace], with what is needed
// and what is free, and is looked for before a byte is written. If another session holds
// an exclusive lock on a table for more than 5 s, Create returns [ErrLocked] and names
// that session. When the connection is lost, the tables are read again from the start
// into a new file, three times in all, with waits of 2 s and 4 s (see [WithRetry]); then
// it is [ErrConnection]. On success the file is durable.
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
	return runOutside(ctx, s, func(ctx context.Context) (Info, error) {
		cfg := createConfig{settings: s.settings, maker: testdb.MakerOf(s.pool)}
		configure(&cfg.settings, opts, func(o CreateOption) { o.applyCreate(&cfg) })
		path := folder{&cfg.settings}.path(name)
		if err := cfg.err(); err != nil {
			return Info{}, err
		}
		return createSnapshot(ctx, s.db, &cfg, path, name, false)
	})
}

// Restore brings the database back to the snapshot called name: afterwards every
// table has exactly the snapshot's rows, and every sequence its state.
// Connections stay usable. User triggers, event triggers and rules do not fire;
// materialised views are refreshed, so that they show the same after each restore.
// Of a snapshot with a scope, only the rows in it are changed: see [ScopeOption].
//
// It is one transaction: on any error the database is exactly as it was, with one
// exception: where the database is replaced by a copy that is made on demand, and the
// server fails to make it once the former one is gone, the next restore makes it. A
// missing file is [ErrNotFound]; a damaged one [ErrCorrupt], found before a row
// is changed; a database whose schema is not the snapshot's is
// [ErrSchemaMismatch], difference by difference, unless [OnSchemaMismatch] says
// otherwise; locks that others hold for more than 5 s are [ErrLocked], with who
// holds them. When the connection is lost, the whole transaction is tried again,
// three times in all, with waits of 2 s and 4 s (see [WithRetry]); then it is
// [ErrConnection].
//
// A restore costs what was changed since the database was last as the snapshot has
// it: a journal in a schema called groundhog, in which triggers note what is written,
// over any connection, is undone. The first [Store.Create] or Restore
// makes the journal. A file that is neither what the database was last restored to
// nor what was last created of it is loaded: all tables are emptied and filled, at a
// cost of what the file holds.
//
// The journal is not trusted blindly: what it can't undo with certainty is loaded
// again, table by table or as a whole, as after TRUNCATE or a crash of the server; see
// [Restored]. In a database that package fixtures made, as a role that may create
// databases, the database is replaced by a copy where that takes less time, or where the
// schema, a setting or a right of the database, or a large object was changed: see the
// exchange in the documentation of this package. A table that can't have a journal, as one of
// 1,600 columns, is loaded when it was written to; one on which the server refuses
// triggers, each time. With materialised views, all of them are
// refreshed once anything was written. Writers in flight are waited for, since
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
// The role must own the tables, or be a member of the role that does. One that may set
// session_replication_role (a superuser, or who was granted it) puts rows back and loads them
// while triggers are silent. For any other, foreign keys are checked meanwhile, which takes an
// undo up to three times and a load twice as long; the user's triggers and rules on tables
// that were written to are disabled by name until all is back. Where a foreign key's action, or
// a trigger that can't be disabled, would write too, all is loaded or the database replaced.
// Event triggers that the role can't disable stay awake: rows that they insert into the
// snapshot's tables during a load are removed, anything else that they do to them is an
// error. Memory does not grow with the data.
//
// Where the database can't be replaced, the schema is not reset (a test that changes it
// needs a [Store.Clone]): columns, types, keys, foreign keys and sequences are compared;
// triggers, checks, defaults, views, functions and other indexes are not looked at. Nor are
// ALTER DATABASE and the physical order of rows. Never reset are roles, and the session state
// of pooled connections (SET, LISTEN, temporary tables, advisory locks, numbers taken ahead
// from a sequence with CACHE), which ends with the connections when the database is
// replaced.
func (s *Store) Restore(ctx context.Context, name string, opts ...RestoreOption) (Restored, error) {
	return runOutside(ctx, s, func(ctx context.Context) (Restored, error) { return s.restore(ctx, name, s.restoreConfig(opts)) })
}

func (s *Store) restoreConfig(opts []RestoreOption) *restoreConfig {
	cfg := &restoreConfig{settings: s.settings, maker: testdb.MakerOf(s.pool)}
	configure(&cfg.settings, opts, func(o RestoreOption) { o.applyRestore(cfg) })
	if cfg.mismatch != "" && cfg.mismatch != Fail && cfg.mismatch != Warn {
		cfg.faults.Add(msg.UnknownPolicy, string(cfg.mismatch))
	}
	return cfg
}

func (s *Store) restore(ctx context.Context, name string, cfg *restoreConfig) (Restored, error) {
	path := folder{&cfg.settings}.path(name)
	if err := cfg.err(); err != nil {
		return Restored{}, err
	}
	f, err := s.db.files.openVerified(&cfg.settings, path, name)
	if err != nil {
		return Restored{}, err
	}
	defer f.close()
	return restoreSnapshot(ctx, s.db, cfg, f)
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
	return runOutside(ctx, s, func(ctx context.Context) (Restored, error) { return s.ensure(ctx, name, build, s.ensureConfig(opts)) })
}

func (s *Store) ensureConfig(opts []EnsureOption) *ensureConfig {
	cfg := &ensureConfig{createConfig: createConfig{settings: s.settings, replace: true, maker: testdb.MakerOf(s.pool)}, maxAge: defaultMaxAge}
	configure(&cfg.settings, opts, func(o EnsureOption) { o.applyEnsure(cfg) })
	if cfg.maxAge <= 0 {
		cfg.faults.Add(msg.BadMaxAge, cfg.maxAge.String())
	}
	return cfg
}

func (s *Store) ensure(ctx context.Context, name string, build func(context.Context) error, cfg *ensureConfig) (Restored, error) {
	if build == nil {
		cfg.faults.Add(msg.NilBuilder)
	}
	path := folder{&cfg.settings}.path(name)
	if err := cfg.err(); err != nil {
		return Restored{}, err
	}
	return ensureSnapshot(ctx, s.db, cfg, path, name, s.originFile, build)
}

// Changes returns what sessions changed in the database, over any connection, since this
// process last brought it to a snapshot or created one of it. Without either it begins at
// the journal's baseline. It returns an error wrapping [ErrNotFound] if there is no journal
// either. Uncommitted writes are not included. Nothing is locked, and nothing is changed.
//
// The journal tells at a cost of what was changed; see [Store.Restore]. Where it
// can't, as after TRUNCATE or a change of the schema, or without the rights for a
// journal, the table is compared with the snapshot's file, at a cost of what it
// holds. All changed rows are held in memory. Generated columns that are not stored
// are left out, and where a file is compared all of them.
func (s *Store) Changes(ctx context.Context, opts ...ChangesOption) (ChangeSet, error) {
	return runOutside(ctx, s, func(ctx context.Context) (ChangeSet, error) {
		cfg := changesConfig{settings: s.settings}
		configure(&cfg.settings, opts, func(o ChangesOption) { o.applyChanges(&cfg) })
		cfg.checkIgnored()
		if err := cfg.err(); err != nil {
			return ChangeSet{}, err
		}
		return compareDatabase(ctx, s.db, &cfg)
	})
}

// Clone makes a database of its own at the snapshot called name. Call [Cloned.Close]
// at the end. The store's database must be one that package fixtures made, with its
// schema, as a role that may create databases; another one is [ErrInvalidArgument],
// and so is a snapshot of some rows only (see [ScopeOption]).
//
// The database is a copy of a template: the copy of the database that [Store.Create] or a
// restore made. Where there was none, since the database was in use, the template is made of
// the schema that fixtures was given and the rows of the file, once for each snapshot and
// server, by one process while others wait; what was made after it in the origin's schema
// by other means is an [ErrSchemaMismatch] then. A copy costs a CREATE DATABASE; a database that was used before, and whose changes the
// journal could undo, costs nothing but that. Once a test has left one that is not
// used again, the next is made ahead, where copying is quick. There are GOMAXPROCS + 4 at a time: a call for one more waits, and gets it when
// none became free for 10 s, or when it would wait for itself, as a subtest of a test
// that has one.
//
// Databases that are not in use go with the origin, those of a killed process with
// the next one that uses the server.
func (s *Store) Clone(ctx context.Context, name string, opts ...CloneOption) (*Cloned, error) {
	return runOutside(ctx, s, func(ctx context.Context) (*Cloned, error) {
		cfg := s.cloneConfig(opts)
		p, c, err := s.clone(ctx, name, "", cfg)
		if err != nil {
			return nil, err
		}
		return &Cloned{Pool: c.lent.Pool, URL: c.lent.URL, pool: p, clone: c}, nil
	})
}

func (s *Store) cloneConfig(opts []CloneOption) *cloneConfig {
	cfg := &cloneConfig{settings: s.settings}
	configure(&cfg.settings, opts, func(o CloneOption) { o.applyClone(cfg) })
	return cfg
}

// clone returns a clone for a test, and the pool that takes it back.
func (s *Store) clone(ctx context.Context, name, test string, cfg *cloneConfig) (*clonePool, *clone, error) {
	maker := testdb.MakerOf(s.pool)
	if maker == nil {
		cfg.faults.Add(msg.NoMaker)
	}
	path := folder{&cfg.settings}.path(name)
	if err := cfg.err(); err != nil {
		return nil, nil, err
	}
	f, err := s.db.root.files.openVerified(&cfg.settings, path, name)
	if err != nil {
		return nil, nil, err
	}
	f.close()
	if f.manifest.Scope != nil {
		return nil, nil, errs.New(ErrInvalidArgument, msg.CloneOfScope.In(cfg.lang, name, scopeText(f.manifest.Scope)), nil)
	}
	if err := clonePoolsOf(s.db).sinceCrash(ctx, maker); err != nil {
		return nil, nil, cfg.explain(err, msg.CantClone, name)
	}
	p := clonePoolOf(s.db, maker, f.sum)
	_ = p.seekTemplate(ctx, s.db, &cfg.settings, maker, f) // what is wrong, others tell
	c, err := p.acquire(ctx, &cfg.settings, f, test)
	return p, c, cfg.explain(err, msg.CantClone, name)
}

// Clean empties every table that a snapshot would hold, and puts every sequence
// back to its start. With a [ScopeOption] it removes the rows in scope only, and
// sequences go past what the other rows use. It is one transaction, like
// [Store.Restore], and needs the same rights.
func (s *Store) Clean(ctx context.Context, opts ...CleanOption) error {
	_, err := runOutside(ctx, s, func(ctx context.Context) (struct{}, error) {
		cfg := cleanConfig{settings: s.settings}
		configure(&cfg.settings, opts, func(o CleanOption) { o.applyClean(&cfg) })
		if err := cfg.err(); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, cleanDatabase(ctx, s.db, &cfg.settings)
	})
	return err
}

// Untrack removes from the database everything with which its changes are tracked:
// the schema groundhog, the triggers on its tables, and the event triggers. The
// next [Store.Restore] makes it again. Without any it does nothing. It waits for
// writers, like a restore; locks that others hold for more than 5 s are
// [ErrLocked].
func (s *Store) Untrack(ctx context.Context) error {
	_, err := runOutside(ctx, s, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, untrackDatabase(ctx, s.db, &s.settings)
	})
	return err
}

// DropCopies drops what was copied of the store's database so that it, or a [Clone], can be
// brought to a snapshot by a copy: databases that are ready, and the templates of which they
// are copies. A role that owns something in a copy, or was granted something, can't be
// dropped before. Clones that are in use stay until they are given back. The next
// [Store.Create] or [Store.Restore] makes a template again. Without any it does nothing.
// The database as it was at its first use, which [Ensure] may need for a builder, stays.
func (s *Store) DropCopies(ctx context.Context) error {
	_, err := runOutside(ctx, s, func(context.Context) (struct{}, error) {
		return struct{}{}, errs.Tell(clonePoolsOf(s.db).dropAll())
	})
	return err
}

// Verify proves every byte of the snapshot called name and unpacks all of it,
// without a database. A missing file is [ErrNotFound], a damaged one
// [ErrCorrupt] with the place of the damage. It costs a read of the file.
func (s *Store) Verify(ctx context.Context, name string) (Info, error) {
	f, path, err := s.find(ctx, name)
	if err != nil {
		return Info{}, err
	}
	r, err := f.open(path, name, true)
	if err != nil {
		return Info{}, err
	}
	defer r.Close()
	return infoOf(&r.Manifest, path, r.Size), nil
}

// find returns the folder of the store, and where the snapshot called name is in it.
func (s *Store) find(ctx context.Context, name string) (f folder, path string, err error) {
	if err := s.made(); err != nil {
		return folder{}, "", err
	}
	cfg := s.settings
	f = folder{&cfg}
	path = f.path(name)
	return f, path, cmp.Or(cfg.err(), ctx.Err())
}

// List describes the snapshots in the store's folder, newest first. Files that
// are no snapshots, or damaged ones, are left out with a log line; a missing
// folder holds none. It reads the manifests, not the data: see [Store.Verify].
func (s *Store) List(ctx context.Context) ([]Info, error) {
	if err := s.made(); err != nil {
		return nil, err
	}
	return folder{&s.settings}.list(ctx)
}

// Exists reports whether there is a snapshot called name, be it whole or not.
func (s *Store) Exists(ctx context.Context, name string) (bool, error) {
	f, path, err := s.find(ctx, name)
	if err != nil {
		return false, err
	}
	return f.exists(path, name)
}

// Delete removes the snapshot called name, waiting for a builder that is at it.
// A missing one is [ErrNotFound]. The database is not touched.
func (s *Store) Delete(ctx context.Context, name string) error {
	_, err := runOutside(ctx, s, func(ctx context.Context) (struct{}, error) {
		f, path, err := s.find(ctx, name)
		if err != nil {
			return struct{}{}, err
		}
		return struct{}{}, f.remove(ctx, path, name)
	})
	return err
}
