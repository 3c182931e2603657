package schema

import (
	"fmt"
	"slices"
	"strings"

	"github.com/groundhogdb/groundhog/internal/msg"
)

// Difference is one difference between a saved schema and a live one.
type Difference struct {
	Text   string
	Effect Effect
}

// Effect is what a difference means to the rows that were saved.
type Effect int

// The effects, each worse than the one before.
const (
	// Loads: every value has a place, and every column gets a value.
	Loads Effect = iota
	// NoPlace: there are values, or rows, that have no place any more.
	NoPlace
	// NoValue: there is a column that must have a value, and none for it.
	NoValue
)

// Diff tells, difference by difference, how the live schema departs from the
// saved one. It returns nothing exactly when the fingerprints are equal.
func Diff(saved, live Schema, lang msg.Lang) []Difference {
	d := differ{lang: lang}
	saved, live = saved.Canonical(), live.Canonical()
	pair(saved.Tables, live.Tables, func(t Table) string { return t.String() },
		func(t Table) { d.addWith(NoPlace, msg.DiffTableRemoved, t.Name) },
		func(t Table) { d.add(msg.DiffTableAdded, t.Name) },
		d.table)
	pair(saved.Types, live.Types, func(t Type) string { return t.String() },
		func(t Type) { d.add(msg.DiffTypeRemoved, t.Kind, t.Name) },
		func(t Type) { d.add(msg.DiffTypeAdded, t.Kind, t.Name) },
		func(s, l Type) {
			if s.Kind != l.Kind || !slices.Equal(s.Definition, l.Definition) {
				d.add(msg.DiffTypeChanged, l.Name, s.describe(), l.describe())
			}
		})
	pair(saved.Sequences, live.Sequences, Name.String,
		func(n Name) { d.add(msg.DiffSequenceRemoved, n) },
		func(n Name) { d.add(msg.DiffSequenceAdded, n) },
		func(Name, Name) {})
	return d.out
}

type differ struct {
	lang msg.Lang
	out  []Difference
}

func (d *differ) add(text msg.Text, args ...any) { d.addWith(Loads, text, args...) }

func (d *differ) addWith(effect Effect, text msg.Text, args ...any) {
	for i, arg := range args {
		args[i] = Line(fmt.Sprint(arg))
	}
	d.out = append(d.out, Difference{Text: text.In(d.lang, args...), Effect: effect})
}

func (d *differ) table(s, l Table) {
	if a, b := s.describe(), l.describe(); a != b {
		effect := Loads
		if s.PartitionOf == nil && l.PartitionOf != nil { // its rows are those of another table now
			effect = NoPlace
		}
		d.addWith(effect, msg.DiffTableChanged, l.Name, a, b)
	}
	pair(s.Columns, l.Columns, func(c Column) string { return c.Name },
		func(c Column) {
			effect := NoPlace
			if c.Generated != "" { // a generated column's values are not saved
				effect = Loads
			}
			d.addWith(effect, msg.DiffColumnRemoved, l.Name, c.describe())
		},
		func(c Column) {
			if c.needsValue() {
				d.addWith(NoValue, msg.DiffColumnAddedNoValue, l.Name, c.describe())
			} else {
				d.add(msg.DiffColumnAdded, l.Name, c.describe())
			}
		},
		func(a, b Column) {
			if a.describe() == b.describe() {
				return
			}
			effect := Loads
			switch {
			case a.Generated == "" && b.Generated != "":
				effect = NoPlace
			case a.Generated != "" && b.needsValue():
				effect = NoValue
			}
			d.addWith(effect, msg.DiffColumnChanged, l.Name, a.describe(), b.describe())
		})
	pair(s.Keys, l.Keys, Key.describe,
		func(k Key) { d.add(msg.DiffKeyRemoved, l.Name, k.describe()) },
		func(k Key) { d.add(msg.DiffKeyAdded, l.Name, k.describe()) },
		func(Key, Key) {})
	pair(s.ForeignKeys, l.ForeignKeys, ForeignKey.describe,
		func(k ForeignKey) { d.add(msg.DiffKeyRemoved, l.Name, k.describe()) },
		func(k ForeignKey) { d.add(msg.DiffKeyAdded, l.Name, k.describe()) },
		func(ForeignKey, ForeignKey) {})
}

// needsValue reports whether a row can't be stored without a value for the column.
func (c Column) needsValue() bool {
	return c.NotNull && !c.Default && c.Generated == "" && c.Identity == ""
}

// pair walks two lists by key and calls one of the functions for each entry:
// those of the saved list first, then what only the live one has.
func pair[T any](saved, live []T, key func(T) string, removed, added func(T), both func(s, l T)) {
	find := func(list []T, k string) int {
		return slices.IndexFunc(list, func(e T) bool { return key(e) == k })
	}
	for _, s := range saved {
		if i := find(live, key(s)); i >= 0 {
			both(s, live[i])
		} else {
			removed(s)
		}
	}
	for _, l := range live {
		if find(saved, key(l)) < 0 {
			added(l)
		}
	}
}

func (t Table) describe() string {
	parts := []string{t.Kind}
	if t.PartitionKey != "" {
		parts = append(parts, "partition by "+t.PartitionKey)
	}
	if t.PartitionOf != nil {
		parts = append(parts, "partition of "+t.PartitionOf.String()+" "+t.Bound)
	}
	for _, parent := range t.Inherits {
		parts = append(parts, "inherits "+parent.String())
	}
	if t.Extension != "" {
		parts = append(parts, "of extension "+Told(t.Extension))
	}
	if t.Condition != "" {
		parts = append(parts, "where "+Line(t.Condition))
	}
	return strings.Join(parts, " ")
}

func (c Column) describe() string {
	s := Told(c.Name) + " " + c.Type
	if c.NotNull {
		s += " not null"
	}
	if c.Identity != "" {
		s += " generated " + c.Identity + " as identity"
	}
	if c.Generated != "" {
		s += " generated always as " + c.Generated
	}
	return s
}

func (k Key) describe() string {
	if k.Primary {
		return "primary key (" + ToldAll(k.Columns) + ")"
	}
	return "unique (" + ToldAll(k.Columns) + ")"
}

func (k ForeignKey) describe() string {
	return fmt.Sprintf("foreign key (%s) references %s (%s)",
		ToldAll(k.Columns), k.References, ToldAll(k.RefColumns))
}

func (t Type) describe() string {
	definition := strings.Join(t.Definition, ", ")
	if t.Kind == "enum" {
		definition = ToldAll(t.Definition)
	}
	return t.Kind + " (" + definition + ")"
}
