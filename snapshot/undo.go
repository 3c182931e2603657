package snapshot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/internal/bubble"
	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/testdb"
	"github.com/groundhogdb/groundhog/internal/track"
)

// bring brings the database to the state of a proven file, in the cheapest way that
// is certain to be right. This is the one place where it is chosen.
func (s *Store) bring(ctx context.Context, cfg *restoreConfig, f *file) (Restored, error) {
	began := time.Now()
	var restored Restored
	err := cfg.repeat(ctx, f.name, func() error {
		return s.inSession(ctx, &cfg.storeConfig, func(se *session) error {
			b := bringer{store: s, cfg: cfg, se: se, file: f}
			err := s.resolving(ctx, &cfg.storeConfig, se, func() (err error) {
				restored, err = b.bring(ctx)
				return err
			})
			if err == nil {
				b.unwatched(ctx)
			}
			return err
		})
	})
	if err != nil {
		return Restored{}, cfg.explain(err, msg.CantRestore, f.name)
	}
	setBaseline(s.pool, f)
	restored.Info, restored.Duration = f.info, time.Since(began)
	restored.count()
	args := []any{"snapshot", f.name, "rows", restored.Rows, "bytes", restored.Bytes, "way", restored.way()}
	if why := restored.why(cfg.lang); why != "" {
		args = append(args, "why", why)
	}
	cfg.routine(ctx, slog.LevelInfo, msg.SnapshotRestored, append(args, "took", restored.Duration.Round(10*time.Microsecond))...)
	return restored, nil
}

// bringer brings a database back over one session.
type bringer struct {
	store *Store
	cfg   *restoreConfig
	se    *session
	file  *file
	anew  bool // what tracks did not do what it should
}

func (b *bringer) bring(ctx context.Context) (Restored, error) {
	var why track.Cause
	switch {
	case b.file.manifest.Scope != nil:
		why = track.Scoped.Because()
	case !b.se.tracks:
		why = track.NoPrivileges.Because()
		b.untracked(ctx, b.se.untracked, nil)
	default:
		var done bool
		var restored Restored
		err := b.locking(ctx, func() (err error) {
			restored, done, why, err = b.undo(ctx)
			return err
		})
		if failed := unexpected(err); failed != "" {
			done, why, b.anew, err = false, track.Said(failed), true, nil
		}
		if err != nil || done {
			return restored, err
		}
	}
	return b.reload(ctx, why)
}

// unexpected is what the server says where an undo failed that should not: data,
// names or states that are not as the journal has them. A load needs no journal. It
// would meet what comes from the connection, another session, the server's resources
// or the server itself again.
func unexpected(err error) string {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || len(pg.Code) != 5 || pg.Code == "55P03" || slices.Contains([]string{"08", "25", "28", "40", "53", "57", "58", "F0", "XX"}, pg.Code[:2]) {
		return ""
	}
	return strings.TrimPrefix(errs.Line(pg), pg.Severity+": ")
}

func (b *bringer) locking(ctx context.Context, work func() error) error {
	return b.store.locking(ctx, &b.cfg.storeConfig, b.se, b.file.name, b.cfg.terminate, work)
}

// terminateAfter is how long blockers may take to end before they are ended.
const terminateAfter = 100 * time.Millisecond

// locking does work again that was chosen to end a deadlock, or that gave way to
// one, so that it is never a test's that fails. When it waited too long for a lock,
// it ends who holds it, if that was asked for, else tells of them.
func (s *Store) locking(ctx context.Context, cfg *storeConfig, se *session, what string, terminate bool, work func() error) (err error) {
	if terminate {
		set := func(ctx context.Context, wait time.Duration) error {
			_, err := se.conn.Exec(ctx, "SELECT pg_catalog.set_config('lock_timeout', $1, false)", fmt.Sprint(wait.Milliseconds()))
			return err
		}
		if err := set(ctx, terminateAfter); err != nil {
			return err
		}
		defer func() {
			if !se.conn.IsClosed() {
				err = errors.Join(err, set(context.WithoutCancel(ctx), lockWait))
			}
		}()
	}
	for began := time.Now(); ; {
		err := work()
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || time.Since(began) > lockWait || ctx.Err() != nil {
			return s.locked(ctx, cfg, err)
		}
		switch {
		case deadlocked(err), track.JournalReplaced(err):
			cfg.logger.InfoContext(ctx, msg.DeadlockAgain.In(cfg.lang), "what", what, "error", errs.Text(err))
		case pg.Code != "55P03": // lock_not_available
			return s.locked(ctx, cfg, err)
		case terminate:
			if err := catalog.EndLockHolders(ctx, se.conn, testdb.Application); err != nil {
				return err
			}
		}
	}
}

