package snapshot

import (
	"context"
	"time"
)

// readyCopies are those of the copies in a pool that no test has: an exchange puts one in
// the place of the database, whose former self may become one.
type readyCopies struct {
	pool *clonePool // whose mutex guards the rest

	making    *task     // which makes one for the next exchange, or nil
	exchanged time.Time // when the last one was
}

// take takes a copy that no test has out of the store, or returns nil. It waits for one
// that is being made, which takes less time than another one.
func (r *readyCopies) take() *clone {
	p := r.pool
	for {
		p.mu.Lock()
		making := r.making
		if len(p.idle) > 0 {
			c := p.idle[0]
			p.idle = p.idle[1:]
			p.total--
			p.mu.Unlock()
			return c
		}
		p.mu.Unlock()
		if making == nil {
			return nil
		}
		making.wait()
	}
}

// putBack puts back what take returned.
func (r *readyCopies) putBack(c *clone) {
	p := r.pool
	p.mu.Lock()
	p.total++
	p.mu.Unlock()
	if !p.put(c) {
		_ = p.drop(c)
	}
}

// isThere reports whether there is one.
func (r *readyCopies) isThere() bool {
	p := r.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle) > 0
}

// replenish makes a copy for the next exchange in the background, unless there is one or
// copies take long compared with the time between exchanges.
func (r *readyCopies) replenish(cfg *settings, f *snapshotFile) {
	p := r.pool
	took := p.template.lastTook()
	p.mu.Lock()
	defer p.mu.Unlock()
	since := time.Since(r.exchanged)
	r.exchanged = time.Now()
	if len(p.idle) > 0 || r.making != nil || p.ended || p.total >= limitOfClones() || took > aheadWhile && 2*took > since {
		return
	}
	p.total++
	r.begin(func() { p.makeAhead(cfg, f, p.heavy.list()) })
}

// begin does work that makes a copy for the next exchange. p is locked.
func (r *readyCopies) begin(work func()) {
	p := r.pool
	t := newTask()
	r.making = t
	p.ahead.Go(func() {
		t.run(func() {
			work()
			p.mu.Lock()
			r.making = nil
			p.mu.Unlock()
		})
	})
}

// returnFormer takes the database that an exchange took the place of. It becomes a copy at
// the snapshot at which it was, where the journal brings it back to that in less time than
// a copy takes, else it is dropped.
func (r *readyCopies) returnFormer(c *clone, cfg *settings, was *snapshotFile, keep bool) {
	p := r.pool
	c.close()
	c.db, c.se = nil, nil
	quiet := cfg.quietly()
	work := func() {
		if keep && r.reclaim(context.Background(), c, quiet, was) && p.put(c) {
			return
		}
		_ = p.drop(c)
	}
	p.mu.Lock()
	p.total++
	if p.ended { // the copies are about to go
		p.mu.Unlock()
		_ = p.drop(c)
		return
	}
	defer p.mu.Unlock()
	if keep && r.making == nil {
		r.begin(work)
		return
	}
	p.ahead.Go(func() { newTask().run(work) })
}

// reclaim brings a database back to the snapshot at which it was.
func (r *readyCopies) reclaim(ctx context.Context, c *clone, cfg *settings, was *snapshotFile) bool {
	p := r.pool
	_, took, _, _ := p.template.get()
	if err := c.lend(ctx, p.root, cfg, was, ""); err != nil {
		return false
	}
	se, _, err := c.db.session(ctx, cfg)
	if err == nil {
		c.db.sessions.put(se)
	}
	clean, why, err := c.endUndone(ctx, nil, p.sum, int64(took/undoneRow))
	c.closeSession() // it would be in the way of the next exchange
	return clean && err == nil && why == ""
}
