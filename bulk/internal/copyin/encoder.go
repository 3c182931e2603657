package copyin

import (
	"encoding/binary"
	"errors"
	"math"
	"reflect"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
)

// encoder writes the values of one column.
type encoder struct {
	Column
	codecs *pgtype.Map
	format int16
	isUUID bool
	isTime bool // a time.Time for the binary form of timestamptz

	deref     bool // the field is a pointer to what is written
	addressOf bool // what is written is a pointer to the field

	// plan is how the field's type is written, where that is the same for all
	// its values; else pgx decides value by value.
	plan pgtype.EncodePlan
	// exact refuses what pgx would write as another value; nil: nothing.
	exact func(any) error
	text  []byte // the value, before it is escaped
}

func newEncoder(c Column, codecs *pgtype.Map, format int16) encoder {
	e := encoder{Column: c, codecs: codecs, format: format}
	t := writtenAs(c.GoType)
	e.deref, e.addressOf = c.GoType == reflect.PointerTo(t), t == reflect.PointerTo(c.GoType)
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
	if e.Optional && !e.Server() && v.IsZero() {
		return nil, nil
	}
	switch {
	case e.deref:
		if v.IsNil() {
			return nil, nil
		}
		v = v.Elem()
	case e.addressOf:
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
