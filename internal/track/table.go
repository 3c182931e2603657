package track

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/catalog"
)

// table is what templates see of a table: see sql/table.sql and sql/undo.sql.
type table struct {
	Reason map[string]Reason
	Kind   *kinds

	OID, Root   uint32 // Root has the journal
	Ident       string // its name, quoted
	Only        string // the same, for a statement on its own rows
	Journal     string // the journal's name
	BaselineXID string // the transaction of the baseline, as an expression of type xid

	All    columns // those that the journal keeps
	Key    columns // of the primary key
	Stored columns // that take values

	Partitioned bool // its rows are those of its partitions
	Wide        bool // an entry may not fit on a page where its row does
	Short       bool // the baseline's rows and all keys fit on a page: the journal stores no values apart
	KeepsText   bool // the journal keeps text that depends on settings
	InsertByRow bool // new rows are noted one by one
	Decides     bool // deleted rows are noted by statement, whether they were the baseline's or not

	Journaled     bool         // its rows are noted
	Noticed       bool         // it is noted that it is written to
	EventTriggers bool         // event triggers see changes of its columns
	Unkeyed       *unkeyed     // rows can't be deleted as the table is published; else nil
	Outside       []outsideKey // between it and tables that are not tracked
	CacheReset    *cacheReset  // what makes its extension forget it; nil: nothing
	Owners        []uint32     // the roots whose journals may tell of a statement that names it
	Checked       bool         // it is undone while its foreign keys are checked
	CheckedPart   *checkedPart // its part in that, of a root that is journaled; else nil

	foreign []string // triggers of others, with names like those of ours
	enabled []string // the triggers that Trigger named
}

// wideFrom is how many columns a table has of which an entry may not fit on a page
// where its row does: it has one more, and labels of enums as text.
const wideFrom = 100

// SurelyShort is the size of a row whose entry fits on a page, if none of its values is
// compressed, with labels as text and values that the row does not hold; see [catalog.TrackedTable].
func (t *table) SurelyShort() int { return 3000 }

// CountedFrom is how many rows a transaction deletes before the rows of a DELETE are counted: no
// journal of fewer rows has too many changes.
func (t *table) CountedFrom() int { return journalCounted / leastEntry }

// Compressed is an expression that is not null where a value of the row OLD is compressed,
// or nothing if none can be.
func (t *table) Compressed() string {
	varying := t.All.having(func(c column) bool { return c.Varies })
	if len(varying) == 0 {
		return ""
	}
	return "coalesce(" + varying.each(", ", func(c column) string { return "pg_catalog.pg_column_compression(OLD." + c.Ident + ")" }) + ")"
}

// newTable returns the table, whose journal is that of root. With rowTriggers, triggers
// for statements are not relied on.
func newTable(t, root *catalog.TrackedTable, rowTriggers bool) *table {
	all := columnsOf(root)
	out := &table{
		Reason: shared.Reason, Kind: &shared.Kind,
		OID: t.OID, Root: root.OID, Ident: catalog.Ident(t.Name),
		Journal: fmt.Sprintf("groundhog.journal_%d", root.OID), BaselineXID: fmt.Sprintf("undo_%d.baseline_xid", t.OID),
		All:    all,
		Key:    all.having(func(c column) bool { return c.Equal != "" }),
		Stored: all.having(func(c column) bool { return c.Generated == "" }),

		Partitioned: t.Partitioned,
		Wide:        len(all) >= wideFrom,
		KeepsText:   slices.ContainsFunc(all, func(c column) bool { return c.User && !c.Enum }),
		// A row that moves between partitions fires no triggers for statements.
		InsertByRow: t.Partition || rowTriggers,
		foreign:     t.Triggers,
	}
	out.Only = "ONLY " + out.Ident
	if t.Partitioned {
		out.Only = out.Ident
	}
	// Where all rows are seen by statements that name the table, and by no others.
	out.Decides = len(out.Key) > 0 && !t.Partition && !t.Partitioned && !t.Inherits && !rowTriggers
	return out
}

// Trigger returns the quoted name of a trigger of ours, and has EnableAlways enable it.
func (t *table) Trigger(name string) string {
	for slices.Contains(t.foreign, name) { // another's
		name += "_"
	}
	name = catalog.Identifier(name)
	t.enabled = append(t.enabled, name)
	return name
}

// EnableAlways makes the triggers fire in replica role too.
func (t *table) EnableAlways() string {
	return "ENABLE ALWAYS TRIGGER " + strings.Join(t.enabled, ", ENABLE ALWAYS TRIGGER ")
}

// column is a column of the root, as it is called in the table and in the journal.
// A journal keeps values of types that may be dropped as text, and no collations,
// so that it keeps nothing from being dropped.
type column struct {
	catalog.TrackedColumn
	Ident, Entry string
}

