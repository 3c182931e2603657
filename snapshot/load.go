package snapshot

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/snapfile"
	"github.com/groundhogdb/groundhog/internal/track"
)

// loader replaces the content of a database, or what is in scope of it, inside
// one transaction.
type loader struct {
	*copier
	reactions *reactions
}

func newLoader(t *transaction, cfg *settings) *loader {
	l := &layout{transaction: t, cfg: cfg}
	return &loader{copier: &copier{layout: l}, reactions: &reactions{layout: l}}
}

// replace replaces what is in scope by the rows of the file, without one by none,
// and sets every sequence to what states tell of it, else to its start. Nobody
// else writes meanwhile. It returns what was done to each table.
func (l *loader) replace(ctx context.Context, r *snapfile.Reader, states []schema.Sequence) (plan []loadStep, err error) {
	if _, err := fireExtensions(ctx, l.layout, false); err != nil {
		return nil, err
	}
	plan, err = l.replaceRows(ctx, r, func() error {
		if len(l.reactions.undisabled) > 0 { // they may yet take values
			return nil
		}
		return setSequences(ctx, l.layout, states, true)
	}, func() error { return l.refresh(ctx, l.views) })
	if err != nil {
		return nil, err
	}
	fired, err := fireExtensions(ctx, l.layout, true)
	if err == nil && (fired || len(l.reactions.undisabled) > 0) {
		err = setSequences(ctx, l.layout, states, len(l.reactions.undisabled) == 0)
	}
	return plan, err
}

// replaceRows replaces the rows alone, then does what else is to be done before
// triggers wake up again.
func (l *loader) replaceRows(ctx context.Context, r *snapfile.Reader, then ...func() error) (plan []loadStep, err error) {
	if err := l.mayChange(ctx); err != nil {
		return nil, err
	}
	if err := l.lockTables(ctx); err != nil {
		return nil, err
	}
	if l.privileges.Replica {
		if err := l.exec(ctx, "SET LOCAL session_replication_role = replica"); err != nil {
			return nil, err
		}
	}
	enable, err := l.reactions.disable(ctx)
	if err != nil {
		return nil, err
	}
	if err := l.dropRedundantScopes(ctx); err != nil {
		return nil, err
	}
	keys := foreignKeys{l.layout}
	checked, err := keys.deferChecks(ctx)
	if err != nil {
		return nil, err
	}
	plan, back, err := planner{l.layout}.planPublished(ctx, r)
	if err != nil {
		return nil, err
	}
	steps := slices.Concat([]func() error{
		func() error { return l.reload(ctx, plan) },
		checked,
		func() error { return keys.check(ctx, r != nil) },
		back,
	}, then, []func() error{
		enable,
		func() error { return l.removeReactions(ctx, plan) },
	})
	for _, do := range steps {
		if err := do(); err != nil {
			return nil, err
		}
	}
	return plan, nil
}

// stageAll loads the rows of the tables into temporary tables.
func (l *loader) stageAll(ctx context.Context, r *snapfile.Reader) (sources []track.Source, err error) {
	if err := l.mayChange(ctx); err != nil {
		return nil, err
	}
	m := merger{l.copier}
	err = l.inOwnDisplay(ctx, func() error {
		for n, s := range stepsOf(l.sel.Tables, r) {
			if err := m.stage(ctx, n, s); err != nil {
				return ofTable(s.table.Name, err)
			}
			sources = append(sources, track.Source{Table: s.table.Name, From: staged(n)})
		}
		return nil
	})
	return sources, err
}

