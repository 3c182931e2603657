package snapshot

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/testdb"
	"github.com/groundhogdb/groundhog/internal/track"
)

// snapshotTemplate is a copy of a database at a snapshot, of which more copies are made.
type snapshotTemplate struct {
	mu      sync.Mutex
	content testdb.Content
	there   bool
	sought  bool          // among those that other processes made
	making  chan struct{} // closed when the one that is made is there, or could not be made
	skip    int           // how many restores pass before it is tried again
	failed  int           // how often it could not be made
	why     error         // the last time
	took    time.Duration // of the last copy of it, or to it
	least   time.Duration // of the quickest: what it costs where nothing else is done
	wanted  time.Time     // when it was the last time
}

// mostSkipped bounds how many restores pass before a template is tried again.
const mostSkipped = 64

// begin reports whether the caller is to make the template now.
func (t *snapshotTemplate) begin() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.there || t.making != nil {
		return false
	}
	if t.skip > 0 {
		t.skip--
		return false
	}
	t.making, t.wanted = make(chan struct{}), time.Now()
	return true
}

// end is called when it was made, or could not be.
func (t *snapshotTemplate) end(content testdb.Content, took time.Duration, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.content, t.there, t.why = content, err == nil, err
	t.note(took)
	if err != nil {
		t.skip = min(1<<t.failed, mostSkipped)
		t.failed++
	}
	close(t.making)
	t.making = nil
}

// seek reports whether the caller is to look for a template that another process made.
func (t *snapshotTemplate) seek() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.there || t.making != nil || t.sought {
		return false
	}
	t.sought = true
	return true
}

// set is called when one is found that another process made.
func (t *snapshotTemplate) set(content testdb.Content, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.content, t.there = content, true
	t.note(took)
}

// lost is called when the template is not there any more.
func (t *snapshotTemplate) lost() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.there = false
}

// copied notes how long a copy took.
func (t *snapshotTemplate) copied(took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.note(took)
}

// note notes how long a copy took. t is locked.
func (t *snapshotTemplate) note(took time.Duration) {
	if took > 0 && (t.least == 0 || took < t.least) {
		t.least = took
	}
	t.took = took
}

// lastTook is how long the last copy took.
func (t *snapshotTemplate) lastTook() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.took
}

// get returns what is in the template, how long the quickest copy took, and why there is none.
// It waits for one that is being made.
func (t *snapshotTemplate) get() (content testdb.Content, took time.Duration, there bool, why error) {
	t.mu.Lock()
	making := t.making
	t.mu.Unlock()
	if making != nil {
		<-making
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wanted = time.Now()
	return t.content, t.least, t.there, t.why
}

// settled is get without waiting: of one that is being made it says that there is none.
func (t *snapshotTemplate) settled() (content testdb.Content, there bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.content, t.there && t.making == nil
}

func (t *snapshotTemplate) lastWanted() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.wanted
}

// errNotAtSnapshot is that a database that was copied is not, and could not be brought to,
// what the snapshot holds.
var errNotAtSnapshot = errors.New("the database is not at the snapshot")

// finishTemplate brings a copy of a database that was at the snapshot a moment ago to it,
// and returns the digest of the rest.
func finishTemplate(ctx context.Context, root *database, cfg *settings, f *snapshotFile, pool *pgxpool.Pool) (digest string, err error) {
	d := root.copyOf(pool)
	defer func() { err = errors.Join(err, d.Close()) }()
	conn, err := d.connect(ctx)
	if err != nil {
		return "", err
	}
	se, err := newSession(ctx, cfg, conn)
	if err != nil {
		return "", err
	}
	defer se.close()
	if !se.tracks {
		return "", errNotAtSnapshot
	}
	out, partly, err := track.Restore(ctx, se.conn, f.sum, se.serverID, nil)
	if err == nil && (partly || out.Unusable != "") {
		err = errNotAtSnapshot
	}
	if err != nil {
		return "", err
	}
	if err := track.RecordFingerprint(ctx, se.conn); err != nil {
		return "", err
	}
	return schemaDigest(ctx, se.conn, f)
}

// schemaDigest tells the schemas of templates of the same file apart, and those that a crash
// of the server has emptied the unlogged tables of.
func schemaDigest(ctx context.Context, conn *pgx.Conn, f *snapshotFile) (string, error) {
	digest, err := catalog.Digest(ctx, conn, f.tables())
	if err != nil {
		return "", err
	}
	crash, err := catalog.LastCrash(ctx, conn)
	return digest + " " + crash, err
}

// search is a template that another process made of the same file, for a database whose
// schema and settings are those of the template in every detail. A copy of the newest one
// is made while these are looked at.
type search struct {
	pool    *clonePool
	content testdb.Content

	copying *errgroup.Group
	ready   testdb.Copy
	took    time.Duration
}

// copy begins to copy a template.
func (s *search) copy(ctx context.Context, from testdb.Template) {
	s.copying = new(errgroup.Group)
	s.copying.Go(func() (err error) {
		began := time.Now()
		s.ready, err = from.Make(ctx)
		s.took = time.Since(began)
		return err
	})
}

// seek begins a search. It returns nil where there is no such template, or one was sought
// before. cfg must allow the database.
func (p *clonePool) seek(ctx context.Context, d *database, cfg *settings, m testdb.Maker, f *snapshotFile) (*search, error) {
	if p.pools.none || !p.template.seek() {
		return nil, nil //nolint:nilnil // as it says
	}
	found, err := m.Find(ctx, f.sum)
	if len(found) == 0 || err != nil {
		return nil, err
	}
	if err := p.pools.noteCrash(ctx, m); err != nil {
		return nil, err
	}
	s := &search{pool: p, content: testdb.Content{Rows: f.sum}}
	s.copy(ctx, found[0])
	err = d.inSession(ctx, cfg, func(se *session) (err error) {
		if se.tracks {
			s.content.Schema, err = schemaDigest(ctx, se.conn, f)
		}
		return err
	})
	if err == nil && s.content.Schema != "" {
		s.content.Traits, err = m.Traits(ctx)
	}
	at := slices.IndexFunc(found, func(t testdb.Template) bool { return t.Holds(s.content) })
	if err == nil && s.content.Schema != "" && at == 0 {
		return s, nil
	}
	if err = errors.Join(err, s.giveUp()); err != nil || s.content.Schema == "" || at < 0 {
		return nil, err
	}
	s.copy(ctx, found[at])
	return s, nil
}

// end waits for the copy.
func (s *search) end() (*clone, error) {
	if err := s.copying.Wait(); err != nil {
		return nil, err
	}
	s.pool.template.set(s.content, s.took)
	return &clone{source: s.ready}, nil
}

// giveUp drops the copy.
func (s *search) giveUp() error {
	if s.copying.Wait() != nil {
		return nil // others will tell
	}
	return s.ready.Drop()
}

// seekTemplate searches, once, and keeps the copy that was made for an exchange.
func (p *clonePool) seekTemplate(ctx context.Context, d *database, cfg *settings, m testdb.Maker, f *snapshotFile) error {
	s, err := p.seek(ctx, d, cfg, m, f)
	if s == nil || err != nil {
		return err
	}
	c, err := s.end()
	if c != nil {
		p.ready.putBack(c)
	}
	return err
}

// tables returns the names of the tables that the file holds.
func (f *snapshotFile) tables() []schema.Name {
	names := make([]schema.Name, len(f.manifest.Tables))
	for i, t := range f.manifest.Tables {
		names[i] = t.Name
	}
	return names
}
