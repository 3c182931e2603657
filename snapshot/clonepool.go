package snapshot

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/tally"
	"github.com/groundhogdb/groundhog/internal/testdb"
	"github.com/groundhogdb/groundhog/internal/track"
)

const (
	cloneSpare = 4                     // databases on top of those that GOMAXPROCS tests have
	cloneWait  = 10 * time.Second      // without any that became free
	aheadWhile = 60 * time.Millisecond // a copy that takes longer is not made while tests run
)

// clonePool are the copies of a database at one snapshot: tests have them as clones, and an
// exchange puts one in the place of the database.
type clonePool struct {
	pools    *clonePools
	root     *database
	maker    testdb.Maker
	sum      string // of the snapshot
	template snapshotTemplate
	heavy    heavyTables

	mu    sync.Mutex
	idle  []*clone
	lent  []*clone
	total int           // idle, lent, or being made
	freed chan struct{} // closed when one is given back or dropped
	last  time.Time     // when one was
	quick bool          // the last copy took little time
	spent bool          // a test left one that is not used again: so may the next
	ended bool
	ahead sync.WaitGroup

	ready readyCopies

	failed error // of the last one that was to be made ahead
}

// clonePoolOf returns the clones of a database at the snapshot with that sum.
func clonePoolOf(d *database, m testdb.Maker, sum string) *clonePool {
	pools := clonePoolsOf(d)
	pools.mu.Lock()
	defer pools.mu.Unlock()
	p := pools.by[sum]
	if p == nil {
		p = &clonePool{pools: pools, root: d.root, maker: m, sum: sum, freed: make(chan struct{})}
		p.ready.pool = p
		pools.by[sum] = p
	}
	return p
}

// end drops what is not lent, and the template, if all is true or no other process can use
// it.
func (p *clonePool) end(all bool) (err error) {
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	p.ahead.Wait()
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, c := range idle {
		err = errors.Join(err, p.drop(c))
	}
	if content, _, there, _ := p.template.get(); there {
		_, failed := p.maker.Forget(content, all)
		err = errors.Join(err, failed)
	}
	return err
}

// drop drops a database that is not lent.
func (p *clonePool) drop(c *clone) error {
	c.close()
	err := c.source.Drop()
	p.free()
	return err
}

// trim drops databases that wait for tests of other snapshots of the same origin,
// of the one that was wanted longest ago first, where too many wait in all: a suite
// may use any number of snapshots.
func (p *clonePool) trim() {
	others := p.pools.others(p)
	waiting := func(of *clonePool) (n int, last time.Time) {
		of.mu.Lock()
		defer of.mu.Unlock()
		return len(of.idle), of.last
	}
	sum, _ := waiting(p)
	since := map[*clonePool]time.Time{}
	for _, other := range others {
		n, last := waiting(other)
		sum, since[other] = sum+n, last
	}
	slices.SortFunc(others, func(a, b *clonePool) int { return since[a].Compare(since[b]) })
	for _, other := range others {
		for ; sum > limitOfClones(); sum-- {
			other.mu.Lock()
			if len(other.idle) == 0 {
				other.mu.Unlock()
				break
			}
			c := other.idle[0]
			other.idle = other.idle[1:]
			other.mu.Unlock()
			_ = other.drop(c)
		}
	}
}

// free counts one less.
func (p *clonePool) free() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total--
	p.signal()
}

// signal wakes the calls that wait. p is locked.
func (p *clonePool) signal() {
	close(p.freed)
	p.freed = make(chan struct{})
}

// acquire returns a clone for a test.
func (p *clonePool) acquire(ctx context.Context, cfg *settings, f *snapshotFile, test string) (*clone, error) {
	p.mu.Lock()
	failed := p.failed
	p.failed = nil
	p.mu.Unlock()
	if failed != nil {
		cfg.logger.InfoContext(ctx, msg.CloneNotAhead.In(cfg.lang), "error", errs.Text(failed))
	}
	c, err := p.find(ctx, cfg, test)
	if err == nil && c == nil {
		c, err = p.add(ctx, cfg, f)
	}
	if err != nil {
		return nil, err
	}
	if err := p.lend(ctx, c, cfg, f, test); err != nil {
		return nil, err
	}
	tally.LendClone(c.used)
	c.used = true
	p.mu.Lock()
	p.lent = append(p.lent, c)
	p.last = time.Now()
	more := p.quick && p.spent && !p.ended && p.total == len(p.lent) && p.total < limitOfClones()
	if more {
		p.total++
		p.ahead.Go(func() { p.makeAhead(cfg, f, nil) })
	}
	p.mu.Unlock()
	return c, nil
}

