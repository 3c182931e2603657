package load

import (
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"

	"github.com/groundhogdb/groundhog/bulk/internal/copyin"
	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/msg"
)

// columnsFor joins the fields of a row's struct to the columns of the table. If they do
// not fit, the error shows both lists.
func columnsFor(lang msg.Lang, t reflect.Type, table *catalog.InsertTarget) ([]copyin.Column, error) {
	fields := fieldsOf(t)
	taken := make([]string, len(table.Columns))
	var out []copyin.Column
	var wrong []string
	for _, f := range fields {
		if f.hidden {
			wrong = append(wrong, msg.BulkUnexported.In(lang, f.name, f.column))
			continue
		}
		at := f.find(table.Columns)
		if at < 0 {
			wrong = append(wrong, msg.BulkNoColumn.In(lang, f.name, f.column)+didYouMean(lang, f.column, table.Names()))
			continue
		}
		c := table.Columns[at]
		if taken[at] != "" {
			wrong = append(wrong, msg.BulkColumnTwice.In(lang, taken[at], f.name, c.Name))
			continue
		}
		taken[at] = f.name
		if c.Generated {
			continue // the server's alone
		}
		if f.byDefault && c.NotNull && !c.Server() {
			wrong = append(wrong, msg.BulkNoDefault.In(lang, f.name, c.Name))
		}
		out = append(out, copyin.Column{InsertColumn: c, Field: f.name, Index: f.index, GoType: f.typ,
			Optional: f.byDefault || c.Identity || c.Key && c.Server()})
	}
	for i, c := range table.Columns {
		if taken[i] == "" && c.NotNull && !c.Server() && !table.BeforeRow {
			wrong = append(wrong, msg.BulkColumnMissing.In(lang, c.Name, c.Type))
		}
	}
	if len(out) == 0 && len(wrong) == 0 {
		wrong = append(wrong, msg.BulkNoColumns.In(lang))
	}
	if len(wrong) > 0 {
		return nil, refuse(lang, msg.BulkMisfit, t.String(), table.String(), strings.Join(wrong, "; "),
			fieldList(fields), strings.Join(table.Names(), ", "))
	}
	return out, nil
}

// didYouMean names the nearest spelling, where one is near: " (did you mean …?)".
func didYouMean(lang msg.Lang, name string, names []string) string {
	best, least := "", max(2, utf8.RuneCountInString(name)/3)+1
	for _, n := range names {
		if d := levenshtein.ComputeDistance(strings.ToLower(name), strings.ToLower(n)); d < least {
			best, least = n, d
		}
	}
	if best == "" {
		return ""
	}
	return " (" + msg.BulkMeant.In(lang, best) + ")"
}
