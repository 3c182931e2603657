// Package testdb is what the functions with a testing.TB share: which database
// belongs to which test, and the test's log. It is how snapshot finds what fixtures
// opened without either importing the other.
package testdb

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"weak"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/scratch"
)

// Logger returns a logger that writes to the log of t, which needs no times.
func Logger(t testing.TB) *slog.Logger {
	withoutTime := func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{ReplaceAttr: withoutTime}))
}

// MainName is the name of the testing.TB that fixtures.Main hands to set-up:
// what belongs to it belongs to every test of the binary.
const MainName = "TestMain"

// Application is the application_name of snapshot's own connections, which may stay
// for a moment after their last use.
const Application = "groundhog snapshot"

// Database is the database of a test.
type Database struct {
	Pool *pgxpool.Pool
	URL  string

	// Given reports whether the caller opened the database (fixtures.Use), so
	// rows that were there before are the caller's.
	Given bool

	// Bubbled reports whether Pool was opened in the synctest bubble of its test.
	Bubbled bool

	mu      sync.Mutex
	holders []string // names of the tests that restored it, outermost first
	dir     func() (string, error)
	turn    turn
}

// File returns the path of a file about this database that goes when the
// database's test ends.
func (d *Database) File(name string) (string, error) {
	dir, err := d.dir()
	return filepath.Join(dir, name), err
}

// tempDir is the folder for temporary files when the process began: a test that
// sets TMPDIR to one of its own takes with it what others keep there.
var tempDir = os.TempDir()

// registry is what the packages of groundhog know of this process's tests.
var registry = struct {
	sync.Mutex
	databases map[string]*Database       // by the name of the test
	contexts  map[string]context.Context // likewise; see WithContext
	pools     map[weak.Pointer[pgxpool.Pool]]*lead
	rereads   []func() // called by the first test
}{
	databases: map[string]*Database{},
	contexts:  map[string]context.Context{},
	pools:     map[weak.Pointer[pgxpool.Pool]]*lead{},
}

// Set makes db the database of t and of its subtests, until t ends.
func Set(t testing.TB, db *Database) {
	registry.Lock()
	defer registry.Unlock()
	db.dir = sync.OnceValues(func() (string, error) { return makeDir(t) })
	t.Cleanup(put(registry.databases, t.Name(), db))
}

// put puts a value into a map of the registry, which is locked. What it returns puts
// back what was there before.
func put[V any](by map[string]V, name string, value V) (undo func()) {
	before, was := by[name]
	by[name] = value
	return func() {
		registry.Lock()
		defer registry.Unlock()
		if was {
			by[name] = before
		} else {
			delete(by, name)
		}
	}
}

// Context returns a context for work that is done for t, in t.Cleanup too, where
// t.Context is already cancelled.
func Context(t testing.TB) context.Context {
	registry.Lock()
	defer registry.Unlock()
	if ctx, ok := registry.contexts[t.Name()]; ok {
		return ctx
	}
	return context.WithoutCancel(t.Context())
}

// WithContext makes ctx the [Context] of t until done is called.
func WithContext(t testing.TB, ctx context.Context) (done func()) {
	registry.Lock()
	defer registry.Unlock()
	return put(registry.contexts, t.Name(), ctx)
}

// makeDir makes a folder that goes with t, and removes those of processes that
// were killed.
func makeDir(t testing.TB) (string, error) {
	folder, err := scratch.NewSwept(tempDir, "groundhog-database-")
	if err != nil {
		return "", err
	}
	t.Cleanup(func() {
		if err := folder.Remove(); err != nil {
			t.Error(err)
		}
	})
	return folder.Path, nil
}

// Reread has read called once more by the first test that asks for its database. go
// test takes a result from its cache as long as no variable of the environment, and
// no file of the module, has changed that was read while tests ran. Of what set-up
// read before it knows nothing.
func Reread(read func()) {
	registry.Lock()
	defer registry.Unlock()
	registry.rereads = append(registry.rereads, read)
}

// reread is called for each test.
func reread(t testing.TB) {
	if t.Name() == MainName {
		return
	}
	registry.Lock()
	all := registry.rereads
	registry.rereads = nil
	registry.Unlock()
	for _, read := range all {
		read()
	}
}

// Of returns the database of t: its own, else that of the nearest enclosing
// test, else that of Main. Without one it fails t with a text that says what
// to call.
func Of(t testing.TB) *Database {
	t.Helper()
	reread(t)
	registry.Lock()
	defer registry.Unlock()
	for name := t.Name(); ; {
		if db := registry.databases[name]; db != nil {
			return db
		}
		i := strings.LastIndexByte(name, '/')
		if i < 0 {
			break
		}
		name = name[:i]
	}
	if db := registry.databases[MainName]; db != nil {
		return db
	}
	t.Fatal(msg.NoDatabase.In("", t.Name()))
	return nil
}

// Hold keeps the database for t until t ends. While it is held, only t, the
// tests that enclose it and its subtests may hold it too; any other test is
// failed at once, since waiting would deadlock with t.Parallel. Main's set-up
// runs alone and holds nothing.
func (d *Database) Hold(t testing.TB) {
	t.Helper()
	name := t.Name()
	if name == MainName {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, holder := range d.holders {
		if !Encloses(holder, name) && !Encloses(name, holder) {
			t.Fatal(msg.HeldByOther.In("", name, holder))
		}
	}
	d.holders = append(d.holders, name)
	t.Cleanup(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		for i, holder := range d.holders {
			if holder == name {
				d.holders = append(d.holders[:i], d.holders[i+1:]...)
				return
			}
		}
	})
}

// TakeTurn has a test that holds the database keep those out that do not share it, until
// it calls giveBack. begin is called by the first of those that share it, in wait, and
// what it returns by the last one.
func (d *Database) TakeTurn(begin func() (end func(), err error)) (wait func() error, giveBack func()) {
	return d.turn.take(begin)
}

// Encloses reports whether the test called inner is the other one, or below it.
func Encloses(outer, inner string) bool {
	return outer == inner || strings.HasPrefix(inner, outer+"/")
}
