package copyin

import (
	"fmt"
	"math"
	"reflect"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/groundhogdb/groundhog/internal/catalog"
)

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
