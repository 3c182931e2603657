package snapshot_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/internal/testdb"
	"github.com/groundhogdb/groundhog/snapshot"
)

// Faults in the midst of a restore, by each of its ways.

const shelfSchema = `
	CREATE TABLE author (id serial PRIMARY KEY, name text NOT NULL);
	CREATE TABLE book (id serial PRIMARY KEY, author int NOT NULL REFERENCES author ON DELETE CASCADE, title text);
	CREATE TABLE tag (id int PRIMARY KEY, name text);
	INSERT INTO author (name) SELECT md5(i::text) FROM generate_series(1, 2000) i;
	INSERT INTO book (author, title) SELECT i, md5(i::text) FROM generate_series(1, 2000) i;
	INSERT INTO tag SELECT i, md5(i::text) FROM generate_series(1, 300) i`

// waysBack are changes after which a restore takes each of its ways.
var waysBack = []struct {
	name   string
	change string
	want   []snapshot.Method // of author, book and tag
	copied bool              // the database may be replaced by copies
}{
	{"nothing", `SELECT`, []snapshot.Method{snapshot.Unchanged, snapshot.Unchanged, snapshot.Unchanged}, false},
	{"undone", `UPDATE author SET name = 'x' WHERE id % 9 = 0; DELETE FROM author WHERE id % 50 = 0; INSERT INTO author (name) SELECT 'new' FROM generate_series(1, 200)`,
		[]snapshot.Method{snapshot.Undone, snapshot.Undone, snapshot.Unchanged}, false},
	{"partly", `UPDATE book SET title = 'x' WHERE id % 9 = 0; TRUNCATE tag; INSERT INTO tag VALUES (1, 'x')`,
		[]snapshot.Method{snapshot.Unchanged, snapshot.Undone, snapshot.Reloaded}, false},
	{"reloaded", `UPDATE book SET title = 'x'; ALTER TABLE tag ADD COLUMN passing int; ALTER TABLE tag DROP COLUMN passing; SELECT nextval('book_id_seq')`,
		[]snapshot.Method{snapshot.Reloaded, snapshot.Reloaded, snapshot.Reloaded}, false},
	{"exchanged", `UPDATE book SET title = 'x'; ALTER TABLE tag ADD COLUMN passing int; ALTER TABLE tag DROP COLUMN passing; SELECT nextval('book_id_seq')`,
		[]snapshot.Method{snapshot.Exchanged, snapshot.Exchanged, snapshot.Exchanged}, true},
}

// shelf is a database with a snapshot "a".
type shelf struct {
	bundle
	baseline map[string]string
	url      string
	loses    bool // what was committed may be lost
}

func newShelf(t *testing.T, b bundle, url string) *shelf {
	t.Helper()
	_, err := b.store.Create(t.Context(), "a")
	require.NoError(t, err)
	_, err = b.store.Restore(t.Context(), "a")
	require.NoError(t, err)
	return &shelf{bundle: b, baseline: state(t, b.pool), url: url}
}

// strike changes the database, and restores it while a fault strikes; each time it
// must be as before or restored, and the next restore must work. It counts those
// that had restored it all the same.
func (s *shelf) strike(t *testing.T, change string, times int, restore func(i int) error) {
	t.Helper()
	restored := 0
	for i := range times {
		exec(t, s.pool, change)
		changed := state(t, s.pool)
		err := restore(i)
		settled(t, s.pool)
		now := state(t, s.pool)
		if fmt.Sprint(now) == fmt.Sprint(s.baseline) {
			restored++
		} else {
			require.True(t, err != nil || s.loses, "it was said to be restored")
			s.requireBefore(t, changed, now)
		}
		_, err = s.store.Restore(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, s.baseline, state(t, s.pool))
	}
	t.Logf("fault: %d tried, %d restored all the same", times, restored)
}

// requireBefore requires that all is as it was before, but for sequences, which may be
// as in the snapshot: what sets them, right before the commit, can't be rolled back.
func (s *shelf) requireBefore(t *testing.T, changed, now map[string]string) {
	t.Helper()
	want := maps.Clone(changed)
	for name, value := range now {
		if strings.HasSuffix(name, "_seq") && value == s.baseline[name] {
			want[name] = value
		}
	}
	require.Equal(t, want, now, "neither as before nor restored")
}

// usual is how long a restore takes.
func (s *shelf) usual(t *testing.T, change string) time.Duration {
	t.Helper()
	exec(t, s.pool, change)
	began := time.Now()
	_, err := s.store.Restore(t.Context(), "a")
	require.NoError(t, err)
	return time.Since(began)
}

// times is how often something is tried, in the short form and in the long one.
func times(short, long int) int {
	switch {
	case fault.Long():
		return long
	case testing.Short():
		return short/4 + 1
	}
	return short
}

