package load

import (
	"reflect"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/catalog"
)

// field is a field of a row's struct that stands for a column, by the rules of
// pgx.RowToStructByName: the db tag names the column, else the field's own name
// does, underscores and case aside; the fields of an embedded struct count as
// the struct's own.
type field struct {
	name      string // as Go writes it
	column    string
	tagged    bool
	hidden    bool // not exported
	byDefault bool // db:"column,default"
	index     []int
	typ       reflect.Type
}

// fieldsOf lists the fields of a struct type.
func fieldsOf(t reflect.Type) []field { return appendFields(nil, t, nil, "") }

func appendFields(out []field, t reflect.Type, path []int, prefix string) []field {
	for i := range t.NumField() {
		sf := t.Field(i)
		index := append(path[:len(path):len(path)], i)
		if sf.Anonymous && sf.Type.Kind() == reflect.Struct {
			out = appendFields(out, sf.Type, index, prefix+sf.Name+".")
			continue
		}
		tag, tagged := sf.Tag.Lookup("db")
		column, flags, _ := strings.Cut(tag, ",")
		if column == "-" || !sf.IsExported() && !tagged {
			continue
		}
		if !tagged {
			column = sf.Name
		}
		out = append(out, field{name: prefix + sf.Name, column: column, tagged: tagged, hidden: !sf.IsExported(),
			byDefault: hasFlag(flags, "default"), index: index, typ: sf.Type})
	}
	return out
}

func hasFlag(flags, flag string) bool {
	for f := range strings.SplitSeq(flags, ",") {
		if strings.TrimSpace(f) == flag {
			return true
		}
	}
	return false
}

// find returns the position of the field's column, or -1.
func (f field) find(columns []catalog.InsertColumn) int {
	same := func(name string) bool { return strings.EqualFold(name, f.column) }
	if f.tagged {
		for i, c := range columns {
			if c.Name == f.column {
				return i
			}
		}
	} else {
		plain := strings.ReplaceAll(f.column, "_", "")
		same = func(name string) bool { return strings.EqualFold(strings.ReplaceAll(name, "_", ""), plain) }
	}
	for i, c := range columns {
		if same(c.Name) {
			return i
		}
	}
	return -1
}

// fieldList writes fields with the columns that they stand for.
func fieldList(fields []field) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
		if f.tagged {
			names[i] += "=" + f.column
		}
	}
	return strings.Join(names, ", ")
}

// SelectList returns the columns of a row's struct for a SELECT.
func SelectList[T any]() string {
	var names []string
	for _, f := range fieldsOf(reflect.TypeFor[T]()) {
		names = append(names, pgx.Identifier{f.column}.Sanitize())
	}
	return strings.Join(names, ", ")
}