// reload replaces the rows of the tables of a plan inside a transaction in which
// triggers are silent. It may be a single table, by DELETE: TRUNCATE would want
// those that reference it too.
func (l *loader) reload(ctx context.Context, plan []loadStep) error {
	m := merger{l.copier}
	if err := m.remove(ctx, plan); err != nil {
		return err
	}
	var truncate, sql []string
	for _, s := range plan {
		switch s.how {
		case byTruncate:
			truncate = append(truncate, s.table.Only())
		case byDelete:
			sql = append(sql, "DELETE FROM "+s.table.Only())
		case byMerge: // done
		}
	}
	if len(truncate) > 0 {
		sql = append(sql, l.limitLockWait(), "TRUNCATE TABLE "+strings.Join(truncate, ", "))
	}
	if err := l.exec(ctx, sql...); err != nil {
		return err
	}
	return l.inOwnDisplay(ctx, func() error {
		for i, s := range plan {
			var err error
			if s.how == byMerge || !l.fits(s) {
				err = m.insert(ctx, i, s)
			} else {
				err = l.copyIn(ctx, catalog.Ident(s.table.Name), s)
			}
			if err != nil {
				return ofTable(s.table.Name, err)
			}
			if err := l.reactions.note(ctx, &plan[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// refresh makes the materialised views again.
func (l *loader) refresh(ctx context.Context, views []schema.Name) error {
	return l.inOwnDisplay(ctx, func() error { return l.exec(ctx, refreshes(views)...) })
}

func refreshes(views []schema.Name) (sql []string) {
	for _, v := range views {
		sql = append(sql, "REFRESH MATERIALIZED VIEW "+catalog.Ident(v))
	}
	return sql
}

// removeReactions removes the rows that event triggers have put into tables since these were
// loaded. What they did beyond that is an error.
func (l *loader) removeReactions(ctx context.Context, plan []loadStep) error {
	if len(l.reactions.undisabled) == 0 {
		return nil
	}
	names := make([]schema.Name, len(plan))
	for i, s := range plan {
		names[i] = s.table.Name
	}
	now, err := catalog.XactWrites(ctx, l.tx, names, l.cfg.lang)
	if err != nil {
		return err
	}
	again := map[schema.Name]bool{}
	for _, s := range slices.Backward(plan) { // what references comes first
		extra := now[s.table.Name].Since(s.after.Writes)
		if extra == (catalog.Writes{}) {
			continue
		}
		disturbed := errs.New(ErrConflict, msg.Disturbed.In(l.cfg.lang, s.table.Name.String(), namesOf(l.reactions.undisabled)), nil)
		if extra.Updated != 0 || extra.Deleted != 0 || extra.Inserted < 0 || l.reactions.reacts(s.table) {
			return disturbed
		}
		refused, err := catalog.RefusedChanges(ctx, l.tx, l.published.tables[s.table.Name].Leaves, "DELETE")
		if err != nil {
			return err
		}
		if len(refused) > 0 {
			again[s.table.Name] = true
			continue
		}
		tag, err := l.tx.Exec(ctx, fmt.Sprintf("DELETE FROM %s t WHERE "+sinceLoad, s.table.Only(), s.after.command))
		if err != nil {
			return ofTable(s.table.Name, err)
		}
		if tag.RowsAffected() != extra.Inserted {
			return disturbed
		}
	}
	return l.truncateAgain(ctx, plan, again)
}

// truncateAgain loads tables once more whose rows can't be deleted, now that their
// replica identity is what it was: no event trigger sees TRUNCATE. It takes those along
// that reference them.
func (l *loader) truncateAgain(ctx context.Context, plan []loadStep, tables map[schema.Name]bool) error {
	if len(tables) == 0 {
		return nil
	}
	for again := true; again; {
		again = false
		for _, t := range slices.Concat(l.sel.Tables, l.sel.others) {
			for _, fk := range t.ForeignKeys {
				if tables[fk.References] && !tables[t.Name] {
					tables[t.Name], again = true, true
				}
			}
		}
	}
	var steps []loadStep
	for _, s := range plan {
		if !tables[s.table.Name] {
			continue
		}
		if l.sel.where[s.table.Name] != "" || l.reactions.reacts(s.table) {
			return errs.New(ErrConflict, msg.Disturbed.In(l.cfg.lang, s.table.Name.String(), namesOf(l.reactions.undisabled)), nil)
		}
		s.how = byTruncate
		steps = append(steps, s)
	}
	return l.reload(ctx, steps)
}

// refreshViews does what a restore would, so that tests find the same in the views
// whether the snapshot was just built or was there.
func refreshViews(ctx context.Context, d *database, cfg *settings) error {
	return d.withConn(ctx, func(conn *pgx.Conn) error {
		return resolving(ctx, d, cfg, &session{conn: conn}, func() error {
			return pgx.BeginTxFunc(ctx, conn, writing, func(tx pgx.Tx) error {
				views, err := catalog.MaterializedViews(ctx, tx)
				if err != nil {
					return err
				}
				return catalog.ExecScript(ctx, tx, refreshes(views)...)
			})
		})
	})
}
