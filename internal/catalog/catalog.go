// Package catalog holds all SQL that asks PostgreSQL's system catalogs. What it
// finds it gives as package schema's model, with the facts of the live database
// beside it.
package catalog

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/schema"
)

// Querier is met by a connection and by a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
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
	Tables      []Table
	RowsOutside []Table    // those of Schema whose rows are outside
	Others      []Table    // tables outside of Schema that share foreign keys with some of it, with these keys alone
	Sequences   []Sequence // those of Schema, with what is known of them beside, but for those that are outside
	Outside     []Outside
	Native      bool // functions of an extension may write before triggers for the statement fire, or past them
	Migration   *Migration
}

// Table is a table whose rows are saved and loaded, with facts of the live
// database that are no part of its schema.
type Table struct {
	schema.Name
	Partitioned bool
	Columns     []string // that COPY takes, in the table's own order
	Portable    bool     // COPY's binary form of them means the same on every server
	OrderBy     []string // the columns of its best key; none: the whole row
	Key         bool     // OrderBy is a key: no two rows are equal in it
	Deferrable  bool     // … at the end of a transaction at least
	Bytes       int64    // of its heap, partitions included
	Size        int64    // the same with what is stored out of line (TOAST)
	Rows        int64    // as the planner estimates them; below 0: not known
	Owned       bool     // by a role whose rights the current role has
	Secured     bool     // row level security hides rows from the current role
	Forced      bool     // … but not from the owner, were it not forced
	Cycle       int      // number of its component: see schema.LoadOrder
	Triggers    []Trigger
	Rules       []Trigger
	ForeignKeys []ForeignKey
	Extension   string   // that it belongs to, which names rows of it as the user's
	Condition   string   // on these rows; none: all
	Settable    []string // the columns that an UPDATE may set
	Native      bool     // functions of the extension may write to it past all triggers
}

// Trigger is a user's trigger or rewrite rule on a table or on one of its
// partitions.
type Trigger struct {
	Table   schema.Name
	Name    string
	Enabled string // pg_trigger.tgenabled, pg_rewrite.ev_enabled: O origin, A always, R replica

	Extension bool   // an extension's own trigger on its own table
	kind      int16  // pg_trigger.tgtype
	column    string // the first one that an UPDATE must set for it to fire, if any
}

// ForeignKey is a foreign key constraint of the live database.
type ForeignKey struct {
	Name       string
	Table      schema.Name // that has it: the loaded table, or one of its partitions
	Columns    []string
	References schema.Name // the table whose rows are loaded: a partition's root
	Target     schema.Name // that is referenced
	RefColumns []string
	Operators  []string // between RefColumns and Columns, qualified
	OnDelete   string   // pg_constraint.confdeltype
	Full       bool     // MATCH FULL
	Period     bool     // the last column is a range that must be covered
	Validated  bool
	Deferrable bool
}

// Sequence is a sequence and the integer columns that take their values from it.
type Sequence struct {
	schema.Name
	Down  bool // it counts down
	Start int64
	Users []Column

	Extension string // that it belongs to
}

// Column is a column of a table, of which Root is the loaded one.
type Column struct {
	Table, Root schema.Name
	Name        string
}

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
