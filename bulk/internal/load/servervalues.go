package load

import (
	"context"
	"encoding/binary"
	"reflect"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/groundhogdb/groundhog/bulk/internal/copyin"
	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/msg"
)

// serverValues are the values that the server makes for rows of type T in a table:
// defaults, and the numbers of sequences.
type serverValues[T any] struct {
	tx      *Tx
	table   *catalog.InsertTarget
	columns []copyin.Column  // that have a field
	used    map[string]int64 // the highest numbers that rows brought with them, by column
}

func newServerValues[T any](tx *Tx, table string) (*serverValues[T], error) {
	v := &serverValues[T]{tx: tx, table: tx.tables[table], used: map[string]int64{}}
	var err error
	v.columns, err = columnsFor(tx.lang, reflect.TypeFor[T](), v.table)
	return v, err
}

// prepare decides which columns are sent, and lets the server make what is
// missing in them. With fill, it makes everything that it would make by itself,
// so that the rows have it.
func (s *serverValues[T]) prepare(ctx context.Context, rows []T, fill bool) ([]copyin.Column, error) {
	columns, drawn := s.shape(rows, fill)
	for i, c := range columns {
		s.note(rows, c)
		if drawn[i] == 0 {
			continue
		}
		if err := s.advance(ctx); err != nil {
			return nil, err
		}
		if err := s.draw(ctx, rows, c, drawn[i]); err != nil {
			return nil, err
		}
	}
	return columns, s.advance(ctx)
}

// shape returns the columns that are sent, and how many values of each the server
// has to make first.
func (s *serverValues[T]) shape(rows []T, fill bool) (columns []copyin.Column, drawn []int) {
	for i, c := range s.columns {
		zeros := 0
		if c.Optional && c.Server() {
			zeros = s.zeros(rows, c)
		}
		last := len(columns) == 0 && i == len(s.columns)-1 // COPY wants one column at least
		if zeros == len(rows) && !fill && !last {
			continue
		}
		columns, drawn = append(columns, c), append(drawn, zeros)
	}
	return columns, drawn
}

func (s *serverValues[T]) zeros(rows []T, c copyin.Column) int {
	n := 0
	for i := range rows {
		if s.at(rows, i, c).IsZero() {
			n++
		}
	}
	return n
}

func (s *serverValues[T]) at(rows []T, i int, c copyin.Column) reflect.Value {
	return reflect.ValueOf(&rows[i]).Elem().FieldByIndex(c.Index)
}

// draw lets the server make the values that are zero, in one query.
func (s *serverValues[T]) draw(ctx context.Context, rows []T, c copyin.Column, n int) error {
	i := 0
	err := c.Draw(ctx, s.tx.tx, n, func(r pgx.Rows) error {
		for !s.at(rows, i, c).IsZero() {
			i++
		}
		v := s.at(rows, i, c)
		i++
		if raw := r.RawValues()[0]; c.Sequence != 0 && v.CanInt() && len(raw) == 8 && r.FieldDescriptions()[0].Format == pgtype.BinaryFormatCode {
			if n := int64(binary.BigEndian.Uint64(raw)); !v.OverflowInt(n) { //nolint:gosec // two's complement
				v.SetInt(n) // for a scan has to find out each time what nextval is
				return nil
			}
		}
		return r.Scan(v.Addr().Interface())
	})
	if err != nil {
		return failed(msg.BulkDraw.In(s.tx.lang, s.table.String(), c.Name, c.Field), err)
	}
	return nil
}

// note remembers the highest number that rows bring with them for a column with a
// sequence.
func (s *serverValues[T]) note(rows []T, c copyin.Column) {
	if c.Sequence == 0 {
		return
	}
	used := s.used[c.Name]
	texts := copyin.NewText(s.tx.types, c)
	for i := range rows {
		v := s.at(rows, i, c)
		if v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		if v.CanInt() {
			used = max(used, v.Int())
		} else if text, ok := texts.Of(s.at(rows, i, c)); ok {
			n, _ := strconv.ParseInt(text, 10, 64) // 0, when it is no number
			used = max(used, n)
		}
	}
	s.used[c.Name] = used
}

// advance puts the sequences past the numbers that rows brought with them, so
// that they never make one of them again.
func (s *serverValues[T]) advance(ctx context.Context) error {
	for _, c := range s.columns {
		used := s.used[c.Name]
		if used == 0 {
			continue
		}
		if err := c.Advance(ctx, s.tx.tx, used); err != nil {
			return failed(msg.BulkSequence.In(s.tx.lang, s.table.String(), c.Name), err)
		}
		s.used[c.Name] = 0
	}
	return nil
}
