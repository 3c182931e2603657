package snapshot_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/snapshot"
)

// newSwapper has a database on the server with two snapshots.
func newSwapper(t *testing.T, server *fixtures.Server, options ...fixtures.DatabaseOption) (*swapper, *fixtures.Database) {
	t.Helper()
	db, err := server.CreateDatabase(t.Context(), append(options, fixtures.WithSchema(swapSchema))...)
	require.NoError(t, err)
	store, err := snapshot.NewStore(db.Pool, snapshot.WithDir(filepath.Join(t.TempDir(), "snapshots")))
	require.NoError(t, err)
	store.SetWaits(time.Millisecond)
	w := &swapper{db: db.Pool, store: store, hashes: map[string]string{}, random: rand.New(rand.NewPCG(rand.Uint64(), 0))}
	for v, name := range []string{"a", "b"} {
		require.NoError(t, w.prepare(t.Context(), name, v+1))
	}
	return w, db
}

// requireTemplate restores until the database is exchanged: the server may have crashed while
// the template was made.
func (w *swapper) requireTemplate(t *testing.T, name string) {
	t.Helper()
	require.Eventually(t, func() bool {
		require.NoError(t, script(t.Context(), w.db, `DROP INDEX IF EXISTS passing; CREATE INDEX passing ON tag (name)`))
		restored, err := w.store.Restore(t.Context(), name)
		require.NoError(t, err)
		return restored.Methods[0].Method == snapshot.Exchanged
	}, time.Minute, time.Millisecond)
}

// requireOnlyTemplates requires that no other databases are left on the server.
func requireOnlyTemplates(t *testing.T, server *fixtures.Server) {
	t.Helper()
	admin, err := pgx.Connect(t.Context(), server.URL())
	require.NoError(t, err)
	defer admin.Close(context.Background())
	rows, err := admin.Query(t.Context(), `SELECT datname FROM pg_database WHERE datname LIKE 'groundhog%'`)
	require.NoError(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	for _, name := range names {
		require.True(t, strings.HasPrefix(name, "groundhog_test_t_") || strings.HasPrefix(name, "groundhog_test_c_"), "left behind: %s of %v", name, names)
	}
}

// TestServerCrashesDuringExchanges: after it came up again, the next restores are right,
// also of what a crash empties in every database, templates too.
func TestServerCrashesDuringExchanges(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	server := ownServer(t)
	w, db := newSwapper(t, server)
	checkpointer := func() (pid int) {
		admin, err := pgx.Connect(ctx, server.URL())
		if err != nil {
			return 0
		}
		defer admin.Close(ctx)
		_ = admin.QueryRow(ctx, `SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'`).Scan(&pid)
		return pid
	}
	usual := 100 * time.Millisecond
	n, failed := times(6, 50), 0
	for i := range n {
		for name := range w.hashes {
			w.requireTemplate(t, name)
		}
		name := []string{"a", "b"}[w.random.IntN(2)]
		change := swapChanges[w.random.IntN(len(swapChanges))]
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
		for _, name := range []string{"a", "b", "a"} {
			restored, err := w.store.Restore(ctx, name)
			require.NoError(t, err, "%d: %s after %s", i, name, change)
			require.NoError(t, w.check(ctx, w.db, name, fmt.Sprintf("%d: restored after a crash during %s: %v", i, change, restored.Methods)))
		}
		c, err := w.store.Clone(ctx, "b")
		require.NoError(t, err)
		require.NoError(t, w.check(ctx, c.Pool, "b", fmt.Sprintf("%d: clone after a crash", i)))
		require.NoError(t, c.Close())
	}
	require.NoError(t, db.Close())
	t.Logf("fault: %d tried, %d restores failed", n, failed)
}
