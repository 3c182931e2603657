package snapshot

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/testdb"
	"github.com/groundhogdb/groundhog/internal/track"
)

// What things cost, as measured on two cores. An exchange itself is measured while tests
// run.
const (
	undoneRow   = 8 * time.Microsecond  // to put a row back
	loadedTable = 2 * time.Millisecond  // to load an empty table
	swapTime    = 12 * time.Millisecond // to replace a database by a copy that is ready, with the test's next connection
)

// dirtyRows is the number of changed rows from which on the database is dropped before the
// template is copied: to copy files, the server first writes all changed pages, also those
// of the database that is about to be dropped.
const dirtyRows = 5000

// How long the sessions of others are waited for that may end by themselves.
const (
	cheapPatience  = 30 * time.Millisecond
	neededPatience = 500 * time.Millisecond
)

// exchanger replaces a database by a copy of it at a snapshot, where that takes less time
// than to undo or to load, or where only that brings back what was changed.
type exchanger struct {
	db    *database
	cfg   *restoreConfig
	file  *snapshotFile
	pool  *clonePool
	maker testdb.Maker

	content testdb.Content // of the template
	took    time.Duration  // of the quickest copy of it

	// Where a copy is still being made for a database at its first use, await returns it and
	// keepFormer takes the database that is replaced.
	await      func() (*clone, error)
	keepFormer func(*clone)
}

// newExchanger returns nil, and why, where the database can't be replaced.
func newExchanger(ctx context.Context, d *database, cfg *restoreConfig, f *snapshotFile) (x *exchanger, why string) {
	lang := cfg.lang
	switch {
	case cfg.maker == nil:
		return nil, msg.NoExchangeMaker.In(lang)
	case f.manifest.Scope != nil:
		return nil, msg.WhyScope.In(lang)
	case cfg.mismatch == Warn:
		return nil, msg.NoExchangeWarn.In(lang)
	}
	x = &exchanger{db: d, cfg: cfg, file: f, maker: cfg.maker, pool: clonePoolOf(d, cfg.maker, f.sum)}
	// Whatever is wrong with the database, the restore tells.
	_ = x.pool.seekTemplate(ctx, d, &cfg.settings, cfg.maker, f)
	var there bool
	var failed error
	x.content, x.took, there, failed = x.pool.template.get()
	if !there {
		return nil, noTemplate(failed, cfg.settings)
	}
	return x, ""
}

// noTemplate says why there is no copy of the database at the snapshot.
func noTemplate(failed error, cfg settings) string {
	var occupied *testdb.OccupiedError
	switch {
	case failed == nil:
		return msg.NoExchangeYet.In(cfg.lang)
	case errors.As(failed, &occupied):
		return msg.NoTemplateOccupied.In(cfg.lang, strings.Join(occupied.By.Describe(cfg.lang), "; "))
	}
	return msg.NoTemplateFailed.In(cfg.lang, errs.Line(failed))
}

// cost is what an exchange costs. Of a copy that is ready half is counted: another one is
// made in its place, while tests run.
func (x *exchanger) cost() time.Duration {
	if x.pool.ready.isThere() {
		return swapTime + x.took/2
	}
	return swapTime + x.took*3/2 // the database is dropped too, first or in the background
}

// alternative is what the journal is asked with. x may be nil.
func (x *exchanger) alternative() *track.Alternative {
	if x == nil {
		return nil
	}
	return &track.Alternative{Likeness: x.db.knownLikeness(), Most: int64(x.cost() / undoneRow)}
}

// prefers reports whether to replace the database is better than to load all tables for
// that cause. x may be nil.
func (x *exchanger) prefers(why track.Cause) bool {
	if x == nil {
		return false
	}
	switch {
	case why.Reason == track.Costly || isNeeded(why):
		return true
	case why.Reason == track.Subscription || why.Reason == track.Wraparound:
		return false // so it would be in a copy, or none may be made
	}
	load := 2*undoneRow*time.Duration(x.file.info.Rows) + loadedTable*time.Duration(len(x.file.manifest.Tables))
	return load > x.cost()
}

// isNeeded reports whether only a copy brings back what was changed. After a crash it is not
// known what was.
func isNeeded(why track.Cause) bool {
	return slices.Contains([]track.Reason{track.SchemaChanged, track.DatabaseAltered, track.LargeObjects, track.Damaged, track.DatabaseGone, track.Crash}, why.Reason)
}

// isLost reports whether an error says that the database is gone, or takes no connections.
// x may be nil.
func (x *exchanger) isLost(err error) bool {
	var pg *pgconn.PgError
	return x != nil && errors.As(err, &pg) && (pg.Code == "3D000" || pg.Code == "55000" && strings.Contains(pg.Message, "connections"))
}

