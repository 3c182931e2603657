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

// logging are the tests that log what they changed when they fail, once.
var logging sync.Map // of logged to func()

type logged struct {
	db   *testdb.Database
	test string
}

// compareAtMost is how many rows a file may have that is compared for a log.
const compareAtMost = 200_000

// logChanges logs what t changed when t fails: before a restore takes it away, else
// at the end of t. restored is to be called when the database was brought back.
func (s *Store) logChanges(t testing.TB, db *testdb.Database, on bool) (restored func()) {
	if set := os.Getenv(EnvLogChanges); t.Name() == testdb.MainName || !on || set == "0" || set == "off" {
		return func() {}
	}
	key := logged{db, t.Name()}
	if tell, ok := logging.Load(key); ok {
		if t.Failed() {
			tell.(func())()
		}
		return func() {}
	}
	return func() {
		if t.Failed() {
			return
		}
		logging.Store(key, sync.OnceFunc(func() { s.tellChanges(t) }))
		t.Cleanup(func() {
			if tell, ok := logging.LoadAndDelete(key); ok && t.Failed() {
				tell.(func())()
			}
		})
	}
}

func (s *Store) tellChanges(t testing.TB) {
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

// toldHere keeps the log of t's changes from telling the same once more.
func toldHere(t testing.TB) {
	_, db := storeOf(t)
	key := logged{db, t.Name()}
	if _, ok := logging.Load(key); ok { // what nobody takes away again would silence the test's next run
		logging.Store(key, func() {})
	}
}
