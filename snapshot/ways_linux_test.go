package snapshot_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/snapshot"
)

// TestServerCrashesDuringRestore: its processes are killed, and it comes up again.
// A server for tests does not wait for the disk, so it may lose a restore that it
// said was done, as a whole.
func TestServerCrashesDuringRestore(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	s := onServer(t, ownServer(t), shelfSchema)
	s.loses = true
	checkpointer := func() (pid int) {
		s.pool.Reset()
		_ = s.pool.QueryRow(t.Context(), `SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'`).Scan(&pid)
		return pid
	}
	for _, way := range waysBack {
		usual := s.usual(t, way.change)
		s.strike(t, way.change, times(2, 25), func(int) error {
			exec(t, s.pool, "CHECKPOINT")
			pid := checkpointer()
			require.NotZero(t, pid)
			done := make(chan error, 1)
			go func() { _, err := s.store.Restore(t.Context(), "a"); done <- err }()
			time.Sleep(time.Duration(rand.Float64() * float64(usual))) // the moment is a random one
			require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
			err := <-done
			if err != nil {
				require.ErrorIs(t, err, snapshot.ErrConnection)
			}
			require.Eventually(t, func() bool { now := checkpointer(); return now != 0 && now != pid }, time.Minute, 10*time.Millisecond)
			return err
		})
	}
}

// TestTheServersDiskIsFull: the tables are on a small file system, which has no room
// for what is loaded beside what is there.
func TestTheServersDiskIsFull(t *testing.T) {
	dir, err := os.MkdirTemp(fault.TempDir(), "tablespace-")
	require.NoError(t, err)
	fault.AtEnd(t, func() error { return os.RemoveAll(dir) })
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=3M,mode=777"); err != nil {
		t.Skipf("no small file system can be made: %v", err)
	}
	fault.AtEnd(t, func() error { return syscall.Unmount(dir, syscall.MNT_DETACH) })
	location := filepath.Join(dir, "data")
	require.NoError(t, os.Mkdir(location, 0o777))
	server := ownServer(t)
	s := onServer(t, server, shelfSchema)
	s.store.WithoutCopies() // which would lie there too
	var folder string
	require.NoError(t, s.pool.QueryRow(t.Context(), "SHOW data_directory").Scan(&folder))
	info, err := os.Stat(folder)
	require.NoError(t, err)
	owner := info.Sys().(*syscall.Stat_t)
	require.NoError(t, os.Chown(location, int(owner.Uid), int(owner.Gid)))
	exec(t, s.pool, "CREATE TABLESPACE small LOCATION '"+location+"'")
	exec(t, s.pool, "ALTER TABLE book SET TABLESPACE small; ALTER INDEX book_pkey SET TABLESPACE small")
	_, err = s.store.Create(t.Context(), "a", snapshot.Replace())
	require.NoError(t, err)
	_, err = s.store.Restore(t.Context(), "a")
	require.NoError(t, err)

	n := 0
	for _, way := range waysBack[1:4] {
		exec(t, s.pool, way.change)
		// Another table takes what is left.
		exec(t, s.pool, `CREATE TABLE ballast (v text) TABLESPACE small; ALTER TABLE ballast ALTER v SET STORAGE EXTERNAL`)
		fill := func(bytes int) error {
			_, err := s.pool.Exec(t.Context(), fmt.Sprintf("INSERT INTO ballast VALUES (repeat('x', %d))", bytes))
			return err
		}
		for bytes := 1 << 20; bytes >= 1<<10; bytes /= 2 {
			for fill(bytes) == nil {
			}
		}
		_, err := s.pool.Exec(t.Context(), `SELECT pg_sleep(0); DELETE FROM ballast WHERE false`, pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err)
		changed := state(t, s.pool)
		_, err = s.store.Restore(t.Context(), "a", snapshot.OnSchemaMismatch(snapshot.Warn))
		require.Error(t, err, way.name)
		var full *pgconn.PgError
		require.ErrorAs(t, err, &full)
		require.Equal(t, "53100", full.Code, err) // disk_full
		require.Equal(t, changed, state(t, s.pool), way.name)
		exec(t, s.pool, `DROP TABLE ballast`)
		_, err = s.store.Restore(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, s.baseline, state(t, s.pool))
		n++
	}
	t.Logf("fault: %d tried", n)
}

// duringCrashes has the server crash while a snapshot is made.
func duringCrashes(t *testing.T, s *shelf, sound func(*testing.T), moment func() time.Duration) {
	ctx := t.Context()
	t.Run("server crashed", func(t *testing.T) {
		exec(t, s.pool, "CHECKPOINT")
		for range times(2, 25) {
			var pid int
			require.NoError(t, s.pool.QueryRow(ctx, `SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'`).Scan(&pid))
			done := make(chan error, 1)
			go func() { _, err := s.store.Create(ctx, "a", snapshot.Replace()); done <- err }()
			time.Sleep(moment()) // a random one
			require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
			if err := <-done; err != nil {
				require.ErrorIs(t, err, snapshot.ErrConnection)
			}
			require.Eventually(t, func() bool {
				var now int
				s.pool.Reset()
				_ = s.pool.QueryRow(ctx, `SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'`).Scan(&now)
				return now != 0 && now != pid
			}, time.Minute, 10*time.Millisecond)
			sound(t)
		}
		t.Logf("fault: %d tried", times(2, 25))
	})
}
