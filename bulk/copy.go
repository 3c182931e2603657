package bulk

import (
	"context"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/groundhogdb/groundhog/internal/catalog"
)

// encodeTypes are the types that a connection can write.
type encodeTypes struct {
	codecs *pgtype.Map
	oids   []uint32        // those that codecs was made for
	unable map[uint32]bool // those without a codec: only text goes
}

// typesKey is where a connection keeps the types that were read for it.
const typesKey = "github.com/groundhogdb/groundhog/bulk.types"

// typesOf returns types that have codecs for the columns of the tables. Enums,
// domains, composites and arrays of them are read from the catalog once per
// connection.
func typesOf(ctx context.Context, conn *pgx.Conn, tables []catalog.InsertTarget) (encodeTypes, error) {
	var oids []uint32
	for _, t := range tables {
		for _, c := range t.Columns {
			oids = append(oids, c.TypeOID)
		}
	}
	types := encodeTypes{codecs: conn.TypeMap()}
	if types.know(oids) {
		return types, nil
	}
	data := conn.PgConn().CustomData()
	kept, _ := data[typesKey].(encodeTypes)
	if kept.codecs != nil && kept.know(oids) {
		return kept, nil
	}
	oids = append(oids, kept.oids...)
	slices.Sort(oids)
	types.oids = slices.Compact(oids)
	var err error
	if types.codecs, types.unable, err = catalog.EncodeTypes(ctx, conn, types.oids); err != nil {
		return encodeTypes{}, err
	}
	data[typesKey] = types
	return types, nil
}

func (t encodeTypes) know(oids []uint32) bool {
	for _, oid := range oids {
		if _, ok := t.codecs.TypeForOID(oid); !ok && !t.unable[oid] {
			return false
		}
	}
	return true
}

// formatFor returns COPY's format for the columns: binary, unless one of the
// types has none that we could write.
func (t encodeTypes) formatFor(columns []column) int16 {
	for _, c := range columns {
		known, ok := t.codecs.TypeForOID(c.TypeOID)
		if !ok || !known.Codec.FormatSupported(pgtype.BinaryFormatCode) {
			return pgtype.TextFormatCode
		}
	}
	return pgtype.BinaryFormatCode
}

// valueError is a value that could not be encoded.
type valueError struct {
	row    int
	column column
	typ    string // of the value, in Go
	cause  error
}

func (e *valueError) Error() string { return e.cause.Error() }

func (e *valueError) Unwrap() error { return e.cause }

// copyRows sends the columns of the rows and returns how many rows the server
// stored.
func copyRows[T any](ctx context.Context, conn *pgx.Conn, types encodeTypes, table string, columns []column, rows []T) (int64, error) {
	source := newCopySource(types, columns, rows)
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = pgx.Identifier{c.Name}.Sanitize()
	}
	sql := "COPY " + table + " (" + strings.Join(names, ", ") + ") FROM STDIN"
	if source.format == pgtype.BinaryFormatCode {
		sql += " (FORMAT binary)"
	}
	tag, err := conn.PgConn().CopyFrom(ctx, source, sql)
	source.close()
	if source.panicked != nil {
		panic(source.panicked)
	}
	if source.failed != nil {
		return 0, source.failed // what the server says is only an echo of it
	}
	return tag.RowsAffected(), err
}

// copySource encodes rows as COPY data while the connection reads them. The
// connection reads in a goroutine of its own, which may still be there when a
// connection was lost; after close no row is touched any more.
type copySource[T any] struct {
	mu       sync.Mutex
	closed   bool
	rows     []T
	next     int
	columns  []encoder
	format   int16
	buf      []byte // encoded and not yet read
	start    int
	failed   error
	panicked any
}

var binaryHeader = append([]byte("PGCOPY\n\xff\r\n\x00"), 0, 0, 0, 0, 0, 0, 0, 0)

func newCopySource[T any](types encodeTypes, columns []column, rows []T) *copySource[T] {
	s := &copySource[T]{rows: rows, format: types.formatFor(columns), columns: make([]encoder, len(columns))}
	for i, c := range columns {
		s.columns[i] = newEncoder(c, types.codecs, s.format)
	}
	if s.format == pgtype.BinaryFormatCode {
		s.buf = append(s.buf, binaryHeader...)
	}
	return s
}

// Read fills p as long as there are rows, so that packets are full.
func (s *copySource[T]) Read(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, io.ErrClosedPipe
	}
	defer func() {
		// A value's own method may panic: the caller's goroutine is where that
		// belongs.
		if r := recover(); r != nil {
			s.panicked = r
			n, err = 0, errors.New("panic")
		}
	}()
	s.buf, s.start = append(s.buf[:0], s.buf[s.start:]...), 0
	for len(s.buf) < len(p) && s.next < len(s.rows) {
		if s.buf, err = s.appendRow(s.buf); err != nil {
			s.failed = err
			return 0, err
		}
		s.next++
	}
	n = copy(p, s.buf)
	s.start = n
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (s *copySource[T]) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

func (s *copySource[T]) appendRow(buf []byte) ([]byte, error) {
	row := reflect.ValueOf(s.rows[s.next]) // a copy, whose fields need none of their own
	if s.format == pgtype.BinaryFormatCode {
		buf = binary.BigEndian.AppendUint16(buf, uint16(len(s.columns))) //nolint:gosec // a table has at most 1,600 columns
	}
	for i := range s.columns {
		c := &s.columns[i]
		if i > 0 && s.format == pgtype.TextFormatCode {
			buf = append(buf, '\t')
		}
		v := row.FieldByIndex(c.index)
		out, err := c.appendValue(buf, v)
		if err != nil {
			return nil, &valueError{row: s.next, column: c.column, typ: goType(v), cause: err}
		}
		buf = out
	}
	if s.format == pgtype.TextFormatCode {
		buf = append(buf, '\n')
	}
	return buf, nil
}

