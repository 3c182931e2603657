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

	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/tally"
	"github.com/groundhogdb/groundhog/internal/testdb"
)

const (
	cloneSpare = 4                     // databases beside those that GOMAXPROCS tests have
	cloneWait  = 10 * time.Second      // without any that became free
	aheadWhile = 60 * time.Millisecond // a copy that takes longer is not made beside the tests
)

// herd are the databases at one snapshot that are made from one origin.
type herd struct {
	key   herdKey
	maker testdb.Maker

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

type herdKey struct {
	origin *pgxpool.Pool
	sum    string
}

var herds = struct {
	sync.Mutex
	by map[herdKey]*herd
}{by: map[herdKey]*herd{}}

func herdOf(m testdb.Maker, sum string) *herd {
	herds.Lock()
	defer herds.Unlock()
	key := herdKey{m.Origin(), sum}
	h := herds.by[key]
	if h == nil {
		h = &herd{key: key, maker: m, freed: make(chan struct{})}
		herds.by[key] = h
	}
	return h
}

func endHerds(origin *pgxpool.Pool) {
	herds.Lock()
	var gone []*herd
	for key, h := range herds.by {
		if key.origin == origin {
			gone = append(gone, h)
			delete(herds.by, key)
		}
	}
	herds.Unlock()
	for _, h := range gone {
		h.end()
	}
}

func (h *herd) end() {
	h.mu.Lock()
	h.ended = true
	h.mu.Unlock()
	h.ahead.Wait()
	h.mu.Lock()
	idle := h.idle
	h.idle = nil
	h.mu.Unlock()
	for _, c := range idle {
		_ = h.drop(c)
	}
}

// drop drops a database that is not lent.
func (h *herd) drop(c *clone) error {
	if c.se != nil {
		closeConn(c.se.conn)
	}
	err := c.copy.Drop()
	h.free()
	return err
}

// trim drops databases that wait for tests of other snapshots of the same origin,
// of the one that was wanted longest ago first, where too many wait in all: a suite
// may use any number of snapshots.
func (h *herd) trim() {
	herds.Lock()
	var others []*herd
	for key, other := range herds.by {
		if key.origin == h.key.origin && other != h {
			others = append(others, other)
		}
	}
	herds.Unlock()
	waiting := func(h *herd) (n int, last time.Time) {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.idle), h.last
	}
	sum, _ := waiting(h)
	since := map[*herd]time.Time{}
	for _, other := range others {
		n, last := waiting(other)
		sum, since[other] = sum+n, last
	}
	slices.SortFunc(others, func(a, b *herd) int { return since[a].Compare(since[b]) })
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

// free tells that there is one less.
func (h *herd) free() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.total--
	h.signal()
}

// signal wakes those who wait. h is locked.
func (h *herd) signal() {
	close(h.freed)
	h.freed = make(chan struct{})
}

// take returns a database for a test.
func (h *herd) take(ctx context.Context, s *Store, cfg *cloneConfig, f *file, test string) (*clone, error) {
	h.mu.Lock()
	failed := h.failed
	h.failed = nil
	h.mu.Unlock()
	if failed != nil {
		cfg.logger.InfoContext(ctx, msg.CloneNotAhead.In(cfg.lang), "error", errs.Text(failed))
	}
	c, err := h.find(ctx, cfg, test)
	if err == nil && c == nil {
		c, err = h.make(ctx, s, cfg, f)
	}
	if err != nil {
		return nil, err
	}
	if err := h.lend(ctx, c, test); err != nil {
		return nil, err
	}
	c.by, c.name, c.cfg = test, f.name, &cfg.storeConfig
	if c.se != nil {
		(&Store{pool: c.db.Pool}).keep(c.se)
		c.se = nil
	}
	setBaseline(c.db.Pool, f)
	tally.LendClone(c.used)
	c.used = true
	h.mu.Lock()
	h.lent = append(h.lent, c)
	h.taken, h.last = h.taken+1, time.Now()
	more := h.quick && !h.ended && h.taken > 1 && len(h.idle) == 0 && h.total < limitOfClones()
	if more {
		h.total++
		h.ahead.Add(1)
	}
	h.mu.Unlock()
	if more {
		go h.makeAhead(s, cfg, f)
	}
	return c, nil
}

