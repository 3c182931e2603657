// Package snapshot keeps the state of a test database in a file and brings the
// database back to it, at a cost of what was changed.
//
// # In a suite
//
// [Ensure] makes the snapshot once, [Restore] goes back to it in each test:
//
//	func TestMain(m *testing.M) {
//		fixtures.Main(m, func(t testing.TB) {
//			db := fixtures.Open(t, fixtures.WithSchema(schema))
//			snapshot.Ensure(t, "baseline", func(t testing.TB) { seed(t, db) })
//		})
//	}
//
//	func TestRenewal(t *testing.T) {
//		snapshot.Restore(t, "baseline")
//		db := fixtures.DB(t)
//		// The code under test writes what it wants, over any connection, with any commits.
//	}
//
// They work on the database of t, as fixtures.Open or fixtures.Use gave it, and fail t
// on an error; in t.Cleanup too. A test that restores when it ends leaves nothing to
// those that restore nothing:
//
//	t.Cleanup(func() { snapshot.Restore(t, "baseline") })
//
// # What was changed
//
// [RequireChanges] fails unless the code under test wrote just what it says, row by
// row, in whatever tables; [RequireUnchanged] unless it wrote nothing; [Changes]
// returns the rows. A test that fails logs what it changed; see [LogChanges].
//
// # Parallel tests
//
// One database is one test's: while it runs, others that are neither above nor below
// it can't restore that database, and fail at once. [Clone] gives a parallel test a
// database of its own, at the snapshot: a copy at first, then one that an earlier test
// gave back. There are GOMAXPROCS + 4 of them, whatever -parallel says; who wants one
// more waits, and gets it when none became free for 10 seconds.
//
// # Bubbles of testing/synctest
//
// All functions work in a bubble. They do their work outside of it, in real time, and
// leave nothing there: the clock of the bubble stands still meanwhile. That takes a
// garbage collection, some milliseconds, for each call. The builder of [Ensure] is
// called in the bubble. [Clone] needs the t of the bubble, since its pool is the
// bubble's. Package fixtures says which pools can be used.
//
// # The file
//
// A snapshot is a file in testdata/snapshots of the package under test, or where
// [WithDir] or GROUNDHOG_DIR say: written atomically, checksummed, described byte by
// byte in docs/snapshot-format.md. It can be cached, copied between machines and
// versions of PostgreSQL, and committed (a folder that was made here has a .gitignore,
// to be deleted for that).
//
// [Ensure] uses it as it is, or builds it again: when it is missing or damaged, when
// the schema is another, or a Go file of the package ([Version] replaces these), after
// a day ([MaxAge], [Forever]), or with GROUNDHOG_UPDATE=1. Of processes that want the
// same one, one builds and the others wait. [Restore] takes it as it is, unless its
// schema is not the database's; see [OnSchemaMismatch].
//
// # Some rows only
//
// Test data that shares its tables with other rows stays among itself: [Rows],
// [RowsOf], [Tables] and [Exclude] limit what is saved, restored and cleaned.
//
// # What a restore costs
//
// There are four methods, and a restore chooses the cheapest one that is certain to be
// right:
//
//   - unchanged: nothing was written, 0.3 ms;
//   - undone: triggers note what is written, and a restore puts it back: in some 2 ms for
//     ten rows, in a database of any size;
//   - exchanged: the database is replaced by a copy, in some 10 ms where one is ready,
//     whatever was changed. After most rows were changed, after TRUNCATE of large
//     tables or for another snapshot that takes less time than to put rows back; after a
//     change of the schema nothing else brings all of it back;
//   - reloaded: what can't be undone with certainty is loaded from the file, table by table
//     or as a whole, where the database can't be exchanged or is small.
//
// [Restored] tells which method was taken and why; with go test -v the log of the test says
// why tables were loaded or the database exchanged, and the last lines sum it up. Any other
// reason for which something takes longer, or is left out, is in the log of the first test
// that it concerns.
//
// No superuser is needed. An owner of the tables waits some milliseconds longer, and the log
// says once which grant changes that. [Store.Restore] has the rest.
//
// # The exchange
//
// A database that fixtures.Open made, as a role that may create databases, is replaced by a
// copy of itself at the snapshot, under its name. The copy is made from a template, which is a
// copy of the database at the moment of [Create], or after a restore. Nothing tells it from
// the database: schema, rows, sequences, large objects, settings, rights. Tests keep
// their pool: its idle connections are closed, and it makes new ones by itself, which wait
// meanwhile. Any other attempt to connect is refused by the server for some milliseconds.
// [Create] closes the idle connections too.
//
// Sessions of others prevent it: a connection that a goroutine holds, a second pool
// (fixtures.URL), a LISTEN, a background worker; and so do prepared transactions, logical
// slots and subscriptions. Then rows are brought back by the journal and the file, and
// [Restored] says who was there. If the schema was changed, the restore fails and names
// them. [TerminateBlockers] ends them.
//
// It brings the database back to where this process last had it at the snapshot, never to an
// older schema: a file of another schema is [ErrSchemaMismatch]. A snapshot of some rows
// only is never exchanged, and with [OnSchemaMismatch] the schema stays.
//
// Where copying is quick, the next copy is made in the background once one was needed. On a
// server there are at most 8 templates with rows (of 2 GB in all, but for the newest one)
// besides those that living processes use, 8 for each database; and of each database
// GOMAXPROCS + 4 copies, with its clones. They go with the database and the server;
// [Store.DropCopies] drops them before, as for a role that owns something in them.
//
// # What is not brought back
//
// Large objects are refused by [Create]. These stay as they are:
//
//   - where the database can't be exchanged: the schema, large objects, ALTER DATABASE,
//     and the physical order of rows. A test that changes the schema then needs a [Clone], or
//     a database of its own;
//   - the state of sessions (SET, LISTEN, temporary tables, advisory locks, prepared
//     statements) of the pool's connections, which the next test uses, unless the
//     database was exchanged. A test that leaves some ends with
//     t.Cleanup(fixtures.DB(t).Reset): the pool makes new connections. A [Clone] has new ones in any case;
//   - roles, and what ALTER ROLE sets for all databases;
//   - what [Info] lists as outside: tables of extensions but for the rows that these name
//     as the user's, foreign tables, tables of migration tools. A foreign key to one is
//     checked: a restore fails rather than leave it pointing nowhere.
//
// # With go test
//
// Tests that restore at their beginning may run in any order (-shuffle) and several
// times in one process (-count, after one set-up).
//
// go test runs nothing again, and says "(cached)", as long as the snapshot's file and
// the other things that it knows of are the same; see package fixtures for these. So a
// snapshot that is too old for [MaxAge] is built again when something else has the
// tests run. To have it built whatever the cache holds: GROUNDHOG_UPDATE=1 go test
// -count=1.
//
// # Outside of tests
//
// [Store] has the same as methods that take a context and return errors, and more: it
// lists, verifies and deletes snapshots. [errors.Is] tells the classes of errors
// apart, in any language.
package snapshot

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/groundhogdb/groundhog/internal/bubble"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/testdb"
)

