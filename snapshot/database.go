package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/testdb"
	"github.com/groundhogdb/groundhog/internal/track"
)

// database is what this process knows of one database. Pools lead to it: it is found
// by them, and ends with the one that it was made for. A [clone] has one too, which
// outlives the pools of the tests that use it, one after the other.
type database struct {
	root *database // the database of which it is a clone or a template, or itself

	sessions sessions
	files    files
	notices  *notices // those of the root: what is true of one is true of its clones

	// disturbed: event triggers that can't be disabled write to tables when a journal is made,
	// so that none is tried any more. Only that of the root is used.
	disturbed atomic.Bool

	mu         sync.Mutex
	config     *pgxpool.Config   // tells how to connect; without a pool, which it may outlive
	baseline   *snapshotFile     // that this process last brought it to; nil: unknown
	likeness   string            // what the database itself was like then; empty: unknown
	origins    map[string]bool   // the files of its origin that this process has saved
	identity   string            // at its first use: after an exchange it is another one
	noted      map[string]string // the files of origins that the database notes, by name
	failureLog map[string]func() // of the tests that log what they changed when they fail
	skipped    []schema.Name     // the tables that have no journal: see heavyTables
	kept       io.Closer         // see keptFor
	origin     io.Closer         // the database at its first use, where that is not in a file: see originCopy
}

// databaseOf returns the database to which the pool leads.
func databaseOf(pool *pgxpool.Pool) *database {
	return testdb.StateOf(pool, func() *database {
		d := &database{config: pool.Config(), notices: &notices{}}
		d.root = d
		return d
	})
}

// copyOf returns the database to which the pool leads as one that is a copy of d.
func (d *database) copyOf(pool *pgxpool.Pool) *database {
	return &database{config: pool.Config(), root: d.root, notices: d.notices}
}

// Close ends everything that is kept for the database.
func (d *database) Close() error {
	d.sessions.close()
	var err error
	if kept := d.takeOrigin(); kept != nil {
		err = kept.Close()
	}
	return errors.Join(err, d.endKept())
}

// keepOrigin keeps the database as it was at its first use, which was replaced.
func (d *database) keepOrigin(c io.Closer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.origin = c
}

func (d *database) keptOrigin() io.Closer {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.origin
}

// takeOrigin returns what keepOrigin kept, once.
func (d *database) takeOrigin() io.Closer {
	d.mu.Lock()
	defer d.mu.Unlock()
	kept := d.origin
	d.origin = nil
	return kept
}

// endKept ends what keptFor made.
func (d *database) endKept() error {
	d.mu.Lock()
	kept := d.kept
	d.kept = nil
	d.mu.Unlock()
	if kept == nil {
		return nil
	}
	return kept.Close()
}

// keptFor returns what is kept for the database, and ends with it. The first call makes it.
func keptFor[T io.Closer](d *database, first func() T) T {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.kept == nil {
		d.kept = first()
	}
	return d.kept.(T)
}

// poolConfig tells how to connect, as the pool does that leads to the database now.
func (d *database) poolConfig() *pgxpool.Config {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.config
}

// setPool makes the pool the one that leads to the database. What an earlier test left
// running may be connecting meanwhile.
func (d *database) setPool(pool *pgxpool.Pool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.config = pool.Config()
}

func (d *database) setBaseline(f *snapshotFile) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.baseline = f
}

// setLikeness notes what the database itself is like at its baseline: see
// catalog.Likeness.
func (d *database) setLikeness(likeness string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.likeness = likeness
}

func (d *database) setSkipped(tables []schema.Name) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.skipped = tables
}

// skippedTables returns the tables that have no journal though they could.
func (d *database) skippedTables() []schema.Name {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.skipped
}

func (d *database) knownLikeness() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.likeness
}

// baselineFile returns what is known of the file that the database was last brought to,
// or nil.
func (d *database) baselineFile() *snapshotFile {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.baseline == nil {
		return nil
	}
	return d.baseline.closed()
}

// setOrigin notes the file of the origin that this process has saved.
func (d *database) setOrigin(path string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.origins == nil {
		d.origins = map[string]bool{}
	}
	d.origins[path] = true
}

