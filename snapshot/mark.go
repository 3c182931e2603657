package snapshot

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/track"
)

// markWait is how long a new snapshot waits for writers in flight to be the baseline
// at once, rather than after its first restore.
const markWait = 100 * time.Millisecond

// marker makes the state that a new snapshot is read from the baseline, so that the
// first restore has nothing to load. It keeps writers out from before the snapshot's
// transaction sees the database until that state is marked. All of it may fail:
// then the first restore loads everything, and marks what it loaded.
type marker struct {
	store   *Store
	cfg     *storeConfig
	se      *session
	tx      pgx.Tx
	ready   bool   // the gate alone keeps writers out
	pending string // the mark until the file is whole and has a name for it
}

// newMarker returns nil where nothing can be marked.
func (s *Store) newMarker(ctx context.Context, cfg *createConfig) *marker {
	if cfg.scoped() != nil {
		return nil
	}
	se := take(s.pool)
	if se == nil {
		var err error
		if se, err = s.newSession(ctx); err != nil {
			return nil
		}
	}
	m := &marker{store: s, cfg: &cfg.storeConfig, se: se, pending: "pending " + uuid.NewString()}
	if se.tracks {
		if ok, err := m.begin(ctx); ok && err == nil {
			return m
		}
	}
	m.end(ctx)
	return nil
}

// begin keeps writers out, and reports whether the database may be marked.
func (m *marker) begin(ctx context.Context) (ok bool, err error) {
	if m.tx, err = m.se.conn.BeginTx(ctx, writing); err != nil {
		return false, err
	}
	if _, err = m.tx.Exec(ctx, fmt.Sprintf(`SET LOCAL lock_timeout = %d; SELECT pg_catalog.pg_advisory_xact_lock(%d)`, markWait.Milliseconds(), track.WriterLock), pgx.QueryExecModeSimpleProtocol); err != nil {
		return false, err
	}
	if ok, err := track.BeginUntracked(ctx, m.tx); !ok || err != nil {
		return false, err
	}
	if m.ready, err = track.Ready(ctx, m.tx, m.se.home); m.ready || err != nil {
		return m.ready, err
	}
	// Nothing makes writers heed the gate yet.
	if _, err = m.tx.Exec(ctx, `SET LOCAL search_path = pg_catalog`); err != nil {
		return false, err
	}
	cat, err := catalog.Read(ctx, m.tx, "")
	if err != nil || len(cat.Tables) == 0 {
		return false, err
	}
	names := make([]string, len(cat.Tables))
	for i, t := range cat.Tables {
		names[i] = t.Only()
	}
	return true, execAll(ctx, m.tx, []string{"LOCK TABLE " + strings.Join(names, ", ") + " IN SHARE ROW EXCLUSIVE MODE"})
}

// mark marks what the snapshot's transaction sees, and lets writers in again.
func (m *marker) mark(ctx context.Context, sel *selection, powers catalog.Privileges, sequences []schema.Sequence) {
	if m == nil || m.tx == nil {
		return
	}
	baseline := sel.baseline()
	baseline.Token, baseline.ServerID, baseline.EventTriggers, baseline.Sequences, baseline.StaleViews, baseline.WriterLockOnly = m.pending, m.se.home, powers.Super, sequences, true, m.ready
	baseline.Untracked = m.store.tellUntracked(ctx, m.cfg)
	err := track.SetBaseline(ctx, m.tx, baseline)
	if err == nil {
		err = m.tx.Commit(ctx)
	}
	if err != nil {
		m.pending = ""
	}
	m.rollback(ctx)
}

// name tells what file the marked state is.
func (m *marker) name(ctx context.Context, sum string, rows map[schema.Name]int64) {
	if m == nil || m.pending == "" {
		return
	}
	_ = track.RenameBaseline(ctx, m.se.conn, m.pending, sum, rows)
}

func (m *marker) rollback(ctx context.Context) {
	if m.tx != nil {
		_ = m.tx.Rollback(context.WithoutCancel(ctx))
		m.tx = nil
	}
}

// end gives the session back.
func (m *marker) end(ctx context.Context) {
	if m == nil {
		return
	}
	m.rollback(ctx)
	m.store.keep(m.se)
}