// run replaces the database, of which so many rows were changed. It returns an error wrapping
// *testdb.OccupiedError, and has done nothing, if that is not possible now.
func (x *exchanger) run(ctx context.Context, why track.Cause, changed int64) (restored Restored, err error) {
	d := x.db
	was := d.baselineFile()
	x.endPrepared(ctx)
	d.sessions.await()
	with := testdb.Exchange{Content: x.content, Terminate: x.cfg.terminate, Release: d.sessions.release, Patience: cheapPatience}
	if isNeeded(why) {
		with.Patience = neededPatience
	}
	var ready *clone
	await := x.await
	if await == nil {
		if ready = x.pool.ready.take(); ready != nil {
			with.Ready = ready.source
			ready.close()
			ready.db = nil
		} else if changed < dirtyRows { // while the database is vacated
			await = x.pool.copyAside(ctx)
		}
	}
	if await != nil {
		with.Await = func() (_ testdb.Copy, err error) {
			if ready, err = await(); err != nil {
				return nil, err
			}
			return ready.source, nil
		}
	}
	var skipped []schema.Name
	began := time.Now()
	err = x.maker.Exchange(ctx, with)
	if x.await == nil && await != nil {
		if aside, _ := await(); ready == nil { // it was not asked for
			ready = aside
		}
		if err != nil && ready == nil && isFull(err) { // for both
			with.Await, began = nil, time.Now()
			err = x.maker.Exchange(ctx, with)
		}
	}
	d.openAhead(&x.cfg.settings)
	switch {
	case err == nil && x.keepFormer != nil && ready != nil:
		x.keepFormer(ready)
	case err != nil && ready != nil:
		x.pool.ready.putBack(ready)
		return restored, err
	case err != nil:
		return restored, err
	case ready == nil:
		x.pool.template.copied(time.Since(began))
	default:
		skipped, ready.skipped = ready.skipped, d.skippedTables()
		if without := ready.skipped; len(without) > 0 {
			from := x.pool
			if was != nil {
				from = cmp.Or(clonePoolsOf(d).at(was.sum), from)
			}
			if rows, err := ready.source.Written(ctx); err == nil { // else they are probed some time
				from.heavy.written(rows, without)
			}
		}
		former := x.pool
		keep := was != nil && why.Reason == track.OtherBaseline
		if keep {
			if former = clonePoolsOf(d).at(was.sum); former == nil || former.ready.isThere() {
				former, keep = x.pool, false
			}
		}
		former.ready.returnFormer(ready, &x.cfg.settings, was, keep)
	}
	d.setLikeness(x.maker.Likeness())
	d.setSkipped(skipped)
	if x.keepFormer == nil { // else no test has changed anything yet: most change little
		x.pool.ready.replenish(&x.cfg.settings, x.file)
	}
	text := why.Text(x.cfg.lang)
	restored.Methods = make([]TableMethod, len(x.file.manifest.Tables))
	for i, t := range x.file.manifest.Tables {
		restored.Methods[i] = TableMethod{Table: x.file.info.Tables[i].Name, Method: Exchanged, Why: text, Rows: t.Rows}
	}
	return restored, nil
}

// isFull reports whether there was no room for something.
func isFull(err error) bool {
	return errors.Is(err, errs.ErrDiskSpace) || errs.IsClass(err, errs.ErrDiskSpace)
}

// without brings the rows back where the database could not be replaced, and says why.
func (x *exchanger) without(ctx context.Context, wish track.Cause, failed error) (missed string, restored Restored, r restorer, err error) {
	cfg, lang := x.cfg, x.cfg.lang
	var occupied *testdb.OccupiedError
	missed = msg.NoTemplateFailed.In(lang, errs.Line(failed))
	switch {
	case errors.As(failed, &occupied):
		missed = msg.NoExchangeOccupied.In(lang, strings.Join(occupied.By.Describe(lang), "; "))
	case errors.Is(failed, testdb.ErrNoTemplate):
		x.pool.template.lost()
		missed = msg.NoExchangeYet.In(lang)
	}
	if occupied == nil && isNeeded(wish) && !errors.Is(failed, testdb.ErrNoTemplate) {
		return missed, restored, r, failed // without this, all would have come back
	}
	restored, r, err = restoreRows(ctx, x.db, cfg, x.file, nil)
	switch {
	case x.isLost(err):
		err = failed // the database is gone, and this is why
	case errors.Is(err, ErrSchemaMismatch):
		err = x.prevented(ErrSchemaMismatch, wish, occupied, err)
	case errors.Is(err, ErrUnsupported):
		err = x.prevented(ErrUnsupported, wish, occupied, err)
	case err == nil && isNeeded(wish):
		cfg.logger.WarnContext(ctx, msg.NotExchanged.In(lang), "snapshot", x.file.name, "changed", wish.Text(lang), "why", missed)
	}
	return missed, restored, r, err
}

// prevented names those who were in the way in the error of a restore that could not do
// without an exchange.
func (x *exchanger) prevented(class error, wish track.Cause, by *testdb.OccupiedError, err error) error {
	if by == nil {
		return err
	}
	lang, out := x.cfg.lang, msg.WayOutOccupied
	switch {
	case by.By.Bubble:
		out = msg.WayOutBubble
	case len(by.By.Bound) > 0:
		out = msg.WayOutBound
	}
	return errs.New(class, msg.SchemaNotExchanged.In(lang, x.file.name, wish.Text(lang), "\n  "+strings.Join(by.By.Describe(lang), "\n  "), out.In(lang)), err)
}

// endPrepared rolls prepared transactions back that would be in the way, if that was asked
// for. Only a session of the database can. Those that it could not are named afterwards.
func (x *exchanger) endPrepared(ctx context.Context) {
	if x.cfg.terminate {
		_ = x.db.inSession(ctx, &x.cfg.settings, func(se *session) error { return catalog.RollbackPrepared(ctx, se.conn) })
	}
}

// missed says why the database was not replaced where tables were loaded.
func (r *Restored) missed(why string) {
	if slices.ContainsFunc(r.Methods, func(m TableMethod) bool { return m.Method == Reloaded }) {
		r.NotExchanged = why
	}
}