// firstIdentity returns what the first call was given.
func (d *database) firstIdentity(now string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.identity == "" {
		d.identity = now
	}
	return d.identity
}

// noteOrigin keeps what the database notes of an origin: a copy that takes its place may
// not note it.
func (d *database) noteOrigin(name, file string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.noted == nil {
		d.noted = map[string]string{}
	}
	d.noted[name] = file
}

func (d *database) notedOrigin(name string) (file string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.noted[name]
}

func (d *database) hasOrigin(path string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.origins[path]
}

// failureLogOf returns what logs the changes of a test that fails, or nil.
func (d *database) failureLogOf(test string) func() {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failureLog[test]
}

func (d *database) setFailureLog(test string, log func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if log == nil {
		delete(d.failureLog, test)
		return
	}
	if d.failureLog == nil {
		d.failureLog = map[string]func(){}
	}
	d.failureLog[test] = log
}

// withConn runs f over a connection of its own: a test may have taken all those
// of the pool, and settings that we change must not stay on one that it uses.
func (d *database) withConn(ctx context.Context, f func(*pgx.Conn) error) error {
	conn, err := d.connect(ctx)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	return f(conn)
}

// renameTries is how often a connection is tried while an exchange renames the database.
const renameTries = 5

// isRenamed reports whether the database got another name while it was connected to.
func isRenamed(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "3D000" && pg.Detail != ""
}

func (d *database) connect(ctx context.Context) (*pgx.Conn, error) {
	config := d.poolConfig()
	cc := config.ConnConfig.Copy()
	if config.BeforeConnect != nil {
		if err := config.BeforeConnect(ctx, cc); err != nil {
			return nil, err
		}
	}
	cc.RuntimeParams["application_name"] = testdb.Application
	conn, err := pgx.ConnectConfig(ctx, cc)
	for try := 1; isRenamed(err) && try < renameTries; try++ {
		conn, err = pgx.ConnectConfig(ctx, cc) // to the one that has the name now
	}
	if err != nil {
		return nil, err
	}
	// Roles and databases may have a limit that is meant for those who use them, and
	// habits in which pgx won't talk. A parameter of the connection's start would be
	// refused by poolers.
	set := fmt.Sprintf("SET statement_timeout = 0; SET lock_timeout = %d; SET client_encoding = 'UTF8'; SET standard_conforming_strings = on", lockWait.Milliseconds())
	if _, err := conn.Exec(ctx, set, pgx.QueryExecModeSimpleProtocol); err != nil {
		closeConn(conn)
		return nil, err
	}
	return conn, nil
}

// session returns the session that is kept, or a new one.
func (d *database) session(ctx context.Context, cfg *settings) (_ *session, kept bool, err error) {
	if se := d.sessions.take(); se != nil {
		return se, true, nil
	}
	conn, err := d.connect(ctx)
	if err != nil {
		return nil, false, err
	}
	se, err := newSession(ctx, cfg, conn)
	return se, false, err
}

// openAhead makes a session for the next call, while the caller goes on.
func (d *database) openAhead(cfg *settings) {
	quiet := cfg.quietly()
	d.sessions.openAhead(func() (*session, error) {
		ctx, cancel := context.WithTimeout(context.Background(), lockWait)
		defer cancel()
		conn, err := d.connect(ctx)
		if err != nil {
			return nil, err
		}
		se, err := newSession(ctx, quiet, conn)
		if err == nil && se.tracks {
			err = track.Warm(ctx, conn)
			if err != nil {
				closeConn(conn)
			}
		}
		return se, err
	})
}

// inSession runs f over a session. A kept one may have been cut since: then f runs
// again at once, over a new one.
func (d *database) inSession(ctx context.Context, cfg *settings, f func(*session) error) error {
	for {
		se, kept, err := d.session(ctx, cfg)
		if err != nil {
			return err
		}
		if err = se.guard(cfg); err == nil {
			err = f(se)
		}
		cut := kept && se.conn.IsClosed() && ctx.Err() == nil && errs.IsClass(err, errs.ErrConnection)
		d.sessions.put(se)
		if !cut {
			return err
		}
	}
}
