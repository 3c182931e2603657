package bulk

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"
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

// copyColumn finds the column in the server's context, or nil: the first name in it
// that nothing follows but a colon, as one before a value does. Of several that begin
// there it is the longest.
func copyColumn(where string, one *load) *column {
	for _, c := range one.columns {
		where = oneLine(where, c.Name)
	}
	context := copyContext(where, one.table.Name.Name)
	number := digitRun.FindStringIndex(context)
	if number == nil {
		return nil
	}
	context = context[number[1]:]
	var found *column
	first := len(context)
	for i := range one.columns {
		c := &one.columns[i]
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

// notText finds the column of a row whose text PostgreSQL can't store, or nil.
func (one *load) notText(row int) *column {
	if one.rows == nil || row < 0 {
		return nil
	}
	for i := range one.columns {
		text, ok := one.rows.text(row, one.columns[i])
		if ok && (!utf8.ValidString(text) || strings.ContainsRune(text, 0)) {
			return &one.columns[i]
		}
	}
	return nil
}

// findTime bounds the search for a row by loading halves.
const findTime = 5 * time.Second

// probe is such a search: do is run once more, up to the load that failed.
type probe struct {
	until time.Time
	load  int // its position among the loads, from 1
	pg    *pgconn.PgError
	row   int // what was found, or -1
}

var errProbed = errors.New("the row was looked for")

// bisect finds the refused row by loading halves of its load in savepoints, after
// all that was loaded before it; -1 where that does not tell.
func (w *work) bisect(r *refusal, do func(*work) error) int {
	if r.load.rows == nil {
		return -1
	}
	p := &probe{until: time.Now().Add(findTime), pg: r.pg, row: -1}
	for i, one := range w.loads {
		if one == r.load {
			p.load = i + 1
		}
	}
	again := *w // what is known of the failed attempt stays as it is
	again.probe, again.meter = p, nil
	_ = again.attempt(do)
	w.kept = again.kept
	return p.row
}

// halve loads halves of rows until the first row is found that is refused: those
// before it are there then, as they were when it was refused.
func (l *loader[T]) halve(p *probe, columns []column, rows []T) int {
	from, to := 0, len(rows)
	for time.Now().Before(p.until) {
		mid := from + (to-from+1)/2
		err := l.try(columns, rows[from:mid], time.Until(p.until))
		switch {
		case err == nil && mid == to, err != nil && !p.failedBy(err):
			return -1
		case err == nil:
			from = mid
		case mid-from == 1:
			return from
		default:
			to = mid
		}
	}
	return -1
}

// try loads rows in a savepoint, which stays when they are taken. The server ends
// it in time: a context that ends would take the caller's connection with it.
func (l *loader[T]) try(columns []column, rows []T, limit time.Duration) error {
	tx, err := l.w.tx.Begin(l.w.ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(l.w.ctx)
	if _, err := tx.Exec(l.w.ctx, "SET LOCAL statement_timeout = "+strconv.FormatInt(max(limit.Milliseconds(), 1), 10)); err != nil {
		return err
	}
	if _, err := l.copy(columns, rows); err != nil {
		return err
	}
	if l.table.Deferrable {
		if _, err := tx.Exec(l.w.ctx, "SET CONSTRAINTS ALL IMMEDIATE"); err != nil {
			return err
		}
	}
	return tx.Commit(l.w.ctx)
}
