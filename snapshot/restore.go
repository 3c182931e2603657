package snapshot

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/track"
)

// restoreSnapshot brings the database to the state of a verified file, in the cheapest way
// that is certain to be right. This is the one place where it is chosen.
func restoreSnapshot(ctx context.Context, d *database, cfg *restoreConfig, f *snapshotFile) (Restored, error) {
	began := time.Now()
	x, missed := newExchanger(ctx, d, cfg, f)
	restored, r, err := restoreRows(ctx, d, cfg, f, x)
	wish := r.wish
	if x.isLost(err) {
		err, wish = nil, track.DatabaseGone.Because()
	}
	if err == nil && (wish.Reason == track.DatabaseGone || wish.Reason == track.Damaged) { // the journal, which would tell of a crash, is gone
		var crashed bool
		if crashed, _, err = clonePoolsOf(d).crashed(ctx, cfg.maker); crashed {
			wish = track.Crash.Because()
		}
	}
	if err == nil && !wish.IsZero() {
		op := operation{db: d, cfg: &cfg.settings, what: f.name}
		failed := op.retry(ctx, func() (err error) {
			restored, err = x.run(ctx, wish, r.changed)
			return err
		})
		switch {
		case failed != nil && ctx.Err() == nil:
			missed, restored, r, err = x.without(ctx, wish, failed)
		case failed != nil:
			err = failed
		case wish.Reason == track.Crash: // a copy has the schema, but not the rows of unlogged tables
			restored, r, err = restoreRows(ctx, d, cfg, f, nil)
		}
	}
	if x == nil && errors.Is(err, ErrSchemaMismatch) {
		err = notCopied(d, cfg, f, r, err)
	}
	if err != nil {
		return Restored{}, cfg.explain(err, msg.CantRestore, f.name)
	}
	if cfg.maker != nil && (wish.Reason == track.Crash || r.crashed) { // which has emptied the unlogged tables of all copies
		if err := clonePoolsOf(d).sinceCrash(ctx, cfg.maker); err != nil {
			return Restored{}, cfg.explain(err, msg.CantRestore, f.name)
		}
	}
	if cfg.maker != nil && r.atBaseline {
		clonePoolOf(d, cfg.maker, f.sum).keepTemplate(ctx, d, &cfg.settings, cfg.maker, f)
	}
	switch {
	case r.se != nil && !r.se.tracks:
		missed = msg.NoExchangeUntracked.In(cfg.lang)
	case x != nil && missed == "":
		missed = msg.NoExchangeCheaper.In(cfg.lang)
	}
	restored.missed(missed)
	restored.finish(ctx, d, &cfg.settings, f, began)
	return restored, nil
}

// notCopied says in the error of a restore why no exchange could bring the schema back,
// where this process would have made a template.
func notCopied(d *database, cfg *restoreConfig, f *snapshotFile, r restorer, err error) error {
	if cfg.maker == nil || f.manifest.Scope != nil || cfg.mismatch == Warn {
		return err // that is how it was asked for
	}
	var why string
	_, _, _, failed := clonePoolOf(d, cfg.maker, f.sum).template.get()
	switch {
	case r.se != nil && !r.se.tracks:
		why = msg.NoExchangeUntracked.In(cfg.lang)
	case failed != nil:
		why = noTemplate(failed, cfg.settings)
	default:
		return err // the database was not at the snapshot yet
	}
	return errs.New(ErrSchemaMismatch, msg.SchemaNotCopied.In(cfg.lang, f.name, why), err)
}

// finish notes and logs what was done since the restore began.
func (restored *Restored) finish(ctx context.Context, d *database, cfg *settings, f *snapshotFile, began time.Time) {
	d.setBaseline(f.closed())
	restored.Info, restored.Duration = f.info, time.Since(began)
	restored.count()
	args := []any{"snapshot", f.name, "rows", restored.Rows, "bytes", restored.Bytes, "methods", restored.methods()}
	if why := restored.why(cfg.lang); why != "" {
		args = append(args, "why", why)
	}
	cfg.routine(ctx, slog.LevelInfo, msg.SnapshotRestored, append(args, "took", restored.Duration.Round(10*time.Microsecond))...)
}