// kept is the type in the journal.
func (c column) kept() string {
	if c.User {
		return "text"
	}
	return c.Type
}

// in is the value of an expression on its way into the journal.
func (c column) in(value string) string {
	if c.User {
		return value + "::text"
	}
	return value
}

// out is the value of an entry on its way out.
func (c column) out(entry string) string {
	if c.User {
		entry += "::" + c.Type
	}
	return c.collated(entry)
}

// collated is an expression with the collation of the column.
func (c column) collated(value string) string {
	if c.Collation == "" {
		return value
	}
	return "(" + value + ") COLLATE " + c.Collation
}

// columns are columns as lists of SQL.
type columns []column

// columnsOf lists those that a journal keeps: a virtual one is no part of a row.
func columnsOf(t *catalog.TrackedTable) columns {
	out := make(columns, 0, len(t.Columns))
	for i, c := range t.Columns {
		if c.Generated != "v" {
			out = append(out, column{c, pgx.Identifier{c.Name}.Sanitize(), fmt.Sprintf("c%d", i+1)})
		}
	}
	return out
}

func (cs columns) having(want func(column) bool) (out columns) {
	for _, c := range cs {
		if want(c) {
			out = append(out, c)
		}
	}
	return out
}

// each joins what one says of each column.
func (cs columns) each(separator string, one func(column) string) string {
	out := make([]string, len(cs))
	for i, c := range cs {
		out[i] = one(c)
	}
	return strings.Join(out, separator)
}

// rest is the rest of a list that has begun.
func (cs columns) rest(one func(column) string) string {
	if len(cs) == 0 {
		return ""
	}
	return ", " + cs.each(", ", one)
}

// Definitions is the rest of the columns of CREATE TABLE, for a journal.
func (cs columns) Definitions() string {
	return cs.rest(func(c column) string { return c.Entry + " " + c.kept() })
}

// ShortDefinitions is the rest of ALTER TABLE, for a journal that has no TOAST table.
func (cs columns) ShortDefinitions() string {
	return cs.each(", ", func(c column) string {
		return "ADD COLUMN " + c.Entry + " " + c.kept() + ", ALTER COLUMN " + c.Entry + " SET STORAGE PLAIN"
	})
}

// Entries is the rest of a list of columns of the journal.
func (cs columns) Entries() string { return cs.rest(func(c column) string { return c.Entry }) }

// Of is the rest of a list of the values that a row ("OLD.") has, as the journal keeps
// them.
func (cs columns) Of(row string) string {
	return cs.rest(func(c column) string { return c.in(row + c.Ident) })
}

// Idents lists the columns of the table.
func (cs columns) Idents() string { return cs.each(", ", func(c column) string { return c.Ident }) }

// InJournal lists the columns of an entry j.
func (cs columns) InJournal() string {
	return cs.each(", ", func(c column) string { return "j." + c.Entry })
}

// Restored lists the values of an entry j as the table has them.
func (cs columns) Restored() string {
	return cs.each(", ", func(c column) string { return c.out("j." + c.Entry) })
}

// Named lists them under the names of the journal.
func (cs columns) Named() string {
	return cs.each(", ", func(c column) string { return c.out("j."+c.Entry) + " AS " + c.Entry })
}

// RestoredAs lists them under the names of the table.
func (cs columns) RestoredAs() string {
	return cs.each(", ", func(c column) string { return c.out("j."+c.Entry) + " AS " + c.Ident })
}

// Same is the condition that a row t has the key of j, as Named lists it.
func (cs columns) Same() string {
	return cs.each(" AND ", func(c column) string { return "t." + c.Ident + " " + c.Equal + " j." + c.Entry })
}

// Unchanged is the condition that the rows $1 and $2 have the same key.
func (cs columns) Unchanged() string {
	return cs.each(" AND ", func(c column) string { return "($1)." + c.Ident + " " + c.Equal + " ($2)." + c.Ident })
}

// Side lists the columns of a side ("o.") of a comparison.
func (cs columns) Side(side string) string {
	return cs.each(", ", func(c column) string { return side + c.Entry })
}

// EitherSide is the rest of a list of the columns of before or after, as s.old says.
func (cs columns) EitherSide() string {
	return cs.rest(func(c column) string {
		return "CASE WHEN s.old THEN (x.before)." + c.Entry + " ELSE (x.after)." + c.Entry + " END"
	})
}

// Paired is the condition that the sides o and n have the same key.
func (cs columns) Paired() string {
	return cs.each(" AND ", func(c column) string { return "o.k" + c.Entry + " " + c.Equal + " n.k" + c.Entry })
}

// Either lists the columns of the key, of the side that is there.
func (cs columns) Either() string {
	return cs.each(", ", func(c column) string { return "coalesce(o.k" + c.Entry + ", n.k" + c.Entry + ")" })
}
