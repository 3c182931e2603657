package snapshot

import (
	"context"
	"slices"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/schema"
)

// published is what publications have to do with a load. The server refuses to
// delete or update rows of a published table where subscribers could not tell which
// rows these were: it has no key, or its filter or its columns are not part of the
// replica identity. The first way out is to make all columns the identity while rows
// are replaced, so that subscribers hear of each row. Where that is not allowed
// either, TRUNCATE is, which needs no identity.
type published struct {
	*transaction
	tables  map[schema.Name]catalog.Published
	refused map[schema.Name]string // those that only TRUNCATE empties, and what the server says
}

// readPublished reads which of the tables are published, with names qualified.
func readPublished(ctx context.Context, t *transaction, tables []catalog.Table) (published, error) {
	names := make([]schema.Name, len(tables))
	for i, table := range tables {
		names[i] = table.Name
	}
	p := published{transaction: t, tables: map[schema.Name]catalog.Published{}, refused: map[schema.Name]string{}}
	found, err := catalog.ReadPublished(ctx, t.tx, names)
	for _, one := range found {
		p.tables[one.Name] = one
	}
	return p, err
}

// deaf reports whether subscribers would not hear of a TRUNCATE of the table, but of a
// DELETE: the rows that are put in again would be there twice for them. Where the table
// has to be truncated, that can't be helped: with foreign keys that can't be switched
// off, a DELETE might not be possible. all are the tables that may reference it.
func (p *published) deaf(t catalog.Table, all []catalog.Table) bool {
	if !p.tables[t.Name].TruncateLeftOut || len(p.refused) > 0 {
		return false
	}
	return p.privileges.Replica || len(t.ForeignKeys) == 0 && !slices.ContainsFunc(all, func(other catalog.Table) bool {
		return slices.ContainsFunc(other.ForeignKeys, func(fk catalog.ForeignKey) bool { return fk.References == t.Name })
	})
}

// refusedBy returns the tables of the plan that the server refuses to change in the
// way that was chosen, with what it says.
func (p *published) refusedBy(ctx context.Context, plan []loadStep) (map[schema.Name]string, error) {
	leaves := map[how][]uint32{}
	for _, s := range plan {
		leaves[s.how] = append(leaves[s.how], p.tables[s.table.Name].Leaves...)
	}
	commands := map[how][]string{byDelete: {"DELETE"}, byMerge: {"DELETE"}}
	if !p.privileges.Replica { // rows that are there are updated
		commands[byMerge] = []string{"DELETE", "UPDATE"}
	}
	out := map[schema.Name]string{}
	for way, commands := range commands {
		said, err := catalog.RefusedChanges(ctx, p.tx, leaves[way], commands...)
		if err != nil {
			return nil, err
		}
		for _, s := range plan {
			for _, leaf := range p.tables[s.table.Name].Leaves {
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
func (p *published) identify(ctx context.Context, plan []loadStep, refused map[schema.Name]string) (back []string, err error) {
	var names []schema.Name
	for name := range refused {
		names = append(names, name)
	}
	identities, err := catalog.ReplicaIdentities(ctx, p.tx, names)
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
			if ok, err = p.try(ctx, there, s); err != nil {
				return nil, err
			}
		}
		if !ok {
			p.refused[name] = refused[name]
			continue
		}
		back = append(back, restore...)
	}
	return back, nil
}

// try executes statements after which the server is expected to let the rows of a
// step be changed. It reports whether the server does, and takes them back if not. The
// savepoint must be gone then: rows that are written below one have another transaction
// id than the baseline.
func (p *published) try(ctx context.Context, sql []string, s loadStep) (ok bool, err error) {
	if err := p.exec(ctx, slices.Concat([]string{"SAVEPOINT groundhog_identity"}, sql)...); err != nil {
		return false, err
	}
	still, err := p.refusedBy(ctx, []loadStep{s})
	if err != nil {
		return false, err
	}
	end := []string{"RELEASE SAVEPOINT groundhog_identity"}
	if len(still) > 0 {
		end = slices.Concat([]string{"ROLLBACK TO SAVEPOINT groundhog_identity"}, end)
	}
	return len(still) == 0, p.exec(ctx, end...)
}