// undo goes back by the journal, as far as that can be done. Otherwise it has done
// nothing, and says why all tables must be loaded.
func (b *bringer) undo(ctx context.Context) (restored Restored, done bool, why track.Cause, err error) {
	out, partly, err := track.Restore(ctx, b.se.conn, b.file.sum, b.se.home)
	if err != nil {
		return restored, false, why, err
	}
	if partly {
		out, err = b.undoPartly(ctx)
		if err != nil {
			return restored, false, why, err
		}
	}
	if out.Unusable != "" {
		return restored, false, out.Unusable.Because(), nil
	}
	return Restored{Ways: b.waysTaken(out)}, true, why, nil
}

// reloadAtMost is the share of a snapshot's rows from which on all tables are
// loaded again rather than some: then more of them can be truncated.
const reloadAtMost = 0.5

// undoPartly undoes what the journal can, and loads the other tables.
func (b *bringer) undoPartly(ctx context.Context) (out track.Outcome, err error) {
	if err := b.file.open(&b.cfg.storeConfig); err != nil {
		return out, err
	}
	tx, err := b.se.conn.BeginTx(ctx, writing)
	if err != nil {
		return out, err
	}
	defer tx.Rollback(ctx)
	if out, err = track.Undo(ctx, tx, b.file.sum, b.se.home); err != nil || out.Unusable != "" {
		return out, err
	}
	again := map[schema.Name]bool{}
	var rows int64
	for _, t := range out.Tables {
		again[t.Name] = !t.Reload.IsZero()
	}
	for _, t := range b.file.manifest.Tables {
		if again[t.Name] {
			rows += t.Rows
		}
	}
	if float64(rows) > reloadAtMost*float64(b.file.info.Rows) {
		return track.Outcome{Unusable: track.MostRows}, nil
	}
	if err := catalog.SetLocal(ctx, tx, writeSettings); err != nil {
		return out, err
	}
	l := loader{ctx: ctx, store: b.store, se: b.se, tx: tx, powers: b.se.powers, cfg: b.cfg}
	if err := l.match(&b.file.manifest, b.file.name); err != nil {
		return out, err
	}
	l.narrow(func(n schema.Name) bool { return again[n] })
	l.meter = b.cfg.meter(msg.ProgressRestoring.In(b.cfg.lang, b.file.name), rows)
	defer l.meter.Done()
	_, err = l.replaceRows(b.file.reader)
	if errors.Is(err, errPublished) { // with more tables it can be truncated
		return track.Outcome{Unusable: track.Published}, nil
	}
	if err != nil {
		return out, err
	}
	if err := track.FinishUndo(ctx, tx); err != nil {
		return out, err
	}
	return out, tx.Commit(ctx)
}

// narrow leaves all other tables alone.
func (l *loader) narrow(want func(schema.Name) bool) {
	rest := slices.DeleteFunc(slices.Clone(l.sel.Tables), func(t catalog.Table) bool { return want(t.Name) })
	l.sel.asIs(rest)
	l.sel.others = slices.Concat(l.sel.others, rest)
	l.sel.Tables = slices.DeleteFunc(slices.Clone(l.sel.Tables), func(t catalog.Table) bool { return !want(t.Name) })
}

// reload loads all tables, and marks the database as what the file holds, so that
// the next time it can be undone.
func (b *bringer) reload(ctx context.Context, why track.Cause) (restored Restored, err error) {
	if err := b.file.open(&b.cfg.storeConfig); err != nil {
		return restored, err
	}
	m := &b.file.manifest
	b.cfg.routine(ctx, slog.LevelDebug, msg.SnapshotRestoring, "snapshot", b.file.name, "rows", b.file.info.Rows, "bytes", b.file.info.Bytes)
	err = b.locking(ctx, func() error {
		return b.store.changeIn(ctx, &b.cfg.storeConfig, b.se, func(tx pgx.Tx, powers catalog.Privileges, mayMark bool) error {
			l := loader{ctx: ctx, store: b.store, se: b.se, tx: tx, powers: powers, cfg: b.cfg}
			if err := l.match(m, b.file.name); err != nil {
				return err
			}
			l.meter = b.cfg.meter(msg.ProgressRestoring.In(b.cfg.lang, b.file.name), b.file.info.Rows)
			defer l.meter.Done()
			plan, err := l.replace(b.file.reader, m.Sequences)
			if err != nil {
				return err
			}
			restored = Restored{Differences: l.differences, Ways: waysOf(plan, why.Text(b.cfg.lang), b.cfg.lang)}
			switch {
			case m.Scope != nil || !b.se.tracks || len(l.differences) > 0:
			case !mayMark:
				b.untracked(ctx, track.WhyUntrackable(ctx, tx).Because(), nil)
			default:
				b.mark(ctx, tx, &l, why)
			}
			return nil
		})
	})
	return restored, err
}

