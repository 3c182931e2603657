package snapshot

import (
	"context"
	"errors"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/groundhogdb/groundhog/internal/bubble"
	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/testdb"
	"github.com/groundhogdb/groundhog/internal/track"
)

// Cloned is a database that [Store.Clone] made.
type Cloned struct {
	Pool *pgxpool.Pool
	URL  string // for any driver

	herd  *herd
	clone *clone
	once  sync.Once
	err   error
}

// Close closes the pool, and drops the database or keeps it for the next
// [Store.Clone]. A second call does nothing.
func (c *Cloned) Close() error {
	if c == nil || c.herd == nil { // nobody made it
		return nil
	}
	c.once.Do(func() {
		c.err = bubble.Err(context.Background(), func(ctx context.Context) error { return c.herd.giveBack(ctx, nil, c.clone) })
	})
	return c.err
}

// clone is a database of a herd.
type clone struct {
	copy testdb.Copy
	db   *testdb.Database // while it is lent
	by   string           // the test that has it
	name string           // of the snapshot
	cfg  *storeConfig     // of who has it
	used bool             // by a test
	se   *session         // kept while it is not lent, or nil
}

// undo brings the database to its baseline, or tells why it can't be trusted. The
// pool is closed, and only tells the address.
func (c *clone) undo(ctx context.Context, pool *pgxpool.Pool, sum string) (why string, err error) {
	if c.se == nil || c.se.conn.IsClosed() || c.se.conn.PgConn().TxStatus() != 'I' {
		if c.se != nil {
			closeConn(c.se.conn)
		}
		s := &Store{pool: pool}
		if c.se, err = s.newSession(ctx); err != nil {
			return "", err
		}
	}
	if !c.se.tracks {
		return whyUntracked(c.se.untracked, c.cfg.lang), nil
	}
	if ok, err := catalog.LikeNew(ctx, c.se.conn, c.copy.Likeness()); err != nil || !ok {
		return msg.CloneSettings.In(c.cfg.lang), err
	}
	if ok, err := track.AsBorn(ctx, c.se.conn); err != nil || !ok {
		return msg.CloneAltered.In(c.cfg.lang), err
	}
	out, partly, err := track.Restore(ctx, c.se.conn, sum, c.se.home)
	switch {
	case err != nil:
		return "", err
	case partly:
		for _, t := range out.Tables {
			why = t.Name.String() + ": " + whyReloaded(t.Reload, c.cfg.lang)
		}
		return why, nil
	case out.Void != "":
		return whyReloaded(out.Void, c.cfg.lang), nil
	}
	return "", nil
}

// fill loads the snapshot into a database that has the schema, and marks it.
func fill(ctx context.Context, s *Store, cfg *cloneConfig, f *file, pool *pgxpool.Pool) error {
	into := &Store{storeConfig: cfg.storeConfig, pool: pool, fs: s.fs, of: s.databases()}
	from := *f
	defer from.close()
	_, err := into.bring(ctx, &restoreConfig{storeConfig: cfg.storeConfig}, &from)
	if se := take(pool); se != nil {
		if err == nil && se.tracks {
			// Where nothing tracks, there is nothing to note, and the clone is not used again.
			var pg *pgconn.PgError
			if err = track.Born(ctx, se.conn); errors.As(err, &pg) && !se.conn.IsClosed() {
				err = nil
			}
		}
		closeConn(se.conn)
	}
	forgetBaseline(pool)
	if err == nil && from.sum != f.sum {
		err = errs.New(ErrNotFound, msg.FileReplaced.In(cfg.lang, f.path), nil)
	}
	return err
}

// templateVersion changes when what fill makes of a file does.
const templateVersion = "3"

// cloneConfig proves what can be known beforehand.
func (s *Store) cloneConfig(name string, opts []CloneOption) (*cloneConfig, *file, error) {
	cfg := &cloneConfig{storeConfig: s.storeConfig}
	if err := apply(&cfg.storeConfig, opts, func(o CloneOption) { o.clone(cfg) }); err != nil {
		return nil, nil, err
	}
	if testdb.MakerOf(s.pool) == nil {
		return nil, nil, errs.New(ErrInvalidArgument, msg.NoMaker.In(cfg.lang), nil)
	}
	path, err := cfg.path(name)
	if err != nil {
		return nil, nil, err
	}
	f, err := cfg.look(path, name)
	if err != nil {
		return nil, nil, err
	}
	f.close()
	f.reader = nil
	if f.manifest.Scope != nil {
		return nil, nil, errs.New(ErrInvalidArgument, msg.CloneOfScope.In(cfg.lang, name, scopeText(f.manifest.Scope)), nil)
	}
	return cfg, f, nil
}

// With an origin go the databases that nobody uses.
var _ = testdb.OnClose(endHerds)