// lend lends a clone, or drops it, also when a function of the caller's panics or ends
// the goroutine, as t.Fatal does.
func (p *clonePool) lend(ctx context.Context, c *clone, cfg *settings, f *snapshotFile, test string) (err error) {
	defer func() {
		if c.lent == nil {
			err = errors.Join(err, p.drop(c))
		}
	}()
	return c.lend(ctx, p.root, cfg, f, test)
}

func limitOfClones() int { return runtime.GOMAXPROCS(0) + cloneSpare }

// find returns a database that is not in use, or nil where one more is to be made.
func (p *clonePool) find(ctx context.Context, cfg *settings, test string) (*clone, error) {
	deadline := time.NewTimer(cloneWait)
	defer deadline.Stop()
	for waited := false; ; waited = true {
		p.mu.Lock()
		if n := len(p.idle); n > 0 {
			c := p.idle[n-1]
			p.idle = p.idle[:n-1]
			p.mu.Unlock()
			return c, nil
		}
		// One that has to end first would wait for this one.
		nested := slices.ContainsFunc(p.lent, func(c *clone) bool { return test != "" && testdb.Encloses(c.by, test) })
		if p.total < limitOfClones() || nested {
			p.total++
			p.mu.Unlock()
			return nil, nil
		}
		freed := p.freed
		p.mu.Unlock()
		if !waited {
			cfg.logger.InfoContext(ctx, msg.CloneAwaited.In(cfg.lang), "most", limitOfClones())
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-freed: // others may have been quicker, but they end too
			deadline.Reset(cloneWait)
		case <-deadline.C:
			cfg.logger.WarnContext(ctx, msg.CloneBeyond.In(cfg.lang), "most", limitOfClones(), "waited", cloneWait)
			p.mu.Lock()
			p.total++
			p.mu.Unlock()
			return nil, nil
		}
	}
}

// add makes one that find has counted. Without one it is counted no more, however
// that came: the schema may be made by functions of the caller's.
func (p *clonePool) add(ctx context.Context, cfg *settings, f *snapshotFile) (made *clone, err error) {
	defer func() {
		if made == nil {
			p.free()
		}
	}()
	if c, err := p.copyTemplate(ctx); c != nil || err != nil {
		return c, err
	}
	began := time.Now()
	filled := false
	c, err := p.maker.Make(ctx, "snapshot "+templateVersion+" "+f.sum+" "+p.pools.lastCrash(), func(ctx context.Context, pool *pgxpool.Pool) error {
		filled = true
		return fill(ctx, p.root, cfg, f, pool)
	})
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.quick = filled || time.Since(began) < aheadWhile // the first one tells nothing of the next
	p.mu.Unlock()
	return &clone{source: c}, nil
}

// copyTemplate makes one from the copy of the database at the snapshot. It returns nil if
// there is none.
func (p *clonePool) copyTemplate(ctx context.Context) (*clone, error) {
	content, _, there, _ := p.template.get()
	if !there {
		return nil, nil //nolint:nilnil // as it says
	}
	began := time.Now()
	c, err := p.maker.MakeOf(ctx, content)
	if err != nil {
		return nil, err
	}
	if c == nil {
		p.template.lost()
		return nil, nil //nolint:nilnil // as it says
	}
	took := time.Since(began)
	p.template.copied(took)
	p.mu.Lock()
	p.quick = took < aheadWhile
	p.mu.Unlock()
	return &clone{source: c}, nil
}

// copyAside begins to copy the template. What it returns waits for that.
func (p *clonePool) copyAside(ctx context.Context) func() (*clone, error) {
	var made *clone
	var copying errgroup.Group
	copying.Go(func() (err error) {
		if made, err = p.copyTemplate(ctx); made == nil && err == nil {
			err = testdb.ErrNoTemplate
		}
		return err
	})
	return func() (*clone, error) {
		err := copying.Wait()
		return made, err
	}
}

