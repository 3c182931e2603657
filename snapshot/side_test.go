package snapshot_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/snapshot"
)

func init() {
	fault.Register("ensure", func(args []string) error {
		return inChild(args, func(ctx context.Context, s *snapshot.Store, pool *pgxpool.Pool) error {
			restored, err := s.Ensure(ctx, "shared", func(ctx context.Context) error {
				fmt.Println("building")
				if len(args) > 2 { // be killed meanwhile
					select {}
				}
				_, err := pool.Exec(ctx, `INSERT INTO author (name) SELECT 'shared ' || i FROM generate_series(1, 1000) i; SELECT pg_sleep(0.5)`)
				return err
			}, snapshot.Version("1"))
			if err == nil {
				fmt.Println(restored.Methods[0].Method, restored.Rows)
			}
			return err
		})
	})
	fault.Register("memory", func(args []string) error {
		return inChild(args, func(ctx context.Context, s *snapshot.Store, _ *pgxpool.Pool) error {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			info, err := s.Create(ctx, "large")
			if err != nil {
				return err
			}
			runtime.ReadMemStats(&after)
			fmt.Println("created", info.Rows, (after.Sys-before.Sys)>>20)
			if _, err := s.Restore(ctx, "large"); err != nil {
				return err
			}
			runtime.ReadMemStats(&after)
			fmt.Println("restored", info.Rows, (after.Sys-before.Sys)>>20)
			return nil
		})
	})
}

// TestSixteenProcessesWantTheSameSnapshot: one builds it, the others wait and
// use it, each for a database of its own.
func TestSixteenProcessesWantTheSameSnapshot(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	b := setupSmall(t)
	several(t, b.pool)
	var databases []string
	for range 16 {
		fixtures.Open(t, fixtures.WithSchema(smallSchema))
		databases = append(databases, fixtures.URL(t))
	}
	var processes []*fault.Process
	for _, url := range databases {
		processes = append(processes, fault.Child(t, "ensure", url, b.dir))
	}
	built, waited := 0, 0
	for _, p := range processes {
		exit := p.Wait()
		require.Zero(t, exit.Code, exit)
		switch {
		case strings.Contains(exit.Stdout, "built 1001"):
			built++
		default:
			require.Contains(t, exit.Stdout, "reloaded 1001", exit)
		}
		if strings.Contains(exit.Stderr, "waiting for") {
			require.Contains(t, exit.Stderr, "pid ", "whom")
			waited++
		}
	}
	require.Equal(t, 1, built)
	require.Positive(t, waited)
}

// TestABuilderThatIsKilledDoesNotBlockTheOthers: the next one builds.
func TestABuilderThatIsKilledDoesNotBlockTheOthers(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	b := setupSmall(t)
	several(t, b.pool)
	killed := fault.Child(t, "ensure", fixtures.URL(t), b.dir, "for ever")
	killed.Line("building")
	fixtures.Open(t, fixtures.WithSchema(smallSchema))
	other := fault.Child(t, "ensure", fixtures.URL(t), b.dir)
	require.Contains(t, other.ErrLine("waiting for"), fmt.Sprintf("pid %d", killed.PID()))
	killed.Kill()
	exit := other.Wait()
	require.Zero(t, exit.Code, exit)
	require.Contains(t, exit.Stdout, "built 1001")
}

// TestUpdateBuildsAnew sets the environment for a process that began after the
// snapshot was made.
func TestUpdateBuildsAnew(t *testing.T) {
	fault.SkipShort(t)
	b := setupSmall(t)
	run := func() fault.Exit {
		exit := fault.Child(t, "ensure", fixtures.URL(t), b.dir).Wait()
		require.Zero(t, exit.Code, exit)
		return exit
	}
	require.Contains(t, run().Stdout, "built")
	require.Contains(t, run().Stdout, string(snapshot.Unchanged))
	t.Setenv("GROUNDHOG_UPDATE", "1")
	exit := run()
	require.Contains(t, exit.Stdout, "built")
	require.Contains(t, exit.Stderr, "GROUNDHOG_UPDATE")
}

