package bulk

import (
	"errors"
	"iter"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
)

// loader loads rows of type T into a table.
type loader[T any] struct {
	w       *work
	table   *catalog.InsertTarget
	columns []column
	loaded  int // rows of earlier calls, to number rows in errors
}

func newLoader[T any](w *work, table string) (*loader[T], error) {
	l := &loader[T]{w: w, table: w.tables[table]}
	var err error
	l.columns, err = w.columnsFor(reflect.TypeFor[T](), l.table)
	return l, err
}

// load sends rows, and returns how many the server stored. With fill, values
// that the server makes are written into the rows.
func (l *loader[T]) load(rows []T, fill bool) (int64, error) {
	if len(rows) == 0 {
		return 0, nil
	}
	columns := make([]column, 0, len(l.columns))
	for i, c := range l.columns {
		zeros := 0
		if c.optional && c.Server() {
			zeros = l.zeros(rows, c)
		}
		if c.Sequence != 0 && zeros < len(rows) {
			if err := l.advance(rows, c); err != nil {
				return 0, err
			}
		}
		last := len(columns) == 0 && i == len(l.columns)-1 // COPY wants one column at least
		if zeros == len(rows) && !fill && !last {
			continue
		}
		if zeros > 0 {
			if err := l.draw(rows, c, zeros); err != nil {
				return 0, err
			}
		}
		columns = append(columns, c)
	}
	n, err := copyRows(l.w.ctx, l.w.tx.Conn(), l.w.types, catalog.Ident(l.table.Name), columns, rows)
	if err != nil {
		return 0, l.rowError(err)
	}
	l.loaded += len(rows)
	return n, nil
}

func (l *loader[T]) zeros(rows []T, c column) int {
	n := 0
	for i := range rows {
		if l.at(rows, i, c).IsZero() {
			n++
		}
	}
	return n
}

func (l *loader[T]) at(rows []T, i int, c column) reflect.Value {
	return reflect.ValueOf(&rows[i]).Elem().FieldByIndex(c.index)
}

// draw lets the server make the values that are zero, in one query.
func (l *loader[T]) draw(rows []T, c column, n int) error {
	i := 0
	err := c.Draw(l.w.ctx, l.w.tx, n, func(r pgx.Rows) error {
		for !l.at(rows, i, c).IsZero() {
			i++
		}
		err := r.Scan(l.at(rows, i, c).Addr().Interface())
		i++
		return err
	})
	if err != nil {
		return l.w.failed(msg.BulkDraw.In(l.w.set.lang, l.table.String(), c.Name, c.name), err)
	}
	return nil
}

// advance puts the column's sequence past the numbers that rows bring with
// them, so that it never makes one of them again.
func (l *loader[T]) advance(rows []T, c column) error {
	var used int64
	for i := range rows {
		v := l.at(rows, i, c)
		if v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		if v.CanInt() {
			used = max(used, v.Int())
		}
	}
	if used == 0 {
		return nil
	}
	if err := c.Advance(l.w.ctx, l.w.tx, used); err != nil {
		return l.w.failed(msg.BulkSequence.In(l.w.set.lang, l.table.String(), c.Name), err)
	}
	return nil
}

// rowError says which row was refused, as far as that is known, and why.
func (l *loader[T]) rowError(err error) error {
	lang, table := l.w.set.lang, l.table.String()
	var value *valueError
	if errors.As(err, &value) {
		row := strconv.Itoa(l.loaded + value.row)
		return errs.New(nil, msg.BulkValue.In(lang, table, row, value.column.Name, value.column.Type, value.column.name, value.typ), value.cause)
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return l.w.failed(msg.BulkCopy.In(lang, table), err)
	}
	what := table
	if row, ok := copyLine(pg.Where, l.table.Name.Name); ok {
		what = msg.BulkRow.In(lang, table, strconv.Itoa(l.loaded+row))
	}
	why := slices.DeleteFunc([]string{pg.ConstraintName, pg.Detail, pg.Hint}, func(s string) bool { return s == "" })
	if len(why) == 0 {
		return l.w.failed(msg.BulkCopy.In(lang, what), err)
	}
	return l.w.failed(msg.BulkRefused.In(lang, what, strings.Join(why, ": ")), err)
}

var number = regexp.MustCompile(`[0-9]+`)

// copyLine finds the row, counted from 0, in the server's "COPY t, line 3",
// whatever language that is in.
func copyLine(where, table string) (int, bool) {
	for line := range strings.Lines(where) {
		if !strings.Contains(line, "COPY") {
			continue
		}
		n, err := strconv.Atoi(number.FindString(strings.Replace(line, table, "", 1)))
		if err == nil && n > 0 {
			return n - 1, true
		}
	}
	return 0, false
}

// seqChunk is how many rows of a sequence are kept at a time.
const seqChunk = 1000

// loadSeq sends the rows of a sequence piece by piece.
func (l *loader[T]) loadSeq(rows iter.Seq[T]) (int64, error) {
	var stored int64
	chunk := make([]T, 0, seqChunk)
	flush := func() error {
		n, err := l.load(chunk, false)
		stored += n
		clear(chunk)
		chunk = chunk[:0]
		return err
	}
	for row := range rows {
		if chunk = append(chunk, row); len(chunk) == seqChunk {
			if err := flush(); err != nil {
				return 0, err
			}
		}
	}
	return stored, flush()
}
