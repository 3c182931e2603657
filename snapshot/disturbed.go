package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
)

// A role that is no superuser can't disable event triggers. They see each CREATE, ALTER
// and DROP of a load, and may write to tables that were loaded before. Where there are
// any, what the transaction has written to a table is noted when it was loaded, and
// compared after the last statement that an event trigger can see. Rows that came in
// between are removed again, by statements that no event trigger sees.

// written is what a transaction had written to a table when it was loaded.
type written struct {
	catalog.Writes
	command int64 // the last command that put a row in; -1: none
}

// note notes what the transaction has written to the table of a step by now.
func (l *loader) note(s *step) error {
	if len(l.loud) == 0 {
		return nil
	}
	counts, err := catalog.XactWrites(l.ctx, l.tx, []schema.Name{s.table.Name})
	if err != nil {
		return err
	}
	s.after = &written{Writes: counts[s.table.Name]}
	err = l.tx.QueryRow(l.ctx, fmt.Sprintf("SELECT coalesce(pg_catalog.max(t.cmin::text::bigint) FILTER (WHERE %s), -1) FROM %s t", ofTransaction, s.table.Only())).Scan(&s.after.command)
	return ofTable(s.table.Name, err)
}

// ofTransaction is the condition that the transaction itself put a row t in, and
// sinceLoad that it did so after a command, or in a savepoint.
const (
	ofTransaction = "t.xmin OPERATOR(pg_catalog.=) pg_catalog.pg_current_xact_id()::pg_catalog.xid"
	sinceLoad     = "(" + ofTransaction + " AND t.cmin::text::bigint OPERATOR(pg_catalog.>) %d OR pg_catalog.age(t.xmin) OPERATOR(pg_catalog.<) pg_catalog.age(pg_catalog.pg_current_xact_id()::pg_catalog.xid))"
)

// putRight removes the rows that event triggers have put into tables since these were
// loaded. What they did beyond that is an error.
func (l *loader) putRight(plan []step) error {
	if len(l.loud) == 0 {
		return nil
	}
	names := make([]schema.Name, len(plan))
	for i, s := range plan {
		names[i] = s.table.Name
	}
	now, err := catalog.XactWrites(l.ctx, l.tx, names)
	if err != nil {
		return err
	}
	again := map[schema.Name]bool{}
	for _, s := range slices.Backward(plan) { // what references comes first
		extra := now[s.table.Name].Since(s.after.Writes)
		if extra == (catalog.Writes{}) {
			continue
		}
		disturbed := errs.New(nil, msg.Disturbed.In(l.cfg.lang, s.table.Name.String(), namesOf(l.loud)), nil)
		if extra.Updated != 0 || extra.Deleted != 0 || extra.Inserted < 0 || l.reacts(s.table) {
			return disturbed
		}
		refused, err := catalog.RefusedChanges(l.ctx, l.tx, l.published.tables[s.table.Name].Leaves, "DELETE")
		if err != nil {
			return err
		}
		if len(refused) > 0 {
			again[s.table.Name] = true
			continue
		}
		tag, err := l.tx.Exec(l.ctx, fmt.Sprintf("DELETE FROM %s t WHERE "+sinceLoad, s.table.Only(), s.after.command))
		if err != nil {
			return ofTable(s.table.Name, err)
		}
		if tag.RowsAffected() != extra.Inserted {
			return disturbed
		}
	}
	return l.truncateAgain(plan, again)
}

// ofOthers leaves out of a step what event triggers have put into its table in this
// transaction, which made temporary tables. What they did beyond that is an error.
func (l *loader) ofOthers(s step) (step, error) {
	if len(l.loud) == 0 {
		return s, nil
	}
	counts, err := catalog.XactWrites(l.ctx, l.tx, []schema.Name{s.table.Name})
	if err != nil {
		return s, err
	}
	written := counts[s.table.Name].Since(l.before[s.table.Name])
	if written.Updated != 0 || written.Deleted != 0 {
		return s, errs.New(nil, msg.Disturbed.In(l.cfg.lang, s.table.Name.String(), namesOf(l.loud)), nil)
	}
	s.where = joinConditions(s.where, "pg_catalog.age(xmin) OPERATOR(pg_catalog.>) pg_catalog.age(pg_catalog.pg_current_xact_id()::pg_catalog.xid)")
	return s, nil
}

// unhide lets the owner of the tables, on which row level security is forced, read
// them until the transaction is rolled back. All other tables should have been read:
// event triggers see the statements, and may write to any table.
func (c *storeConfig) unhide(ctx context.Context, tx pgx.Tx, tables []catalog.Table, role string) error {
	if err := c.mayUnhide(tables, role); err != nil {
		return err
	}
	var names []schema.Name
	var sql []string
	for _, t := range tables {
		names, sql = append(names, t.Name), append(sql, "ALTER TABLE "+t.Only()+" NO FORCE ROW LEVEL SECURITY")
	}
	triggers, _, err := catalog.EventTriggers(ctx, tx)
	if err != nil || len(triggers) == 0 {
		return errors.Join(err, execAll(ctx, tx, sql))
	}
	before, err := catalog.XactWrites(ctx, tx, names)
	if err == nil {
		err = execAll(ctx, tx, sql)
	}
	if err != nil {
		return err
	}
	written, err := catalog.XactWrites(ctx, tx, names)
	for _, name := range names {
		if err == nil && written[name] != before[name] {
			err = errs.New(nil, msg.Disturbed.In(c.lang, name.String(), namesOf(triggers)), nil)
		}
	}
	return err
}

// mayUnhide returns an error unless the role owns the tables and they hide rows only
// since that is forced.
func (c *storeConfig) mayUnhide(tables []catalog.Table, role string) error {
	for _, t := range tables {
		if !t.Owned || !t.Forced {
			return errs.New(nil, msg.RowsHidden.In(c.lang, t.Name.String(), role), nil)
		}
	}
	return nil
}

// reacts reports whether triggers, rules or foreign keys react to a DELETE, now that
// triggers are awake again.
func (l *loader) reacts(t catalog.Table) bool {
	awake := func(t catalog.Trigger) bool {
		return t.Enabled == "A" || t.Enabled == "O" && !l.powers.Replica || t.Enabled == "R" && l.powers.Replica
	}
	return slices.ContainsFunc(t.Triggers, awake) || slices.ContainsFunc(t.Rules, awake) || t.Secured
}

func namesOf(triggers []catalog.Trigger) string {
	names := make([]string, len(triggers))
	for i, t := range triggers {
		names[i] = t.Name
	}
	return strings.Join(names, ", ")
}
