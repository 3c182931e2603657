// Package catalog holds all SQL that asks PostgreSQL's system catalogs. What it
// finds it gives as package schema's model, with the facts of the live database
// beside it.
package catalog

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
)

// Querier is met by a connection and by a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// OwnSchema is where groundhog keeps what it needs inside a database. It is no
// part of any snapshot.
const OwnSchema = "groundhog"

// Catalog is what a snapshot has to know of a database.
type Catalog struct {
	Schema schema.Schema
	// Tables are the tables that hold data of their own to save: ordinary
	// tables, and partitioned tables for all their partitions. They are in
	// load order: what is referenced comes first.
	Tables    []Table
	Migration *Migration
}

// Table is a table whose rows are saved and loaded, with facts of the live
// database that are no part of its schema.
type Table struct {
	schema.Name
	Partitioned bool
	Columns     []string // that COPY takes, in the table's own order
	OrderBy     []string // the columns of its best key; none: the whole row
	Bytes       int64    // of its heap, partitions included
	Rules       bool     // a rule may turn a DELETE into something else
	Cycle       int      // number of its component: see schema.LoadOrder
	Triggers    []Trigger
	ForeignKeys []ForeignKey
}

// Trigger is a user's trigger on a table or on one of its partitions.
type Trigger struct {
	Table   schema.Name
	Name    string
	Enabled string // pg_trigger.tgenabled: O origin, A always, R replica
}

// ForeignKey is a foreign key constraint of the live database.
type ForeignKey struct {
	Name       string
	References schema.Name // the table whose rows are loaded: a partition's root
	Deferrable bool
	Deferred   bool
}

// Ident quotes a qualified name for a statement.
func Ident(n schema.Name) string { return pgx.Identifier{n.Schema, n.Name}.Sanitize() }

// Only quotes a table for a statement that must see its own rows, and no others:
// those of its partitions are, those of tables that inherit from it are not.
func (t Table) Only() string {
	if t.Partitioned {
		return Ident(t.Name)
	}
	return "ONLY " + Ident(t.Name)
}

// tracked is the condition on pg_class c and pg_namespace n for relations that
// belong to the user's data: of no system schema, no extension, no session.
const tracked = `n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', '` + OwnSchema + `')
	AND c.relpersistence <> 't'
	AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
		WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')`

// Read reads the schema of the whole database, but for migration tables, which
// are told by their names and left alone. The transaction's search_path must be
// pg_catalog alone, so that every name in an expression comes out qualified.
func Read(ctx context.Context, q Querier, lang msg.Lang) (*Catalog, error) {
	r := reader{ctx: ctx, q: q, lang: lang, byOID: map[uint32]*relation{}}
	for _, step := range []func() error{r.relations, r.columns, r.migration, r.constraints, r.triggers, r.types, r.sequences} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("read the catalog: %w", err)
		}
	}
	return r.finish(), nil
}

// relation gathers what the single queries tell of one table.
type relation struct {
	oid, root uint32 // root: the partitioned table that it belongs to in the end, or itself
	partition bool
	parents   []uint32
	table     schema.Table
	live      Table
	keys      []key
}

type reader struct {
	ctx   context.Context
	q     Querier
	lang  msg.Lang
	list  []*relation
	byOID map[uint32]*relation
	left  []uint32 // the migration tables that were left alone
	out   Catalog
}

// each runs a query and calls row for each of its rows.
func (r *reader) each(sql string, scan []any, row func() error, args ...any) error {
	rows, err := r.q.Query(r.ctx, sql, args...)
	if err != nil {
		return err
	}
	_, err = pgx.ForEachRow(rows, scan, row)
	return err
}

func (r *reader) relations() error {
	var (
		oid, root            uint32
		name                 schema.Name
		kind, partKey, bound string
		partition, rules     bool
		bytes                int64
		parents              []uint32
	)
	err := r.each(`
		SELECT c.oid, coalesce(pg_catalog.pg_partition_root(c.oid), c.oid)::pg_catalog.oid, n.nspname, c.relname, c.relkind::text, c.relispartition,
			coalesce(pg_catalog.pg_get_partkeydef(c.oid), ''), coalesce(pg_catalog.pg_get_expr(c.relpartbound, c.oid), ''),
			pg_catalog.pg_relation_size(c.oid), c.relhasrules,
			ARRAY(SELECT i.inhparent FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid ORDER BY i.inhseqno)
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE (c.relkind IN ('r', 'p') OR c.relkind = 'f' AND c.relispartition) AND `+tracked+`
		ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"`,
		[]any{&oid, &root, &name.Schema, &name.Name, &kind, &partition, &partKey, &bound, &bytes, &rules, &parents},
		func() error {
			if kind == "f" {
				return errs.New(nil, msg.ForeignPartition.In(r.lang, name.String()), nil)
			}
			rel := &relation{oid: oid, root: root, partition: partition, parents: slices.Clone(parents)}
			rel.table = schema.Table{Name: name, Kind: schema.Ordinary, PartitionKey: partKey, Bound: bound}
			rel.live = Table{Name: name, Partitioned: kind == "p", Bytes: bytes, Rules: rules}
			if rel.live.Partitioned {
				rel.table.Kind = schema.Partitioned
			}
			r.list = append(r.list, rel)
			r.byOID[oid] = rel
			return nil
		})
	for _, rel := range r.list {
		if r.byOID[rel.root] == nil { // a partition of an extension's table stands alone
			rel.root, rel.partition = rel.oid, false
		}
	}
	return err
}

