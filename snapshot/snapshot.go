// Package snapshot keeps the state of a test database in a file and brings the
// database back to it.
//
// The functions that take a testing.TB work on the database of that test, as
// fixtures.Open or fixtures.Use gave it, and fail the test on an error. Under
// them stands [Store], which returns errors, for programs.
//
//	snapshot.Ensure(t, "baseline", func(t testing.TB) { … })  // once, in TestMain
//	snapshot.Restore(t, "baseline")                           // in each test
//
// A snapshot is a file: atomic, checksummed, and described byte by byte in
// docs/snapshot-format.md. It can be committed, cached and copied.
package snapshot

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/groundhogdb/groundhog/internal/testdb"
)

// Create writes the snapshot called name of t's database; see [Store.Create].
// It fails t on an error. The file stays after the test.
func Create(t testing.TB, name string, opts ...CreateOption) Info {
	t.Helper()
	s, _ := storeOf(t)
	info, err := s.Create(contextOf(t), name, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// Restore brings t's database back to the snapshot called name; see
// [Store.Restore]. It fails t on an error. It may be used in t.Cleanup too.
//
// Until t ends the database is t's: another test that is neither above nor below
// t and restores it fails at once, since tests that run side by side each need a
// database of their own. A test of another process, on a database that both were
// given (fixtures.Use), is waited for, for 5 minutes at most.
//
// When t fails, its log gets what was changed since, 20 rows at most: see
// [LogChanges].
func Restore(t testing.TB, name string, opts ...RestoreOption) Restored {
	t.Helper()
	s, db := storeOf(t)
	defer hold(t, s, db)()
	cfg := restoreConfig{storeConfig: s.storeConfig}
	for _, o := range opts {
		if o != nil {
			o.restore(&cfg)
		}
	}
	defer s.logChanges(t, db, !cfg.noChanges)()
	restored, err := s.Restore(contextOf(t), name, opts...)
	if err != nil {
		t.Fatal(err)
	}
	readAgain(t, restored.Path)
	return restored
}

// Ensure brings t's database to the snapshot called name, and has build make it
// first where there is none to use; see [Store.Ensure]. It fails t on an error.
// A build that fails t, in whatever way, makes no snapshot. Like [Restore], it
// makes the database t's until t ends; in the set-up of fixtures.Main it is
// nobody's afterwards.
func Ensure(t testing.TB, name string, build func(t testing.TB), opts ...EnsureOption) Restored {
	t.Helper()
	s, db := storeOf(t)
	defer hold(t, s, db)()
	var run func(context.Context) error
	if build != nil {
		failed := t.Failed()
		run = func(ctx context.Context) error {
			defer inBuilder(ctx, t)()
			build(t)
			if t.Failed() && !failed {
				return fmt.Errorf("%s failed", t.Name())
			}
			return nil
		}
	}
	cfg := ensureConfig{createConfig: createConfig{storeConfig: s.storeConfig}}
	for _, o := range opts {
		if o != nil {
			o.ensure(&cfg)
		}
	}
	defer s.logChanges(t, db, !cfg.noChanges)()
	restored, err := s.Ensure(contextOf(t), name, run, opts...)
	if err != nil {
		t.Fatal(err)
	}
	readAgain(t, restored.Path)
	return restored
}

// readAgain has the tests look at the file that set-up used, and at what decides
// which one it is; see [testdb.Reread].
func readAgain(t testing.TB, path string) {
	if t.Name() == testdb.MainName {
		testdb.Reread(func() {
			os.Getenv(EnvDir)
			os.Getenv(EnvUpdate)
			_, _ = os.Stat(path)
		})
	}
}

// Clean empties the tables of t's database; see [Store.Clean]. It fails t on an
// error. Like [Restore], it makes the database t's until t ends.
func Clean(t testing.TB, opts ...CleanOption) {
	t.Helper()
	s, db := storeOf(t)
	defer hold(t, s, db)()
	if err := s.Clean(contextOf(t), opts...); err != nil {
		t.Fatal(err)
	}
}

// storeOf returns the store of t's database, which logs to t.
func storeOf(t testing.TB) (*Store, *testdb.Database) {
	t.Helper()
	db := testdb.Of(t)
	s, err := NewStore(db.Pool, WithLogger(testdb.Logger(t)))
	if err != nil {
		t.Fatal(err)
	}
	if !db.Given {
		s.origin = func() (string, error) { return db.File("origin" + extension) }
	}
	return s, db
}

// contextOf returns a context for work that may run in t.Cleanup, where
// t.Context is already cancelled.
func contextOf(t testing.TB) context.Context {
	if ctx, ok := builders.Load(t.Name()); ok {
		return ctx.(context.Context)
	}
	return context.WithoutCancel(t.Context())
}

// builders holds the contexts of the builders that run, by the names of their
// tests.
var builders sync.Map

// inBuilder makes ctx that of what is done for t until done is called.
func inBuilder(ctx context.Context, t testing.TB) (done func()) {
	before, nested := builders.Swap(t.Name(), ctx)
	return func() {
		if nested {
			builders.Store(t.Name(), before)
		} else {
			builders.Delete(t.Name())
		}
	}
}
