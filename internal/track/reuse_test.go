package track_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/internal/track"
)

// reuse asks for the database as another client is to have it. The session that goes back may be
// connected.
func (w *world) reuse() *track.Alternative {
	w.sql(w.conn, "SET application_name = 'goes back'")
	require.NoError(w, track.RecordFingerprint(w.Context(), w.conn))
	alt := &track.Alternative{Most: -1, Reuse: &track.Reuse{Application: "goes back"}}
	require.NoError(w, w.conn.QueryRow(w.Context(), "SELECT array_agg(pid) FROM pg_stat_activity WHERE datname = current_database()").Scan(&alt.Reuse.PIDs))
	return alt
}

// A role that is no superuser sees of the sessions of others little more than that they are there.
func TestSessionsOfOthersAreInUse(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	for name, make := range map[string]func(*testing.T, ...string) *world{"superuser": newWorld, "owner": newOwnersWorld} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := make(t, ten)
			alt := w.reuse()
			out, _ := w.restoreOr(alt)
			require.Empty(t, out.Unusable)
			other := connect(t, w.url)
			out, _ = w.restoreOr(alt)
			require.Equal(t, track.InUse, out.Unusable)
			require.NoError(t, other.Close(t.Context()))
			require.Eventually(t, func() bool {
				out, _ = w.restoreOr(alt)
				return out.Unusable == ""
			}, 10*time.Second, time.Millisecond)
		})
	}
}

// What a session did that ended while the database was looked at is seen, or the session was.
func TestASessionEndsWhileTheDatabaseIsLookedAt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ten)
	alt := w.reuse()
	other, watcher := connect(t, w.url), connectTo(t, w.url, "postgres")
	// The verdict takes its time.
	w.sql(w.conn, `ALTER FUNCTION groundhog.verdict RENAME TO verdict_alone;
		CREATE FUNCTION groundhog.verdict(want text, here text, library integer) RETURNS TABLE (baseline_xid xid, touched boolean, void text) LANGUAGE plpgsql AS $$
		BEGIN
			RETURN QUERY SELECT * FROM groundhog.verdict_alone(want, here, library);
			PERFORM pg_catalog.pg_advisory_lock_shared(4242);
		END $$; DELETE FROM groundhog.schema_changes`)
	w.sql(other, "SELECT pg_advisory_lock(4242)")
	ended := make(chan error, 1)
	go func() {
		ended <- func() error {
			for waits := false; !waits; {
				if err := watcher.QueryRow(w.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock')
					OR NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1 AND state = 'active')`, int32(w.conn.PgConn().PID())).Scan(&waits); err != nil {
					return err
				}
			}
			_, err := other.Exec(w.Context(), "SELECT lo_create(0)", pgx.QueryExecModeSimpleProtocol)
			if err != nil {
				return err
			}
			return other.Close(w.Context())
		}()
	}()
	out, _ := w.restoreOr(alt)
	require.NoError(t, <-ended)
	require.Contains(t, []track.Reason{track.InUse, track.LargeObjects}, out.Unusable)
}
