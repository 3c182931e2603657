package snapshot

import (
	"errors"
	"slices"
	"strings"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/snapfile"
)

// published is what publications have to do with a load. The server refuses to
// delete or update rows of a published table where subscribers could not tell which
// rows these were: it has no key, or its filter or its columns are not part of the
// replica identity. The first way out is to make all columns the identity while rows
// are replaced, so that subscribers hear of each row. Where that is not allowed
// either, TRUNCATE is, which needs no identity.
type published struct {
	tables  map[schema.Name]catalog.Published
	refused map[schema.Name]string // those that only TRUNCATE empties, and what the server says
}

// deaf tells that subscribers would not hear of a TRUNCATE of the table, but of a DELETE:
// the rows that are put in again would be there twice for them. Where the table has to
// be truncated, that can't be helped: with foreign keys that can't be switched off, a
// DELETE might not be possible.
func (l *loader) deaf(t catalog.Table) bool {
	if !l.published.tables[t.Name].TruncateLeftOut || len(l.published.refused) > 0 {
		return false
	}
	return l.powers.Replica || len(t.ForeignKeys) == 0 && !slices.ContainsFunc(slices.Concat(l.sel.Tables, l.sel.others), func(other catalog.Table) bool {
		return slices.ContainsFunc(other.ForeignKeys, func(fk catalog.ForeignKey) bool { return fk.References == t.Name })
	})
}

// errPublished tells that a table can't be emptied since it is published.
var errPublished = errors.New("published")

// readPublished reads which tables are published, with names qualified.
func (l *loader) readPublished() error {
	var names []schema.Name
	for _, t := range l.sel.Tables {
		names = append(names, t.Name)
	}
	found, err := catalog.ReadPublished(l.ctx, l.tx, names)
	l.published = published{tables: map[schema.Name]catalog.Published{}, refused: map[schema.Name]string{}}
	for _, p := range found {
		l.published.tables[p.Name] = p
	}
	return err
}

// planPublished is plan, and makes way for it where tables are published. What it
// returns makes the replica identities what they were.
func (l *loader) planPublished(r *snapfile.Reader) (plan []step, back func() error, err error) {
	nothing := func() error { return nil }
	plan = l.plan(r)
	refused, err := l.refused(plan)
	if err != nil || len(refused) == 0 {
		return plan, nothing, err
	}
	on, err := l.identify(plan, refused)
	if err != nil {
		return nil, nil, err
	}
	back = func() error { return execAll(l.ctx, l.tx, on) }
	if len(l.published.refused) == 0 {
		return plan, back, nil
	}
	plan = l.plan(r)
	for _, s := range plan {
		if said := l.published.refused[s.table.Name]; said != "" && s.how != byTruncate {
			return nil, nil, errs.New(errPublished, msg.PublishedRefused.In(l.cfg.lang, s.table.Name.String(), strings.Join(l.published.tables[s.table.Name].By, ", "), said), nil)
		}
	}
	return plan, back, nil
}

// refused returns the tables of the plan that the server refuses to change in the
// way that was chosen, with what it says.
func (l *loader) refused(plan []step) (map[schema.Name]string, error) {
	leaves := map[how][]uint32{}
	for _, s := range plan {
		leaves[s.how] = append(leaves[s.how], l.published.tables[s.table.Name].Leaves...)
	}
	commands := map[how][]string{byDelete: {"DELETE"}, byMerge: {"DELETE"}}
	if !l.powers.Replica { // rows that are there are updated
		commands[byMerge] = []string{"DELETE", "UPDATE"}
	}
	out := map[schema.Name]string{}
	for way, commands := range commands {
		said, err := catalog.RefusedChanges(l.ctx, l.tx, leaves[way], commands...)
		if err != nil {
			return nil, err
		}
		for _, s := range plan {
			for _, leaf := range l.published.tables[s.table.Name].Leaves {
				if text, ok := said[leaf]; ok {
					out[s.table.Name] = text
				}
			}
		}
	}
	return out, nil
}

// identify makes all columns the replica identity of the tables that are refused, and
// returns what takes that back. Those for which that is not allowed are left as they
// are, and noted. Partitions may be published as their root, so each tree is switched
// as a whole.
func (l *loader) identify(plan []step, refused map[schema.Name]string) (back []string, err error) {
	var names []schema.Name
	for name := range refused {
		names = append(names, name)
	}
	identities, err := catalog.ReplicaIdentities(l.ctx, l.tx, names)
	if err != nil {
		return nil, err
	}
	for _, s := range plan {
		name := s.table.Name
		if refused[name] == "" {
			continue
		}
		there, restore, ok := catalog.SwitchIdentities(identities[name])
		if ok {
			if ok, err = l.try(there, s); err != nil {
				return nil, err
			}
		}
		if !ok {
			l.published.refused[name] = refused[name]
			continue
		}
		back = append(back, restore...)
	}
	return back, nil
}

// try executes statements after which the server is expected to let the rows of a
// step be changed, and takes them back if it does not. The savepoint must be gone then:
// rows that are written below one have another transaction id than the horizon.
func (l *loader) try(sql []string, s step) (ok bool, err error) {
	if err := execAll(l.ctx, l.tx, slices.Concat([]string{"SAVEPOINT groundhog_identity"}, sql)); err != nil {
		return false, err
	}
	still, err := l.refused([]step{s})
	if err != nil {
		return false, err
	}
	end := []string{"RELEASE SAVEPOINT groundhog_identity"}
	if len(still) > 0 {
		end = slices.Concat([]string{"ROLLBACK TO SAVEPOINT groundhog_identity"}, end)
	}
	return len(still) == 0, execAll(l.ctx, l.tx, end)
}

// truncateAgain loads tables once more whose rows can't be deleted, now that their
// replica identity is what it was: no event trigger sees TRUNCATE. It takes those along
// that reference them.
func (l *loader) truncateAgain(plan []step, tables map[schema.Name]bool) error {
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
	var steps []step
	for _, s := range plan {
		if !tables[s.table.Name] {
			continue
		}
		if l.sel.where[s.table.Name] != "" || l.reacts(s.table) {
			return errs.New(nil, msg.Disturbed.In(l.cfg.lang, s.table.Name.String(), namesOf(l.loud)), nil)
		}
		s.how = byTruncate
		steps = append(steps, s)
	}
	return l.reload(steps)
}
