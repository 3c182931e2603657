package load

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/groundhogdb/groundhog/bulk/internal/copyin"
)

var digitRun = regexp.MustCompile(`[0-9]+`)

// copyContext returns what follows the table's name in the server's "COPY t,
// line 3, column c", whatever language that is in. Names may have line breaks.
func copyContext(where, table string) string {
	where, table = oneLine(where, table), broken.Replace(table)
	for line := range strings.Lines(where) {
		if strings.Contains(line, "COPY") {
			return strings.Replace(strings.TrimSpace(line), table, "", 1)
		}
	}
	return ""
}

// broken replaces line breaks by what no name holds.
var broken = strings.NewReplacer("\n", "\x00", "\r", "\x00")

// oneLine takes the line breaks out of a name wherever it stands in a text.
func oneLine(text, name string) string {
	if broken.Replace(name) == name {
		return text
	}
	return strings.ReplaceAll(text, name, broken.Replace(name))
}

// copyLine finds the row, counted from 0, in the server's context.
func copyLine(where, table string) (int, bool) {
	n, err := strconv.Atoi(digitRun.FindString(copyContext(where, table)))
	return n - 1, err == nil && n > 0
}

// copyColumn finds the column of a COPY into table in the server's context, or nil: the
// first name in it that nothing follows but a colon, as one before a value does. Of
// several that begin there it is the longest.
func copyColumn(where, table string, columns []copyin.Column) *copyin.Column {
	for _, c := range columns {
		where = oneLine(where, c.Name)
	}
	context := copyContext(where, table)
	number := digitRun.FindStringIndex(context)
	if number == nil {
		return nil
	}
	context = context[number[1]:]
	var found *copyin.Column
	first := len(context)
	for i := range columns {
		c := &columns[i]
		at := columnAt(context, broken.Replace(c.Name))
		if at >= 0 && (at < first || at == first && (found == nil || len(c.Name) > len(found.Name))) {
			found, first = c, at
		}
	}
	return found
}

// columnAt returns where the name of a column stands in what follows a row's number,
// or -1.
func columnAt(context, name string) int {
	for at := 0; ; at++ {
		i := strings.Index(context[at:], name)
		if i < 0 {
			return -1
		}
		at += i
		after := context[at+len(name):]
		last, _ := utf8.DecodeLastRuneInString(context[:at])
		inWord := unicode.IsLetter(last) && last < unicode.MaxLatin1 || unicode.IsDigit(last)
		if !inWord && (strings.Trim(after, " \t\r\n") == "" || strings.HasPrefix(after, ":") || strings.HasPrefix(after, " :") || strings.HasPrefix(after, "：")) {
			return at
		}
	}
}
