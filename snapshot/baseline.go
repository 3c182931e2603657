package snapshot

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/track"
)

// markWait is how long a new snapshot waits for writers in flight to be the baseline
// at once, rather than after its first restore.
const markWait = 100 * time.Millisecond

// baselineMarker makes the state that a new snapshot is read from the baseline, so that the
// first restore has nothing to load. It keeps writers out from before the snapshot's
// transaction sees the database until that state is marked. All of it may fail:
// then the first restore loads everything, and marks what it loaded.
type baselineMarker struct {
	db      *database
	cfg     *settings
	se      *session
	tx      pgx.Tx
	ready   bool   // the writer lock alone keeps writers out
	pending string // the mark until the file is whole and has a name for it
	named   bool   // it has
}

// newBaselineMarker returns nil where nothing can be marked.
func newBaselineMarker(ctx context.Context, d *database, cfg *settings) *baselineMarker {
	if cfg.scoped() != nil || d.root.disturbed.Load() {
		return nil
	}
	se, _, err := d.session(ctx, cfg)
	if err != nil {
		return nil
	}
	m := &baselineMarker{db: d, cfg: cfg, se: se, pending: "pending " + uuid.NewString()}
	if se.tracks {
		if ok, err := m.begin(ctx); ok && err == nil {
			return m
		}
	}
	m.end(ctx)
	return nil
}

// begin keeps writers out, and reports whether the database may be marked.
func (m *baselineMarker) begin(ctx context.Context) (ok bool, err error) {
	if ok, err = m.lock(ctx); !ok || m.ready || err != nil {
		return ok, err
	}
	// Later the triggers of a journal of other tables could not be dropped: the snapshot's
	// transaction reads the tables then.
	removed, err := track.Remove(ctx, m.tx)
	if err != nil {
		return false, err
	}
	if removed {
		if err := m.tx.Commit(ctx); err != nil {
			return false, err
		}
		if ok, err = m.lock(ctx); !ok || m.ready || err != nil {
			return ok, err
		}
	}
	// Nothing makes writers take the writer lock yet.
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
	return true, catalog.ExecScript(ctx, m.tx, "LOCK TABLE "+strings.Join(names, ", ")+" IN SHARE ROW EXCLUSIVE MODE")
}

// lock begins the transaction, in which it keeps those out that take the writer lock, and
// asks whether all do. It reports whether the database may be marked.
func (m *baselineMarker) lock(ctx context.Context) (ok bool, err error) {
	if m.tx, err = m.se.conn.BeginTx(ctx, writing); err != nil {
		return false, err
	}
	checked := !m.se.privileges.Replica
	if err = catalog.ExecScript(ctx, m.tx, fmt.Sprintf(`SET LOCAL lock_timeout = %d`, markWait.Milliseconds()),
		fmt.Sprintf(`SELECT pg_catalog.pg_advisory_xact_lock(%d)`, track.WriterLock), track.LimitLockWait(checked, markWait)); err != nil {
		return false, err
	}
	if ok, err := track.BeginUntracked(ctx, m.tx); !ok || err != nil {
		return false, err
	}
	m.ready, err = track.Ready(ctx, m.tx, m.se.serverID)
	return err == nil, err
}

// markBaseline marks what the snapshot's transaction sees, and lets writers in again.
func (m *baselineMarker) markBaseline(ctx context.Context, sel *selection, privileges catalog.Privileges, sequences []schema.Sequence) {
	if m == nil || m.tx == nil {
		return
	}
	baseline := sel.baseline()
	baseline.Token, baseline.ServerID, baseline.EventTriggers, baseline.Checked, baseline.Sequences, baseline.StaleViews, baseline.WriterLockOnly = m.pending, m.se.serverID, privileges.Super, !privileges.Replica, sequences, true, m.ready
	baseline.Untracked = untrackedTable(ctx, m.db, m.cfg)
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
func (m *baselineMarker) name(ctx context.Context, sum string, rows map[schema.Name]int64) {
	if m == nil || m.pending == "" {
		return
	}
	m.named = track.RenameBaseline(ctx, m.se.conn, m.pending, sum, rows) == nil
}

// isSet reports whether the state that the snapshot holds is the baseline.
func (m *baselineMarker) isSet() bool { return m != nil && m.pending != "" && m.named }

func (m *baselineMarker) rollback(ctx context.Context) {
	if m.tx != nil {
		_ = m.tx.Rollback(context.WithoutCancel(ctx))
		m.tx = nil
	}
}

// end gives the session back.
func (m *baselineMarker) end(ctx context.Context) {
	if m == nil {
		return
	}
	m.rollback(ctx)
	m.db.sessions.put(m.se)
}

// untrackedTable returns what says of each table that can't have a journal that it is
// loaded again, once for each reason.
func untrackedTable(ctx context.Context, d *database, c *settings) func(track.Table) {
	return func(t track.Table) {
		d.notices.note(ctx, c.logger, c.lang, slog.LevelWarn, msg.TableUntracked, t.Name.String()+" "+t.Reload.String(), "table", t.Name.String(), "why", t.Reload.Text(c.lang))
	}
}