// mark makes what was loaded the baseline. Where it can't be, it is loaded again
// the next time.
func (b *bringer) mark(ctx context.Context, tx pgx.Tx, l *loader, why track.Cause) {
	baseline := l.sel.baseline()
	baseline.Token, baseline.ServerID, baseline.EventTriggers, baseline.Reinstall, baseline.Rows = b.file.sum, b.se.home, l.powers.Super, b.anew || why.Reason == track.Damaged, map[schema.Name]int64{}
	baseline.Untracked = b.store.tellUntracked(ctx, &b.cfg.storeConfig)
	for _, t := range b.file.manifest.Tables {
		baseline.Rows[t.Name] = t.Rows
	}
	err := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) (err error) {
		if baseline.Sequences, err = catalog.Sequences(ctx, tx, l.sel.sequences()); err != nil {
			return err
		}
		return track.SetBaseline(ctx, tx, baseline)
	})
	switch {
	case errors.Is(err, track.ErrWraparound):
		b.untracked(ctx, track.Wraparound.Because(), nil)
	case err != nil:
		b.untracked(ctx, track.Cause{}, err)
	}
}

// unwatched tells that no event trigger sees changes of the schema, where that is so.
func (b *bringer) unwatched(ctx context.Context) {
	role := b.se.powers.Role
	if b.se.powers.Super || !b.se.tracks || !b.store.untold(ctx, &b.cfg.storeConfig, slog.LevelInfo, msg.NotWatched, role) {
		return
	}
	if watched, err := track.HasEventTriggers(ctx, b.se.conn); err == nil && !watched {
		b.store.note(ctx, &b.cfg.storeConfig, slog.LevelInfo, msg.NotWatched, role, "role", role)
	}
}

// untracked tells why restores load everything.
func (b *bringer) untracked(ctx context.Context, why track.Cause, err error) {
	reason, text := why.String(), why.UntrackedText(b.cfg.lang)
	if err != nil {
		reason, text = err.Error(), errs.Text(err)
	}
	var pg *pgconn.PgError
	if why.Reason == track.NoPrivileges || errors.As(err, &pg) && pg.Code == "42501" { // insufficient_privilege
		text += "; " + msg.TrackRights.In(b.cfg.lang)
	}
	b.store.note(ctx, &b.cfg.storeConfig, slog.LevelWarn, msg.CantTrack, reason, "role", b.se.powers.Role, "why", text)
}

// waysTaken tells what became of each table of the snapshot.
func (b *bringer) waysTaken(out track.Outcome) []TableWay {
	lang := b.cfg.lang
	by := map[schema.Name]track.Table{}
	for _, t := range out.Tables {
		by[t.Name] = t
	}
	nothing, undone := msg.WhyNothing.In(lang), msg.WhyUndone.In(lang)
	ways := make([]TableWay, len(b.file.manifest.Tables))
	for i, t := range b.file.manifest.Tables {
		w := TableWay{Table: b.file.info.Tables[i].Name, Way: Nothing, Why: nothing, Rows: t.Rows}
		if written, ok := by[t.Name]; ok && !written.Reload.IsZero() {
			w.Way, w.Why = Reloaded, written.Reload.Text(lang)
		} else if ok {
			w.Way, w.Why, w.Changed = Undone, undone, written.Changed
		}
		ways[i] = w
	}
	return ways
}

// Untrack removes from the database everything with which its changes are tracked:
// the schema groundhog, the triggers on its tables, and the event triggers. The
// next [Store.Restore] makes it again. Without any it does nothing. It waits for
// writers, like a restore; locks that others hold for more than 5 s are
// [ErrLocked].
func (s *Store) Untrack(ctx context.Context) error {
	if err := s.made(); err != nil {
		return err
	}
	if bubble.In() {
		return bubble.Err(ctx, func(ctx context.Context) error { return s.Untrack(ctx) })
	}
	err := s.repeat(ctx, "", func() error {
		return s.inSession(ctx, &s.storeConfig, func(se *session) error {
			return s.locking(ctx, &s.storeConfig, se, "", false, func() error {
				return s.changeIn(ctx, &s.storeConfig, se, func(tx pgx.Tx, _ catalog.Privileges, _ bool) error { return track.Drop(ctx, tx) })
			})
		})
	})
	return s.explain(err, msg.CantUntrack)
}

// writing is what a database is changed in.
var writing = pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite}

// changeIn runs f in a transaction that may change the database: guarded, one at
// a time among processes, with a limit to waiting for locks. mayMark tells that it
// may be marked at its end.
func (s *Store) changeIn(ctx context.Context, cfg *storeConfig, se *session, f func(tx pgx.Tx, powers catalog.Privileges, mayMark bool) error) error {
	// What is asked of the catalog means the same under any search path of the users'.
	tx, err := catalog.Begin(ctx, se.conn, "READ COMMITTED, READ WRITE", map[string]string{"search_path": catalogOnly})
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx)
	powers, err := cfg.guarded(ctx, tx)
	if err != nil {
		return err
	}
	if err := catalog.SetLocal(ctx, tx, writeSettings); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `SELECT pg_catalog.pg_advisory_xact_lock($1), pg_catalog.set_config('lock_timeout', $2, true)`, track.WriterLock, fmt.Sprint(track.LockTimeout.Milliseconds())); err != nil {
		return err
	}
	mayMark, err := track.BeginUntracked(ctx, tx)
	if err != nil {
		return err
	}
	if err := f(tx, powers, mayMark); err != nil {
		return err
	}
	return tx.Commit(ctx)
}
