package snapshot_test

import (
	"context"
	"os"
	osexec "os/exec"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/snapshot"
)

// envBubbles makes TestInBubbles run, in a process of its own: the runtime ends the
// process that uses what a bubble made outside of it.
const envBubbles = "GROUNDHOG_TEST_BUBBLES"

// TestBubblesLeaveNothing: what is done in bubbles of testing/synctest works, and the
// tests around them never notice.
func TestBubblesLeaveNothing(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	several(t, fixtures.Open(t))
	for shuffle, n := range map[string]int{"off": times(1, 3), "on": times(2, 3)} {
		t.Run("shuffle "+shuffle, func(t *testing.T) {
			t.Parallel()
			out, err := testsInChild(t, "^TestInBubbles$", "all", "-test.count="+strconv.Itoa(n), "-test.v", "-test.shuffle="+shuffle)
			require.NoError(t, err, out)
			require.Equal(t, n, strings.Count(out, "--- PASS: TestInBubbles ("), out)
		})
	}
}

// TestFailuresInBubbles: a test that fails in a bubble tells what one outside tells,
// and the next one is not concerned.
func TestFailuresInBubbles(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	several(t, fixtures.Open(t))
	for _, c := range []struct {
		scene string
		facts []string
	}{
		{"fail", []string{"no luck", "public.n +1", "--- PASS: TestNextToABubble"}},
		{"fail in a clone", []string{"no luck", "public.n +1", "--- PASS: TestNextToABubble"}},
		{"builder", []string{"no luck", "--- PASS: TestNextToABubble"}},
		{"migration", []string{"no luck", "--- PASS: TestNextToABubble"}},
		{"open for another test", []string{"fixtures.Open needs the t of the synctest bubble", "--- PASS: TestNextToABubble"}},
		{"use for another test", []string{"fixtures.Use needs the t of the synctest bubble", "--- PASS: TestNextToABubble"}},
		{"clone for another test", []string{"snapshot.Clone needs the t of the synctest bubble", "--- PASS: TestNextToABubble"}},
		{"leak", []string{"TestFailInBubble ended with 1 of its database's connections still in use"}}, // which no bubble survives
		{"captured", []string{"no luck", "--- PASS: TestNextToABubble"}},
		{"pool of another test", []string{"fixtures.DB needs the t of the synctest bubble", "--- PASS: TestNextToABubble"}},
	} {
		t.Run(c.scene, func(t *testing.T) {
			t.Parallel()
			out, err := testsInChild(t, "^(TestFailInBubble|TestNextToABubble)$", c.scene, "-test.v")
			require.Error(t, err)
			require.Contains(t, out, "--- FAIL: TestFailInBubble")
			require.NotContains(t, out, "fatal error")
			for _, fact := range c.facts {
				require.Contains(t, out, fact)
			}
		})
	}
}

const bubbleSchema = "CREATE TABLE n (id serial PRIMARY KEY, at timestamptz DEFAULT now())"

func TestFailInBubble(t *testing.T) {
	outer, scene := t, os.Getenv(envBubbles)
	if scene == "" || scene == "all" {
		t.Skip("a part of TestFailuresInBubbles")
	}
	build := func(t testing.TB) {
		_, err := fixtures.DB(t).Exec(t.Context(), "INSERT INTO n DEFAULT VALUES")
		require.NoError(t, err)
	}
	schema := fixtures.WithSchema(bubbleSchema)
	scenes := map[string]func(t *testing.T){
		"fail": func(t *testing.T) {
			fixtures.Open(t, schema)
			snapshot.Ensure(t, "fail", build)
			build(t)
			t.Error("no luck")
		},
		"fail in a clone": func(t *testing.T) {
			fixtures.Open(t, schema)
			snapshot.Ensure(t, "fail", build)
			snapshot.Clone(t, "fail")
			build(t)
			t.Error("no luck")
		},
		"builder": func(t *testing.T) {
			fixtures.Open(t, schema)
			snapshot.Ensure(t, "fail", func(t testing.TB) { t.Fatal("no luck") })
		},
		"migration": func(t *testing.T) {
			fixtures.Open(t, fixtures.WithMigrate(func(context.Context, *pgxpool.Pool) error {
				t.Fatal("no luck")
				return nil
			}, fstest.MapFS{"1.sql": {}}))
		},
		"open for another test": func(*testing.T) { fixtures.Open(outer, schema) },
		"use for another test":  func(t *testing.T) { fixtures.Use(outer, fixtures.Open(t, schema)) },
		"clone for another test": func(t *testing.T) {
			fixtures.Open(t, schema)
			snapshot.Ensure(t, "fail", build)
			snapshot.Clone(outer, "fail")
		},
		"leak": func(t *testing.T) {
			_, err := fixtures.Open(t, schema).Acquire(t.Context())
			require.NoError(t, err)
		},
		"captured": func(t *testing.T) {
			_, err := captured.Exec(t.Context(), "SELECT 1")
			require.NoError(t, err)
			t.Error("no luck")
		},
		"pool of another test": func(*testing.T) { fixtures.DB(outer) },
	}
	if scene == "pool of another test" {
		fixtures.Open(t, schema)
	}
	captured = fixtures.Open(t, schema)
	synctest.Test(t, scenes[scene])
	_, err := captured.Exec(t.Context(), "SELECT 1")
	t.Log(err)
}

var captured *pgxpool.Pool

func TestNextToABubble(t *testing.T) {
	if scene := os.Getenv(envBubbles); scene == "" || scene == "all" {
		t.Skip("a part of TestFailuresInBubbles")
	}
	fixtures.Open(t, fixtures.WithSchema(bubbleSchema))
	for range 2 {
		snapshot.Ensure(t, "next", func(testing.TB) {})
		snapshot.Clone(t, "next")
	}
}