// TestMemoryDoesNotGrowWithTheRows moves a million rows both ways.
func TestMemoryDoesNotGrowWithTheRows(t *testing.T) {
	fault.SkipShort(t)
	b := setup(t, fixtures.WithSchema(`CREATE TABLE one (id int PRIMARY KEY, a uuid, b text, at timestamptz); CREATE TABLE two (LIKE one INCLUDING ALL, p point);
		INSERT INTO one SELECT i, gen_random_uuid(), md5(i::text), now() FROM generate_series(1, 500000) i;
		INSERT INTO two SELECT i, gen_random_uuid(), md5(i::text), now(), point(i, i) FROM generate_series(1, 500000) i`))
	exit := fault.Child(t, "memory", fixtures.URL(t), b.dir).Wait()
	require.Zero(t, exit.Code, exit)
	for _, what := range []string{"created", "restored"} {
		var mib int
		_, rest, _ := strings.Cut(exit.Stdout, what+" 1000000 ")
		_, err := fmt.Sscan(rest, &mib)
		require.NoError(t, err, exit)
		t.Logf("%s: %d MiB", what, mib)
		require.Less(t, mib, 64, what)
	}
}

// TestTheRoomIsLookedAtFirst: nothing is written where it would not fit.
func TestTheRoomIsLookedAtFirst(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	b := setup(t, fixtures.WithSchema(`CREATE TABLE noise (id int, v bytea); ALTER TABLE noise ALTER v SET STORAGE EXTERNAL;
		INSERT INTO noise SELECT i, decode(string_agg(md5(random()::text), ''), 'hex') FROM generate_series(1, 400) i, generate_series(1, 1000) GROUP BY i`))
	dir := fault.TmpFS(t, 1<<20)
	store, err := snapshot.NewStore(b.pool, snapshot.WithDir(dir))
	require.NoError(t, err)
	files := fault.FailAt(0, nil)
	store.SetFS(files)
	_, err = store.Create(t.Context(), "a")
	require.ErrorIs(t, err, snapshot.ErrDiskSpace)
	require.ErrorContains(t, err, dir)
	require.Regexp(t, `about [0-9,]{7,} bytes are needed, [0-9,]{7,} bytes are free`, err.Error())
	require.Zero(t, files.Count(), "not a byte was written")
	require.Empty(t, temporary(t, dir))
}

