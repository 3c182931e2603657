package snapshot

import (
	"context"
	"errors"
	"maps"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/tally"
	"github.com/groundhogdb/groundhog/internal/testdb"
)

const (
	cloneSpare = 4                     // databases on top of those that GOMAXPROCS tests have
	cloneWait  = 10 * time.Second      // without any that became free
	aheadWhile = 60 * time.Millisecond // a copy that takes longer is not made while tests run
)

// clonePool are the clones of a database at one snapshot.
type clonePool struct {
	pools *clonePools
	root  *database
	maker testdb.Maker
	sum   string // of the snapshot

	mu    sync.Mutex
	idle  []*clone
	lent  []*clone
	total int           // idle, lent, or being made
	freed chan struct{} // closed when one is given back or dropped
	taken int           // how often one was
	last  time.Time     // when one was
	quick bool          // the last copy took little time
	ended bool
	ahead sync.WaitGroup

	failed error // of the last one that was to be made ahead
}

// clonePools are those of a database.
type clonePools struct {
	mu sync.Mutex
	by map[string]*clonePool // by the sum of the snapshot
}

// clonePoolOf returns the clones of a database at the snapshot with that sum.
func clonePoolOf(d *database, m testdb.Maker, sum string) *clonePool {
	pools := keptFor(d.root, func() *clonePools { return &clonePools{by: map[string]*clonePool{}} })
	pools.mu.Lock()
	defer pools.mu.Unlock()
	p := pools.by[sum]
	if p == nil {
		p = &clonePool{pools: pools, root: d.root, maker: m, sum: sum, freed: make(chan struct{})}
		pools.by[sum] = p
	}
	return p
}

// Close drops the clones that are not lent.
func (p *clonePools) Close() error {
	var err error
	for _, pool := range p.take() {
		err = errors.Join(err, pool.end())
	}
	return err
}

func (p *clonePools) take() []*clonePool {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := slices.Collect(maps.Values(p.by))
	clear(p.by)
	return all
}

// others returns those at other snapshots.
func (p *clonePools) others(than *clonePool) []*clonePool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Collect(maps.Values(p.by)), func(other *clonePool) bool { return other == than })
}

func (p *clonePool) end() (err error) {
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
	p.taken, p.last = p.taken+1, time.Now()
	more := p.quick && !p.ended && p.taken > 1 && len(p.idle) == 0 && p.total < limitOfClones()
	if more {
		p.total++
		p.ahead.Add(1)
	}
	p.mu.Unlock()
	if more {
		go p.makeAhead(cfg, f)
	}
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
	began := time.Now()
	filled := false
	c, err := p.maker.Make(ctx, "snapshot "+templateVersion+" "+f.sum, func(ctx context.Context, pool *pgxpool.Pool) error {
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

// makeAhead makes one for the next test.
func (p *clonePool) makeAhead(cfg *settings, f *snapshotFile) {
	defer p.ahead.Done()
	quiet := *cfg // the test whose log it is may end meanwhile
	quiet.logger, quiet.noProgress = discard, true
	c, err := p.add(context.Background(), &quiet, f)
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

// put keeps a clone for the next test, unless there will be none.
func (p *clonePool) put(c *clone) (kept bool) {
	p.mu.Lock()
	kept = !p.ended
	if kept {
		p.idle = append(p.idle, c)
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
	clean, err := c.end(ctx, t)
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
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	if why, err := c.undo(ctx, p.sum); err != nil || why != "" {
		if err != nil {
			why = errs.Line(err)
		}
		dropped(why)
		return p.drop(c)
	}
	if !p.put(c) {
		return p.drop(c)
	}
	return nil
}
