//go:build unix

package track_test

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/track"
)

// TestWhatTheServerDoes needs one of its own, since it crashes it.
func TestWhatTheServerDoes(t *testing.T) {
	if os.Getenv(fixtures.EnvURL) != "" {
		t.Skip("the server was given, and is not ours to crash")
	}
	ctx := context.WithoutCancel(t.Context())
	server, err := fixtures.Start(ctx)
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Close()) }()
	db, err := server.CreateDatabase(ctx, fixtures.WithSchema(ten, `CREATE UNLOGGED TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1)`))
	require.NoError(t, err)
	w := &world{T: t, url: db.URL}
	w.session()
	w.mark()
	restore := func(w *world) track.Outcome {
		out, partly, err := track.Restore(ctx, w.conn, token, w.home, nil)
		require.NoError(t, err)
		require.False(t, partly)
		return out
	}

	// A copy of the database, in the middle of its changes, is tracked on its own.
	other, err := pgx.Connect(ctx, w.url)
	require.NoError(t, err)
	w.sql(other, `UPDATE t SET v = 'x' WHERE id < 3; DELETE FROM t WHERE id = 4; INSERT INTO t VALUES (20, 'new')`)
	require.NoError(t, other.Close(ctx))
	require.NoError(t, w.conn.Close(ctx))
	db.Pool.Reset()
	admin := connectTo(t, db.URL, "postgres")
	for _, strategy := range []string{"FILE_COPY", "WAL_LOG"} {
		require.Eventually(t, func() bool {
			_, err := admin.Exec(ctx, `CREATE DATABASE copy_`+strategy+` TEMPLATE `+db.Name+` STRATEGY `+strategy)
			return err == nil
		}, time.Minute, 10*time.Millisecond, "somebody is still connected")
		copied := &world{T: t, url: w.url, content: w.content, truth: w.truth, cat: w.cat}
		copied.conn = connectTo(t, db.URL, "copy_"+strings.ToLower(strategy))
		copied.sql(copied.conn, track.SessionSettings(false))
		copied.home = w.home
		out := restore(copied)
		require.Empty(t, out.Unusable)
		require.Len(t, out.Tables, 1)
		require.NoError(t, pgx.BeginFunc(ctx, copied.conn, func(tx pgx.Tx) error {
			found, err := copied.differences(tx)
			require.Empty(t, found)
			return err
		}))
		require.NoError(t, copied.conn.Close(ctx))
	}
	w.session()
	require.Len(t, restore(w).Tables, 1, "the copies' way back was not this one's")

	// A dump that was loaded elsewhere has another server's transaction ids.
	out, _, err := track.Restore(ctx, w.conn, token, "another server", nil)
	require.NoError(t, err)
	require.Equal(t, track.ForeignServer, out.Unusable)

	// A subscription writes without statements.
	w.sql(w.conn, `CREATE SUBSCRIPTION s CONNECTION 'host=/nowhere' PUBLICATION p WITH (connect = false)`)
	require.Equal(t, track.Subscription, restore(w).Unusable)
	w.sql(w.conn, `ALTER SUBSCRIPTION s SET (slot_name = NONE); DROP SUBSCRIPTION s`)

	w.sql(w.conn, `SELECT lo_create(0)`)
	require.Equal(t, track.LargeObjects, restore(w).Unusable)
	w.sql(w.conn, `SELECT lo_unlink(oid) FROM pg_largeobject_metadata`)

	w.sql(w.conn, replace("^verdict$", `2146435072`, "5"))
	require.Equal(t, track.Wraparound, restore(w).Unusable)
	w.sql(w.conn, replace("^verdict$", `(xmax[^5]*)\m5\M`, `\1 2146435072`))
	require.Empty(t, restore(w).Unusable)

	// A crash empties unlogged tables: the journals, and those of the user. What was
	// committed without waiting for the disk, as the end of the subscription, must not be
	// lost too.
	w.sql(w.conn, `CHECKPOINT`)
	victim := connect(t, w.url)
	w.sql(victim, `UPDATE t SET v = 'lost' WHERE id = 1`)
	require.NoError(t, syscall.Kill(int(victim.PgConn().PID()), syscall.SIGKILL))
	require.Eventually(t, func() bool { return w.conn.Ping(ctx) != nil }, time.Minute, 10*time.Millisecond, "the server goes down")
	require.Eventually(t, func() bool {
		conn, err := pgx.Connect(ctx, w.url)
		if err == nil {
			conn.Close(ctx)
		}
		return err == nil
	}, time.Minute, 10*time.Millisecond, "the server comes up")
	w.session()
	require.Equal(t, track.Crash, restore(w).Unusable)
	require.Equal(t, track.Crash, restore(w).Unusable, "until it is loaded")

	// Nothing is known of the tables, and writers don't depend on that.
	for _, strategy := range []string{"file_copy", "wal_log"} {
		copied := &world{T: t, url: w.url, home: w.home, conn: connectTo(t, db.URL, "copy_"+strategy)}
		copied.sql(copied.conn, `ALTER TABLE t DROP COLUMN v; INSERT INTO t VALUES (30); UPDATE t SET id = 31 WHERE id = 30; DELETE FROM t; TRUNCATE t`)
		copied.sql(copied.conn, track.SessionSettings(false))
		require.Equal(t, track.Crash, restore(copied).Unusable)
		require.NoError(t, pgx.BeginFunc(ctx, copied.conn, func(tx pgx.Tx) error {
			mark, err := track.BeginUntracked(ctx, tx)
			require.True(t, mark)
			return err
		}))
	}
	old := connect(t, w.url)
	w.sql(old, `BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class`)
	other = connect(t, w.url)
	w.sql(other, `INSERT INTO t VALUES (40, 'after the crash'); UPDATE t SET v = 'changed' WHERE id = 1; DELETE FROM t WHERE id = 2`)
	require.Equal(t, track.Crash, restore(w).Unusable)
	w.mark()
	require.Empty(t, restore(w))
	w.sql(old, `INSERT INTO t VALUES (41, 'a snapshot from before'); COMMIT`)
	require.Equal(t, 1, w.same().why[track.OverlappingTx])
}