// lend opens the pool of a database, or drops it, also when a function of the
// caller's panics or ends the goroutine, as t.Fatal does.
func (h *herd) lend(ctx context.Context, c *clone, test string) (err error) {
	defer func() {
		if c.db == nil {
			err = errors.Join(err, h.drop(c))
		}
	}()
	c.db, err = c.copy.Lend(ctx, test)
	return err
}

func limitOfClones() int { return runtime.GOMAXPROCS(0) + cloneSpare }

// find returns a database that is not in use, or nil where one more is to be made.
func (h *herd) find(ctx context.Context, cfg *cloneConfig, test string) (*clone, error) {
	deadline := time.NewTimer(cloneWait)
	defer deadline.Stop()
	for waited := false; ; waited = true {
		h.mu.Lock()
		if n := len(h.idle); n > 0 {
			c := h.idle[n-1]
			h.idle = h.idle[:n-1]
			h.mu.Unlock()
			return c, nil
		}
		// One that has to end first would wait for this one.
		nested := slices.ContainsFunc(h.lent, func(c *clone) bool { return test != "" && testdb.Encloses(c.by, test) })
		if h.total < limitOfClones() || nested {
			h.total++
			h.mu.Unlock()
			return nil, nil
		}
		freed := h.freed
		h.mu.Unlock()
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
			h.mu.Lock()
			h.total++
			h.mu.Unlock()
			return nil, nil
		}
	}
}

// make makes one that find has counted. Without one it is counted no more, however
// that came: the schema may be made by functions of the caller's.
func (h *herd) make(ctx context.Context, s *Store, cfg *cloneConfig, f *file) (made *clone, err error) {
	defer func() {
		if made == nil {
			h.free()
		}
	}()
	began := time.Now()
	filled := false
	c, err := h.maker.Make(ctx, "snapshot "+templateVersion+" "+f.sum, func(ctx context.Context, pool *pgxpool.Pool) error {
		filled = true
		return fill(ctx, s, cfg, f, pool)
	})
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	h.quick = filled || time.Since(began) < aheadWhile // the first one tells nothing of the next
	h.mu.Unlock()
	return &clone{copy: c}, nil
}

// makeAhead makes one for the next test.
func (h *herd) makeAhead(s *Store, cfg *cloneConfig, f *file) {
	defer h.ahead.Done()
	quiet := *cfg // the test whose log it is may end meanwhile
	quiet.logger, quiet.noProgress = discard, true
	c, err := h.make(context.Background(), s, &quiet, f)
	if err != nil {
		h.mu.Lock()
		h.failed = err
		h.mu.Unlock()
		return // the next test makes its own
	}
	if !h.keep(c) {
		_ = h.drop(c)
	}
}

// keep keeps a database for the next test, unless there will be none.
func (h *herd) keep(c *clone) (kept bool) {
	h.mu.Lock()
	kept = !h.ended
	if kept {
		h.idle = append(h.idle, c)
		h.signal()
	}
	h.mu.Unlock()
	if kept {
		h.trim()
	}
	return kept
}

// giveBack takes a database back from a test. It is used again only where it is
// certain to be as a new copy would be.
func (h *herd) giveBack(ctx context.Context, t testing.TB, c *clone) error {
	h.mu.Lock()
	h.lent = slices.DeleteFunc(h.lent, func(other *clone) bool { return other == c })
	h.mu.Unlock()
	pool := c.db.Pool
	c.se = take(pool)
	forgetBaseline(pool)
	dropped := func(why string) {
		tally.DropClone(why)
		c.cfg.logger.InfoContext(ctx, msg.CloneDropped.In(c.cfg.lang), "why", why)
	}
	clean, err := c.copy.End(ctx, t)
	if !clean {
		if c.se != nil {
			closeConn(c.se.conn)
		}
		h.free()
		if t != nil && t.Failed() {
			dropped(msg.CloneFailed.In(c.cfg.lang))
		} else {
			dropped(msg.CloneLeft.In(c.cfg.lang))
		}
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	if why, err := c.undo(ctx, pool, h.key.sum); err != nil || why != "" {
		if err != nil {
			why = errs.Line(err)
		}
		dropped(why)
		return h.drop(c)
	}
	c.db, c.by = nil, ""
	if !h.keep(c) {
		return h.drop(c)
	}
	return nil
}
