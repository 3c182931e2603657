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

// end closes the pool; see testdb.Copy.
func (c *clone) end(ctx context.Context, t testing.TB, undo func(ctx context.Context, ours []int32) (alone bool)) (clean bool, err error) {
	c.se = c.db.sessions.take()
	c.db.setBaseline(nil)
	clean, err = c.source.End(ctx, t, undo)
	c.lent, c.by = nil, ""
	return clean, err
}

// endUndone closes the pool and brings the database to its baseline, or tells why it can't be
// trusted; most is that of track.Alternative.
func (c *clone) endUndone(ctx context.Context, t testing.TB, sum string, most int64) (clean bool, why string, err error) {
	why = track.InUse.Because().Text(c.cfg.lang)
	again := true
	clean, err = c.end(ctx, t, func(ctx context.Context, ours []int32) (alone bool) {
		if !again {
			return false
		}
		ctx, cancel := context.WithTimeout(ctx, lockWait)
		defer cancel()
		again, why = c.undo(ctx, sum, &track.Alternative{
			Likeness: c.source.Likeness(), Most: most, Reuse: &track.Reuse{Application: testdb.Application, PIDs: ours},
		})
		return why == ""
	})
	return clean, why, err
}

// undo brings the database to its baseline, or tells why it can't be trusted. It reports whether
// that is since it is in use.
func (c *clone) undo(ctx context.Context, sum string, alt *track.Alternative) (inUse bool, why string) {
	if c.se != nil && !c.se.usable() {
		c.closeSession()
	}
	var err error
	if c.se == nil {
		if c.se, _, err = c.db.session(ctx, c.cfg); err != nil {
			return false, errs.Line(err)
		}
	}
	if !c.se.tracks {
		return false, c.se.untracked.Text(c.cfg.lang)
	}
	out, partly, err := track.Restore(ctx, c.se.conn, sum, c.se.serverID, alt)
	switch {
	case err != nil:
		return false, errs.Line(err)
	case partly:
		return false, out.Tables[0].Name.String() + ": " + out.Tables[0].Reload.Text(c.cfg.lang)
	case out.Unusable != "":
		return out.Unusable == track.InUse, out.Why().Text(c.cfg.lang)
	}
	return false, ""
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
