package snapshot

import (
	"errors"
	"math"

	"github.com/groundhogdb/groundhog/internal/testdb"
)

// copiesOf returns the copies of the store's database at the snapshot called name.
func (s *Store) copiesOf(name string) (*clonePool, *snapshotFile) {
	cfg := s.cloneConfig(nil)
	f, err := s.db.files.openVerified(&cfg.settings, folder{&cfg.settings}.path(name), name)
	if err != nil {
		panic(err)
	}
	f.close()
	return clonePoolOf(s.db, testdb.MakerOf(s.pool), f.sum), f
}

// AwaitCopies waits until all is done that calls left to be done in the background:
// templates and copies are made, former databases are kept or dropped, and the session of
// the next call is open.
func (s *Store) AwaitCopies() {
	for _, p := range clonePoolsOf(s.db).others(nil) {
		p.ahead.Wait()
	}
	if se := s.db.sessions.take(); se != nil {
		s.db.sessions.put(se)
	}
}

// MakeReady makes a copy for the next exchange or Clone, unless there is one.
func (s *Store) MakeReady(name string) {
	s.AwaitCopies()
	if p, _ := s.copiesOf(name); !p.ready.isThere() {
		s.CloneAhead(name)
	}
}

// HasTemplate reports whether there is a copy of the database at the snapshot.
func (s *Store) HasTemplate(name string) bool {
	p, _ := s.copiesOf(name)
	_, there := p.template.settled()
	return there
}

// DropReady drops the copies that are ready, so that the next exchange makes one.
func (s *Store) DropReady() (err error) {
	s.AwaitCopies()
	for _, p := range clonePoolsOf(s.db).others(nil) {
		for c := p.ready.take(); c != nil; c = p.ready.take() {
			c.close()
			err = errors.Join(err, c.source.Drop())
		}
	}
	return err
}

// ForgoTemplate keeps restores of the snapshot called name from copying the database, and
// from looking for copies of other processes, so that they exchange nothing.
func (s *Store) ForgoTemplate(name string) error {
	p, _ := s.copiesOf(name)
	p.ahead.Wait()
	t := &p.template
	t.mu.Lock()
	content, there := t.content, t.there
	t.there, t.sought, t.skip = false, true, math.MaxInt
	t.mu.Unlock()
	if err := s.DropReady(); err != nil || !there {
		return err
	}
	_, err := p.maker.Forget(content, true)
	return err
}
