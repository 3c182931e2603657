package snapshot_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/snapshot"
)

// waiting waits until somebody waits for a lock in the database.
func waiting(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	require.Eventually(t, func() bool {
		var waits bool
		err := pool.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')`).Scan(&waits)
		return err == nil && waits
	}, 5*time.Second, 5*time.Millisecond)
}

// TestCreateAndEnsureWaitForALockWithALimit: a migration, say, has a table for
// itself.
func TestCreateAndEnsureWaitForALockWithALimit(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	for name, call := range map[string]func(context.Context, bundle) error{
		"create": func(ctx context.Context, b bundle) error { _, err := b.store.Create(ctx, "a"); return err },
		"ensure": func(ctx context.Context, b bundle) error {
			_, err := b.store.Ensure(ctx, "a", func(context.Context) error { return nil })
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setupSmall(t)
			other, err := b.pool.Begin(t.Context())
			require.NoError(t, err)
			defer other.Rollback(t.Context())
			_, err = other.Exec(t.Context(), `LOCK TABLE author IN ACCESS EXCLUSIVE MODE`)
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			began := time.Now()
			err = call(ctx, b)
			require.ErrorIs(t, err, snapshot.ErrLocked)
			require.Less(t, time.Since(began), 10*time.Second, "it is waited for once")
			for _, part := range []string{"waited 5s", fmt.Sprintf("pid %d", other.Conn().PgConn().PID()), "idle in transaction", "LOCK TABLE author"} {
				require.ErrorContains(t, err, part)
			}
			require.NoFileExists(t, b.dir+"/a.groundhog")
			require.NoError(t, other.Rollback(ctx))
			require.NoError(t, call(ctx, b))
		})
	}
}

// TestADeadlockIsTriedAgain: the server ends one by giving up on the restore,
// which waited first.
func TestADeadlockIsTriedAgain(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	b := setupSmall(t)
	superuser(t, b.pool) // others never wait until there is a deadlock: see TestNoTestIsTheVictimOfAnOwnersRestore
	_, err := b.store.Create(ctx, "a")
	require.NoError(t, err)
	require.NoError(t, b.store.Untrack(ctx)) // so that all tables are locked
	before := state(t, b.pool)
	var log bytes.Buffer
	store, err := snapshot.NewStore(b.pool, snapshot.WithDir(b.dir), snapshot.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	require.NoError(t, err)

	// On a slow machine the restore's wait may end before there is a deadlock.
	for range 20 {
		deadlock(t, b, store)
		require.Equal(t, before, state(t, b.pool))
		if strings.Contains(log.String(), "deadlock") {
			return
		}
		require.NoError(t, b.store.Untrack(ctx))
	}
	require.Fail(t, "no deadlock in 20 restores", log.String())
}

// deadlock makes a restore and another transaction wait for one another. The other one
// is not given up.
func deadlock(t *testing.T, b bundle, store *snapshot.Store) {
	t.Helper()
	ctx := t.Context()
	other, err := b.pool.Begin(ctx)
	require.NoError(t, err)
	defer other.Rollback(ctx)
	_, err = other.Exec(ctx, `SET LOCAL deadlock_timeout = '1min'; INSERT INTO book (author, title) SELECT NULL, '' WHERE false; LOCK TABLE book IN ROW EXCLUSIVE MODE`)
	require.NoError(t, err)
	restored := make(chan error, 1)
	go func() { _, err := store.Restore(ctx, "a"); restored <- err }()
	waiting(t, b.pool) // it has the table of authors, and waits for that of books
	_, err = other.Exec(ctx, `LOCK TABLE author IN ROW EXCLUSIVE MODE`)
	require.NoError(t, err, "the server gave up on the other one")
	require.NoError(t, other.Rollback(ctx))
	require.NoError(t, <-restored)
}

// TestWhatIsSaidOfADeadlock is not how long was waited for a lock.
func TestWhatIsSaidOfADeadlock(t *testing.T) {
	t.Parallel()
	b := setupSmall(t)
	for code, want := range map[string]string{"40P01": "deadlock", "55P03": "waited 5s"} {
		_, cause := b.pool.Exec(t.Context(), fmt.Sprintf(`DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '%s'; END $$`, code))
		err := b.store.Locked(t.Context(), cause)
		require.ErrorIs(t, err, snapshot.ErrLocked)
		require.ErrorIs(t, err, cause)
		require.ErrorContains(t, err, want)
		require.Equal(t, code == "55P03", bytes.Contains([]byte(err.Error()), []byte("waited")), err)
	}
}

// TestGoingBackGivesWay: who holds a lock and comes to write only after the restore
// began to wait for that lock is not the victim of the deadlock that they are in.
func TestGoingBackGivesWay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ change, hold, write string }{
		"reload": {`TRUNCATE tag; UPDATE book SET title = 'x'`, `LOCK TABLE author, book, tag IN EXCLUSIVE MODE`, `UPDATE tag SET name = 'mine'`},
		"undo":   {`UPDATE book SET title = 'x'`, `SELECT FROM book FOR UPDATE`, `UPDATE book SET title = 'mine'`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, fixtures.WithSchema(shelfSchema))
			superuser(t, b.pool)
			s := newShelf(t, b, fixtures.URL(t))
			exec(t, b.pool, c.change)
			holder, err := b.pool.Begin(t.Context())
			require.NoError(t, err)
			defer holder.Rollback(context.WithoutCancel(t.Context()))
			_, err = holder.Exec(t.Context(), c.hold, pgx.QueryExecModeSimpleProtocol)
			require.NoError(t, err)
			done := make(chan error, 1)
			go func() { _, err := b.store.Restore(t.Context(), "a"); done <- err }()
			// It waits for longer than it looks for deadlocks.
			require.Eventually(t, func() bool {
				return text(t, b.pool, `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND now() - state_change > '50ms'`) != ""
			}, 5*time.Second, time.Millisecond)
			_, err = holder.Exec(t.Context(), c.write)
			require.NoError(t, err)
			require.NoError(t, holder.Commit(t.Context()))
			require.NoError(t, <-done)
			require.Equal(t, s.baseline, state(t, b.pool))
		})
	}
}
