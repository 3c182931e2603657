package bulk

import (
	"encoding/binary"
	"iter"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/msg"
)

// loader loads rows of type T into a table.
type loader[T any] struct {
	w       *work
	table   *catalog.InsertTarget
	columns []column
	used    map[string]int64 // the highest numbers that rows brought with them, by column
}

func newLoader[T any](w *work, table string) (*loader[T], error) {
	l := &loader[T]{w: w, table: w.tables[table], used: map[string]int64{}}
	var err error
	l.columns, err = w.columnsFor(reflect.TypeFor[T](), l.table)
	return l, err
}

// load sends rows, and returns how many the server stored. Values that the
// server makes are written into the rows.
func (l *loader[T]) load(rows []T) (int64, error) {
	if len(rows) == 0 {
		return 0, nil
	}
	columns, err := l.prepare(rows, true)
	if err != nil {
		return 0, err
	}
	one := &load{table: l.table, columns: columns, rows: slice[T]{l, rows}}
	l.w.loads = append(l.w.loads, one)
	if p := l.w.probe; p != nil && (len(l.w.loads) == p.load || !time.Now().Before(p.until)) {
		if len(l.w.loads) == p.load {
			p.row = l.halve(p, columns, rows)
		}
		return 0, errProbed
	}
	if one.fast, err = l.w.enter(l.table, len(rows)); err != nil {
		return 0, err
	}
	n, err := l.copy(columns, rows)
	if err != nil {
		return 0, l.w.refused(one, 0, err)
	}
	return n, nil
}

// copy sends rows through one COPY.
func (l *loader[T]) copy(columns []column, rows []T) (int64, error) {
	s := beginCopy(l.w, catalog.Ident(l.table.Name), columns)
	defer s.end(errAbandoned) //nolint:errcheck // after a panic, and when the goroutine ends
	for i := range rows {
		// ValueOf gets a copy of the row, whose fields need none of their own.
		if err := s.row(reflect.ValueOf(rows[i]), i); err != nil {
			return s.end(err)
		}
	}
	return s.end(nil)
}

// prepare decides which columns are sent, and lets the server make what is
// missing in them. With fill, it makes everything that it would make by itself,
// so that the rows can tell.
func (l *loader[T]) prepare(rows []T, fill bool) ([]column, error) {
	columns, drawn := l.shape(rows, fill)
	for i, c := range columns {
		if c.Sequence != 0 {
			l.note(rows, c)
		}
		if drawn[i] == 0 {
			continue
		}
		if err := l.advance(); err != nil {
			return nil, err
		}
		if err := l.draw(rows, c, drawn[i]); err != nil {
			return nil, err
		}
	}
	return columns, l.advance()
}

// shape tells which columns are sent, and how many values of each the server
// has to make first.
func (l *loader[T]) shape(rows []T, fill bool) (columns []column, drawn []int) {
	for i, c := range l.columns {
		zeros := 0
		if c.optional && c.Server() {
			zeros = l.zeros(rows, c)
		}
		last := len(columns) == 0 && i == len(l.columns)-1 // COPY wants one column at least
		if zeros == len(rows) && !fill && !last {
			continue
		}
		columns, drawn = append(columns, c), append(drawn, zeros)
	}
	return columns, drawn
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
		v := l.at(rows, i, c)
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
		return l.w.failed(msg.BulkDraw.In(l.w.set.lang, l.table.String(), c.Name, c.name), err)
	}
	return nil
}

// note remembers the highest number that rows bring with them.
func (l *loader[T]) note(rows []T, c column) {
	used := l.used[c.Name]
	e := newEncoder(c, l.w.types.codecs, pgtype.TextFormatCode)
	for i := range rows {
		v := l.at(rows, i, c)
		if v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		if v.CanInt() {
			used = max(used, v.Int())
		} else if text, err := e.encode(nil, l.at(rows, i, c)); err == nil {
			n, _ := strconv.ParseInt(string(text), 10, 64) // 0, when it is no number
			used = max(used, n)
		}
	}
	l.used[c.Name] = used
}

// advance puts the sequences past the numbers that rows brought with them, so
// that they never make one of them again.
func (l *loader[T]) advance() error {
	for _, c := range l.columns {
		used := l.used[c.Name]
		if used == 0 {
			continue
		}
		if err := c.Advance(l.w.ctx, l.w.tx, used); err != nil {
			return l.w.failed(msg.BulkSequence.In(l.w.set.lang, l.table.String(), c.Name), err)
		}
		l.used[c.Name] = 0
	}
	return nil
}