// key is a candidate for the order of a table's rows.
type key struct {
	schema.Key
	usable bool // unique, of not-null columns, checked at once
}

func (r *reader) columns() error {
	var (
		oid                       uint32
		c                         schema.Column
		identity, generated, expr string
		hasDefault                bool
	)
	return r.each(`
		SELECT a.attrelid, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity::text, a.attgenerated::text,
			coalesce(CASE WHEN a.attgenerated <> '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END, ''),
			d.adbin IS NOT NULL OR t.typdefault IS NOT NULL
		FROM pg_catalog.pg_attribute a
			JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
			LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		WHERE a.attrelid = ANY($1) AND a.attnum > 0 AND NOT a.attisdropped
		ORDER BY a.attrelid, a.attnum`,
		[]any{&oid, &c.Name, &c.Type, &c.NotNull, &identity, &generated, &expr, &hasDefault},
		func() error {
			column := c
			column.Identity = map[string]string{"a": "always", "d": "by default"}[identity]
			if word := map[string]string{"s": "stored", "v": "virtual"}[generated]; word != "" {
				column.Generated = word + " (" + expr + ")"
			}
			column.Default = hasDefault && generated == ""
			rel := r.byOID[oid]
			rel.table.Columns = append(rel.table.Columns, column)
			if column.Generated == "" {
				rel.live.Columns = append(rel.live.Columns, column.Name)
			}
			return nil
		}, r.oids())
}

func (r *reader) oids() []uint32 {
	oids := make([]uint32, 0, len(r.byOID))
	for oid := range r.byOID {
		oids = append(oids, oid)
	}
	return oids
}

// constraints reads keys and foreign keys. What a partition has from its parent
// is told by the parent alone.
func (r *reader) constraints() error {
	var (
		oid, target                           uint32
		name, kind                            string
		deferrable, deferred, inherited, full bool
		columns, refColumns                   []string
		ref                                   schema.Name
	)
	return r.each(`
		SELECT k.conrelid, coalesce(pg_catalog.pg_partition_root(k.confrelid), k.confrelid)::pg_catalog.oid, k.conname, k.contype::text, k.condeferrable, k.condeferred,
			k.conparentid <> 0,
			NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = k.conrelid AND a.attnum = ANY(k.conkey) AND NOT a.attnotnull),
			ARRAY(SELECT a.attname FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY u(num, pos)
				JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num ORDER BY u.pos)::text[],
			ARRAY(SELECT a.attname FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY u(num, pos)
				JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num ORDER BY u.pos)::text[],
			coalesce(rn.nspname, ''), coalesce(rc.relname, '')
		FROM pg_catalog.pg_constraint k
			LEFT JOIN pg_catalog.pg_class rc ON rc.oid = k.confrelid
			LEFT JOIN pg_catalog.pg_namespace rn ON rn.oid = rc.relnamespace
		WHERE k.conrelid = ANY($1) AND k.contype IN ('p', 'u', 'f')
		ORDER BY k.contype <> 'p', k.conrelid, k.conname COLLATE "C"`,
		[]any{&oid, &target, &name, &kind, &deferrable, &deferred, &inherited, &full, &columns, &refColumns, &ref.Schema, &ref.Name},
		func() error {
			rel := r.byOID[oid]
			if kind == "f" {
				if inherited {
					return nil
				}
				rel.table.ForeignKeys = append(rel.table.ForeignKeys, schema.ForeignKey{
					Columns: slices.Clone(columns), References: ref, RefColumns: slices.Clone(refColumns)})
				// A partition's own foreign key counts for the table that is loaded.
				root := r.byOID[rel.root]
				if known := r.byOID[target]; known != nil {
					root.live.ForeignKeys = append(root.live.ForeignKeys, ForeignKey{
						Name: name, References: known.table.Name, Deferrable: deferrable, Deferred: deferred})
				}
				return nil
			}
			k := key{Key: schema.Key{Primary: kind == "p", Columns: slices.Clone(columns)}, usable: full}
			rel.keys = append(rel.keys, k)
			if !inherited {
				rel.table.Keys = append(rel.table.Keys, k.Key)
			}
			return nil
		}, r.oids())
}

