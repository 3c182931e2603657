package catalog

import (
	"database/sql/driver"
	"fmt"
	"net"
	"reflect"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// Versions of pgx write some Go values in different ways. What is here makes those
// before 5.9 write them as the newer ones do.

type named string

func (named) String() string { return "" }

// stringersFirst reports whether pgx writes what String returns even where a type
// is made of what the column holds: the name of a constant in place of its number.
var stringersFirst = func() bool {
	_, _, first := pgtype.TryWrapBuiltinTypeEncodePlan(named(""))
	return first
}()

// EncodesOtherwise reports whether [CopyEncodeTypes] makes a difference with this
// version of pgx.
func EncodesOtherwise() bool { return stringersFirst }

// CopyEncodeTypes returns a map that has a connection's codecs for the types, and
// writes values as each version of pgx does from 5.9 on. The connection's own map
// stays as it is.
func CopyEncodeTypes(known *pgtype.Map, oids []uint32) *pgtype.Map {
	out := pgtype.NewMap()
	out.TryWrapEncodePlanFuncs = encodeFuncs(known.TryWrapEncodePlanFuncs)
	out.TryWrapScanPlanFuncs = known.TryWrapScanPlanFuncs
	done := map[uint32]bool{}
	var add func(*pgtype.Type)
	add = func(t *pgtype.Type) {
		if done[t.OID] {
			return
		}
		done[t.OID] = true
		out.RegisterType(t)
		switch codec := t.Codec.(type) {
		case *pgtype.ArrayCodec:
			add(codec.ElementType)
		case *pgtype.RangeCodec:
			add(codec.ElementType)
		case *pgtype.MultirangeCodec:
			add(codec.ElementType)
		case *pgtype.CompositeCodec:
			for _, field := range codec.Fields {
				add(field.Type)
			}
		}
	}
	for _, oid := range oids {
		if t, ok := known.TypeForOID(oid); ok {
			add(t)
		}
	}
	return out
}

// encodeFuncs puts our ways to write values before pgx's own, and behind those that
// the owner of the connection added.
func encodeFuncs(known []pgtype.TryWrapEncodePlanFunc) []pgtype.TryWrapEncodePlanFunc {
	if !stringersFirst {
		return known
	}
	builtin := reflect.ValueOf(pgtype.TryWrapBuiltinTypeEncodePlan).Pointer()
	at := slices.IndexFunc(known, func(f pgtype.TryWrapEncodePlanFunc) bool { return reflect.ValueOf(f).Pointer() == builtin })
	if at < 0 {
		return known
	}
	return slices.Insert(slices.Clone(known), at, tryNilValuer, tryUnderlying)
}

// tryUnderlying writes what a type with String is made of, if the column takes it.
func tryUnderlying(value any) (pgtype.WrappedEncodePlanNextSetter, any, bool) {
	switch value.(type) {
	case time.Duration, net.IP: // of which pgx knows what they mean
		return nil, nil, false
	case fmt.Stringer:
		return pgtype.TryWrapFindUnderlyingTypeEncodePlan(value)
	}
	return nil, nil, false
}

// tryNilValuer writes a null for a nil pointer in an array, where the method Value
// is not the pointer's own and would panic.
func tryNilValuer(value any) (pgtype.WrappedEncodePlanNextSetter, any, bool) {
	valuer := reflect.TypeFor[driver.Valuer]()
	t := reflect.TypeOf(value)
	if t == nil || t.Kind() != reflect.Pointer || !t.Implements(valuer) || !t.Elem().Implements(valuer) {
		return nil, nil, false
	}
	return &nilValuer{}, reflect.Zero(t.Elem()).Interface(), true
}

type nilValuer struct{ next pgtype.EncodePlan }

func (p *nilValuer) SetNext(next pgtype.EncodePlan) { p.next = next }

func (p *nilValuer) Encode(value any, buf []byte) ([]byte, error) {
	pointer := reflect.ValueOf(value)
	if pointer.IsNil() {
		return nil, nil
	}
	return p.next.Encode(pointer.Elem().Interface(), buf)
}
