package catalog

import (
	"cmp"
	"slices"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/groundhogdb/groundhog/internal/schema"
)

// sequencesOf lists the sequences that are saved, and all but those of migration tables
// and of extensions. What an extension names as the user's, or has in a table that it
// names, is that.
func sequencesOf(r *relations) (out []Sequence, all []schema.Name) {
	left, named, unowned := map[uint32]bool{}, map[uint32]bool{}, map[uint32]string{}
	slices.SortFunc(r.users, func(a, b sequenceUser) int { return cmp.Or(cmp.Compare(a.table, b.table), cmp.Compare(a.num, b.num)) })
	for _, u := range r.users {
		s, rel := r.sequences[u.sequence], r.byOID[u.table]
		if u.owns && r.migrations[u.table] {
			left[u.sequence] = true
		}
		if s == nil || rel == nil {
			continue
		}
		if rel.live.Extension != "" {
			named[u.sequence] = true
		}
		if rel.why != "" {
			unowned[u.sequence] = rel.why
			continue
		}
		col := rel.byNumber(u.num)
		if col == nil || !slices.Contains([]uint32{pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID}, col.kind) {
			continue
		}
		one := Column{Table: rel.table.Name, Root: rel.root.table.Name, Name: col.Name}
		if !slices.Contains(s.Users, one) { // it may own the sequence and have it in its default
			s.Users = append(s.Users, one)
		}
	}
	for oid, s := range r.sequences {
		c := r.classes[oid]
		if c == nil {
			continue
		}
		why := r.whyOutside(c)
		switch {
		case why == OfExtension && named[oid]:
			why = ""
		case why == "" && left[oid]:
			why = OfMigration
		}
		if why != "" {
			if why != unseen {
				r.leaveOut(c, why)
			}
			continue
		}
		s.Name, s.Extension = r.nameOf(c), r.extensionOf(c)
		all = append(all, s.Name)
		if s.Extension != "" && (unowned[oid] != "" || !c.live.Owned) {
			r.leaveOut(c, cmp.Or(unowned[oid], NotOwned))
			continue
		}
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b Sequence) int { return a.Compare(b.Name) })
	slices.SortFunc(all, schema.Name.Compare)
	return out, all
}
