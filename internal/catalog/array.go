package catalog

import (
	"bytes"
	"reflect"

	"github.com/jackc/pgx/v5/pgtype"
)

// comma is what pgx puts between the elements of an array where its codec has no
// other delimiter, which it can have from pgx 5.11 on.
const comma = ','

// firstUserOID is the first oid of a type that is no part of PostgreSQL itself.
const firstUserOID = 16384

// Array is the codec for arrays whose elements are not separated by commas, such
// as box[]. It works with each version of pgx: it leaves the work to pgx's own
// codec, and translates the text.
type Array struct {
	*pgtype.ArrayCodec

	delimiter byte
}

// arrayOf returns the codec for arrays of a type.
func arrayOf(element *pgtype.Type, delimiter byte) pgtype.Codec {
	codec := &pgtype.ArrayCodec{ElementType: element}
	if delimiter == comma {
		return codec
	}
	return Array{codec, delimiter}
}

// MayNeedDelimiter reports whether a connection's own codec of a type may write
// commas where the type has another delimiter.
func MayNeedDelimiter(t *pgtype.Type) bool {
	_, array := t.Codec.(*pgtype.ArrayCodec)
	return array && (t.OID == pgtype.BoxArrayOID || t.OID >= firstUserOID)
}

// PlanEncode returns the plan for a value, or nil.
func (c Array) PlanEncode(m *pgtype.Map, oid uint32, format int16, value any) pgtype.EncodePlan {
	plan := c.ArrayCodec.PlanEncode(m, oid, format, value)
	if plan == nil || format != pgtype.TextFormatCode {
		return plan
	}
	return encodeArray{plan, c.delimiter}
}

type encodeArray struct {
	commas    pgtype.EncodePlan
	delimiter byte
}

func (p encodeArray) Encode(value any, buf []byte) ([]byte, error) {
	text, err := p.commas.Encode(value, nil)
	if err != nil || text == nil {
		return nil, err
	}
	return appendDelimited(buf, text, comma, p.delimiter), nil
}

// PlanScan returns the plan for a target, or nil.
func (c Array) PlanScan(m *pgtype.Map, oid uint32, format int16, target any) pgtype.ScanPlan {
	plan := c.ArrayCodec.PlanScan(m, oid, format, target)
	if plan == nil || format != pgtype.TextFormatCode {
		return plan
	}
	return scanArray{plan, c.delimiter}
}

type scanArray struct {
	commas    pgtype.ScanPlan
	delimiter byte
}

func (p scanArray) Scan(text []byte, target any) error {
	if text != nil {
		text = appendDelimited(nil, text, p.delimiter, comma)
	}
	return p.commas.Scan(text, target)
}

// DecodeValue returns an array as Go's value.
func (c Array) DecodeValue(m *pgtype.Map, oid uint32, format int16, src []byte) (any, error) {
	if src != nil && format == pgtype.TextFormatCode {
		src = appendDelimited(nil, src, c.delimiter, comma)
	}
	return c.ArrayCodec.DecodeValue(m, oid, format, src)
}

// appendDelimited appends the text of an array with another delimiter. An element
// that holds the new one is put into quotes.
func appendDelimited(buf, array []byte, from, to byte) []byte {
	for len(array) > 0 {
		if c := array[0]; c == '{' || c == '}' || c == from {
			if c == from {
				c = to
			}
			buf, array = append(buf, c), array[1:]
			continue
		}
		var element []byte
		element, array = cutElement(array, from)
		if element[0] != '"' && bytes.IndexByte(element, to) >= 0 {
			buf = append(append(append(buf, '"'), element...), '"')
			continue
		}
		buf = append(buf, element...)
	}
	return buf
}

// cutElement cuts what is neither brace nor delimiter off an array's text: an
// element with its quotes, or the bounds in front of the first brace.
func cutElement(array []byte, delimiter byte) (element, rest []byte) {
	quoted := false
	for i := 0; i < len(array); i++ {
		switch c := array[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == '{' || c == '}' || c == delimiter):
			return array[:i], array[i:]
		}
	}
	return array, nil
}

// uint64Codec is the codec of xid8, which pgx has from 5.7.2 on; nil: none.
var uint64Codec = func() reflect.Type {
	xid8, ok := pgtype.NewMap().TypeForName("xid8")
	if !ok {
		return nil
	}
	return reflect.TypeOf(xid8.Codec)
}()

// IsUint64 reports whether a codec is the one for unsigned integers of 64 bits.
func IsUint64(codec pgtype.Codec) bool {
	return uint64Codec != nil && reflect.TypeOf(codec) == uint64Codec
}