func (r *reader) triggers() error {
	var (
		oid     uint32
		trigger Trigger
	)
	return r.each(`
		SELECT t.tgrelid, t.tgname, t.tgenabled::text FROM pg_catalog.pg_trigger t
		WHERE t.tgrelid = ANY($1) AND NOT t.tgisinternal
		ORDER BY t.tgrelid, t.tgname COLLATE "C"`,
		[]any{&oid, &trigger.Name, &trigger.Enabled},
		func() error {
			rel := r.byOID[oid]
			trigger.Table = rel.table.Name
			root := r.byOID[rel.root]
			root.live.Triggers = append(root.live.Triggers, trigger)
			return nil
		}, r.oids())
}

// types reads the user's own types; a type that a table or an extension brings
// with it is told by that.
func (r *reader) types() error {
	var (
		t    schema.Type
		kind string
	)
	return r.each(`
		SELECT n.nspname, t.typname, t.typtype::text, CASE t.typtype
			WHEN 'e' THEN ARRAY(SELECT e.enumlabel FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder)::text[]
			WHEN 'd' THEN ARRAY[pg_catalog.format_type(t.typbasetype, t.typtypmod)]
				|| CASE WHEN t.typnotnull THEN ARRAY['not null'] END
				|| ARRAY(SELECT pg_catalog.pg_get_constraintdef(k.oid) FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c' ORDER BY 1)
			WHEN 'c' THEN ARRAY(SELECT a.attname || ' ' || pg_catalog.format_type(a.atttypid, a.atttypmod)
				FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)
			WHEN 'r' THEN ARRAY(SELECT pg_catalog.format_type(g.rngsubtype, NULL) FROM pg_catalog.pg_range g WHERE g.rngtypid = t.oid)
			END
		FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
			LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
		WHERE t.typtype IN ('e', 'd', 'c', 'r') AND (t.typtype <> 'c' OR c.relkind = 'c')
			AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', '`+OwnSchema+`')
			AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
				WHERE d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.objid = t.oid AND d.deptype = 'e')
		ORDER BY n.nspname COLLATE "C", t.typname COLLATE "C"`,
		[]any{&t.Schema, &t.Name.Name, &kind, &t.Definition},
		func() error {
			t.Kind = map[string]string{"e": "enum", "d": "domain", "c": "composite", "r": "range"}[kind]
			one := t
			one.Definition = slices.Clone(t.Definition)
			r.out.Schema.Types = append(r.out.Schema.Types, one)
			return nil
		})
}

// sequences reads all sequences but those of migration tables.
func (r *reader) sequences() error {
	var name schema.Name
	return r.each(`
		SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind = 'S' AND `+tracked+`
			AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
				WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
					AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i') AND d.refobjid = ANY($1))
		ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"`,
		[]any{&name.Schema, &name.Name},
		func() error {
			r.out.Schema.Sequences = append(r.out.Schema.Sequences, name)
			return nil
		}, r.left)
}

// finish joins what the queries told, and puts the tables in load order.
func (r *reader) finish() *Catalog {
	byName := map[schema.Name]*relation{}
	references := map[schema.Name][]schema.Name{}
	var names []schema.Name
	for _, rel := range r.list {
		for _, oid := range rel.parents {
			parent, ok := r.byOID[oid]
			switch {
			case !ok: // of an extension or of a migration tool
			case rel.partition:
				rel.table.PartitionOf = &parent.table.Name
			default:
				rel.table.Inherits = append(rel.table.Inherits, parent.table.Name)
			}
		}
		r.out.Schema.Tables = append(r.out.Schema.Tables, rel.table)
		if rel.partition {
			root := r.byOID[rel.root]
			root.live.Bytes += rel.live.Bytes
			continue
		}
		byName[rel.table.Name] = rel
		names = append(names, rel.table.Name)
	}
	for _, name := range names {
		rel := byName[name]
		rel.live.OrderBy = rel.orderBy()
		for _, fk := range rel.live.ForeignKeys {
			references[name] = append(references[name], fk.References)
		}
	}
	order, cycle := schema.LoadOrder(names, references)
	for _, name := range order {
		t := byName[name].live
		t.Cycle = cycle[name]
		r.out.Tables = append(r.out.Tables, t)
	}
	r.out.Schema = r.out.Schema.Canonical()
	return &r.out
}

// orderBy returns the primary key, else a unique key that allows no null: an
// order in which no two rows are equal.
func (rel *relation) orderBy() []string {
	for _, k := range rel.keys { // primary keys come first
		if k.usable {
			return k.Columns
		}
	}
	return nil
}