// Create writes the snapshot called name of t's database; see [Store.Create].
// It fails t on an error. The file stays after the test.
func Create(t testing.TB, name string, opts ...CreateOption) Info {
	t.Helper()
	s, _ := storeOf(t)
	info, err := s.Create(testdb.Context(t), name, opts...)
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
	cfg := s.restoreConfig(opts)
	defer logFailure(t, s, !cfg.noChanges)()
	restored, err := runOutside(testdb.Context(t), s, func(ctx context.Context) (Restored, error) { return s.restore(ctx, name, cfg) })
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
			defer testdb.WithContext(t, ctx)()
			build(t)
			if t.Failed() && !failed {
				return fmt.Errorf("%s failed", t.Name())
			}
			return nil
		}
	}
	cfg := s.ensureConfig(opts)
	defer logFailure(t, s, !cfg.noChanges)()
	restored, err := runOutside(testdb.Context(t), s, func(ctx context.Context) (Restored, error) { return s.ensure(ctx, name, run, cfg) })
	if err != nil {
		t.Fatal(err)
	}
	readAgain(t, restored.Path)
	return restored
}

// Changes tells what was changed in t's database since t, or whoever came before,
// last brought it to a snapshot; see [Store.Changes]. It fails t on an error.
func Changes(t testing.TB, opts ...ChangesOption) ChangeSet {
	t.Helper()
	s, _ := storeOf(t)
	set, err := s.Changes(testdb.Context(t), opts...)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// RequireUnchanged fails t, with what was changed, unless t's database is as it was
// after its last restore; see [Changes]. Sequences that moved are no change.
func RequireUnchanged(t testing.TB, opts ...ChangesOption) {
	t.Helper()
	s, _ := storeOf(t)
	set, err := s.Changes(testdb.Context(t), append(slices.Clone(opts), shown)...)
	switch {
	case err != nil:
		t.Fatal(err)
	case !set.Empty():
		muteFailureLog(t, s)
		t.Fatal(msg.NotUnchanged.In("", set.Snapshot, "\n"+set.text(shownRows, true)))
	}
}

// RequireChanges fails t, with both and how they differ, unless exactly what want
// says was changed. want has the format of [ChangeSet.Text]. To obtain it, pass "" and
// copy the failure, which tells up to 200 lines.
//
// How much space there is between words does not matter, nor do indentation and the
// order of tables and rows, and a long line may go on in the next one. Values are in
// quotes only where they would be misread without, as empty ones: name=山田 太郎,
// note="". Keys from sequences are the same in each run after a restore. What is not,
// such as times, is left out by [Ignoring].
//
//	snapshot.RequireChanges(t, `
//		public.offices +1 ~1
//		  + id=101  name=北
//		  ~ id=3  name: 東 → 西
//	`, snapshot.Ignoring("updated_at"))
func RequireChanges(t testing.TB, want string, opts ...ChangesOption) {
	t.Helper()
	s, _ := storeOf(t)
	set, err := s.Changes(testdb.Context(t), opts...)
	if err != nil {
		t.Fatal(err)
	}
	got := set.Text()
	text := lineDiff(want, got)
	if text == "" {
		return
	}
	muteFailureLog(t, s)
	if strings.Count(got, "\n") > copiedLines {
		got = set.text(shownRows, false)
	}
	if strings.TrimSpace(want) == "" {
		t.Fatal(msg.NoChangesWanted.In("", got))
	}
	t.Fatal(msg.OtherChanges.In("", text, got))
}

// copiedLines is up to how many lines a failure tells all, to be copied.
const copiedLines = 200

// Clone gives t a database of its own, at the snapshot called name, and returns a
// pool that leads to it. From then on it is t's database, and that of its subtests:
// for fixtures.DB, [Restore], [Changes] and the other packages. So tests may run in
// parallel. It fails t on an error; see [Store.Clone].
//
// After t the pool is closed. The database is undone and given to the next test where
// it is certain to be as it was; else it is dropped, or kept, with its address in the
// log, when t failed and GROUNDHOG_KEEP is set. Connections that t left open are cut,
// with a line in its log; those of the pool go to the next test that has the database, as
// new ones: see fixtures.WithFreshConnections. When t fails, its log gets what it changed:
// see [LogChanges].
func Clone(t testing.TB, name string, opts ...CloneOption) *pgxpool.Pool {
	t.Helper()
	s, _ := storeOf(t)
	cfg := s.cloneConfig(opts)
	if bubble.In() && !bubble.Owns(t) {
		cfg.faults.Add(msg.NotOfBubble, "snapshot.Clone")
	}
	var p *clonePool
	c, err := runOutside(testdb.Context(t), s, func(ctx context.Context) (c *clone, err error) {
		p, c, err = s.clone(ctx, name, t.Name(), cfg)
		return c, err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bubble.Err(testdb.Context(t), func(ctx context.Context) error { return p.giveBack(ctx, t, c) }); err != nil {
			t.Error(err)
		}
	})
	c.source.Set(t, c.lent)
	own, _ := storeOf(t)
	logFailure(t, own, !cfg.noChanges)()
	return c.lent.Pool
}

// Clean empties the tables of t's database; see [Store.Clean]. It fails t on an
// error. Like [Restore], it makes the database t's until t ends.
func Clean(t testing.TB, opts ...CleanOption) {
	t.Helper()
	s, db := storeOf(t)
	defer hold(t, s, db)()
	if err := s.Clean(testdb.Context(t), opts...); err != nil {
		t.Fatal(err)
	}
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

// storeOf returns the store of t's database, which logs to t.
func storeOf(t testing.TB) (*Store, *testdb.Database) {
	t.Helper()
	db := testdb.Of(t)
	s, err := NewStore(db.Pool, WithLogger(testdb.Logger(t)))
	if err != nil {
		t.Fatal(err)
	}
	if !db.Given {
		s.originFile = func() (string, error) { return db.File("origin" + fileExtension) }
	}
	return s, db
}
