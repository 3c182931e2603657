package copyin

import (
	"reflect"

	"github.com/groundhogdb/groundhog/internal/catalog"
)

// Column is a column that a COPY writes, and the field of the rows' struct that maps to
// it.
type Column struct {
	catalog.InsertColumn

	Field  string       // its name as Go writes it
	Index  []int        // where it is in the struct, as in [reflect.StructField]
	GoType reflect.Type // its type

	// Optional says that the zero value means the value that the server makes, or null
	// where it makes none.
	Optional bool
}