// keepTemplate copies the database, which is at the snapshot, unless that was done. What
// is in the way is told by the next exchange that is missed.
func (p *clonePool) keepTemplate(ctx context.Context, d *database, cfg *settings, m testdb.Maker, f *snapshotFile) {
	if p.pools.none || !p.template.begin() {
		return
	}
	d.sessions.await()
	err := p.pools.noteCrash(ctx, m)
	var draft testdb.Draft
	if err == nil {
		draft, err = m.Draft(ctx, d.sessions.release)
	}
	d.openAhead(cfg)
	if err != nil {
		p.template.end(testdb.Content{}, 0, err)
		return
	}
	from, quiet := f.closed(), cfg.quietly()
	publish := func() {
		ctx := context.Background()
		content, err := draft.Publish(ctx, from.sum, func(ctx context.Context, pool *pgxpool.Pool) (string, error) {
			return finishTemplate(ctx, p.root, quiet, from, pool)
		})
		p.template.end(content, draft.Took(), err)
		p.pools.forgetOld()
	}
	if !p.inBackground(publish) {
		publish()
	}
}

// inBackground reports whether work is done while the caller goes on: not when the copies
// are about to go.
func (p *clonePool) inBackground(work func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return false
	}
	p.ahead.Go(work)
	return true
}

// makeAhead makes one for the next test, in which the tables to skip have no journal.
func (p *clonePool) makeAhead(cfg *settings, f *snapshotFile, skip []schema.Name) {
	quiet := cfg.quietly()
	c, err := p.add(context.Background(), quiet, f)
	if err == nil && len(skip) > 0 {
		if err = p.skipJournals(context.Background(), c, quiet, f, skip); err != nil {
			err = errors.Join(err, p.drop(c))
		}
	}
	if err != nil {
		p.mu.Lock()
		p.failed = err
		p.mu.Unlock()
		return // the next test makes its own
	}
	if !p.put(c) {
		_ = p.drop(c)
	}
}

// skipJournals has nothing noted of what is written to the tables.
func (p *clonePool) skipJournals(ctx context.Context, c *clone, cfg *settings, f *snapshotFile, tables []schema.Name) error {
	if err := c.lend(ctx, p.root, cfg, f, ""); err != nil {
		return err
	}
	err := c.db.inSession(ctx, cfg, func(se *session) error { return track.Skip(ctx, se.conn, tables) })
	clean, ended := c.end(ctx, nil, nil)
	if err = errors.Join(err, ended); err == nil && !clean {
		err = errNotAtSnapshot
	}
	c.closeSession() // it would be in the way of the exchange
	c.skipped = tables
	return err
}

// put keeps a clone for the next test, unless there will be none. The one that a test had
// last is taken first, which has a session.
func (p *clonePool) put(c *clone) (kept bool) {
	p.mu.Lock()
	kept = !p.ended
	if kept {
		at := len(p.idle)
		if !c.used {
			at = 0
		}
		p.idle = slices.Insert(p.idle, at, c)
		p.signal()
	}
	p.mu.Unlock()
	if kept {
		p.trim()
	}
	return kept
}

// giveBack takes a database back from a test. It is used again only where it is
// certain to be as a new copy would be.
func (p *clonePool) giveBack(ctx context.Context, t testing.TB, c *clone) error {
	p.mu.Lock()
	p.lent = slices.DeleteFunc(p.lent, func(other *clone) bool { return other == c })
	p.mu.Unlock()
	dropped := func(why string) {
		tally.DropClone(why)
		c.cfg.logger.InfoContext(ctx, msg.CloneDropped.In(c.cfg.lang), "why", why)
	}
	clean, why, err := c.endUndone(ctx, t, p.sum, -1)
	if !clean {
		c.close()
		p.free()
		if t != nil && t.Failed() {
			dropped(msg.CloneFailed.In(c.cfg.lang))
		} else {
			dropped(msg.CloneLeft.In(c.cfg.lang))
		}
		return err
	}
	if why != "" {
		dropped(why)
		p.mu.Lock()
		p.spent = true
		p.mu.Unlock()
		return p.drop(c)
	}
	if !p.put(c) {
		return p.drop(c)
	}
	return nil
}
