package catalog

import (
	"slices"

	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
)

// relation is a table that a snapshot has to do with.
type relation struct {
	*class
	root  *relation // the partitioned table that it belongs to in the end, or itself
	table schema.Table
	keys  []candidateKey
	why   string // its rows are outside
}

// candidateKey is a candidate for the order of a table's rows.
type candidateKey struct {
	schema.Key
	usable     bool // of not-null columns
	deferrable bool
}

// bestKey returns the primary key, else a unique key that allows no null: an
// order in which no two rows are equal.
func (rel *relation) bestKey() *candidateKey {
	for i, k := range rel.keys { // primary keys come first
		if k.usable {
			return &rel.keys[i]
		}
	}
	return nil
}

// relations are the tables that a snapshot has to do with.
type relations struct {
	*facts
	lang msg.Lang

	list       []*relation          // the tables of the schema
	byOID      map[uint32]*relation // the same
	outer      map[uint32]*relation // tables outside of it
	migrations map[uint32]bool      // the tables of migration tools, which are outside
	outside    []Outside
}

// relationsOf lists the tables in the order of their names.
func relationsOf(f *facts, lang msg.Lang) (*relations, error) {
	r := &relations{facts: f, lang: lang, byOID: map[uint32]*relation{}, outer: map[uint32]*relation{}, migrations: map[uint32]bool{}}
	for _, c := range r.classes {
		if c.kind == "S" || c.kind == "c" {
			continue
		}
		if why := r.whyOutside(c); why == unseen || why == "" && c.kind == "m" {
			continue
		} else if why != "" {
			r.addOuter(c, why)
			continue
		}
		name := r.nameOf(c)
		if c.kind == "f" {
			return nil, errs.New(errs.ErrUnsupported, msg.ForeignPartition.In(r.lang, name.String()), nil)
		}
		rel := &relation{class: c, table: schema.Table{Name: name, Kind: schema.Ordinary, PartitionKey: c.key, Bound: c.bound}}
		rel.live.Name, rel.live.Partitioned = name, c.kind == "p"
		if rel.live.Partitioned {
			rel.table.Kind = schema.Partitioned
		}
		rel.live.Portable = true
		r.configure(rel)
		for _, col := range c.columns {
			rel.table.Columns = append(rel.table.Columns, col.Column)
			if col.Generated == "" && col.Identity != "always" {
				rel.live.Settable = append(rel.live.Settable, col.Name)
			}
			if col.Generated == "" {
				rel.live.Columns = append(rel.live.Columns, col.Name)
				rel.live.Portable = rel.live.Portable && r.portable(col.kind)
			}
		}
		rel.live.Portable = rel.live.Portable && len(rel.live.Columns) > 0
		r.list = append(r.list, rel)
		r.byOID[c.oid] = rel
	}
	slices.SortFunc(r.list, func(a, b *relation) int { return a.table.Compare(b.table.Name) })
	for _, rel := range r.list {
		rel.root = r.byOID[r.rootOf(rel.class).oid]
	}
	return r, nil
}

// leaveOut notes a relation that is no part of the snapshot.
func (r *relations) leaveOut(c *class, why string) {
	kind := map[string]string{"r": "table", "p": "table", "f": "foreign table", "m": "materialized view", "S": "sequence"}[c.kind]
	rows := c.kind == "f" || c.live.Size > 0 && c.kind != "S"
	r.outside = append(r.outside, Outside{Name: r.nameOf(c), Kind: kind, Why: why, Extension: r.extensionOf(c), Rows: rows})
}

// addOuter makes a relation of a table that is outside, so that foreign keys between it
// and others are known. It is no part of the schema.
func (r *relations) addOuter(c *class, why string) {
	r.leaveOut(c, why)
	if c.kind != "r" && c.kind != "p" {
		return
	}
	rel := &relation{class: c, table: schema.Table{Name: r.nameOf(c)}, why: why}
	rel.root = rel
	rel.live.Name, rel.live.Partitioned = rel.table.Name, c.kind == "p"
	r.outer[c.oid] = rel
}

// configure completes what an extension says of its table: which rows are the
// user's, and whether they can be part of a snapshot.
func (r *relations) configure(rel *relation) {
	rel.live.Extension = r.extensionOf(rel.class)
	condition, ok := r.configs[rel.oid]
	if !ok {
		return
	}
	rel.live.Native = r.native[r.extension[object{classCatalog, rel.oid}]]
	where, usable := predicate(condition)
	rel.live.Condition = where
	rel.table.Extension, rel.table.Condition = rel.live.Extension, where
	switch {
	case !usable:
		rel.why = Unreadable
	case !rel.live.Owned:
		rel.why = NotOwned
	}
	if rel.why != "" {
		r.leaveOut(rel.class, rel.why)
	}
}

// others returns the tables outside that share foreign keys with tables inside, with
// these keys alone.
func (r *relations) others(inside map[schema.Name]*relation) (out []Table) {
	shared := map[schema.Name][]ForeignKey{}
	for _, rel := range r.outer {
		for _, fk := range rel.live.ForeignKeys {
			if inside[fk.References] != nil {
				shared[rel.table.Name] = append(shared[rel.table.Name], fk)
			}
		}
	}
	referenced := map[schema.Name]bool{}
	for _, rel := range inside {
		for _, fk := range rel.live.ForeignKeys {
			referenced[fk.References] = true
		}
	}
	for _, rel := range r.outer {
		if name := rel.table.Name; referenced[name] || shared[name] != nil {
			other := rel.live
			other.ForeignKeys = shared[name]
			out = append(out, other)
		}
	}
	slices.SortFunc(out, func(a, b Table) int { return a.Compare(b.Name) })
	return out
}
