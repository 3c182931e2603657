package snapshot

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/mattn/go-runewidth"

	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
)

// shownWidth is how many columns of a terminal a value may take.
const shownWidth = 40

// width measures texts alike on every terminal and in every locale.
var width = &runewidth.Condition{StrictEmojiNeutral: true}

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

// line is what is shown of one row, in cells that stand below those of its like.
type line struct {
	like  string
	sign  string
	cells []string
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

func aligned(rows []RowChange, cut bool) []string {
	lines := make([]line, len(rows))
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

func (r RowChange) line(cut bool) line {
	one := func(row Row, column string) string {
		i := slices.Index(row.Columns(), column)
		return valueText(row.values[i], cut)
	}
	switch r.Op {
	case Insert, Delete:
		l, row := line{sign: "+"}, r.New
		if r.Op == Delete {
			l.sign, row = "-", r.Old
		}
		for _, column := range row.Columns() {
			l.cells = append(l.cells, schema.Told(column)+"="+one(row, column))
		}
		return l
	default:
		l := line{like: strings.Join(r.Columns, "\x00") + "\x00~", sign: "~"}
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

// lineDiff tells which lines of want are not in got, and the other way round, each
// with its table, those of one row together. Space is told from none, whatever there
// is of it.
func lineDiff(want, got string) string {
	count := map[string]int{}
	for _, l := range linesOf(got) {
		count[l]++
	}
	type difference struct{ row, text string }
	var found []difference
	add := func(text msg.Text, l string) {
		words := strings.SplitN(l, " ", 4) // the table, the sign, the first cell, and what else there is
		row := words[0]
		if len(words) > 2 {
			row += " " + words[2]
		}
		found = append(found, difference{row, text.In("", l)})
	}
	for _, l := range linesOf(want) {
		count[l]--
		if count[l] < 0 {
			add(msg.MissingLine, l)
		}
	}
	for _, l := range linesOf(got) {
		if count[l] > 0 {
			count[l]--
			add(msg.UnexpectedLine, l)
		}
	}
	slices.SortStableFunc(found, func(a, b difference) int { return strings.Compare(a.row, b.row) })
	var out []string
	for i, d := range found {
		if i == 2*shownRows {
			out = append(out, msg.MoreRows.In("", msg.Count(len(found)-i)))
			break
		}
		out = append(out, d.text)
	}
	return strings.Join(out, "\n")
}

// tableHead is the line of a table, whose name may have spaces: after it there are
// counts and a note.
var tableHead = regexp.MustCompile(`^(.*?)( \+\d+)?( ~\d+)?( -\d+)?( \d+ → \d+)?(:( .*)?)?$`)

// quotedName is a name, or part of one, in quotes.
var quotedName = regexp.MustCompile(`"([^"]|"")*"`)

// goesOn tells a line with cells of a row from that of a table, whose name has a dot. No
// name holds a sign that stands for something else without being escaped.
func goesOn(words []string) bool {
	name, _, cell := strings.Cut(strings.Join(words, " "), "=")
	before, _, noted := strings.Cut(name, ":")
	switch dotted := strings.Contains(quotedName.ReplaceAllString(before, ""), "."); {
	case noted:
		return !dotted
	default:
		return cell
	}
}

func linesOf(text string) (out []string) {
	table := ""
	for l := range strings.Lines(text) {
		words := strings.Fields(l)
		switch {
		case len(words) == 0:
		case words[0] == "+" || words[0] == "~" || words[0] == "-":
			out = append(out, table+" "+strings.Join(words, " "))
		case len(out) > 0 && goesOn(words): // the line before does
			out[len(out)-1] += " " + strings.Join(words, " ")
		default:
			out = append(out, strings.Join(words, " "))
			table = tableHead.FindStringSubmatch(out[len(out)-1])[1]
		}
	}
	return out
}
