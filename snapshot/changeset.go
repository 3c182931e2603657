package snapshot

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/mattn/go-runewidth"

	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
)

// ChangeSet is what was changed in a database since it was last as a snapshot has
// it, net of what cancels out: a row that was inserted and deleted again is in no
// one, and neither is one that was updated back.
type ChangeSet struct {
	Snapshot string         // the name of it; none: another process restored it
	Tables   []TableChanges // those that were changed, by name
}

// TableChanges is what was changed in one table.
type TableChanges struct {
	Table string      // qualified: public.offices; parts that hold a dot are quoted
	Rows  []RowChange // in the order of the primary key

	// Note tells what can't be told row by row, or that the table itself is not the
	// snapshot's any more. Before and After count the rows where Rows does not tell
	// of them.
	Note          string
	Before, After int64

	name                       schema.Name
	inserted, updated, deleted int64 // also of those beyond a limit
}

// Op is what happened to a row.
type Op string

// The operations.
const (
	Insert Op = "insert"
	Update Op = "update"
	Delete Op = "delete"
)

// RowChange is what became of one row. Rows are told by the primary key: one that
// got another key was deleted and inserted. Where a table has none, no row is
// updated.
type RowChange struct {
	Op      Op
	Old     Row      // of [Update] and [Delete]
	New     Row      // of [Insert] and [Update]
	Columns []string // that differ, of [Update]
	key     []string
}

// Empty reports whether nothing was changed.
func (c ChangeSet) Empty() bool { return len(c.Tables) == 0 }

// Table returns what was changed in a table, named with or without its schema.
// One that was not changed has no rows. Where two tables may be meant, as by "a.b.c"
// where a schema is called "a.b", it takes a name in which that is quoted, as in
// [TableChanges].
func (c ChangeSet) Table(name string) TableChanges {
	for _, meant := range []func(TableChanges) bool{
		func(t TableChanges) bool { return t.Table == name },
		func(t TableChanges) bool { return t.name.Is(name) },
		func(t TableChanges) bool { return t.name.Name == name || schema.Told(t.name.Name) == name },
	} {
		if i := slices.IndexFunc(c.Tables, meant); i >= 0 {
			return c.Tables[i]
		}
	}
	return TableChanges{Table: name}
}

// String reads like a diff: a line for each table, then its rows, + inserted,
// - deleted, ~ updated with the columns that differ. Values of more than 40 columns
// of a terminal are cut.
func (c ChangeSet) String() string { return c.text(0, true) }

// Text is String with whole values; see [RequireChanges].
func (c ChangeSet) Text() string { return c.text(0, false) }

