package snapshot

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/testdb"
	"github.com/groundhogdb/groundhog/internal/track"
)

// clone is a database that tests have one after the other.
type clone struct {
	source testdb.Copy
	db     *database // from the first time that it is lent
	se     *session  // kept while it is not lent, or nil
	used   bool      // by a test

	pristine bool // after the last test: see catalog.IsPristine

	skipped []schema.Name // the tables that have no journal: see heavyTables

	// While it is lent:
	lent *testdb.Database
	by   string    // the test that has it
	cfg  *settings // of that one
}

// lend opens a pool that leads to the clone, which is at the snapshot of the file.
func (c *clone) lend(ctx context.Context, root *database, cfg *settings, f *snapshotFile, test string) (err error) {
	if c.lent, err = c.source.Lend(ctx, test); err != nil {
		return err
	}
	c.by, c.cfg = test, cfg
	if c.db == nil {
		c.db = root.copyOf(c.lent.Pool)
	} else {
		c.db.setPool(c.lent.Pool)
	}
	testdb.SetState(c.lent.Pool, c.db)
	if c.se != nil {
		c.db.sessions.put(c.se)
		c.se = nil
	}
	c.db.setBaseline(f)
	c.db.setLikeness(c.source.Likeness())
	c.db.setSkipped(c.skipped)
	return nil
}

// end closes the pool. It reports whether the database is there and no session of the
// test is connected to it.
func (c *clone) end(ctx context.Context, t testing.TB) (clean bool, err error) {
	c.se = c.db.sessions.take()
	c.db.setBaseline(nil)
	clean, c.pristine, err = c.source.End(ctx, t)
	c.lent, c.by = nil, ""
	return clean, err
}

// undo brings the database to its baseline, or tells why it can't be trusted.
func (c *clone) undo(ctx context.Context, sum string, alt *track.Alternative) (why string, err error) {
	if c.se != nil && !c.se.usable() {
		c.closeSession()
	}
	if c.se == nil {
		if c.se, _, err = c.db.session(ctx, c.cfg); err != nil {
			return "", err
		}
	}
	if !c.se.tracks {
		return c.se.untracked.Text(c.cfg.lang), nil
	}
	if !c.pristine {
		return msg.CloneSettings.In(c.cfg.lang), nil
	}
	if ok, err := track.MatchesFingerprint(ctx, c.se.conn); err != nil || !ok {
		return msg.CloneAltered.In(c.cfg.lang), err
	}
	out, partly, err := track.Restore(ctx, c.se.conn, sum, c.se.serverID, alt)
	switch {
	case err != nil:
		return "", err
	case partly:
		for _, t := range out.Tables {
			why = t.Name.String() + ": " + t.Reload.Text(c.cfg.lang)
		}
		return why, nil
	case out.Unusable != "":
		return out.Unusable.Because().Text(c.cfg.lang), nil
	}
	return "", nil
}

// closeSession closes the session that is kept while the clone is not lent.
func (c *clone) closeSession() {
	if c.se != nil {
		c.se.close()
		c.se = nil
	}
}

// close ends what is kept for a clone that is not lent.
func (c *clone) close() {
	c.closeSession()
	if c.db != nil {
		_ = c.db.Close() // it has no clones
	}
}

// templateVersion changes when what fill makes of a file does.
const templateVersion = "3"

// fill loads the snapshot into a database that has the schema, and marks it.
func fill(ctx context.Context, root *database, cfg *settings, f *snapshotFile, pool *pgxpool.Pool) (err error) {
	into := root.copyOf(pool)
	defer func() { err = errors.Join(err, into.Close()) }()
	from := f.closed()
	defer from.close()
	if _, err := restoreSnapshot(ctx, into, &restoreConfig{settings: *cfg}, from); err != nil {
		return err
	}
	if se := into.sessions.take(); se != nil {
		defer se.close()
		if se.tracks {
			// Where nothing tracks, there is nothing to note, and the clone is not used again.
			var pg *pgconn.PgError
			if err := track.RecordFingerprint(ctx, se.conn); err != nil && (!errors.As(err, &pg) || se.conn.IsClosed()) {
				return err
			}
		}
	}
	if from.sum != f.sum {
		return errs.New(ErrNotFound, msg.FileReplaced.In(cfg.lang, f.path), nil)
	}
	return nil
}
