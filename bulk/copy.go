package bulk

import (
	"context"
	"database/sql/driver"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/progress"
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
	data := conn.PgConn().CustomData()
	if types.know(oids) && !types.delimited(oids) {
		if !catalog.EncodesOtherwise() {
			return types, nil
		}
		return copyTypes(conn, oids), nil
	}
	kept, _ := data[typesKey].(encodeTypes)
	if kept.codecs != nil && kept.know(oids) {
		return kept, nil
	}
	oids = append(oids, kept.oids...)
	slices.Sort(oids)
	types.oids = slices.Compact(oids)
	read, err := catalog.ReadEncodeTypes(ctx, conn, types.oids)
	if err != nil {
		return encodeTypes{}, err
	}
	types.codecs, types.unable = read.Codecs, read.Unable
	if !read.Alterable {
		data[typesKey] = types
	}
	return types, nil
}

// copiesKey is where a connection keeps the copy that is used in place of its own
// types.
const copiesKey = "github.com/groundhogdb/groundhog/bulk.copies"

// copyTypes returns a copy of types that the connection has codecs for.
func copyTypes(conn *pgx.Conn, oids []uint32) encodeTypes {
	data := conn.PgConn().CustomData()
	kept, _ := data[copiesKey].(encodeTypes)
	if kept.codecs == nil || slices.ContainsFunc(oids, func(oid uint32) bool { return !slices.Contains(kept.oids, oid) }) {
		oids = append(slices.Clone(oids), kept.oids...)
		slices.Sort(oids)
		kept.oids = slices.Compact(oids)
		kept.codecs = catalog.CopyEncodeTypes(conn.TypeMap(), kept.oids)
		data[copiesKey] = kept
	}
	return kept
}

func (t encodeTypes) know(oids []uint32) bool {
	for _, oid := range oids {
		if _, ok := t.codecs.TypeForOID(oid); !ok && !t.unable[oid] {
			return false
		}
	}
	return true
}

// delimited reports whether one of the types may be an array that the connection's
// own map writes with commas, and PostgreSQL does not.
func (t encodeTypes) delimited(oids []uint32) bool {
	return slices.ContainsFunc(oids, func(oid uint32) bool {
		known, ok := t.codecs.TypeForOID(oid)
		return ok && catalog.MayNeedDelimiter(known)
	})
}

// formatFor returns COPY's format for the columns: binary, where pgx makes the
// binary form of each column of the Go type of its field; else text, of which the
// server takes all that it takes in SQL.
func (t encodeTypes) formatFor(columns []column) int16 {
	for _, c := range columns {
		if !t.binary(c.TypeOID, writtenAs(c.typ)) {
			return pgtype.TextFormatCode
		}
	}
	return pgtype.BinaryFormatCode
}

// binary reports whether pgx makes the binary form of a type of all values of a Go
// type: not of those that turn out to be a text only once they are there.
func (t encodeTypes) binary(oid uint32, from reflect.Type) bool {
	known, ok := t.codecs.TypeForOID(oid)
	if !ok || !known.Codec.FormatSupported(pgtype.BinaryFormatCode) {
		return false
	}
	switch codec := known.Codec.(type) {
	case *pgtype.CompositeCodec:
		return false
	case *pgtype.ArrayCodec:
		if from.Kind() == reflect.Slice || from.Kind() == reflect.Array {
			return t.binaryElements(oid, codec, from)
		}
	case catalog.Array:
		if from.Kind() == reflect.Slice || from.Kind() == reflect.Array {
			return t.binaryElements(oid, codec.ArrayCodec, from)
		}
	case *pgtype.UUIDCodec, pgtype.UUIDCodec:
		if from == uuidType {
			return true
		}
	}
	if from.Kind() == reflect.Interface {
		return false
	}
	zero := reflect.Zero(from).Interface()
	return known.Codec.PlanEncode(t.codecs, oid, pgtype.BinaryFormatCode, zero) != nil ||
		!from.Implements(valuerType) && t.codecs.PlanEncode(oid, pgtype.BinaryFormatCode, zero) != nil
}