// restoreRows brings the rows back by the journal and the file. It has done nothing if the
// restorer has a wish. Without an exchanger it has none.
func restoreRows(ctx context.Context, d *database, cfg *restoreConfig, f *snapshotFile, x *exchanger) (restored Restored, r restorer, err error) {
	op := operation{db: d, cfg: &cfg.settings, what: f.name, terminate: cfg.terminate}
	err = op.write(ctx, func(se *session) (err error) {
		r = restorer{db: d, cfg: cfg, se: se, file: f, exchanger: x}
		restored, err = r.restore(ctx)
		if err == nil && r.wish.IsZero() {
			tellRights(ctx, d, &cfg.settings, se)
		}
		return err
	})
	return restored, r, err
}

// restorer brings a database back over one session.
type restorer struct {
	db        *database
	cfg       *restoreConfig
	se        *session
	file      *snapshotFile
	exchanger *exchanger // nil where the database can't be replaced

	wish       track.Cause // why to replace the database is better: nothing was done
	atBaseline bool        // what is in the database is the baseline that the journal knows

	crashed bool  // the server, since the database was at the baseline
	changed int64 // rows, about, where they were counted

	renew bool // the journal, which did not do what it should
}

func (r *restorer) restore(ctx context.Context) (Restored, error) {
	var why track.Cause
	switch {
	case r.file.manifest.Scope != nil:
		why = track.Scoped.Because()
	case !r.se.tracks:
		why = r.se.untracked
		r.tellUntracked(ctx, why, nil)
	default:
		restored, done, void, err := r.undo(ctx)
		if failed := unexpected(err); !failed.IsZero() {
			done, void, r.renew, err = false, failed, r.se.privileges.Replica || damages(err), nil
		}
		if err != nil || done {
			return restored, err
		}
		why = void
		if why.Reason == track.NoBaseline && r.exchanger != nil && r.db.knownLikeness() != "" {
			why = track.Damaged.Because() // the test dropped what this process had there
		}
		r.crashed = why.Reason == track.Crash
		r.se.stale = why.Reason == track.NoPrivileges
		if r.exchanger.prefers(why) {
			r.wish = why
			return Restored{}, nil
		}
	}
	return r.reload(ctx, why)
}

// unexpected is what the server says where an undo failed that should not: data,
// names or states that are not as the journal has them. A load needs no journal. It
// would meet what comes from the connection, another session, the server's resources
// or the server itself again.
func unexpected(err error) track.Cause {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || len(pg.Code) != 5 || pg.Code == "55P03" || slices.Contains([]string{"08", "25", "28", "40", "53", "57", "58", "F0", "XX"}, pg.Code[:2]) {
		return track.Cause{}
	}
	return track.Said(strings.TrimPrefix(errs.Line(pg), pg.Severity+": "))
}

// damages reports whether an error tells that the journal is not what it should be, rather
// than what the database does not let be undone.
func damages(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (strings.HasPrefix(pg.Code, "42") || strings.HasPrefix(pg.Code, "XX"))
}

// undo goes back by the journal, as far as that can be done. Otherwise it has done
// nothing, and says why all tables must be loaded.
func (r *restorer) undo(ctx context.Context) (restored Restored, done bool, why track.Cause, err error) {
	out, partly, err := track.Restore(ctx, r.se.conn, r.file.sum, r.se.serverID, r.exchanger.alternative())
	if err != nil {
		return restored, false, track.Cause{}, err
	}
	for _, t := range out.Tables {
		if t.Reload.IsZero() || t.Reload.Reason == track.TooManyChanges {
			r.changed += t.Changed
		}
	}
	if r.exchanger != nil && !partly {
		r.exchanger.pool.heavy.changed(out.Tables, r.db.skippedTables())
	}
	if partly {
		out, err = r.undoPartly(ctx)
		if err != nil {
			return restored, false, track.Cause{}, err
		}
	}
	if out.Unusable != "" {
		// In replica role no foreign key is checked: the journal does not tell what the rows were.
		r.renew = out.Unusable == track.Constraint && r.se.privileges.Replica
		return restored, false, out.Why(), nil
	}
	r.atBaseline = true
	return Restored{Methods: r.methodsTaken(out)}, true, track.Cause{}, nil
}

