package copyin

import (
	"context"
	"reflect"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/groundhogdb/groundhog/internal/catalog"
)

// Types are the types that a connection can write.
type Types struct {
	codecs *pgtype.Map
	oids   []uint32        // those that codecs was made for
	unable map[uint32]bool // those without a codec: only text goes
}

// typesKey is where a connection keeps the types that were read for it.
const typesKey = "github.com/groundhogdb/groundhog/bulk.types"

// TypesOf returns types that have codecs for the columns of the tables. Enums,
// domains, composites and arrays of them are read from the catalog once per
// connection.
func TypesOf(ctx context.Context, conn *pgx.Conn, tables []catalog.InsertTarget) (Types, error) {
	var oids []uint32
	for _, t := range tables {
		for _, c := range t.Columns {
			oids = append(oids, c.TypeOID)
		}
	}
	types := Types{codecs: conn.TypeMap()}
	data := conn.PgConn().CustomData()
	if types.know(oids) && !types.delimited(oids) {
		if !catalog.EncodesOtherwise() {
			return types, nil
		}
		return copyTypes(conn, oids), nil
	}
	kept, _ := data[typesKey].(Types)
	if kept.codecs != nil && kept.know(oids) {
		return kept, nil
	}
	oids = append(oids, kept.oids...)
	slices.Sort(oids)
	types.oids = slices.Compact(oids)
	read, err := catalog.ReadEncodeTypes(ctx, conn, types.oids)
	if err != nil {
		return Types{}, err
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
func copyTypes(conn *pgx.Conn, oids []uint32) Types {
	data := conn.PgConn().CustomData()
	kept, _ := data[copiesKey].(Types)
	if kept.codecs == nil || slices.ContainsFunc(oids, func(oid uint32) bool { return !slices.Contains(kept.oids, oid) }) {
		oids = append(slices.Clone(oids), kept.oids...)
		slices.Sort(oids)
		kept.oids = slices.Compact(oids)
		kept.codecs = catalog.CopyEncodeTypes(conn.TypeMap(), kept.oids)
		data[copiesKey] = kept
	}
	return kept
}

func (t Types) know(oids []uint32) bool {
	for _, oid := range oids {
		if _, ok := t.codecs.TypeForOID(oid); !ok && !t.unable[oid] {
			return false
		}
	}
	return true
}

// delimited reports whether one of the types may be an array that the connection's
// own map writes with commas, and PostgreSQL does not.
func (t Types) delimited(oids []uint32) bool {
	return slices.ContainsFunc(oids, func(oid uint32) bool {
		known, ok := t.codecs.TypeForOID(oid)
		return ok && catalog.MayNeedDelimiter(known)
	})
}

// format returns COPY's format for the columns: binary, where pgx makes the
// binary form of each column of the Go type of its field; else text, of which the
// server takes all that it takes in SQL.
func (t Types) format(columns []Column) int16 {
	for _, c := range columns {
		if !t.binary(c.TypeOID, writtenAs(c.GoType)) {
			return pgtype.TextFormatCode
		}
	}
	return pgtype.BinaryFormatCode
}

// binary reports whether pgx makes the binary form of a type of all values of a Go
// type: not of those that turn out to be a text only once they are there.
func (t Types) binary(oid uint32, from reflect.Type) bool {
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

func (t Types) binaryElements(oid uint32, codec *pgtype.ArrayCodec, from reflect.Type) bool {
	element := writtenAs(from.Elem())
	return t.binary(codec.ElementType.OID, element) || element.Kind() == reflect.Slice && t.binary(oid, element)
}