func (t encodeTypes) binaryElements(oid uint32, codec *pgtype.ArrayCodec, from reflect.Type) bool {
	element := writtenAs(from.Elem())
	return t.binary(codec.ElementType.OID, element) || element.Kind() == reflect.Slice && t.binary(oid, element)
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

// beginCopy starts a COPY into a table. The rows are encoded in the caller's
// goroutine, so that whatever happens there, also a panic or the end of the
// goroutine, happens to the caller; the COPY itself runs beside it, until
// [stream.end], which must be called.
func beginCopy(w *work, table string, columns []column) *stream {
	s := newStream(w.types, columns, w.meter)
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = pgx.Identifier{c.Name}.Sanitize()
	}
	sql := "COPY " + table + " (" + strings.Join(names, ", ") + ") FROM STDIN"
	if s.format == pgtype.BinaryFormatCode {
		sql += " (FORMAT binary)"
	}
	ctx, conn := w.ctx, w.tx.Conn().PgConn()
	go func() {
		defer close(s.pipe.over)
		s.tag, s.refused = conn.CopyFrom(ctx, s.pipe, sql)
	}()
	return s
}

// end finishes the COPY, or has the server drop it when the writer failed, and
// returns how many rows the server stored. A second call does nothing.
func (s *stream) end(err error) (int64, error) {
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

// blockSize is how much is encoded before it is handed to the connection: what
// pgx sends in one message.
const blockSize = 65536 - 5

var (
	errAbandoned = errors.New("the rows were abandoned")
	errOver      = errors.New("the COPY is over")
)

// pipe hands blocks of COPY data to the connection, which reads in a goroutine
// of its own that may still be there when a connection was lost. It holds no
// row, so the caller's rows are the caller's again at once.
type pipe struct {
	blocks chan []byte
	free   chan []byte
	over   chan struct{} // closed when the COPY has ended
	err    error         // what the reader gets once blocks is closed; nil: the end of the data
	block  []byte        // being read
	start  int
}

func (p *pipe) Read(to []byte) (int, error) {
	for p.start == len(p.block) {
		if p.block != nil {
			select {
			case p.free <- p.block[:0]:
			default:
			}
		}
		p.block, p.start = nil, 0
		select {
		case block, more := <-p.blocks:
			if !more {
				if p.err != nil {
					return 0, p.err
				}
				return 0, io.EOF
			}
			p.block = block
		case <-p.over:
			return 0, io.ErrClosedPipe
		}
	}
	n := copy(to, p.block[p.start:])
	p.start += n
	return n, nil
}

// stream encodes rows as COPY data.
type stream struct {
	columns []encoder
	format  int16
	buf     []byte
	pipe    *pipe
	meter   *progress.Meter
	rows    int // in buf

	tag     pgconn.CommandTag
	refused error
	ended   bool
}

var binaryHeader = append([]byte("PGCOPY\n\xff\r\n\x00"), 0, 0, 0, 0, 0, 0, 0, 0)

func newStream(types encodeTypes, columns []column, meter *progress.Meter) *stream {
	const blocks = 4 // enough that neither side waits for the other
	s := &stream{format: types.formatFor(columns), columns: make([]encoder, len(columns)), meter: meter,
		pipe: &pipe{blocks: make(chan []byte, blocks), free: make(chan []byte, blocks), over: make(chan struct{})}}
	for i, c := range columns {
		s.columns[i] = newEncoder(c, types.codecs, s.format)
	}
	if s.format == pgtype.BinaryFormatCode {
		s.buf = append(s.buf, binaryHeader...)
	}
	return s
}

// flush hands what is encoded to the connection.
func (s *stream) flush() error {
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

// row encodes a row, whose number is told in an error. It is a struct that is
// nobody else's, so that its fields need no copies of their own.
func (s *stream) row(row reflect.Value, number int) error {
	buf := s.buf
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
			return &valueError{row: number, column: c.column, typ: goType(v), cause: err}
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
	isTime bool // a time.Time for the binary form of timestamptz
	deref  bool // the field is a pointer to what is written
	refer  bool // what is written is a pointer to the field

	// plan is how the field's type is written, where that is the same for all
	// its values; else pgx decides value by value.
	plan pgtype.EncodePlan
	// exact refuses what pgx would write as another value; nil: nothing.
	exact func(any) error
	text  []byte // the value, before it is escaped
}

var (
	uuidType   = reflect.TypeFor[uuid.UUID]()
	bytesType  = reflect.TypeFor[[]byte]()
	timeType   = reflect.TypeFor[time.Time]()
	valuerType = reflect.TypeFor[driver.Valuer]()

	// speaking are the interfaces by which a value tells how it is written.
	speaking = []reflect.Type{valuerType, reflect.TypeFor[fmt.Stringer](), reflect.TypeFor[json.Marshaler]()}
)

// writtenAs returns the type that is written for a field of a type: what a
// pointer points to, unless only the pointer has the methods by which it tells how
// it is written.
func writtenAs(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	pointer := reflect.PointerTo(t)
	if slices.ContainsFunc(speaking, func(how reflect.Type) bool { return pointer.Implements(how) && !t.Implements(how) }) {
		return pointer
	}
	return t
}

func newEncoder(c column, codecs *pgtype.Map, format int16) encoder {
	e := encoder{column: c, codecs: codecs, format: format}
	t := writtenAs(c.typ)
	e.deref, e.refer = c.typ == reflect.PointerTo(t), t == reflect.PointerTo(c.typ)
	if known, ok := codecs.TypeForOID(c.TypeOID); ok {
		switch known.Codec.(type) {
		case *pgtype.UUIDCodec, pgtype.UUIDCodec:
			e.isUUID = t == uuidType || t == bytesType
		case *pgtype.TimestamptzCodec:
			e.isTime = t == timeType && format == pgtype.BinaryFormatCode
		}
		e.exact = exactFor(known.Codec, t)
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

// exactFor returns what refuses the values of a Go type that pgx would cut to fit
// the codec: a fraction, NaN or infinity for an integer, a number too large for a
// real, a time whose microseconds are more than 64 bits.
func exactFor(codec pgtype.Codec, from reflect.Type) func(any) error {
	kind := from.Kind()
	number := kind == reflect.Float32 || kind == reflect.Float64 || kind == reflect.Interface
	switch codec.(type) {
	case pgtype.Int2Codec, pgtype.Int4Codec, pgtype.Int8Codec, pgtype.Uint32Codec:
		if number {
			return exactInteger
		}
	case pgtype.Float4Codec:
		if number {
			return exactReal
		}
	case pgtype.DateCodec, *pgtype.TimestampCodec, *pgtype.TimestamptzCodec:
		if kind == reflect.Interface || from == timeType {
			return exactTime
		}
	}
	if number && catalog.IsUint64(codec) {
		return exactInteger
	}
	return nil
}

func exactInteger(value any) error {
	f := reflect.ValueOf(value)
	if f.CanFloat() && (f.Float() != math.Trunc(f.Float()) || math.Abs(f.Float()) >= 1<<63) {
		return fmt.Errorf("%v is not an integer of 64 bits", value)
	}
	return nil
}

func exactReal(value any) error {
	f := reflect.ValueOf(value)
	if f.CanFloat() && !math.IsInf(f.Float(), 0) && math.IsInf(float64(float32(f.Float())), 0) {
		return fmt.Errorf("%v is out of range", value)
	}
	return nil
}

func exactTime(value any) error {
	const seconds = 292_000 * 365 * 24 * 60 * 60 // their microseconds are within 64 bits
	if t, ok := value.(time.Time); ok && (t.Unix() > seconds || t.Unix() < -seconds) {
		return fmt.Errorf("the year %d is out of range", t.Year())
	}
	return nil
}

// appendValue writes a value as COPY wants it.
func (e *encoder) appendValue(buf []byte, v reflect.Value) ([]byte, error) {
	start := len(buf)
	if e.format == pgtype.TextFormatCode {
		out, err := e.encode(e.text[:0], v)
		if err != nil {
			return nil, err
		}
		if out != nil {
			e.text = out
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
	switch {
	case e.deref:
		if v.IsNil() {
			return nil, nil
		}
		v = v.Elem()
	case e.refer:
		pointer := reflect.New(v.Type())
		pointer.Elem().Set(v)
		v = pointer
	}
	if buf == nil {
		buf = []byte{}
	}
	value := v.Interface()
	if e.isUUID {
		value = asUUID(value)
	}
	if e.exact != nil {
		if err := e.exact(value); err != nil {
			return nil, err
		}
	}
	if e.isTime { // as pgx does it, without an allocation for each
		return binary.BigEndian.AppendUint64(buf, uint64(value.(time.Time).UnixMicro()-epoch)), nil //nolint:gosec // two's complement
	}
	if e.plan != nil {
		return e.plan.Encode(value, buf)
	}
	return e.codecs.Encode(e.TypeOID, e.format, value, buf)
}

// epoch is PostgreSQL's, 2000-01-01, in microseconds since 1970.
const epoch = 946_684_800_000_000

// asUUID returns an id in the form that pgx writes at once: a uuid.UUID would go
// through text, and bytes would be taken for one.
func asUUID(value any) any {
	switch id := value.(type) {
	case uuid.UUID:
		return pgtype.UUID{Bytes: id, Valid: true}
	case []byte:
		if len(id) == len(uuid.UUID{}) {
			return pgtype.UUID{Bytes: uuid.UUID(id), Valid: true}
		}
	}
	return value
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
