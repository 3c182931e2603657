package track

import (
	"slices"
	"strings"

	"github.com/groundhogdb/groundhog/internal/catalog"
)

// checkedPart is what the template of it sees of a table that is undone while its foreign
// keys are checked: see sql/checked.sql. Facts are those of the table and its partitions.
type checkedPart struct {
	table
	catalog.CheckedFacts
	Loaded bool // the rows of the baseline come from another table than the journal
}

// newCheckedPart returns the part of a root.
func newCheckedPart(t *table, facts catalog.CheckedFacts) *checkedPart {
	p := &checkedPart{table: *t, CheckedFacts: facts}
	p.BaselineXID = "$1"
	return p
}

// Replaces reports whether a row that was changed leaves and arrives, rather than be
// updated.
func (p *checkedPart) Replaces() bool {
	return p.Whole() || slices.ContainsFunc(p.Key, func(c column) bool { return c.Generated != "" }) || (p.Unique || len(p.FixedColumns()) > 0) && !p.Acting
}

// Whole reports whether all rows of the baseline whose keys the journal has arrive, and all
// others leave: the key, if there is one, does not tell rows apart. In replica role the server
// does not check a deferrable one.
func (p *checkedPart) Whole() bool { return len(p.Key) == 0 || p.Deferred }

// Settable are the columns that UPDATE can set.
func (p *checkedPart) Settable() columns {
	return p.Stored.having(func(c column) bool { return !slices.Contains(p.Fixed, c.Name) })
}

// FixedColumns are the others, but for those of the primary key, which stay.
func (p *checkedPart) FixedColumns() columns {
	return p.Stored.having(func(c column) bool { return c.Equal == "" && slices.Contains(p.Fixed, c.Name) })
}

// ApartColumns are those by which unique indexes keep rows apart.
func (p *checkedPart) ApartColumns() columns {
	return p.Stored.having(func(c column) bool { return slices.Contains(p.Apart, c.Name) })
}

// AsideAssignments keep a row out of the way of others.
func (p *checkedPart) AsideAssignments() string {
	return strings.Join(slices.Compact(slices.Sorted(slices.Values(p.CheckedFacts.Aside))), ", ")
}

// Sets, Deletes, Updates and Inserts are the parts of the statement that undoes.
func (p *checkedPart) Sets() string    { return render("checked sets", p) }
func (p *checkedPart) Deletes() string { return render("checked delete", p) }
func (p *checkedPart) Updates() string { return render("checked update", p) }
func (p *checkedPart) Inserts() string { return render("checked insert", p) }

// Loads is Sets where the rows of the baseline come from another table, which undo_checked
// makes the first set: those of the file.
func (p *checkedPart) Loads() string {
	loaded := *p
	loaded.Loaded = true
	if slices.ContainsFunc(p.Key, func(c column) bool { return c.Generated != "" }) { // the file does not have it
		loaded.Key = nil
	}
	return render("checked sets", &loaded)
}

// Stuck is the condition that a row can't be made what it was, or nothing.
func (p *checkedPart) Stuck() string {
	if p.Replaces() || len(p.FixedColumns()) == 0 {
		return ""
	}
	return render("checked stuck", p)
}

// Aside is the statement that keeps rows out of each other's way, or nothing.
func (p *checkedPart) Aside() string {
	if p.Replaces() || len(p.CheckedFacts.Aside) == 0 {
		return ""
	}
	return render("checked aside", p)
}

// Moved is the query whether Aside would change a row.
func (p *checkedPart) Moved() string { return render("checked moved", p) }

// joinFacts returns the facts of a table together with those of its partitions.
func joinFacts(members []*catalog.TrackedTable, facts map[uint32]catalog.CheckedFacts) (out catalog.CheckedFacts) {
	for i, t := range members {
		f := facts[t.OID]
		out.Alike, out.Acting = out.Alike || f.Alike, out.Acting || f.Acting
		out.Sleep, out.Wake, out.Unindexed = append(out.Sleep, f.Sleep...), append(out.Wake, f.Wake...), append(out.Unindexed, f.Unindexed...)
		if i == 0 {
			out.Fixed, out.Aside, out.Forced, out.Deferred = f.Fixed, f.Aside, f.Forced, f.Deferred
		}
		if f.Unique && len(f.Aside) == 0 { // one that a partition has by itself
			out.Aside = nil
		}
		out.Unique = out.Unique || f.Unique
		for _, c := range f.Apart {
			if !slices.Contains(out.Apart, c) {
				out.Apart = append(out.Apart, c)
			}
		}
	}
	slices.Sort(out.Unindexed)
	out.Unindexed = slices.Compact(out.Unindexed)
	return out
}

// Plain lists the values that a row t of the table has, without domains.
func (cs columns) Plain() string {
	return cs.each(", ", func(c column) string { return "t." + c.Ident + "::" + c.Type })
}

// OfTable is the rest of a list of the values that a row t of the table has, under the names of the journal.
func (cs columns) OfTable() string {
	return cs.rest(func(c column) string { return "t." + c.Ident + " AS " + c.Entry })
}

// Kept, Made and Arriving list the values of a row o of the baseline, m that is changed, or a
// that arrives.
func (cs columns) Kept() string     { return cs.Side("o.") }
func (cs columns) Made() string     { return cs.Side("m.") }
func (cs columns) Arriving() string { return cs.Side("a.") }

// Matching is the condition that the rows n and o have the same key.
func (cs columns) Matching() string {
	return cs.each(" AND ", func(c column) string { return "n." + c.Entry + " " + c.Equal + " o." + c.Entry })
}

// Staged lists the columns of a table j with rows of the file, under the names of the journal.
func (cs columns) Staged() string {
	return cs.each(", ", func(c column) string { return c.collated("j."+c.Ident+"::"+c.Type) + " AS " + c.Entry })
}

// Assigned lists assignments of the values of a row m.
func (cs columns) Assigned() string {
	return cs.each(", ", func(c column) string { return c.Ident + " = m." + c.Entry })
}
