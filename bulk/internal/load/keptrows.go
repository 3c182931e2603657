package load

import (
	"reflect"

	"github.com/groundhogdb/groundhog/bulk/internal/copyin"
)

// keptRows are the rows of a COPY that are kept until the call ends.
type keptRows interface {
	len() int
	// text writes a value as PostgreSQL does; ok is false for a null and for what
	// has no text.
	text(i int, c copyin.Column) (text string, ok bool)
	goType(i int, c copyin.Column) string
}

// keptSlice is a slice of rows.
type keptSlice[T any] struct {
	types copyin.Types
	rows  []T
}

func (s keptSlice[T]) len() int { return len(s.rows) }

func (s keptSlice[T]) text(i int, c copyin.Column) (string, bool) {
	return copyin.NewText(s.types, c).Of(reflect.ValueOf(s.rows[i]).FieldByIndex(c.Index))
}

func (s keptSlice[T]) goType(i int, c copyin.Column) string {
	return copyin.GoType(reflect.ValueOf(s.rows[i]).FieldByIndex(c.Index))
}