func goType(v reflect.Value) string {
	if v.Kind() == reflect.Interface && !v.IsNil() {
		v = v.Elem()
	}
	return v.Type().String()
}

// encoder writes the values of one column.
type encoder struct {
	column
	codecs *pgtype.Map
	format int16
	isUUID bool
	deref  bool // the field is a pointer to what is written

	// plan is how the field's type is written, where that is the same for all
	// its values; else pgx decides value by value.
	plan pgtype.EncodePlan
}

var (
	uuidType   = reflect.TypeFor[uuid.UUID]()
	valuerType = reflect.TypeFor[driver.Valuer]()
)

func newEncoder(c column, codecs *pgtype.Map, format int16) encoder {
	e := encoder{column: c, codecs: codecs, format: format}
	t := c.typ
	if t.Kind() == reflect.Pointer && (!t.Implements(valuerType) || t.Elem() == uuidType) {
		e.deref = true
		t = t.Elem()
	}
	if known, ok := codecs.TypeForOID(c.TypeOID); ok && t == uuidType {
		_, e.isUUID = known.Codec.(*pgtype.UUIDCodec)
		if !e.isUUID {
			_, e.isUUID = known.Codec.(pgtype.UUIDCodec)
		}
	}
	switch t.Kind() {
	case reflect.Interface, reflect.Pointer, reflect.Slice, reflect.Map, reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return e // may be nil, or of any type
	}
	zero := reflect.Zero(t).Interface()
	if e.isUUID {
		zero = pgtype.UUID{}
	}
	e.plan = codecs.PlanEncode(c.TypeOID, format, zero)
	return e
}

// appendValue writes a value as COPY wants it.
func (e *encoder) appendValue(buf []byte, v reflect.Value) ([]byte, error) {
	start := len(buf)
	if e.format == pgtype.TextFormatCode {
		out, err := e.encode(nil, v)
		if err != nil {
			return nil, err
		}
		return appendEscaped(buf, out), nil
	}
	buf = append(buf, 0xff, 0xff, 0xff, 0xff) // the length of a null
	out, err := e.encode(buf, v)
	if err != nil || out == nil {
		return buf, err
	}
	size := len(out) - start - 4
	if size > math.MaxInt32 {
		return nil, errTooLong
	}
	binary.BigEndian.PutUint32(out[start:], uint32(size)) //nolint:gosec // checked above
	return out, nil
}

var errTooLong = errors.New("the value is longer than 2 GiB")

// encode appends the value to buf, or returns nil for a null.
func (e *encoder) encode(buf []byte, v reflect.Value) ([]byte, error) {
	if e.optional && !e.Server() && v.IsZero() {
		return nil, nil
	}
	if e.deref {
		if v.IsNil() {
			return nil, nil
		}
		v = v.Elem()
	}
	if buf == nil {
		buf = []byte{}
	}
	value := v.Interface()
	if id, ok := value.(uuid.UUID); ok && e.isUUID {
		value = pgtype.UUID{Bytes: id, Valid: true} // uuid.UUID's own way is through text
	}
	out, err := e.once(buf, value)
	if err == nil {
		return out, nil
	}
	if out, ok := e.viaText(buf, value); ok {
		return out, nil
	}
	return nil, err
}

func (e *encoder) once(buf []byte, value any) ([]byte, error) {
	if e.plan != nil {
		return e.plan.Encode(value, buf)
	}
	return e.codecs.Encode(e.TypeOID, e.format, value, buf)
}

// viaText encodes a value that has only a text form for this type, a string
// for a number say, by reading that text as the type.
func (e *encoder) viaText(buf []byte, value any) ([]byte, bool) {
	if e.format != pgtype.BinaryFormatCode {
		return nil, false
	}
	text, err := e.codecs.Encode(e.TypeOID, pgtype.TextFormatCode, value, nil)
	if err != nil || text == nil {
		return nil, false
	}
	var read any
	known, _ := e.codecs.TypeForOID(e.TypeOID)
	if _, ok := known.Codec.(*pgtype.ArrayCodec); ok {
		var array pgtype.Array[any] // keeps the dimensions
		if e.codecs.Scan(e.TypeOID, pgtype.TextFormatCode, text, &array) != nil {
			return nil, false
		}
		read = array
	} else if e.codecs.Scan(e.TypeOID, pgtype.TextFormatCode, text, &read) != nil {
		return nil, false
	}
	out, err := e.codecs.Encode(e.TypeOID, pgtype.BinaryFormatCode, read, buf)
	return out, err == nil
}

// appendEscaped writes a value in COPY's text format.
func appendEscaped(buf, value []byte) []byte {
	if value == nil {
		return append(buf, `\N`...)
	}
	for _, b := range value {
		switch b {
		case '\\':
			buf = append(buf, `\\`...)
		case '\n':
			buf = append(buf, `\n`...)
		case '\r':
			buf = append(buf, `\r`...)
		case '\t':
			buf = append(buf, `\t`...)
		default:
			buf = append(buf, b)
		}
	}
	return buf
}
