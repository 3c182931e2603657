package snapshot

import (
	"context"
	"time"

	"github.com/groundhogdb/groundhog/internal/snapfile"
	"github.com/groundhogdb/groundhog/internal/testdb"
	"github.com/groundhogdb/groundhog/internal/track"
)

// RestoreLock is the advisory lock that a restore holds until it ends.
const RestoreLock = track.WriterLock

// TestLock is the advisory lock that a test holds on a database that was given.
const TestLock = testLock

// SetFS makes the store write through fs.
func (s *Store) SetFS(fs snapfile.FS) { s.fs = fs }

// SetWaits makes the store wait that long between attempts.
func (s *Store) SetWaits(waits ...time.Duration) { s.retry.Waits = waits }

// SetWorkDir stands for the folder of the package under test.
func SetWorkDir(dir string) { workDir = dir }

// ContextOf is the context of the functions that take a testing.TB.
var ContextOf = testdb.Context

// HoldAcross holds the database among processes, as the functions that take a
// testing.TB do for one that was given.
func (s *Store) HoldAcross(ctx context.Context) (release func(), err error) {
	conn, err := holdAcross(ctx, s.db, &s.settings)
	return func() { closeConn(conn) }, err
}

// Locked explains an error about a lock.
func (s *Store) Locked(ctx context.Context, err error) error {
	return lockError(ctx, s.db, &s.settings, err)
}

// LimitOfClones is how many databases Clone makes at a time.
var LimitOfClones = limitOfClones

// WithoutCopies keeps the database from being replaced by copies, until WithCopies.
func (s *Store) WithoutCopies() { clonePoolsOf(s.db).none = true }

// WithCopies has it replaced again.
func (s *Store) WithCopies() { clonePoolsOf(s.db).none = false }

// EndClones drops the databases that nobody uses.
func (s *Store) EndClones() error { return s.db.endKept() }

// CloneAhead makes one for the next Clone.
func (s *Store) CloneAhead(name string) {
	p, f := s.copiesOf(name)
	p.mu.Lock()
	p.total++
	p.mu.Unlock()
	p.makeAhead(&s.settings, f, nil)
}

// Clones counts the clones at the snapshot called name, lent or not.
func (s *Store) Clones(name string) int {
	p, _ := s.copiesOf(name)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.total
}

// LineDiff compares the texts of changes.
var LineDiff = lineDiff
