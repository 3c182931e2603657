package snapshot_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/snapshot"
)

func init() {
	fault.Register("create", func(args []string) error {
		return inChild(args, func(ctx context.Context, s *snapshot.Store, _ *pgxpool.Pool) error {
			_, err := s.Create(ctx, "a", snapshot.Replace())
			return err
		})
	})
	fault.Register("restore", func(args []string) error {
		return inChild(args, func(ctx context.Context, s *snapshot.Store, _ *pgxpool.Pool) error {
			_, err := s.Restore(ctx, "a")
			return err
		})
	})
}

// inChild runs f on a store in a process that is going to be killed.
func inChild(args []string, f func(context.Context, *snapshot.Store, *pgxpool.Pool) error) error {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, args[0])
	if err != nil {
		return err
	}
	defer pool.Close()
	opts := []snapshot.StoreOption{snapshot.WithLogger(slog.New(slog.NewTextHandler(os.Stderr, nil)))}
	if args[1] != "" {
		opts = append(opts, snapshot.WithDir(args[1]))
	}
	store, err := snapshot.NewStore(pool, opts...)
	if err != nil {
		return err
	}
	fmt.Println("begin")
	return f(ctx, store, pool)
}

// begin starts such a process and waits until its work begins.
func begin(t *testing.T, b bundle, name string) func() *fault.Process {
	t.Helper()
	url := fixtures.URL(t)
	return func() *fault.Process {
		p := fault.Child(t, name, url, b.dir)
		p.Line("begin")
		return p
	}
}

// setupNoise has a snapshot "a" of some megabytes that do not compress, and a
// database that was changed since.
func setupNoise(t *testing.T) bundle {
	t.Helper()
	b := setupSmall(t)
	exec(t, b.pool, `INSERT INTO author (name) SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 60000) i GROUP BY i % 2000;
		INSERT INTO book (author, title) SELECT id, id FROM author`)
	_, err := b.store.Create(t.Context(), "a")
	require.NoError(t, err)
	exec(t, b.pool, `UPDATE author SET name = name || '!'; DELETE FROM book WHERE id % 3 = 0; SELECT nextval('book_id_seq')`)
	return b
}

// settled waits until no restore is under way on the server, whose end may come
// after that of a killed client.
func settled(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	conn, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	_, err = conn.Exec(t.Context(), `SELECT pg_advisory_lock($1)`, snapshot.RestoreLock)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `SELECT pg_advisory_unlock($1)`, snapshot.RestoreLock)
	require.NoError(t, err)
}

// temporary lists the files in a snapshot folder that are neither snapshots nor
// locks.
func temporary(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var out []string
	for _, e := range entries {
		if e.Name() != ".gitignore" && !strings.HasSuffix(e.Name(), ".groundhog") && !strings.HasSuffix(e.Name(), ".lock") {
			out = append(out, e.Name())
		}
	}
	return out
}

func TestKilledDuringCreate(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	b := setupNoise(t)
	fault.KillAtRandom(t, times(100, 500), begin(t, b, "create"), func(run int, exit fault.Exit) {
		_, err := b.store.Verify(t.Context(), "a")
		require.NoError(t, err, "run %d: %s", run, exit)
		require.LessOrEqual(t, len(temporary(t, b.dir)), 1, "they pile up")
	})
	_, err := b.store.Create(t.Context(), "other")
	require.NoError(t, err)
	require.Empty(t, temporary(t, b.dir), "strays are swept by the next Create, of whatever name")
}

func TestKilledDuringTheFirstCreate(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	b := setupNoise(t)
	fault.KillAtRandom(t, 10, begin(t, b, "create"), func(run int, exit fault.Exit) {
		_, err := b.store.Verify(t.Context(), "a")
		if exit.Killed() && err != nil {
			require.ErrorIs(t, err, snapshot.ErrNotFound)
		} else {
			require.NoError(t, err, "run %d: %s", run, exit)
			require.NoError(t, b.store.Delete(t.Context(), "a"))
		}
	})
}

