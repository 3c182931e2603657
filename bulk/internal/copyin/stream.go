package copyin

import (
	"context"
	"encoding/binary"
	"errors"
	"reflect"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/progress"
	"github.com/groundhogdb/groundhog/internal/schema"
)

// blockSize is how much is encoded before it is handed to the connection: what
// pgx sends in one message.
const blockSize = 65536 - 5

var errAbandoned = errors.New("the rows were abandoned")

// Stream encodes rows as the data of one COPY, and sends them. The rows are encoded in
// the goroutine of the caller, so that whatever happens there, also a panic or the end
// of the goroutine, happens to the caller. The COPY itself runs in another goroutine
// until [Stream.End] or [Stream.Abandon], one of which must be called: they wait for it
// and take over what it left.
type Stream struct {
	columns []encoder
	format  int16
	buf     []byte
	pipe    *pipe
	meter   *progress.Meter
	rows    int // in buf

	tag     pgconn.CommandTag // of the goroutine until pipe.over is closed, as is refused
	refused error
	ended   bool
}

var binaryHeader = append([]byte("PGCOPY\n\xff\r\n\x00"), 0, 0, 0, 0, 0, 0, 0, 0)

func newStream(types Types, columns []Column, meter *progress.Meter) *Stream {
	const blocks = 4 // enough that neither side waits for the other
	s := &Stream{format: types.format(columns), columns: make([]encoder, len(columns)), meter: meter,
		pipe: &pipe{blocks: make(chan []byte, blocks), free: make(chan []byte, blocks), over: make(chan struct{})}}
	for i, c := range columns {
		s.columns[i] = newEncoder(c, types.codecs, s.format)
	}
	if s.format == pgtype.BinaryFormatCode {
		s.buf = append(s.buf, binaryHeader...)
	}
	return s
}

// Begin starts a COPY of columns into a table. The meter counts the rows that are sent.
func Begin(ctx context.Context, conn *pgconn.PgConn, types Types, table schema.Name, columns []Column, meter *progress.Meter) *Stream {
	s := newStream(types, columns, meter)
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = pgx.Identifier{c.Name}.Sanitize()
	}
	sql := "COPY " + catalog.Ident(table) + " (" + strings.Join(names, ", ") + ") FROM STDIN"
	if s.format == pgtype.BinaryFormatCode {
		sql += " (FORMAT binary)"
	}
	go func() {
		defer close(s.pipe.over)
		s.tag, s.refused = conn.CopyFrom(ctx, s.pipe, sql)
	}()
	return s
}

// flush hands what is encoded to the connection.
func (s *Stream) flush() error {
	if len(s.buf) == 0 {
		return nil
	}
	select {
	case s.pipe.blocks <- s.buf:
	case <-s.pipe.over:
		return errOver
	}
	s.meter.Add(s.rows)
	s.rows = 0
	select {
	case s.buf = <-s.pipe.free:
	default:
		s.buf = nil
	}
	return nil
}

// Row encodes a row. Its number is that of the [ValueError] for a value that can't be
// encoded. The row is a struct that the caller does not use elsewhere, so its fields
// need no copies of their own.
func (s *Stream) Row(row reflect.Value, number int) error {
	buf := s.buf
	if s.format == pgtype.BinaryFormatCode {
		buf = binary.BigEndian.AppendUint16(buf, uint16(len(s.columns))) //nolint:gosec // a table has at most 1,600 columns
	}
	for i := range s.columns {
		c := &s.columns[i]
		if i > 0 && s.format == pgtype.TextFormatCode {
			buf = append(buf, '\t')
		}
		v := row.FieldByIndex(c.Index)
		out, err := c.appendValue(buf, v)
		if err != nil {
			return &ValueError{Row: number, Column: c.Column, GoType: GoType(v), cause: err}
		}
		buf = out
	}
	if s.format == pgtype.TextFormatCode {
		buf = append(buf, '\n')
	}
	s.buf = buf
	s.rows++
	if len(buf) >= blockSize {
		return s.flush()
	}
	return nil
}

// End finishes the COPY, or has the server drop it if err is not nil, and returns how
// many rows the server stored. It returns err, or else what the server refused. A second
// call does nothing.
func (s *Stream) End(err error) (int64, error) {
	if s.ended {
		return 0, nil
	}
	s.ended = true
	if err == nil {
		err = s.flush()
	}
	if errors.Is(err, errOver) {
		err = nil // the server ended it, and says why
	}
	s.pipe.err = err
	close(s.pipe.blocks)
	<-s.pipe.over
	if err != nil {
		return 0, err // what the server says is only an echo of it
	}
	return s.tag.RowsAffected(), s.refused
}

// Abandon has the server drop the rows, unless the COPY has ended already.
func (s *Stream) Abandon() { _, _ = s.End(errAbandoned) }
