package snapshot

import (
	"regexp"
	"slices"
	"strings"

	"github.com/groundhogdb/groundhog/internal/msg"
)

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

// goesOn reports whether a line goes on with the cells of a row. Else it is the line of a
// table, whose name has a dot. No name holds a sign that means something here without
// being escaped.
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
