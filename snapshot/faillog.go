package snapshot

import (
	"context"
	"os"
	"sync"
	"testing"

	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/testdb"
)

// EnvLogChanges names the environment variable that, when it is 0, keeps the changes
// of failed tests out of their logs.
const EnvLogChanges = "GROUNDHOG_LOG_CHANGES"

// compareAtMost is how many rows a file may have that is compared for a log.
const compareAtMost = 200_000

var shown = changesOption(func(c *changesConfig) { c.limit = shownRows })

// logFailure logs what t changed when t fails: before a restore takes it away, else
// at the end of t. restored is to be called when the database was brought back.
func logFailure(t testing.TB, s *Store, on bool) (restored func()) {
	if set := os.Getenv(EnvLogChanges); t.Name() == testdb.MainName || !on || set == "0" || set == "off" {
		return func() {}
	}
	if log := s.db.failureLogOf(t.Name()); log != nil {
		if t.Failed() {
			log()
		}
		return func() {}
	}
	return func() {
		if t.Failed() {
			return
		}
		s.db.setFailureLog(t.Name(), sync.OnceFunc(func() { logChanges(t, s) }))
		t.Cleanup(func() {
			log := s.db.failureLogOf(t.Name())
			s.db.setFailureLog(t.Name(), nil)
			if log != nil && t.Failed() {
				log()
			}
		})
	}
}

// muteFailureLog keeps the log of t's changes from telling what t fails with.
func muteFailureLog(t testing.TB, s *Store) {
	if s.db.failureLogOf(t.Name()) != nil { // an entry that no cleanup removes would silence the test's next run
		s.db.setFailureLog(t.Name(), func() {})
	}
}

func logChanges(t testing.TB, s *Store) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), lockWait)
	defer cancel()
	set, err := s.Changes(ctx, shown, changesOption(func(c *changesConfig) { c.most = compareAtMost }))
	switch {
	case err != nil:
		t.Log(err)
	case set.Empty():
		t.Log(msg.TestChangedNothing.In("", set.Snapshot))
	default:
		t.Log(msg.TestChanged.In("", set.Snapshot, EnvLogChanges, set.text(shownRows, true)))
	}
}
