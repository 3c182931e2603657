package snapshot

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/groundhogdb/groundhog/internal/bubble"
	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/tally"
	"github.com/groundhogdb/groundhog/internal/testdb"
	"github.com/groundhogdb/groundhog/internal/track"
)

// CloneOption is an option of [Clone] and [Store.Clone].
type CloneOption interface{ clone(*cloneConfig) }

type cloneConfig struct{ storeConfig }

func (o storeOption) clone(c *cloneConfig) { o(&c.storeConfig) }

// Clone gives t a database of its own, at the snapshot called name, and returns a
// pool that leads to it. From then on it is t's database, and that of its subtests:
// for fixtures.DB, [Restore], [Changes] and the other packages. So tests may run in
// parallel. It fails t on an error; see [Store.Clone].
//
// After t the pool is closed. The database is undone and given to the next test where
// it is certain to be as it was; else it is dropped, or kept, with its address in the
// log, when t failed and GROUNDHOG_KEEP is set. Connections that t left open are cut,
// with a line in its log. When t fails, its log gets what it changed: see
// [LogChanges].
func Clone(t testing.TB, name string, opts ...CloneOption) *pgxpool.Pool {
	t.Helper()
	s, _ := storeOf(t)
	cfg, f, err := s.cloneConfig(name, opts)
	if err != nil {
		t.Fatal(err)
	}
	if bubble.In() && !bubble.Owns(t) {
		t.Fatal(errs.New(ErrInvalidArgument, msg.NotOfBubble.In(cfg.lang, "snapshot.Clone"), nil))
	}
	var h *herd
	c, err := bubble.Do(contextOf(t), func(ctx context.Context) (*clone, error) {
		h = herdOf(testdb.MakerOf(s.pool), f.sum)
		return h.take(ctx, s, cfg, f, t.Name())
	})
	if err != nil {
		t.Fatal(cfg.explain(err, msg.CantClone, name))
	}
	t.Cleanup(func() {
		if err := bubble.Err(contextOf(t), func(ctx context.Context) error { return h.giveBack(ctx, t, c) }); err != nil {
			t.Error(err)
		}
	})
	c.copy.Set(t, c.db)
	own, db := storeOf(t)
	own.logChanges(t, db, !cfg.noChanges)()
	return c.db.Pool
}

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

const (
	cloneSpare = 4                     // databases beside those that GOMAXPROCS tests have
	cloneWait  = 10 * time.Second      // without any that became free
	aheadWhile = 60 * time.Millisecond // a copy that takes longer is not made beside the tests
)

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

// With an origin go the databases that nobody uses.
var _ = testdb.OnClose(endHerds)

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

// templateVersion changes when what fill makes of a file does.
const templateVersion = "3"

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
			if err = track.RecordFingerprint(ctx, se.conn); errors.As(err, &pg) && !se.conn.IsClosed() {
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
		return c.se.untracked.UntrackedText(c.cfg.lang), nil
	}
	if ok, err := catalog.IsPristine(ctx, c.se.conn, c.copy.Likeness()); err != nil || !ok {
		return msg.CloneSettings.In(c.cfg.lang), err
	}
	if ok, err := track.MatchesFingerprint(ctx, c.se.conn); err != nil || !ok {
		return msg.CloneAltered.In(c.cfg.lang), err
	}
	out, partly, err := track.Restore(ctx, c.se.conn, sum, c.se.home)
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
