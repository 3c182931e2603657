package snapshot_test

import (
	"context"
	"os"
	osexec "os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/snapshot"
)

// envBubbles makes TestInBubbles run, in a process of its own: the runtime ends the
// process that uses what a bubble made outside of it.
const envBubbles = "GROUNDHOG_TEST_BUBBLES"

// TestBubblesLeaveNothing: what is done in bubbles of testing/synctest works, and the
// tests around them never notice.
func TestBubblesLeaveNothing(t *testing.T) {
	t.Parallel()
	for _, shuffle := range []string{"off", "on"} {
		t.Run("shuffle "+shuffle, func(t *testing.T) {
			t.Parallel()
			self, err := os.Executable()
			require.NoError(t, err)
			cmd := osexec.Command(self, "-test.run=^TestInBubbles$", "-test.count=3", "-test.v", "-test.shuffle="+shuffle)
			cmd.Env = append(os.Environ(), envBubbles+"=1", snapshot.EnvDir+"="+t.TempDir())
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Equal(t, 3, strings.Count(string(out), "--- PASS: TestInBubbles ("), "%s", out)
		})
	}
}

func TestInBubbles(t *testing.T) {
	if os.Getenv(envBubbles) == "" {
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
	schema := fixtures.WithSchema("CREATE TABLE n (id serial PRIMARY KEY, at timestamptz DEFAULT now())")
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
		time.Sleep(0)
		goleak.VerifyNone(t, before)
	})
}
