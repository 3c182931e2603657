package snapshot_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/snapshot"
)

// setupAlone makes a database on a server of its own: as many connections are kept as tests
// of one server used at once.
func setupAlone(t *testing.T, options ...fixtures.DatabaseOption) bundle {
	t.Helper()
	server, err := fixtures.Start(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	db, err := server.CreateDatabase(t.Context(), options...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	b := bundle{pool: db.Pool, dir: t.TempDir()}
	b.store, err = snapshot.NewStore(b.pool, snapshot.WithDir(b.dir))
	require.NoError(t, err)
	return b
}

// backend is the session of the pool's first statement.
func backend(t *testing.T, pool *pgxpool.Pool) (pid int32) {
	t.Helper()
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT pg_backend_pid()").Scan(&pid))
	return pid
}

func isConnected(t *testing.T, b bundle, pid int32) (there bool) {
	t.Helper()
	require.NoError(t, b.pool.QueryRow(context.Background(), "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)", pid).Scan(&there))
	return there
}

func TestClonesBeginWithConnectionsOfEarlierTests(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		options []fixtures.DatabaseOption
		again   bool
	}{{"kept", nil, true}, {"fresh", []fixtures.DatabaseOption{fixtures.WithFreshConnections()}, false}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setupAlone(t, append(c.options, fixtures.WithSchema("CREATE TABLE marks (a int PRIMARY KEY)"))...)
			_, err := b.store.Create(t.Context(), "state")
			require.NoError(t, err)
			var pids []int32
			for range 3 {
				clone, err := b.store.Clone(t.Context(), "state")
				require.NoError(t, err)
				pids = append(pids, backend(t, clone.Pool))
				exec(t, clone.Pool, "INSERT INTO marks VALUES (1); SET statement_timeout = '7min'; CREATE TEMP TABLE marks (a int)")
				require.NoError(t, clone.Close())
			}
			require.Equal(t, c.again, pids[0] == pids[1] && pids[1] == pids[2], "%v", pids)
			require.NoError(t, b.store.EndClones())
			require.False(t, isConnected(t, b, pids[2]), "they go with the clone")
		})
	}
}

// A database that was replaced takes its connections with it.
func TestAnExchangeEndsKeptConnections(t *testing.T) {
	t.Parallel()
	b := setupAlone(t, fixtures.WithSchema("CREATE TABLE marks (a int PRIMARY KEY); INSERT INTO marks VALUES (1)"))
	_, err := b.store.Create(t.Context(), "state")
	require.NoError(t, err)
	b.store.AwaitCopies()
	require.True(t, b.store.HasTemplate("state"))
	// A clone that was used, and may take the place of the database.
	clone, err := b.store.Clone(t.Context(), "state")
	require.NoError(t, err)
	ofClone := backend(t, clone.Pool)
	require.NoError(t, clone.Close())
	require.True(t, isConnected(t, b, ofClone))
	for range 2 {
		former := backend(t, b.pool)
		exec(t, b.pool, "ALTER TABLE marks ADD COLUMN b int; INSERT INTO marks VALUES (2, 2)")
		restored, err := b.store.Restore(t.Context(), "state")
		require.NoError(t, err)
		require.Equal(t, snapshot.Exchanged, restored.Methods[0].Method, restored.NotExchanged)
		require.False(t, isConnected(t, b, former))
		require.False(t, isConnected(t, b, ofClone))
		var n int
		require.NoError(t, b.pool.QueryRow(t.Context(), "SELECT count(*) FROM marks").Scan(&n))
		require.Equal(t, 1, n)
	}
}

// The server copies no database that has sessions. It waits for five seconds.
func TestATestCopiesItsClone(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	b := setupAlone(t, fixtures.WithSchema("CREATE TABLE marks (a int PRIMARY KEY)"), fixtures.WithPoolConfig(func(c *pgxpool.Config) { c.MaxConns = 4 }))
	_, err := b.store.Create(t.Context(), "state")
	require.NoError(t, err)
	var former string
	var pids []int32
	for range 3 { // more copies are made meanwhile, which need the places of kept connections
		b.store.AwaitCopies()
		clone, err := b.store.Clone(t.Context(), "state")
		require.NoError(t, err)
		former, pids = nameOf(t, clone.Pool), nil
		var held []*pgxpool.Conn
		for range 3 {
			conn, err := clone.Pool.Acquire(t.Context())
			require.NoError(t, err)
			held, pids = append(held, conn), append(pids, int32(conn.Conn().PgConn().PID()))
		}
		exec(t, b.pool, "SELECT") // all connections at once: as many may be kept
		for _, conn := range held {
			conn.Release()
		}
		require.NoError(t, clone.Close())
	}
	b.store.AwaitCopies()
	clone, err := b.store.Clone(t.Context(), "state")
	require.NoError(t, err)
	defer func() { require.NoError(t, clone.Close()) }()
	require.Equal(t, former, nameOf(t, clone.Pool))
	for _, pid := range pids {
		require.True(t, isConnected(t, b, pid))
	}
	clone.Pool.Reset()
	exec(t, b.pool, "CREATE DATABASE copy_test TEMPLATE "+former)
}

// groundhog's own session ends too when a test has closed or reset its pool.
func TestATestCopiesItsDatabase(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	b := setupAlone(t, fixtures.WithSchema("CREATE TABLE marks (a int PRIMARY KEY)"))
	_, err := b.store.Create(t.Context(), "state")
	require.NoError(t, err)
	b.store.AwaitCopies()
	_, err = b.store.Restore(t.Context(), "state")
	require.NoError(t, err)
	name := nameOf(t, b.pool)
	admin := b.pool.Config().ConnConfig.Copy()
	admin.Database = "postgres"
	conn, err := pgx.ConnectConfig(t.Context(), admin)
	require.NoError(t, err)
	b.pool.Reset()
	_, err = conn.Exec(t.Context(), "CREATE DATABASE copy_of_test TEMPLATE "+name)
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
}
