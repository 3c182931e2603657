package bulk

import (
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/msg"
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

// column is a column that a load writes, and the field that it comes from.
type column struct {
	catalog.InsertColumn
	field

	// optional: the zero value stands for the value that the server makes.
	optional bool
}

// columnsFor joins the fields of a row's struct to the columns of the table. The
// error shows both lists when they do not fit.
func (w *work) columnsFor(t reflect.Type, table *catalog.InsertTarget) ([]column, error) {
	fields := fieldsOf(t)
	taken := make([]string, len(table.Columns))
	var out []column
	var wrong []string
	for _, f := range fields {
		if f.hidden {
			wrong = append(wrong, msg.BulkUnexported.In(w.set.lang, f.name, f.column))
			continue
		}
		at := f.find(table.Columns)
		if at < 0 {
			wrong = append(wrong, msg.BulkNoColumn.In(w.set.lang, f.name, f.column)+w.set.meant(f.column, table.Names()))
			continue
		}
		c := table.Columns[at]
		if taken[at] != "" {
			wrong = append(wrong, msg.BulkColumnTwice.In(w.set.lang, taken[at], f.name, c.Name))
			continue
		}
		taken[at] = f.name
		if c.Generated {
			continue // the server's alone
		}
		if f.byDefault && c.NotNull && !c.Server() {
			wrong = append(wrong, msg.BulkNoDefault.In(w.set.lang, f.name, c.Name))
		}
		out = append(out, column{InsertColumn: c, field: f, optional: f.byDefault || c.Identity || c.Key && c.Server()})
	}
	for i, c := range table.Columns {
		if taken[i] == "" && c.NotNull && !c.Server() && !table.BeforeRow {
			wrong = append(wrong, msg.BulkColumnMissing.In(w.set.lang, c.Name, c.Type))
		}
	}
	if len(out) == 0 && len(wrong) == 0 {
		wrong = append(wrong, msg.BulkNoColumns.In(w.set.lang))
	}
	if len(wrong) > 0 {
		return nil, w.set.refuse(msg.BulkMisfit, t.String(), table.String(), strings.Join(wrong, "; "),
			fieldList(fields), strings.Join(table.Names(), ", "))
	}
	return out, nil
}

// meant names the nearest spelling, where one is near: " (did you mean …?)".
func (s settings) meant(name string, names []string) string {
	best, least := "", max(2, utf8.RuneCountInString(name)/3)+1
	for _, n := range names {
		if d := levenshtein.ComputeDistance(strings.ToLower(name), strings.ToLower(n)); d < least {
			best, least = n, d
		}
	}
	if best == "" {
		return ""
	}
	return " (" + msg.BulkMeant.In(s.lang, best) + ")"
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