// testsInChild runs tests of this binary in a process of its own.
func testsInChild(t *testing.T, tests, scene string, flags ...string) (string, error) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := osexec.Command(self, append(flags, "-test.run="+tests)...)
	cmd.Env = append(os.Environ(), envBubbles+"="+scene, snapshot.EnvDir+"="+t.TempDir())
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestInBubbles(t *testing.T) {
	if os.Getenv(envBubbles) != "all" {
		t.Skip("a part of TestBubblesLeaveNothing")
	}
	const rows = "SELECT count(*) FROM n"
	add := func(t *testing.T, db *pgxpool.Pool) {
		t.Helper()
		_, err := db.Exec(context.Background(), "INSERT INTO n DEFAULT VALUES")
		require.NoError(t, err)
	}
	count := func(t *testing.T, db *pgxpool.Pool) (n int) {
		t.Helper()
		require.NoError(t, db.QueryRow(context.Background(), rows).Scan(&n))
		return n
	}
	schema := fixtures.WithSchema(bubbleSchema)
	build := func(t testing.TB) {
		_, err := fixtures.DB(t).Exec(t.Context(), "INSERT INTO n DEFAULT VALUES")
		require.NoError(t, err)
	}
	in := func(name string, f func(t *testing.T)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, f)
		})
		t.Run(name+", again and again, beside others", func(t *testing.T) {
			t.Parallel()
			for range 3 {
				synctest.Test(t, f)
			}
		})
	}
	// Everything, in the bubble.
	in("open", func(t *testing.T) {
		db := fixtures.Open(t, schema)
		require.Same(t, db, fixtures.DB(t))
		began := time.Now()
		for range 2 {
			snapshot.Ensure(t, "in", build)
			require.Equal(t, 1, count(t, db))
			add(t, db)
			require.Len(t, snapshot.Changes(t).Table("n").Inserted(), 1)
			snapshot.Restore(t, "in")
			snapshot.RequireUnchanged(t)
		}
		snapshot.Create(t, "in again", snapshot.Replace())
		snapshot.Clean(t)
		require.Zero(t, count(t, db))
		require.Zero(t, time.Since(began), "no time goes by")
		for range 2 {
			clone := snapshot.Clone(t, "in")
			require.Same(t, clone, fixtures.DB(t))
			add(t, clone)
			require.Equal(t, 2, count(t, clone))
		}
		t.Cleanup(func() { snapshot.Restore(t, "in") })
		time.Sleep(time.Hour)
		done := make(chan int)
		for range 3 { // more connections
			go func() { done <- count(t, fixtures.DB(t)) }()
		}
		for range 3 {
			require.Equal(t, 2, <-done)
		}
	})
	// The database was opened outside: by turns, in both orders.
	t.Run("around", func(t *testing.T) {
		t.Parallel()
		outer := t
		db := fixtures.Open(t, schema)
		snapshot.Ensure(t, "around", build)
		inside := func(t *testing.T) {
			snapshot.Restore(t, "around")
			own := fixtures.DB(t)
			require.NotSame(t, db, own)
			require.Same(t, own, fixtures.DB(t))
			require.Equal(t, 1, count(t, own))
			add(t, own)
			require.False(t, snapshot.Changes(outer).Empty())
			snapshot.Restore(outer, "around")
			add(t, own)
			clone := snapshot.Clone(t, "around")
			require.Equal(t, 1, count(t, clone))
			s, err := snapshot.NewStore(own)
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			for range 3 { // one is given back, and made ahead
				c, err := s.Clone(ctx, "around")
				require.NoError(t, err)
				add(t, c.Pool)
				require.NoError(t, c.Close())
			}
		}
		outside := func() {
			snapshot.Restore(t, "around")
			require.Same(t, db, fixtures.DB(t))
			require.Equal(t, 1, count(t, db))
			add(t, db)
			s, err := snapshot.NewStore(db)
			require.NoError(t, err)
			c, err := s.Clone(t.Context(), "around")
			require.NoError(t, err)
			add(t, c.Pool)
			require.NoError(t, c.Close())
		}
		for range 3 {
			synctest.Test(t, inside)
			outside()
			synctest.Test(t, inside)
			synctest.Test(t, inside)
			outside()
			outside()
		}
	})
	// A database that was given is held for the test, also among processes.
	t.Run("given", func(t *testing.T) {
		t.Parallel()
		given := fixtures.Open(t, schema)
		inside := func(t *testing.T) {
			fixtures.Use(t, given)
			snapshot.Ensure(t, "given", build)
			add(t, fixtures.DB(t))
			snapshot.Restore(t, "given")
		}
		for range 2 {
			synctest.Test(t, inside)
			t.Run("outside", func(t *testing.T) {
				fixtures.Use(t, given)
				snapshot.Restore(t, "given")
				require.Equal(t, 1, count(t, given))
			})
		}
		fixtures.Use(t, given)
		snapshot.Restore(t, "given")
		synctest.Test(t, func(t *testing.T) { snapshot.Restore(t, "given") })
		snapshot.Restore(t, "given")
	})
	t.Run("leaks", func(t *testing.T) {
		fixtures.Open(t, schema)
		snapshot.Ensure(t, "leaks", build)
		before := goleak.IgnoreCurrent()
		synctest.Test(t, func(t *testing.T) { snapshot.Changes(t) })
		goleak.VerifyNone(t, before)
	})
}