// reloadAtMost is the share of a snapshot's rows from which on all tables are
// loaded again rather than some: then more of them can be truncated.
const reloadAtMost = 0.5

// undoPartly undoes what the journal can, and loads the other tables.
func (r *restorer) undoPartly(ctx context.Context) (out track.Outcome, err error) {
	if err := r.file.open(&r.cfg.settings); err != nil {
		return out, err
	}
	tx, err := r.se.conn.BeginTx(ctx, writing)
	if err != nil {
		return out, err
	}
	defer tx.Rollback(ctx)
	if out, err = track.Undo(ctx, tx, r.file.sum, r.se.serverID); err != nil || out.Unusable != "" {
		return out, err
	}
	again := map[schema.Name]bool{}
	var rows int64
	for _, t := range out.Tables {
		again[t.Name] = !t.Reload.IsZero()
	}
	for _, t := range r.file.manifest.Tables {
		if again[t.Name] {
			rows += t.Rows
		}
	}
	if float64(rows) > reloadAtMost*float64(r.file.info.Rows) {
		return track.Outcome{Unusable: track.MostRows}, nil
	}
	if err := catalog.SetLocal(ctx, tx, writeSettings); err != nil {
		return out, err
	}
	l := newLoader(&transaction{db: r.db, se: r.se, tx: tx, privileges: r.se.privileges}, &r.cfg.settings)
	if err := l.match(ctx, r.file, r.cfg); err != nil {
		return out, err
	}
	l.narrow(func(n schema.Name) bool { return again[n] })
	l.meter = r.cfg.meter(msg.ProgressRestoring.In(r.cfg.lang, r.file.name), rows)
	defer l.meter.Done()
	if !l.privileges.Replica {
		return r.undoLoaded(ctx, l, out)
	}
	_, err = l.replaceRows(ctx, r.file.reader)
	if published := (*publishedError)(nil); errors.As(err, &published) { // with more tables it can be truncated
		return track.Outcome{Unusable: track.Published}, nil
	}
	if err != nil {
		return out, err
	}
	if why, err := track.FinishUndo(ctx, tx); err != nil || why != "" {
		return track.Outcome{Unusable: why}, err
	}
	return out, tx.Commit(ctx)
}

// undoLoaded undoes what the journal can together with the tables that must be loaded, while
// foreign keys are checked: their rows come from the file into temporary tables.
func (r *restorer) undoLoaded(ctx context.Context, l *loader, told track.Outcome) (out track.Outcome, err error) {
	sources, err := l.stageAll(ctx, r.file.reader)
	if err != nil {
		return out, err
	}
	if out, err = track.UndoLoaded(ctx, l.tx, sources); err != nil || out.Unusable != "" {
		return out, err
	}
	changed := map[schema.Name]int64{}
	for _, t := range out.Tables {
		changed[t.Name] = t.Changed
	}
	for i, t := range told.Tables {
		if t.Reload.IsZero() {
			told.Tables[i].Changed = changed[t.Name]
		}
	}
	if why, err := track.FinishUndo(ctx, l.tx); err != nil || why != "" {
		return track.Outcome{Unusable: why}, err
	}
	return told, l.tx.Commit(ctx)
}

