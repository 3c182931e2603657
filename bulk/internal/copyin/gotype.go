package copyin

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/google/uuid"
)

var (
	uuidType   = reflect.TypeFor[uuid.UUID]()
	bytesType  = reflect.TypeFor[[]byte]()
	timeType   = reflect.TypeFor[time.Time]()
	valuerType = reflect.TypeFor[driver.Valuer]()

	// selfEncoding are the interfaces by which a value tells how it is written.
	selfEncoding = []reflect.Type{valuerType, reflect.TypeFor[fmt.Stringer](), reflect.TypeFor[json.Marshaler]()}
)

// writtenAs returns the type that is written for a field of a type: what a
// pointer points to, unless only the pointer has the methods by which it tells how
// it is written.
func writtenAs(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	pointer := reflect.PointerTo(t)
	if slices.ContainsFunc(selfEncoding, func(how reflect.Type) bool { return pointer.Implements(how) && !t.Implements(how) }) {
		return pointer
	}
	return t
}

// GoType returns the type of a value as Go writes it: of what an interface holds.
func GoType(v reflect.Value) string {
	if v.Kind() == reflect.Interface && !v.IsNil() {
		v = v.Elem()
	}
	return v.Type().String()
}
