// Package testdb remembers which database belongs to which test. It is how
// snapshot finds what fixtures opened without either importing the other.
package testdb

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/groundhogdb/groundhog/internal/msg"
)

// MainName is the name of the testing.TB that fixtures.Main hands to set-up:
// what belongs to it belongs to every test of the binary.
const MainName = "TestMain"

// Database is the database of a test.
type Database struct {
	Pool *pgxpool.Pool
	URL  string

	// Given tells that the caller opened the database (fixtures.Use), so
	// rows that were there before are the caller's.
	Given bool

	mu      sync.Mutex
	holders []string // names of the tests that restored it, outermost first
	dir     func() string
}

// File returns the path of a file about this database that goes when the
// database's test ends.
func (d *Database) File(name string) string { return filepath.Join(d.dir(), name) }

var (
	mu        sync.Mutex
	databases = map[string]*Database{}
)

// Set makes db the database of t and of its subtests, until t ends.
func Set(t testing.TB, db *Database) {
	mu.Lock()
	defer mu.Unlock()
	db.dir = sync.OnceValue(t.TempDir)
	name, before := t.Name(), databases[t.Name()]
	databases[name] = db
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		if before == nil {
			delete(databases, name)
		} else {
			databases[name] = before
		}
	})
}

// Of returns the database of t: its own, else that of the nearest enclosing
// test, else that of Main. Without one it fails t with a text that says what
// to call.
func Of(t testing.TB) *Database {
	t.Helper()
	mu.Lock()
	defer mu.Unlock()
	for name := t.Name(); ; {
		if db := databases[name]; db != nil {
			return db
		}
		i := strings.LastIndexByte(name, '/')
		if i < 0 {
			break
		}
		name = name[:i]
	}
	if db := databases[MainName]; db != nil {
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
		if !encloses(holder, name) && !encloses(name, holder) {
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

func encloses(outer, inner string) bool {
	return outer == inner || strings.HasPrefix(inner, outer+"/")
}
