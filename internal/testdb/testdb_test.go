package testdb_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/testdb"
)

// stub is a test of another name. Its Fatal truly stops, as that of a test does.
type stub struct {
	testing.TB
	name     string
	fatal    string
	cleanups []func()
}

func (s *stub) Helper()          {}
func (s *stub) Name() string     { return s.name }
func (s *stub) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }
func (s *stub) Fatal(args ...any) {
	s.fatal = fmt.Sprint(args...)
	runtime.Goexit()
}

// run runs f as that test's body and returns what it failed with.
func (s *stub) run(f func(t testing.TB)) string {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(s)
	}()
	<-done
	return s.fatal
}

func (s *stub) end() {
	for i := len(s.cleanups) - 1; i >= 0; i-- {
		s.cleanups[i]()
	}
}

func TestTheNearestDatabaseIsFound(t *testing.T) {
	find := func(name string) (db *testdb.Database, failure string) {
		failure = (&stub{TB: t, name: name}).run(func(t testing.TB) { db = testdb.Of(t) })
		return db, failure
	}
	_, failure := find("TestA")
	require.Contains(t, failure, "TestA has no database: call fixtures.Open or fixtures.Use")

	whole, outer, inner := &testdb.Database{}, &testdb.Database{}, &testdb.Database{}
	mainT, outerT, innerT := &stub{TB: t, name: testdb.MainName}, &stub{TB: t, name: "TestA"}, &stub{TB: t, name: "TestA/with/slash"}
	testdb.Set(mainT, whole)
	testdb.Set(outerT, outer)
	testdb.Set(innerT, inner)
	for name, want := range map[string]*testdb.Database{
		"TestB": whole, "TestAB": whole, "TestA": outer, "TestA/x": outer, "TestA/with": outer,
		"TestA/with/slash": inner, "TestA/with/slash/deeper": inner,
	} {
		got, _ := find(name)
		require.Same(t, want, got, name)
	}
	other := &testdb.Database{}
	testdb.Set(innerT, other)
	got, _ := find("TestA/with/slash")
	require.Same(t, other, got, "the last one counts")
	innerT.end()
	got, _ = find("TestA/with/slash")
	require.Same(t, outer, got)
	outerT.end()
	mainT.end()
	_, failure = find("TestA")
	require.NotEmpty(t, failure)
}

func TestOneDatabaseOneTest(t *testing.T) {
	db := &testdb.Database{}
	hold := func(s *stub) string { return s.run(db.Hold) }
	a, sub, b := &stub{TB: t, name: "TestA"}, &stub{TB: t, name: "TestA/sub"}, &stub{TB: t, name: "TestB"}
	require.Empty(t, hold(&stub{TB: t, name: testdb.MainName}), "set-up holds nothing")
	require.Empty(t, hold(a))
	require.Empty(t, hold(a), "again")
	require.Empty(t, hold(sub), "a subtest may")
	text := hold(b)
	for _, fact := range []string{"TestA", "TestB", "fixtures.Open"} {
		require.Contains(t, text, fact)
	}
	require.NotEmpty(t, hold(&stub{TB: t, name: "TestAB"}), "no subtest")
	sub.end()
	require.NotEmpty(t, hold(&stub{TB: t, name: "TestB"}), "TestA still holds it")
	a.end()
	b = &stub{TB: t, name: "TestB"}
	require.Empty(t, hold(b))
	b.end()
}

// TestFoldersOfKilledProcessesGo with the next one that is made.
func TestFoldersOfKilledProcessesGo(t *testing.T) {
	old := time.Now().Add(-time.Hour)
	leave := func(at time.Time) string {
		dir, err := os.MkdirTemp("", "groundhog-database-*")
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
		require.NoError(t, os.WriteFile(filepath.Join(dir, "lock"), nil, 0o600))
		require.NoError(t, os.Chtimes(dir, at, at))
		return dir
	}
	dead, young := leave(old), leave(time.Now())
	living := &testdb.Database{}
	a, b := &stub{TB: t, name: "TestA"}, &stub{TB: t, name: "TestB"}
	testdb.Set(a, living)
	file, err := living.File("x")
	require.NoError(t, err)
	require.NoError(t, os.Chtimes(filepath.Dir(file), old, old))
	other := &testdb.Database{}
	testdb.Set(b, other)
	_, err = other.File("y")
	require.NoError(t, err)
	require.NoDirExists(t, dead)
	require.DirExists(t, young)
	require.DirExists(t, filepath.Dir(file))
	b.end()
	a.end()
	require.NoDirExists(t, filepath.Dir(file))
}