// reload loads all tables, and marks the database as what the file holds, so that
// the next time it can be undone.
func (r *restorer) reload(ctx context.Context, why track.Cause) (restored Restored, err error) {
	if err := r.file.open(&r.cfg.settings); err != nil {
		return restored, err
	}
	m := &r.file.manifest
	r.cfg.routine(ctx, slog.LevelDebug, msg.SnapshotRestoring, "snapshot", r.file.name, "rows", r.file.info.Rows, "bytes", r.file.info.Bytes)
	err = change(ctx, r.db, &r.cfg.settings, r.se, func(t *transaction) error {
		l := newLoader(t, &r.cfg.settings)
		if err := l.match(ctx, r.file, r.cfg); err != nil {
			return err
		}
		l.meter = r.cfg.meter(msg.ProgressRestoring.In(r.cfg.lang, r.file.name), r.file.info.Rows)
		defer l.meter.Done()
		plan, err := l.replace(ctx, r.file.reader, m.Sequences)
		if err != nil {
			return err
		}
		restored = Restored{Differences: l.differences, Methods: methodsOf(plan, why.Text(r.cfg.lang), r.cfg.lang)}
		switch {
		case m.Scope != nil || !r.se.tracks || len(l.differences) > 0:
		case !t.mayMark:
			r.tellUntracked(ctx, track.WhyUntrackable(ctx, t.tx).Because(), nil)
		default:
			r.mark(ctx, t.tx, l, why)
			if len(l.reactions.undisabled) > 0 { // they may have taken values, even where the mark was undone
				return setSequences(ctx, l.layout, m.Sequences, false)
			}
		}
		return nil
	})
	if err == nil && r.atBaseline && r.cfg.maker != nil {
		likeness, err := catalog.Likeness(ctx, r.se.conn)
		if err != nil {
			return restored, err
		}
		r.db.setLikeness(likeness)
		r.db.setSkipped(nil)
	}
	return restored, err
}

// mark makes what was loaded the baseline. Where it can't be, it is loaded again
// the next time.
func (r *restorer) mark(ctx context.Context, tx pgx.Tx, l *loader, why track.Cause) {
	if r.db.root.disturbed.Load() {
		return
	}
	baseline := l.sel.baseline()
	baseline.Token, baseline.ServerID, baseline.EventTriggers, baseline.Checked, baseline.Reinstall, baseline.Rows = r.file.sum, r.se.serverID, l.privileges.Super, !l.privileges.Replica, r.renew || why.Reason == track.Damaged, map[schema.Name]int64{}
	baseline.Untracked = untrackedTable(ctx, r.db, &r.cfg.settings)
	for _, t := range r.file.manifest.Tables {
		baseline.Rows[t.Name] = t.Rows
	}
	err := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) (err error) {
		if baseline.Sequences, err = catalog.Sequences(ctx, tx, l.sel.sequences()); err != nil {
			return err
		}
		return track.SetBaseline(ctx, tx, baseline)
	})
	r.atBaseline = err == nil
	if reacts := (*track.EventTriggerError)(nil); errors.As(err, &reacts) {
		r.db.root.disturbed.Store(true)
	}
	switch {
	case errors.Is(err, track.ErrWraparound):
		r.tellUntracked(ctx, track.Wraparound.Because(), nil)
	case err != nil:
		r.tellUntracked(ctx, track.Cause{}, err)
	}
}

// tellUntracked tells why restores load everything.
func (r *restorer) tellUntracked(ctx context.Context, why track.Cause, err error) {
	reason, text := why.String(), why.Text(r.cfg.lang)
	if err != nil {
		reason, text = err.Error(), errs.Text(err)
	}
	if catalog.LacksPrivilege(err) && !r.se.privileges.Schemas {
		text += "; " + msg.TrackRights.In(r.cfg.lang, grantSchemas(r.se.privileges))
	}
	r.db.notices.note(ctx, r.cfg.logger, r.cfg.lang, slog.LevelWarn, msg.CantTrack, reason, "role", r.se.privileges.Role, "why", text)
}

// methodsTaken returns what became of each table of the snapshot.
func (r *restorer) methodsTaken(out track.Outcome) []TableMethod {
	lang := r.cfg.lang
	by := map[schema.Name]track.Table{}
	for _, t := range out.Tables {
		by[t.Name] = t
	}
	nothing, undone := msg.WhyNothing.In(lang), msg.WhyUndone.In(lang)
	methods := make([]TableMethod, len(r.file.manifest.Tables))
	for i, t := range r.file.manifest.Tables {
		m := TableMethod{Table: r.file.info.Tables[i].Name, Method: Unchanged, Why: nothing, Rows: t.Rows}
		if written, ok := by[t.Name]; ok && !written.Reload.IsZero() {
			m.Method, m.Why = Reloaded, written.Reload.Text(lang)
		} else if ok {
			m.Method, m.Why, m.Changed = Undone, undone, written.Changed
		}
		methods[i] = m
	}
	return methods
}
