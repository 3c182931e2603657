package errs

import (
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Text is the text of an error, as a part of another text or in a log: with all that
// the server said, and without "groundhog: ". pgconn.PgError's own text leaves out
// DETAIL, HINT and CONTEXT. They follow the server's message, wherever in the text that
// stands, and nothing is repeated that the text says already.
func Text(err error) string { return describe("", err, true) }

// Line is Text in one line, for a list of reasons.
func Line(err error) string { return strings.Join(strings.Fields(Text(err)), " ") }

// Describe is a text, then that of the error that caused it; see [Text].
func Describe(text string, cause error) string { return describe(text+": ", cause, true) }

// DescribeRow is Describe for a text that names the row of a COPY, which the server's
// CONTEXT only counts.
func DescribeRow(text string, cause error) string { return describe(text+": ", cause, false) }

// Tell returns an error whose text has all that the server said; see [Text]. The error
// itself is beneath it.
func Tell(err error) error {
	if err == nil || complete(err.Error(), err, true) == err.Error() {
		return err
	}
	return &told{error: err}
}

type told struct {
	error
	Whole
}

func (t *told) Error() string { return complete(t.error.Error(), t.error, true) }
func (t *told) Unwrap() error { return t.error }

func describe(before string, err error, copies bool) string {
	return complete(before+withoutPrefix(err.Error(), err), err, copies)
}

// withoutPrefix returns the text without the prefix of each error in the tree whose
// text it has.
func withoutPrefix(text string, err error) string {
	if err == nil {
		return text
	}
	own := err.Error()
	if rest, ours := strings.CutPrefix(own, prefix); ours {
		text = strings.Replace(text, own, rest, 1)
	}
	switch e := err.(type) { //nolint:errorlint // each error of the tree is looked at
	case interface{ Unwrap() error }:
		return withoutPrefix(text, e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, next := range e.Unwrap() {
			text = withoutPrefix(text, next)
		}
	}
	return text
}

// complete adds to the text of an error what it lacks of the server's.
func complete(text string, err error, copies bool) string {
	for _, pg := range serverErrors(err) {
		added := said(pg, text, copies)
		if added == "" {
			continue
		}
		message := pg.Error()
		if i := strings.LastIndex(text, message); i >= 0 {
			i += len(message)
			text = text[:i] + added + text[i:]
		} else {
			text += added
		}
	}
	return text
}

// Whole is embedded by errors whose text has all that it is to have of the server's, so
// that who wraps them adds nothing.
type Whole struct{}

func (Whole) whole() {}

// serverErrors are all that are in an error, the outermost first, but those of which a
// text tells already.
func serverErrors(err error) (found []*pgconn.PgError) {
	switch e := err.(type) { //nolint:errorlint // each error of the tree is looked at
	case interface{ whole() }:
	case *pgconn.PgError:
		if e != nil {
			return []*pgconn.PgError{e}
		}
	case interface{ Unwrap() error }:
		if next := e.Unwrap(); next != nil {
			return serverErrors(next)
		}
	case interface{ Unwrap() []error }:
		for _, next := range e.Unwrap() {
			if next == nil {
				continue
			}
			for _, pg := range serverErrors(next) {
				if !slices.Contains(found, pg) {
					found = append(found, pg)
				}
			}
		}
	}
	return found
}

// said is what the server said besides its message, as far as the text lacks it.
func said(pg *pgconn.PgError, text string, copies bool) string {
	var out strings.Builder
	for _, part := range []struct{ label, said string }{
		{"DETAIL", pg.Detail},
		{"HINT", pg.Hint},
		{"CONTEXT", contextOf(pg.Where, copies)},
	} {
		if said := withoutPasswords(strings.TrimSpace(part.said)); said != "" && !strings.Contains(text, said) {
			out.WriteString("\n" + part.label + ": " + said)
		}
	}
	return out.String()
}

// contextLimit is how much of a CONTEXT is shown: it may hold whole statements.
const contextLimit = 600

// contextOf leaves out the lines about functions of our own, and about rows that a COPY
// counts where they are not wanted.
func contextOf(where string, copies bool) string {
	var lines []string
	for line := range strings.SplitSeq(where, "\n") {
		ours := strings.HasPrefix(line, "PL/pgSQL function groundhog.") || strings.HasPrefix(line, `SQL function "groundhog.`)
		if !ours && (copies || !strings.HasPrefix(line, "COPY ")) {
			lines = append(lines, line)
		}
	}
	where = strings.Join(lines, "\n")
	if runes := []rune(where); len(runes) > contextLimit {
		where = string(runes[:contextLimit]) + "…"
	}
	return where
}

// passwords are those that a statement or an address in a CONTEXT may hold.
var passwords = []*regexp.Regexp{
	regexp.MustCompile(`(?i)(\bpassword\s+)(?:[eu]?&?'(?:[^'\\]|''|\\.)*'?|\$(\w*)\$.*)`),
	regexp.MustCompile(`(?i)(\bpassword\s*(?:=>?|:=)\s*)(?:[eu]?&?'+(?:[^'\\]|\\.)*'*|[^\s'"]+)`),
	regexp.MustCompile(`(?i)(\bpostgres(?:ql)?://[^\s:/@']*:)[^\s@']*`),
}

func withoutPasswords(s string) string {
	for _, p := range passwords {
		s = p.ReplaceAllString(s, "${1}…")
	}
	return s
}