func TestKilledDuringRestore(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	b := setupNoise(t)
	changed := state(t, b.pool)
	_, err := b.store.Create(t.Context(), "changed")
	require.NoError(t, err)
	_, err = b.store.Restore(t.Context(), "a")
	require.NoError(t, err)
	baseline := state(t, b.pool)
	_, err = b.store.Restore(t.Context(), "changed")
	require.NoError(t, err)
	restored := 0
	fault.KillAtRandom(t, 20, begin(t, b, "restore"), func(run int, exit fault.Exit) {
		settled(t, b.pool)
		now := state(t, b.pool)
		if fmt.Sprint(now) == fmt.Sprint(baseline) {
			restored++
			_, err := b.store.Restore(t.Context(), "changed")
			require.NoError(t, err)
			return
		}
		require.True(t, exit.Killed(), "run %d: %s", run, exit)
		require.Equal(t, changed, now, "run %d: neither as before nor restored", run)
	})
	t.Logf("%d of 21 runs had restored", restored)
}

// TestConnectionCutDuringRestore cuts it after many different numbers of bytes.
func TestConnectionCutDuringRestore(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	ctx := t.Context()
	b := setupNoise(t)
	changed := state(t, b.pool)
	proxy := fault.Postgres(t, fixtures.URL(t))
	pool, err := pgxpool.New(ctx, proxy.URL())
	require.NoError(t, err)
	defer pool.Close()
	store, err := snapshot.NewStore(pool, snapshot.WithDir(b.dir))
	require.NoError(t, err)
	store.SetWaits(time.Millisecond)

	_, err = b.store.Create(ctx, "changed")
	require.NoError(t, err)
	_, err = store.Restore(ctx, "a")
	require.NoError(t, err)
	baseline := state(t, b.pool)
	_, err = b.store.Restore(ctx, "changed")
	require.NoError(t, err)
	whole := proxy.Conns()[0]
	for i := range 24 {
		rule := fault.Rule{Way: fault.ToServer, After: whole.ToServer * int64(i) / 24, How: fault.RST}
		if i%2 == 1 {
			rule = fault.Rule{Way: fault.FromServer, After: whole.FromServer * int64(i) / 24, How: fault.FIN}
		}
		proxy.Clear()
		proxy.Add(rule)
		_, err := store.Restore(ctx, "a")
		settled(t, b.pool)
		if err == nil {
			require.Equal(t, baseline, state(t, b.pool))
			_, err = b.store.Restore(ctx, "changed")
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, snapshot.ErrConnection, "cut %+v", rule)
		require.Equal(t, changed, state(t, b.pool), "cut %+v", rule)
	}
	proxy.Clear()
	_, err = store.Restore(ctx, "a")
	require.NoError(t, err)
	require.Equal(t, baseline, state(t, b.pool))
}

