package copyin

import (
	"reflect"

	"github.com/jackc/pgx/v5/pgtype"
)

// Text writes the values of one column as PostgreSQL does.
type Text struct{ encoder encoder }

// NewText returns the writer for a column.
func NewText(types Types, c Column) *Text {
	return &Text{newEncoder(c, types.codecs, pgtype.TextFormatCode)}
}

// Of returns the text of a value, the field of the column. It returns false for a null
// and for a value that has no text.
func (t *Text) Of(v reflect.Value) (text string, ok bool) {
	out, err := t.encoder.encode(nil, v)
	return string(out), err == nil && out != nil
}