func TestFaultsByEachWay(t *testing.T) {
	fault.SkipShort(t)
	for _, way := range waysBack {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			b := setupCopied(t, fixtures.WithSchema(shelfSchema))
			if !way.copied {
				b.store.WithoutCopies()
			}
			s := newShelf(t, b, fixtures.URL(t))
			exec(t, b.pool, way.change)
			restored, err := b.store.Restore(t.Context(), "a")
			require.NoError(t, err)
			for i, w := range restored.Methods {
				require.Equal(t, way.want[i], w.Method, w.Table)
			}
			usual := s.usual(t, way.change)

			t.Run("client killed", func(t *testing.T) {
				changed := map[string]string{}
				start := begin(t, b, "restore")
				fault.KillAtRandom(t, times(10, 75), func() *fault.Process {
					_, err := b.store.Restore(t.Context(), "a")
					require.NoError(t, err)
					exec(t, b.pool, way.change)
					changed = state(t, b.pool)
					return start()
				}, func(run int, exit fault.Exit) {
					settled(t, b.pool)
					now := state(t, b.pool)
					if fmt.Sprint(now) != fmt.Sprint(s.baseline) {
						require.True(t, exit.Killed(), "run %d: %s", run, exit)
						s.requireBefore(t, changed, now)
					}
				})
				_, err := b.store.Restore(t.Context(), "a")
				require.NoError(t, err)
				require.Equal(t, s.baseline, state(t, b.pool))
			})
			t.Run("cancelled", func(t *testing.T) {
				s.strike(t, way.change, times(12, 100), func(int) error {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.Float64()*1.2*float64(usual)))
					defer cancel()
					_, err := b.store.Restore(ctx, "a")
					if err != nil {
						require.True(t, errors.Is(err, context.DeadlineExceeded), err)
					}
					return err
				})
			})
			t.Run("terminated", func(t *testing.T) {
				s.strike(t, way.change, times(8, 100), func(int) error {
					done := make(chan error, 1)
					go func() { _, err := b.store.Restore(t.Context(), "a"); done <- err }()
					time.Sleep(time.Duration(rand.Float64() * float64(usual))) // the moment is a random one
					exec(t, b.pool, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = '`+testdb.Application+`'`)
					err := <-done
					require.NoError(t, err, "it is tried again")
					return err
				})
			})
			t.Run("cut", func(t *testing.T) {
				proxy := fault.Postgres(t, s.url)
				pool, err := pgxpool.New(t.Context(), proxy.URL())
				require.NoError(t, err)
				defer pool.Close()
				store, err := snapshot.NewStore(pool, snapshot.WithDir(b.dir))
				require.NoError(t, err)
				store.SetWaits(time.Millisecond)
				exec(t, b.pool, way.change)
				_, err = store.Restore(t.Context(), "a")
				require.NoError(t, err)
				whole := proxy.Traffic()
				n := times(12, 150)
				s.strike(t, way.change, n, func(i int) error {
					rule := fault.Rule{Way: fault.ToServer, After: whole.ToServer * int64(i) / int64(n), How: fault.RST}
					if i%2 == 1 {
						rule = fault.Rule{Way: fault.FromServer, After: whole.FromServer * int64(i) / int64(n), How: fault.FIN}
					}
					proxy.Strike(fault.RST) // what an earlier call kept
					proxy.Clear()
					proxy.Add(rule)
					_, err := store.Restore(t.Context(), "a")
					proxy.Clear()
					if err != nil {
						require.ErrorIs(t, err, snapshot.ErrConnection, "cut %+v", rule)
					}
					return err
				})
			})
		})
	}
}

// ownServer starts one that a test may break.
func ownServer(t *testing.T) *fixtures.Server {
	t.Helper()
	if os.Getenv(fixtures.EnvURL) != "" {
		t.Skip("the server was given, and is not ours to break")
	}
	server, err := fixtures.Start(t.Context())
	require.NoError(t, err)
	fault.AtEnd(t, server.Close)
	return server
}

func onServer(t *testing.T, server *fixtures.Server, schema string) *shelf {
	t.Helper()
	db, err := server.CreateDatabase(t.Context(), fixtures.WithSchema(schema))
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "snapshots")
	store, err := snapshot.NewStore(db.Pool, snapshot.WithDir(dir))
	require.NoError(t, err)
	store.SetWaits(time.Millisecond)
	return newShelf(t, bundle{db.Pool, store, dir}, db.URL)
}

func TestTooManyConnections(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	s := onServer(t, ownServer(t), shelfSchema)
	exec(t, s.pool, waysBack[1].change)
	changed := state(t, s.pool)
	require.NoError(t, s.store.Untrack(t.Context()))
	// The session that the store keeps would need no new connection.
	exec(t, s.pool, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = '`+testdb.Application+`'`)
	var all []*pgx.Conn
	defer func() {
		for _, conn := range all {
			conn.Close(context.Background())
		}
	}()
	full := func() bool {
		conn, err := pgx.Connect(t.Context(), s.url)
		if err == nil {
			all = append(all, conn)
		}
		var refused *pgconn.PgError
		return errors.As(err, &refused) && refused.Code == "53300"
	}
	for began := time.Now(); time.Since(began) < 1200*time.Millisecond; time.Sleep(time.Millisecond) { // work in the background may end a connection
		if !full() {
			began = time.Now()
		}
	}
	_, err := s.store.Restore(t.Context(), "a")
	require.ErrorIs(t, err, snapshot.ErrConnection)
	require.ErrorContains(t, err, "too many clients")
	require.Equal(t, changed, state(t, s.pool))
	_, err = s.store.Create(t.Context(), "b")
	require.ErrorIs(t, err, snapshot.ErrConnection)
	require.NoFileExists(t, filepath.Join(s.dir, "b.groundhog"))
	for _, conn := range all {
		require.NoError(t, conn.Close(t.Context()))
	}
	all = nil
	require.Eventually(t, func() bool { _, err := s.store.Restore(t.Context(), "a"); return err == nil }, time.Minute, 10*time.Millisecond)
	require.Equal(t, s.baseline, state(t, s.pool))
	t.Log("fault: 2 tried")
}

// TestFaultsDuringCreate: the former file stands, or the new one is whole, and the
// database is as it was.
func TestFaultsDuringCreate(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	s := onServer(t, ownServer(t), shelfSchema)
	ctx := t.Context()
	exec(t, s.pool, waysBack[1].change)
	want := state(t, s.pool)
	began := time.Now()
	_, err := s.store.Create(ctx, "a", snapshot.Replace())
	require.NoError(t, err)
	usual := time.Since(began)
	sound := func(t *testing.T) {
		t.Helper()
		s.pool.Reset()
		_, err := s.store.Verify(ctx, "a")
		require.NoError(t, err)
		require.Equal(t, want, state(t, s.pool))
		require.LessOrEqual(t, len(temporary(t, s.dir)), 1)
	}
	moment := func() time.Duration { return time.Duration(rand.Float64() * float64(usual)) }
	n := times(8, 100)

	t.Run("cancelled", func(t *testing.T) {
		for range n {
			ctx, cancel := context.WithTimeout(ctx, moment())
			_, err := s.store.Create(ctx, "a", snapshot.Replace())
			cancel()
			if err != nil {
				require.True(t, errors.Is(err, context.DeadlineExceeded), err)
			}
			sound(t)
		}
		t.Logf("fault: %d tried", n)
	})
	t.Run("terminated", func(t *testing.T) {
		for range n {
			done := make(chan error, 1)
			go func() { _, err := s.store.Create(ctx, "a", snapshot.Replace()); done <- err }()
			time.Sleep(moment()) // a random one
			admin, err := pgx.Connect(ctx, s.url)
			require.NoError(t, err)
			_, err = admin.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'`)
			require.NoError(t, err)
			require.NoError(t, admin.Close(ctx))
			require.NoError(t, <-done, "it is tried again")
			sound(t)
		}
		t.Logf("fault: %d tried", n)
	})
	t.Run("cut", func(t *testing.T) {
		proxy := fault.Postgres(t, s.url)
		pool, err := pgxpool.New(ctx, proxy.URL())
		require.NoError(t, err)
		defer pool.Close()
		store, err := snapshot.NewStore(pool, snapshot.WithDir(s.dir))
		require.NoError(t, err)
		store.SetWaits(time.Millisecond)
		for i := range n {
			pool.Reset()
			proxy.Strike(fault.RST)
			proxy.Clear()
			proxy.Add(fault.Rule{Way: fault.FromServer, After: int64(rand.IntN(1+300_000*i/n) + 1000*i), How: cond(i%2 == 0, fault.RST, fault.FIN)})
			_, err := store.Create(ctx, "a", snapshot.Replace())
			proxy.Clear()
			if err != nil {
				require.ErrorIs(t, err, snapshot.ErrConnection)
			}
			sound(t)
		}
		t.Logf("fault: %d tried", n)
	})
	t.Run("statement timeout", func(t *testing.T) {
		// At whatever statement or table it strikes.
		for i := range n {
			exec(t, s.pool, fmt.Sprintf("ALTER DATABASE %s SET statement_timeout = '%dms'", pgx.Identifier{nameOf(t, s.pool)}.Sanitize(), 5+i%4))
			s.pool.Reset()
			_, err := s.store.Create(ctx, "a", snapshot.Replace())
			require.NoError(t, err, "our sessions set their own")
			exec(t, s.pool, "SET statement_timeout = 0; ALTER DATABASE "+pgx.Identifier{nameOf(t, s.pool)}.Sanitize()+" RESET statement_timeout")
			sound(t)
		}
		t.Logf("fault: %d tried", n)
	})
	duringCrashes(t, s, sound, moment)
	_, err = s.store.Restore(ctx, "a")
	require.NoError(t, err)
	require.Equal(t, want, state(t, s.pool))
	_, err = s.store.Create(ctx, "b")
	require.NoError(t, err)
	require.Empty(t, temporary(t, s.dir))
}
