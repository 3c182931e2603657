package schema

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Name is the qualified name of a table, type or sequence. It is what such a thing is
// known by: as a text, the table "b.c" of the schema a and the table c of the schema
// "a.b" are easily the same.
type Name struct {
	Schema string `json:"schema"`
	Name   string `json:"name"`
}

// String returns the name as people write it in a text: public.offices. No two names
// have the same text; see [Told].
func (n Name) String() string { return Told(n.Schema) + "." + Told(n.Name) }

// Plain returns both parts with a dot in between, whatever is in them. Several names
// may have the same plain text.
func (n Name) Plain() string { return n.Schema + "." + n.Name }

// Is reports whether a person who writes text may mean the name: as String or as
// Plain has it.
func (n Name) Is(text string) bool { return text == n.String() || text == n.Plain() }

// Compare orders names by schema, then by name, byte by byte.
func (n Name) Compare(o Name) int {
	return cmp.Or(cmp.Compare(n.Schema, o.Schema), cmp.Compare(n.Name, o.Name))
}

// counts is what follows the name of a table in a list of changes, and what begins the
// line of a row.
var counts = regexp.MustCompile(`(^| )[+~-][0-9]|^[+~-]( |$)`)

// Told writes one part of a name, such as that of a column, for people: as it is
// where it can't be misread, as nearly all can't. One with a dot, a comma or a quote
// is in double quotes, as in SQL. What would break a line, can't be seen, or stands
// for something else in a list of changes is escaped, as in SQL too: U&"two\000Alines".
func Told(name string) string {
	if name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_0123456789") == "" { // as most are
		return name
	}
	escape := strings.Join(strings.Fields(name), " ") != name || strings.ContainsFunc(name, escaped)
	switch {
	case escape:
		return `U&"` + escapeAll(name) + `"`
	case name == "" || strings.ContainsAny(name, `.,"`) || counts.MatchString(name):
		return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
	}
	return name
}

// ToldAll lists names.
func ToldAll(names []string) string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = Told(name)
	}
	return strings.Join(out, ", ")
}

// escaped reports whether a rune is escaped wherever it stands.
func escaped(r rune) bool {
	return unseen(r) || r == unicode.ReplacementChar || slices.Contains([]rune{'=', ':', '→'}, r)
}

func escapeAll(name string) string {
	var out strings.Builder
	space := true // before this one, or the beginning
	for i, r := range name {
		switch {
		case escaped(r) || r == ' ' && (space || i == len(name)-1):
			if r > 0xFFFF {
				fmt.Fprintf(&out, `\+%06X`, r)
			} else {
				fmt.Fprintf(&out, `\%04X`, r)
			}
		case r == '\\', r == '"':
			out.WriteRune(r)
			out.WriteRune(r)
		default:
			out.WriteRune(r)
		}
		space = r == ' '
	}
	return out.String()
}

// Line writes a text that may hold names, such as a type or an expression of SQL, in
// one line.
func Line(text string) string {
	if !strings.ContainsFunc(text, unseen) {
		return text
	}
	var out strings.Builder
	for _, r := range text {
		if unseen(r) {
			quoted := strconv.QuoteRune(r)
			out.WriteString(quoted[1 : len(quoted)-1])
		} else {
			out.WriteRune(r)
		}
	}
	return out.String()
}

func unseen(r rune) bool { return !unicode.IsPrint(r) }
