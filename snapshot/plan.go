package snapshot

import (
	"context"
	"slices"
	"strings"

	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/snapfile"
)

// truncateFrom is the size of a table's heap from which TRUNCATE beats DELETE.
const truncateFrom = 256 << 10

// planner decides how rows are replaced.
type planner struct{ *layout }

// plan decides for each table, in load order, how its rows are replaced by those
// in the file; without a file, by none. This is the one place where that is chosen.
func (p planner) plan(r *snapfile.Reader) []loadStep {
	truncate := p.truncatable()
	steps := stepsOf(p.sel.Tables, r)
	for n, t := range p.sel.Tables {
		s := &steps[n]
		s.where = p.sel.where[t.Name]
		switch {
		case s.where != "":
			s.how = byMerge
		case truncate[t.Name]:
			s.how = byTruncate
		case p.privileges.Replica:
			s.how = byDelete
		default: // a DELETE would cascade to rows that are not in scope
			s.how, s.where = byMerge, "true"
		}
	}
	return steps
}

// truncatable tells the tables to truncate. TRUNCATE wants every table that
// references a truncated one to be truncated with it, even in replica role; so
// one that other rows reference can't be, and one that only small tables
// reference takes them along.
func (p planner) truncatable() map[schema.Name]bool {
	can, want := map[schema.Name]bool{}, map[schema.Name]bool{}
	for _, t := range p.sel.Tables {
		can[t.Name] = p.sel.where[t.Name] == "" && !p.published.deaf(t, slices.Concat(p.sel.Tables, p.sel.others))
	}
	// to carries what holds for a table over to those that it references, or the
	// other way round, until nothing changes.
	settle := func(visit func(from, to schema.Name) (changed bool)) {
		for again := true; again; {
			again = false
			for _, t := range slices.Concat(p.sel.Tables, p.sel.others) {
				for _, fk := range t.ForeignKeys {
					again = visit(t.Name, fk.References) || again
				}
			}
		}
	}
	settle(func(from, to schema.Name) bool {
		changed := can[to] && !can[from]
		if changed {
			can[to] = false
		}
		return changed
	})
	for _, t := range p.sel.Tables {
		want[t.Name] = can[t.Name] && (!p.privileges.Replica || t.Bytes >= truncateFrom || p.published.refused[t.Name] != "")
	}
	settle(func(from, to schema.Name) bool {
		changed := want[to] && !want[from]
		if changed {
			want[from] = true
		}
		return changed
	})
	return want
}

// publishedError is that a table can't be emptied since it is published.
type publishedError struct{ err *errs.Error }

func (e *publishedError) Error() string { return e.err.Error() }
func (e *publishedError) Unwrap() error { return e.err }

// planPublished is plan, and makes way for it where tables are published. What it
// returns makes the replica identities what they were.
func (p planner) planPublished(ctx context.Context, r *snapfile.Reader) (plan []loadStep, back func() error, err error) {
	nothing := func() error { return nil }
	plan = p.plan(r)
	refused, err := p.published.refusedBy(ctx, plan)
	if err != nil || len(refused) == 0 {
		return plan, nothing, err
	}
	on, err := p.published.identify(ctx, plan, refused)
	if err != nil {
		return nil, nil, err
	}
	back = func() error { return p.exec(ctx, on...) }
	if len(p.published.refused) == 0 {
		return plan, back, nil
	}
	plan = p.plan(r)
	for _, s := range plan {
		if said := p.published.refused[s.table.Name]; said != "" && s.how != byTruncate {
			return nil, nil, &publishedError{errs.New(ErrConflict, msg.PublishedRefused.In(p.cfg.lang, s.table.Name.String(), strings.Join(p.published.tables[s.table.Name].By, ", "), said), nil)}
		}
	}
	return plan, back, nil
}

// methodsOf returns what a plan does, and why.
func methodsOf(plan []loadStep, why string, lang msg.Lang) []TableMethod {
	methods := make([]TableMethod, 0, len(plan))
	for _, s := range plan {
		m := TableMethod{Table: s.table.Name.String(), Method: Reloaded, Why: why}
		switch {
		case s.how == byMerge && s.table.Extension != "":
			m.Why = msg.WhyExtension.In(lang)
		case s.how == byMerge:
			m.Why = msg.WhyScope.In(lang)
		}
		if s.part != nil {
			m.Rows = s.part.Rows
		}
		methods = append(methods, m)
	}
	return methods
}