// TestALostConnectionIsTriedAgain cuts the first connections.
func TestALostConnectionIsTriedAgain(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	ctx := t.Context()
	b := setupNoise(t)
	proxy := fault.Postgres(t, fixtures.URL(t))
	pool, err := pgxpool.New(ctx, proxy.URL())
	require.NoError(t, err)
	defer pool.Close()
	var log bytes.Buffer
	store, err := snapshot.NewStore(pool, snapshot.WithDir(b.dir), snapshot.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	require.NoError(t, err)
	store.SetWaits(time.Millisecond)
	changed := state(t, b.pool)
	proxy.Add(fault.Rule{Way: fault.FromServer, After: 100 << 10, How: fault.RST, Times: 2})
	_, err = store.Create(ctx, "again")
	require.NoError(t, err)
	require.Contains(t, log.String(), "trying again")
	require.Empty(t, temporary(t, b.dir))
	proxy.Clear()
	proxy.Add(fault.Rule{Way: fault.ToServer, After: 100 << 10, How: fault.FIN, Times: 2})
	_, err = store.Restore(ctx, "a")
	require.NoError(t, err)
	_, err = b.store.Restore(ctx, "again")
	require.NoError(t, err)
	require.Equal(t, changed, state(t, b.pool))

	// The answer to the commit is lost: done once more, it ends the same.
	proxy.Clear()
	proxy.Add(fault.Rule{Way: fault.ToServer, Match: "commit", How: fault.RST, Times: 1})
	_, err = store.Restore(ctx, "a")
	require.NoError(t, err)

	proxy.Clear()
	proxy.Add(fault.Rule{Way: fault.FromServer, After: 100 << 10, How: fault.RST})
	_, err = store.Create(ctx, "never")
	require.ErrorIs(t, err, snapshot.ErrConnection)
	require.ErrorContains(t, err, "3 attempts")
	require.Empty(t, temporary(t, b.dir))
	require.NoFileExists(t, filepath.Join(b.dir, "never.groundhog"))
}

// TestOneConnectionIsEnough: where a second one can't be had, the first does all
// the work, and the file is the same.
func TestOneConnectionIsEnough(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	b := setupNoise(t)
	want, err := b.store.Create(ctx, "two")
	require.NoError(t, err)
	proxy := fault.Postgres(t, fixtures.URL(t))
	pool, err := pgxpool.New(ctx, proxy.URL())
	require.NoError(t, err)
	defer pool.Close()
	var log bytes.Buffer
	store, err := snapshot.NewStore(pool, snapshot.WithDir(b.dir),
		snapshot.WithLogger(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	require.NoError(t, err)
	// Neither that which marks the baseline nor the second reader.
	for conn := 2; conn < 8; conn++ { // each may be tried with and without encryption
		proxy.Add(fault.Rule{Conn: conn, Way: fault.ToServer, How: fault.RST})
	}
	got, err := store.Create(ctx, "one")
	require.NoError(t, err)
	require.Contains(t, log.String(), "over one connection")
	require.Equal(t, want.Tables, got.Tables)
}

// TestWhatIsLogged looks at the lines of a session.
func TestWhatIsLogged(t *testing.T) {
	t.Parallel()
	b := setupSmall(t)
	var log bytes.Buffer
	store, err := snapshot.NewStore(b.pool, snapshot.WithDir(b.dir),
		snapshot.WithLogger(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	require.NoError(t, err)
	_, err = store.Create(t.Context(), "a")
	require.NoError(t, err)
	require.NoError(t, store.Clean(t.Context()))
	for range 2 {
		_, err = store.Restore(t.Context(), "a")
		require.NoError(t, err)
	}
	for _, part := range []string{`msg="creating the snapshot" snapshot=a path=`, `msg="snapshot created" snapshot=a rows=1 bytes=`, "took=",
		`msg="restoring the snapshot" snapshot=a rows=1 bytes=`, `msg="snapshot restored" snapshot=a rows=1 bytes=`, `methods="reloaded 2"`, `methods="` + string(snapshot.Unchanged) + ` 2"`, "database cleaned"} {
		require.Contains(t, log.String(), part)
	}
}

// TestTheFallbackFolder is the user's cache, where the package's own can't be
// written.
func TestTheFallbackFolder(t *testing.T) {
	t.Parallel()
	setupSmall(t)
	work := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(work, "testdata"), nil, 0o600)) // a file is in the way, for root too
	exit := fault.Child(t, "fallback", fixtures.URL(t), work, t.TempDir()).Wait()
	require.Zero(t, exit.Code, exit)
	require.Contains(t, exit.Stdout, "cached")
	require.Contains(t, exit.Stderr, "another one is used")
}

func init() {
	fault.Register("fallback", func(args []string) error {
		if err := os.Setenv("XDG_CACHE_HOME", args[2]); err != nil {
			return err
		}
		snapshot.SetWorkDir(args[1])
		return inChild([]string{args[0], ""}, func(ctx context.Context, s *snapshot.Store, _ *pgxpool.Pool) error {
			info, err := s.Create(ctx, "a")
			if err == nil && strings.HasPrefix(info.Path, args[2]) {
				fmt.Println("cached", info.Path)
			}
			return err
		})
	})
}

// TestAGivenDatabaseIsHeldAmongProcesses: the other one waits, and is told for
// whom.
func TestAGivenDatabaseIsHeldAmongProcesses(t *testing.T) {
	t.Parallel()
	b := setupSmall(t)
	_, err := b.store.Create(t.Context(), "a")
	require.NoError(t, err)
	fixtures.Use(t, b.pool)
	snapshot.Restore(t, "a", snapshot.WithDir(b.dir))
	other := fault.Child(t, "hold", fixtures.URL(t), b.dir)
	other.ErrLine("waiting for a test of another process")
	exec(t, b.pool, fmt.Sprintf(`SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND (classid::bigint << 32) | objid::bigint = %d
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`, snapshot.TestLock)) // as if this process died
	exit := other.Wait()
	require.Zero(t, exit.Code, exit)
	require.Contains(t, exit.Stderr, "pid ")
	require.Contains(t, exit.Stdout, "held")
}

// TestAGivenDatabaseIsHeldAmongTests: two that were given one database each have it one
// after the other.
func TestAGivenDatabaseIsHeldAmongTests(t *testing.T) {
	t.Parallel()
	b := setupSmall(t)
	_, err := b.store.Create(t.Context(), "a")
	require.NoError(t, err)
	var holding, began atomic.Int32
	var both sync.WaitGroup
	for _, name := range []string{"one", "other"} {
		both.Go(func() {
			t.Run(name, func(t *testing.T) {
				fixtures.Use(t, b.pool)
				snapshot.Restore(t, "a", snapshot.WithDir(b.dir))
				require.EqualValues(t, 1, holding.Add(1))
				t.Cleanup(func() { holding.Add(-1) })
				if began.Add(1) == 1 {
					waiting(t, b.pool)
				}
			})
		})
	}
	both.Wait()
}

func init() {
	fault.Register("hold", func(args []string) error {
		return inChild(args, func(ctx context.Context, s *snapshot.Store, _ *pgxpool.Pool) error {
			release, err := s.HoldAcross(ctx)
			if err == nil {
				fmt.Println("held")
				release()
			}
			return err
		})
	})
}
