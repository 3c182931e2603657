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
)

// A role that is no superuser can't disable event triggers. They see each CREATE, ALTER
// and DROP of a load, and may write to tables that were loaded before. Where there are
// any, what the transaction has written to a table is noted when it was loaded, and
// compared after the last statement that an event trigger can see. Rows that came in
// between are removed again, by statements that no event trigger sees.

// reactions are what reacts to our statements, or hides rows from them.
type reactions struct {
	*layout
	undisabled []catalog.Trigger              // event triggers that can't be disabled
	before     map[schema.Name]catalog.Writes // the first statement that they see
}

// disable switches off what would react to our statements, or hide rows from
// them: user triggers, rules, event triggers, row level security that is forced
// on the owner. It returns what gives each its state again. In replica role only
// those marked ALWAYS or REPLICA are awake.
func (r *reactions) disable(ctx context.Context) (enable func() error, err error) {
	var off, on []string
	alter := func(prefix, kind string, t catalog.Trigger) {
		state := map[string]string{"O": "ENABLE", "A": "ENABLE ALWAYS", "R": "ENABLE REPLICA"}[t.Enabled]
		awake := t.Enabled == "A" || (t.Enabled == "R") == r.privileges.Replica
		if state == "" || !awake {
			return
		}
		name := pgx.Identifier{t.Name}.Sanitize()
		if kind == "" { // an event trigger
			off, on = append(off, prefix+name+" DISABLE"), append(on, prefix+name+" "+state)
			return
		}
		off = append(off, fmt.Sprintf("%sDISABLE %s %s", prefix, kind, name))
		on = append(on, fmt.Sprintf("%s%s %s %s", prefix, state, kind, name))
	}
	events := r.events
	if !r.mayDisable {
		events, r.undisabled = nil, r.events
	}
	for _, t := range events {
		alter("ALTER EVENT TRIGGER ", "", t)
	}
	for _, t := range r.sel.Tables {
		if t.Secured && t.Forced {
			off = append(off, "ALTER TABLE "+t.Only()+" NO FORCE ROW LEVEL SECURITY")
			on = append(on, "ALTER TABLE "+t.Only()+" FORCE ROW LEVEL SECURITY")
		}
		for _, trigger := range t.Triggers {
			alter("ALTER TABLE ONLY "+catalog.Ident(trigger.Table)+" ", "TRIGGER", trigger)
		}
		for _, rule := range t.Rules {
			alter("ALTER TABLE "+catalog.Ident(rule.Table)+" ", "RULE", rule)
		}
	}
	slices.Reverse(on) // event triggers last, so that they don't see the others come back
	if len(off) > 0 {
		off = slices.Insert(off, 0, r.limitLockWait())
	}
	return func() error { return r.exec(ctx, on...) }, r.exec(ctx, off...)
}

// note notes what the transaction has written to the table of a step by now.
func (r *reactions) note(ctx context.Context, s *loadStep) error {
	if len(r.undisabled) == 0 {
		return nil
	}
	counts, err := catalog.XactWrites(ctx, r.tx, []schema.Name{s.table.Name}, r.cfg.lang)
	if err != nil {
		return err
	}
	s.after = &writesSoFar{Writes: counts[s.table.Name]}
	err = r.tx.QueryRow(ctx, fmt.Sprintf("SELECT coalesce(pg_catalog.max(t.cmin::text::bigint) FILTER (WHERE %s), -1) FROM %s t", ofTransaction, s.table.Only())).Scan(&s.after.command)
	return ofTable(s.table.Name, err)
}

// ofTransaction is the condition that the transaction itself put a row t in, and
// sinceLoad that it did so after a command, or in a savepoint.
const (
	ofTransaction = "t.xmin OPERATOR(pg_catalog.=) pg_catalog.pg_current_xact_id()::pg_catalog.xid"
	sinceLoad     = "(" + ofTransaction + " AND t.cmin::text::bigint OPERATOR(pg_catalog.>) %d OR pg_catalog.age(t.xmin) OPERATOR(pg_catalog.<) pg_catalog.age(pg_catalog.pg_current_xact_id()::pg_catalog.xid))"
)

// ofOthers leaves out of a step what event triggers have put into its table in this
// transaction, which made temporary tables. What they did beyond that is an error.
func (r *reactions) ofOthers(ctx context.Context, s loadStep) (loadStep, error) {
	if len(r.undisabled) == 0 {
		return s, nil
	}
	counts, err := catalog.XactWrites(ctx, r.tx, []schema.Name{s.table.Name}, r.cfg.lang)
	if err != nil {
		return s, err
	}
	written := counts[s.table.Name].Since(r.before[s.table.Name])
	if written.Updated != 0 || written.Deleted != 0 {
		return s, errs.New(ErrConflict, msg.Disturbed.In(r.cfg.lang, s.table.Name.String(), namesOf(r.undisabled)), nil)
	}
	s.where = joinConditions(s.where, "pg_catalog.age(xmin) OPERATOR(pg_catalog.>) pg_catalog.age(pg_catalog.pg_current_xact_id()::pg_catalog.xid)")
	return s, nil
}

// reacts reports whether triggers, rules or foreign keys react to a DELETE, now that
// triggers are awake again.
func (r *reactions) reacts(t catalog.Table) bool {
	awake := func(t catalog.Trigger) bool {
		return t.Enabled == "A" || t.Enabled == "O" && !r.privileges.Replica || t.Enabled == "R" && r.privileges.Replica
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
