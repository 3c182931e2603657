package snapshot_test

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/snapshot"
)

// TestServerCrashesDuringExchanges: after it came up again, the next restores are right,
// also of what a crash empties in every database, templates too.
func TestServerCrashesDuringExchanges(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	ctx := t.Context()
	server := ownServer(t)
	w, db := newSwapper(t, server)
	checkpointer := func() int { return checkpointerOf(server) }
	usual := 100 * time.Millisecond
	n, failed := times(6, 50), 0
	clone := func(i int) {
		c, err := w.store.Clone(ctx, "b")
		require.NoError(t, err, "%d: clone after a crash", i)
		require.NoError(t, w.check(ctx, c.Pool, "b", fmt.Sprintf("%d: clone after a crash", i)))
		require.NoError(t, c.Close())
	}
	for i := range n {
		for name := range w.hashes {
			w.requireTemplate(t, name)
		}
		name := []string{"a", "b"}[w.random.IntN(2)]
		// A clone or Create that comes first drops the copies, of which one would bring a schema back.
		clonesFirst, createsFirst := i%2 == 0, i%3 == 2
		change := swapChanges[w.random.IntN(cond(clonesFirst || createsFirst, 4, len(swapChanges)))]
		require.NoError(t, script(ctx, w.db, change))
		pid := checkpointer()
		require.NotZero(t, pid)
		done := make(chan error, 1)
		began := time.Now()
		go func() { _, err := w.store.Restore(ctx, name); done <- err }()
		time.Sleep(time.Duration(w.random.Float64() * float64(usual))) // the moment is a random one
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		if err := <-done; err != nil {
			failed++
			require.ErrorIs(t, err, snapshot.ErrConnection, "%d: %s after %s", i, name, change)
		} else {
			usual = (usual + time.Since(began)) / 2
		}
		require.Eventually(t, func() bool { now := checkpointer(); return now != 0 && now != pid }, time.Minute, 10*time.Millisecond)
		if clonesFirst {
			clone(i)
		}
		if createsFirst { // the journal then knows nothing of the crash; the database may be gone
			_, _ = w.store.Create(ctx, "after a crash", snapshot.Replace())
		}
		for _, name := range []string{"a", "b", "a"} {
			restored, err := w.store.Restore(ctx, name)
			require.NoError(t, err, "%d: %s after %s", i, name, change)
			w.db.Reset() // the crash has ended its connections, of which a pool hears when it uses one
			require.NoError(t, w.check(ctx, w.db, name, fmt.Sprintf("%d: restored after a crash during %s: %v", i, change, restored.Methods)))
		}
		clone(i)
	}
	require.NoError(t, db.Close())
	t.Logf("fault: %d tried, %d restores failed", n, failed)
}

// checkpointerOf returns the process that the server can't do without, or 0 while there is
// none.
func checkpointerOf(server *fixtures.Server) (pid int) {
	ctx := context.Background()
	admin, err := pgx.Connect(ctx, server.URL())
	if err != nil {
		return 0
	}
	defer admin.Close(ctx)
	_ = admin.QueryRow(ctx, `SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'`).Scan(&pid)
	return pid
}

// TestACrashThatNoJournalTells: the copies have lost the rows of unlogged tables, and what
// would tell of the crash is gone, or was made after it.
func TestACrashThatNoJournalTells(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	ctx := t.Context()
	server := ownServer(t)
	for name, c := range map[string]struct {
		before, after func(t *testing.T, w *swapper) error
	}{
		"journal dropped": {before: func(t *testing.T, w *swapper) error { return script(ctx, w.db, `DROP SCHEMA groundhog CASCADE`) }},
		"journal and a column": {before: func(t *testing.T, w *swapper) error {
			return script(ctx, w.db, `ALTER TABLE author ADD COLUMN extra int; DROP SCHEMA groundhog CASCADE`)
		}},
		"database dropped": {before: func(t *testing.T, w *swapper) error {
			name := w.db.Config().ConnConfig.Database
			w.db.Reset()
			admin := maintenance(t, w.db)
			_, err := admin.Exec(ctx, "DROP DATABASE "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)")
			return errors.Join(err, admin.Close(ctx))
		}},
		"created since": {after: func(t *testing.T, w *swapper) error {
			for range 2 { // the first one finds a session that the crash has ended
				if _, err := w.store.Create(ctx, "c", snapshot.Replace()); err != nil {
					return err
				}
			}
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w, db := newSwapper(t, server)
			for _, name := range []string{"a", "b"} {
				w.store.MakeReady(name)
			}
			if c.before != nil {
				require.NoError(t, c.before(t, w))
			}
			pid := checkpointerOf(server)
			require.NotZero(t, pid)
			require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
			require.Eventually(t, func() bool { now := checkpointerOf(server); return now != 0 && now != pid }, time.Minute, 10*time.Millisecond)
			w.db.Reset()
			if c.after != nil {
				require.NoError(t, c.after(t, w))
			}
			for _, name := range []string{"a", "b", "a"} {
				restored, err := w.store.Restore(ctx, name)
				require.NoError(t, err)
				w.db.Reset()
				require.NoError(t, w.check(ctx, w.db, name, fmt.Sprint(restored.Methods)))
			}
			require.NoError(t, db.Close())
		})
	}
}