// Summary has a line for each table, with the columns that were updated. It is the
// same in all languages, and fits a golden file.
func (c ChangeSet) Summary() string {
	var out []string
	for _, t := range c.Tables {
		var columns []string
		for _, r := range t.Rows {
			for _, column := range r.Columns {
				if !slices.Contains(columns, column) {
					columns = append(columns, column)
				}
			}
		}
		line := t.head()
		if len(columns) > 0 {
			slices.Sort(columns)
			line += " (" + schema.ToldAll(columns) + ")"
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

// text writes at most so many rows of those that were read; 0: all.
func (c ChangeSet) text(most int, cut bool) string {
	var out []string
	left := int64(0)
	others := 0 // the tables further down that have rows
	for _, t := range c.Tables {
		others += min(len(t.Rows), 1)
	}
	limited := most > 0
	for _, t := range c.Tables {
		head := t.head()
		if t.Note != "" {
			head += ": " + t.Note
		}
		out = append(out, strings.TrimPrefix(head, ": "))
		rows := t.Rows
		others -= min(len(rows), 1)
		if limited {
			rows = rows[:min(len(rows), max(most-others, 1), most)] // one of each table, as far as they go
			most -= len(rows)
			left += t.inserted + t.updated + t.deleted - int64(len(rows))
		}
		out = append(out, aligned(rows, cut)...)
	}
	if left > 0 {
		out = append(out, msg.MoreRows.In("", msg.Count(left)))
	}
	return strings.Join(out, "\n")
}

// Inserted returns the rows that were inserted.
func (t TableChanges) Inserted() []RowChange { return t.only(Insert) }

// Updated returns the rows that were updated.
func (t TableChanges) Updated() []RowChange { return t.only(Update) }

// Deleted returns the rows that were deleted.
func (t TableChanges) Deleted() []RowChange { return t.only(Delete) }

func (t TableChanges) only(op Op) (out []RowChange) {
	for _, r := range t.Rows {
		if r.Op == op {
			out = append(out, r)
		}
	}
	return out
}

// head is the line of the table.
func (t TableChanges) head() string {
	out := t.Table
	for _, count := range []struct {
		sign string
		n    int64
	}{{"+", t.inserted}, {"~", t.updated}, {"-", t.deleted}} {
		if count.n > 0 {
			out += fmt.Sprintf(" %s%d", count.sign, count.n)
		}
	}
	if t.Before != t.After {
		out += fmt.Sprintf(" %d → %d", t.Before, t.After)
	}
	return strings.TrimSpace(out)
}

// shownRows is how many changed rows a failing test shows.
const shownRows = 20

// shownWidth is how many columns of a terminal a value may take.
const shownWidth = 40

// width measures texts alike on every terminal and in every locale.
var width = &runewidth.Condition{StrictEmojiNeutral: true}

// rowLine is what is shown of one row, in cells that stand below those of its like.
type rowLine struct {
	like  string
	sign  string
	cells []string
}

func aligned(rows []RowChange, cut bool) []string {
	lines := make([]rowLine, len(rows))
	widths := map[string][]int{}
	for i, r := range rows {
		lines[i] = r.line(cut)
		l := lines[i]
		if widths[l.like] == nil {
			widths[l.like] = make([]int, len(l.cells))
		}
		for n, cell := range l.cells {
			widths[l.like][n] = max(widths[l.like][n], width.StringWidth(cell))
		}
	}
	out := make([]string, len(lines))
	for i, l := range lines {
		text := "  " + l.sign
		for n, cell := range l.cells {
			text += " " + cell
			if n < len(l.cells)-1 {
				text += strings.Repeat(" ", widths[l.like][n]-width.StringWidth(cell)+1)
			}
		}
		out[i] = text
	}
	return out
}

func (r RowChange) line(cut bool) rowLine {
	one := func(row Row, column string) string {
		i := slices.Index(row.Columns(), column)
		return valueText(row.values[i], cut)
	}
	switch r.Op {
	case Insert, Delete:
		l, row := rowLine{sign: "+"}, r.New
		if r.Op == Delete {
			l.sign, row = "-", r.Old
		}
		for _, column := range row.Columns() {
			l.cells = append(l.cells, schema.Told(column)+"="+one(row, column))
		}
		return l
	default:
		l := rowLine{like: strings.Join(r.Columns, "\x00") + "\x00~", sign: "~"}
		for _, column := range r.key {
			l.cells = append(l.cells, schema.Told(column)+"="+one(r.New, column))
		}
		for _, column := range r.Columns {
			l.cells = append(l.cells, schema.Told(column)+": "+one(r.Old, column)+" → "+one(r.New, column))
		}
		return l
	}
}

// valueText writes a value as it is, in quotes where it would be misread.
func valueText(value []byte, cut bool) string {
	if value == nil {
		return "NULL"
	}
	text := string(value)
	if cut && width.StringWidth(text) > shownWidth {
		text = width.Truncate(text, shownWidth, "…")
	}
	plain := text != "" && text != "NULL" && !strings.HasPrefix(text, `"`) && strings.Join(strings.Fields(text), " ") == text &&
		!strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) && !strings.Contains(text, "→")
	if plain {
		return text
	}
	// Lines are compared whatever space there is between words.
	return strings.ReplaceAll(strconv.Quote(text), "  ", ` \x20`)
}
