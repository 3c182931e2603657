package catalog

import (
	"context"
	"fmt"
	"slices"

	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
)

// Catalog is what a snapshot has to know of a database.
type Catalog struct {
	Schema schema.Schema
	// Tables are the tables that hold data of their own to save: ordinary
	// tables, and partitioned tables for all their partitions. They are in
	// load order: what is referenced comes first.
	Tables      []Table
	RowsOutside []Table    // those of Schema whose rows are outside
	Others      []Table    // tables outside of Schema that share foreign keys with some of it, with these keys alone
	Sequences   []Sequence // those of Schema whose state is saved
	Outside     []Outside
	Native      bool // functions of an extension may write before triggers for the statement fire, or past them
	Migration   *Migration
}

// addTables gives the catalog the tables, in load order.
func (c *Catalog) addTables(r *relations) {
	byName := map[schema.Name]*relation{}
	references := map[schema.Name][]schema.Name{}
	var names []schema.Name
	for _, rel := range r.list {
		for _, oid := range rel.parents {
			parent, ok := r.byOID[oid]
			switch {
			case !ok: // outside
			case rel.root != rel:
				rel.table.PartitionOf = &parent.table.Name
			default:
				rel.table.Inherits = append(rel.table.Inherits, parent.table.Name)
			}
		}
		c.Schema.Tables = append(c.Schema.Tables, rel.table)
		if root := rel.root; root != rel {
			root.live.Bytes += rel.live.Bytes
			root.live.Size += rel.live.Size
			root.live.Rows = max(root.live.Rows, 0) + max(rel.live.Rows, 0)
			root.live.Owned = root.live.Owned && rel.live.Owned
			continue
		}
		if rel.why != "" {
			c.RowsOutside = append(c.RowsOutside, rel.live)
			continue
		}
		byName[rel.table.Name] = rel
		names = append(names, rel.table.Name)
	}
	c.Others = r.others(byName)
	for _, name := range names {
		rel := byName[name]
		if k := rel.bestKey(); k != nil {
			rel.live.OrderBy, rel.live.Key, rel.live.Deferrable = k.Columns, true, k.deferrable
		}
		for _, fk := range rel.live.ForeignKeys {
			references[name] = append(references[name], fk.References)
		}
	}
	order, cycle := schema.LoadOrder(names, references)
	for _, name := range order {
		t := byName[name].live
		t.Cycle = cycle[name]
		c.Tables = append(c.Tables, t)
	}
}

// Read reads the schema of the whole database, but for migration tables, which
// are told by their names and left alone. The transaction's search_path must be
// pg_catalog alone, so that every name in an expression comes out qualified.
func Read(ctx context.Context, q Querier, lang msg.Lang) (*Catalog, error) {
	c, err := read(ctx, q, lang)
	if err != nil {
		return nil, fmt.Errorf("read the catalog: %w", err)
	}
	return c, nil
}

func read(ctx context.Context, q Querier, lang msg.Lang) (*Catalog, error) {
	f, err := readFacts(ctx, q)
	if err != nil {
		return nil, err
	}
	r, err := relationsOf(f, lang)
	if err != nil {
		return nil, err
	}
	c := &Catalog{Native: f.anyNative()}
	if c.Migration, err = takeMigrations(ctx, q, r); err != nil {
		return nil, err
	}
	if err := addRules(ctx, q, r); err != nil {
		return nil, err
	}
	operators, err := readOperators(ctx, q, f.constraints)
	if err != nil {
		return nil, err
	}
	addConstraints(r, operators)
	addTriggers(r)
	c.Schema.Types = typesOf(f)
	c.Sequences, c.Schema.Sequences = sequencesOf(r)
	c.addTables(r)
	c.Outside = r.outside
	slices.SortFunc(c.Outside, func(a, b Outside) int { return a.Compare(b.Name) })
	c.Schema = c.Schema.Canonical()
	return c, nil
}