const (
	// seqChunk is how many rows of a sequence are kept at a time.
	seqChunk = 1000
	// seqMany is how many rows a sequence is taken for that is longer than that.
	seqMany = 50_000
)

// loadSeq sends the rows of a sequence as it yields them. One COPY takes them
// all, unless the server has to make values for some rows, or rows after the
// first chunk fill columns that those before left to it.
func (l *loader[T]) loadSeq(rows iter.Seq[T]) (int64, error) {
	s := sequence[T]{l: l, chunk: make([]T, 0, seqChunk)}
	defer s.abandon()
	var err error
	for row := range rows {
		s.pulled++
		if err != nil {
			continue // only counted, to know how many rows there are to be next time
		}
		if s.chunk = append(s.chunk, row); len(s.chunk) < seqChunk {
			continue
		}
		if err = s.flush(); err != nil && !l.w.again(err) {
			break
		}
	}
	if err == nil {
		err = s.flush()
	}
	if err == nil {
		err = s.close(nil)
	}
	before := l.w.pulled
	l.w.pulled = max(before, s.pulled)
	if err != nil {
		return 0, err
	}
	if s.pulled < before {
		return 0, l.w.set.refuse(msg.BulkSeqOnce, msg.Count(s.pulled), msg.Count(before))
	}
	return s.stored, l.advance()
}

// sequence is the state of a load of a sequence.
type sequence[T any] struct {
	l      *loader[T]
	chunk  []T
	pulled int // rows that the sequence yielded
	base   int // number of the first row of the COPY
	open   *stream
	one    *load // what the COPY loads
	sends  []column
	stored int64
}

// flush sends the rows of the chunk.
func (s *sequence[T]) flush() error {
	if len(s.chunk) == 0 {
		return nil
	}
	columns, drawn := s.l.shape(s.chunk, false)
	makes := slices.ContainsFunc(drawn, func(n int) bool { return n > 0 })
	if s.open != nil && (makes || !sameColumns(columns, s.sends)) {
		if err := s.close(nil); err != nil {
			return err
		}
	}
	if s.open == nil {
		if err := s.begin(makes); err != nil {
			return err
		}
	} else {
		for _, c := range columns {
			if c.Sequence != 0 {
				s.l.note(s.chunk, c)
			}
		}
	}
	first := s.pulled - len(s.chunk)
	for i := range s.chunk {
		if err := s.open.row(reflect.ValueOf(s.chunk[i]), first+i); err != nil {
			return s.close(err)
		}
	}
	clear(s.chunk)
	s.chunk = s.chunk[:0]
	return nil
}

// begin starts a COPY for the rows of the chunk and what follows.
func (s *sequence[T]) begin(makes bool) error {
	l := s.l
	var err error
	if makes {
		s.sends, err = l.prepare(s.chunk, false)
	} else {
		s.sends, _ = l.shape(s.chunk, false)
		for _, c := range s.sends {
			if c.Sequence != 0 {
				l.note(s.chunk, c)
			}
		}
	}
	if err != nil {
		return err
	}
	many := len(s.chunk)
	if many == seqChunk {
		many = seqMany
	}
	s.base = s.pulled - len(s.chunk)
	s.one = &load{table: l.table, columns: s.sends}
	l.w.loads = append(l.w.loads, s.one)
	if s.one.fast, err = l.w.enter(l.table, many); err != nil {
		return err
	}
	s.open = beginCopy(l.w, catalog.Ident(l.table.Name), s.sends)
	return nil
}

// close ends the COPY, if there is one.
func (s *sequence[T]) close(err error) error {
	if s.open == nil {
		return err
	}
	n, err := s.open.end(err)
	s.open = nil
	s.stored += n
	if err != nil {
		return s.l.w.refused(s.one, s.base, err)
	}
	return nil
}

func (s *sequence[T]) abandon() {
	if s.open != nil {
		_, _ = s.open.end(errAbandoned)
	}
}

func sameColumns(a, b []column) bool {
	return slices.EqualFunc(a, b, func(x, y column) bool { return x.Name == y.Name })
}