func TestBackendTerminatedDuringRestore(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	b := setupNoise(t)
	_, err := b.store.Restore(ctx, "a")
	require.NoError(t, err)
	baseline := state(t, b.pool)
	exec(t, b.pool, `DELETE FROM book`)
	blocker, err := b.pool.Begin(ctx)
	require.NoError(t, err)
	_, err = blocker.Exec(ctx, `UPDATE author SET name = name`)
	require.NoError(t, err)
	failed := make(chan error, 1)
	go func() { _, err := b.store.Restore(ctx, "a"); failed <- err }()
	require.Eventually(t, func() bool {
		var killed bool
		err := b.pool.QueryRow(ctx, `SELECT coalesce(bool_or(pg_terminate_backend(pid)), false) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&killed)
		return err == nil && killed
	}, 5*time.Second, 5*time.Millisecond)
	require.NoError(t, blocker.Rollback(ctx))
	require.NoError(t, <-failed, "it is tried again")
	require.Equal(t, baseline, state(t, b.pool))
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	b := setupNoise(t)
	dir := fault.TmpFS(t, 1<<20)
	store, err := snapshot.NewStore(b.pool, snapshot.WithDir(dir))
	require.NoError(t, err)
	several(t, b.pool)
	small := setupSmall(t)
	former, err := snapshot.NewStore(small.pool, snapshot.WithDir(dir))
	require.NoError(t, err)
	want, err := former.Create(t.Context(), "a")
	require.NoError(t, err)
	_, err = store.Create(t.Context(), "a", snapshot.Replace())
	require.ErrorIs(t, err, snapshot.ErrDiskSpace)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.ErrorContains(t, err, dir)
	require.Regexp(t, `[0-9,]{6,} bytes were to be written so far, [0-9,]{6,} bytes are free`, err.Error())
	got, err := former.Verify(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Empty(t, temporary(t, dir))
}

// TestEveryFileOperationOfCreateMayFail fails them one after the other.
func TestEveryFileOperationOfCreateMayFail(t *testing.T) {
	t.Parallel()
	b := setupSmall(t)
	_, err := b.store.Create(t.Context(), "a")
	require.NoError(t, err)
	files := fault.FailAt(0, nil)
	b.store.SetFS(files)
	want, err := b.store.Create(t.Context(), "a", snapshot.Replace())
	require.NoError(t, err)
	for n := 1; n < files.Count(); n++ { // the last one syncs the folder: the new file is there
		b.store.SetFS(fault.FailAt(n, fault.ErrInjected))
		_, err := b.store.Create(t.Context(), "a", snapshot.Replace())
		require.ErrorIs(t, err, fault.ErrInjected, "operation %d", n)
		got, err := b.store.Verify(t.Context(), "a")
		require.NoError(t, err, "operation %d", n)
		require.Equal(t, want, got, "operation %d", n)
		require.Empty(t, temporary(t, b.dir), "operation %d", n)
	}
	t.Logf("fault: %d tried", files.Count()-1)
}

// TestAFileThatIsReplacedWhileItIsRead is one of both, whole.
func TestAFileThatIsReplacedWhileItIsRead(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	b := setup(t, fixtures.WithSchema(shelfSchema))
	var states []map[string]string
	var contents [][]byte
	for _, name := range []string{"one", "two"} {
		exec(t, b.pool, `UPDATE author SET name = '`+name+`'; UPDATE book SET title = '`+name+`'`)
		info, err := b.store.Create(t.Context(), name)
		require.NoError(t, err)
		content, err := os.ReadFile(info.Path)
		require.NoError(t, err)
		states, contents = append(states, state(t, b.pool)), append(contents, content)
	}
	target := filepath.Join(b.dir, "a.groundhog")
	replace := func(i int) error {
		temporary := filepath.Join(b.dir, "..", fmt.Sprint("new", i%2))
		if err := os.WriteFile(temporary, contents[i%2], 0o600); err != nil {
			return err
		}
		return os.Rename(temporary, target)
	}
	require.NoError(t, replace(0))
	done, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				stopped <- nil
				return
			default:
			}
			if err := replace(i); err != nil {
				stopped <- err
				return
			}
		}
	}()
	n := times(20, 300)
	for range n {
		_, err := b.store.Restore(t.Context(), "a")
		require.NoError(t, err)
		require.Contains(t, states, state(t, b.pool))
	}
	close(done)
	require.NoError(t, <-stopped)
	t.Logf("fault: %d tried", n)
}

func TestAFolderThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	b := setupSmall(t)
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	store, err := snapshot.NewStore(b.pool, snapshot.WithDir(filepath.Join(file, "below")))
	require.NoError(t, err)
	_, err = store.Create(t.Context(), "a")
	require.ErrorContains(t, err, file)
	require.ErrorContains(t, err, "GROUNDHOG_DIR")
}
