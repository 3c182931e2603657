package catalog

import (
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// NewTextTypes returns pgx's types for values in the text form, which they read in
// the same way with each version of pgx: boxes between semicolons, and moments in
// the local time zone, as in the binary form.
func NewTextTypes() *pgtype.Map {
	m := pgtype.NewMap()
	register := func(name string, oid uint32, codec pgtype.Codec) *pgtype.Type {
		t := &pgtype.Type{Name: name, OID: oid, Codec: codec}
		m.RegisterType(t)
		return t
	}
	if box, ok := m.TypeForOID(pgtype.BoxOID); ok {
		register("_box", pgtype.BoxArrayOID, arrayOf(box, ';'))
	}
	moment := register("timestamptz", pgtype.TimestamptzOID, &pgtype.TimestamptzCodec{ScanLocation: time.Local})
	register("_timestamptz", pgtype.TimestamptzArrayOID, arrayOf(moment, comma))
	span := register("tstzrange", pgtype.TstzrangeOID, &pgtype.RangeCodec{ElementType: moment})
	register("_tstzrange", pgtype.TstzrangeArrayOID, arrayOf(span, comma))
	spans := register("tstzmultirange", pgtype.TstzmultirangeOID, &pgtype.MultirangeCodec{ElementType: span})
	register("_tstzmultirange", pgtype.TstzmultirangeArrayOID, arrayOf(spans, comma))
	return m
}
