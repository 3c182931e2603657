// Package schema is the model of a database's schema as a snapshot knows it:
// what its fingerprint is made of, how two schemas differ, and in which order
// tables can be loaded. It talks to no database; package catalog reads one.
package schema

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// The kinds of tables.
const (
	Ordinary    = "table"
	Partitioned = "partitioned table"
)

// Schema is all that a snapshot's data depends on.
type Schema struct {
	Tables    []Table `json:"tables"`
	Types     []Type  `json:"types,omitempty"`
	Sequences []Name  `json:"sequences,omitempty"`
}

// Table is an ordinary or partitioned table.
type Table struct {
	Name
	Kind         string       `json:"kind"`
	PartitionKey string       `json:"partition_key,omitempty"`
	PartitionOf  *Name        `json:"partition_of,omitempty"`
	Bound        string       `json:"bound,omitempty"`
	Inherits     []Name       `json:"inherits,omitempty"`
	Extension    string       `json:"extension,omitempty"` // that it belongs to, which names rows of it as the user's
	Condition    string       `json:"condition,omitempty"` // on these rows; none: all
	Columns      []Column     `json:"columns"`
	Keys         []Key        `json:"keys,omitempty"`
	ForeignKeys  []ForeignKey `json:"foreign_keys,omitempty"`
}

// Column is a column of a table.
type Column struct {
	Name      string `json:"name"`
	Type      string `json:"type"`
	NotNull   bool   `json:"not_null,omitempty"`
	Identity  string `json:"identity,omitempty"`  // "always" or "by default"
	Generated string `json:"generated,omitempty"` // "stored (…)" or "virtual (…)"

	// Default is true when the server fills the column in by itself. It is a
	// fact of the live database, not of the data: no part of the fingerprint.
	Default bool `json:"-"`
}

// Key is a primary key or a unique constraint.
type Key struct {
	Primary bool     `json:"primary,omitempty"`
	Columns []string `json:"columns"`
}

// ForeignKey is a foreign key constraint.
type ForeignKey struct {
	Columns    []string `json:"columns"`
	References Name     `json:"references"`
	RefColumns []string `json:"ref_columns"`
}

// Type is an enum, domain, composite or range type.
type Type struct {
	Name
	Kind string `json:"kind"` // "enum", "domain", "composite", "range"

	// Definition holds the labels of an enum in order; the base type, "not
	// null" and the constraints of a domain; the attributes of a composite;
	// the subtype of a range.
	Definition []string `json:"definition"`
}

// Canonical returns s in the one order that its fingerprint is made of: column
// order, for one, is no difference.
func (s Schema) Canonical() Schema {
	out := Schema{Tables: slices.Clone(s.Tables), Types: slices.Clone(s.Types), Sequences: slices.Clone(s.Sequences)}
	for i := range out.Tables {
		t := &out.Tables[i]
		t.Columns = slices.Clone(t.Columns)
		slices.SortFunc(t.Columns, func(a, b Column) int { return cmp.Compare(a.Name, b.Name) })
		t.Keys = slices.Clone(t.Keys)
		slices.SortFunc(t.Keys, Key.compare)
		t.Keys = slices.CompactFunc(t.Keys, func(a, b Key) bool { return a.compare(b) == 0 })
		t.ForeignKeys = slices.Clone(t.ForeignKeys)
		slices.SortFunc(t.ForeignKeys, ForeignKey.compare)
		t.ForeignKeys = slices.CompactFunc(t.ForeignKeys, func(a, b ForeignKey) bool { return a.compare(b) == 0 })
	}
	slices.SortFunc(out.Tables, func(a, b Table) int { return a.Compare(b.Name) })
	slices.SortFunc(out.Types, func(a, b Type) int { return a.Compare(b.Name) })
	slices.SortFunc(out.Sequences, Name.Compare)
	return out
}

// compare orders keys as files of earlier versions have them, by their columns as one
// text; two keys of which that is the same are different all the same.
func (k Key) compare(o Key) int {
	kind := func(k Key) string {
		if k.Primary {
			return "primary"
		}
		return "unique"
	}
	return cmp.Or(cmp.Compare(kind(k), kind(o)), cmp.Compare(strings.Join(k.Columns, ", ")+")", strings.Join(o.Columns, ", ")+")"), slices.Compare(k.Columns, o.Columns))
}

func (k ForeignKey) compare(o ForeignKey) int {
	return cmp.Or(slices.Compare(k.Columns, o.Columns), k.References.Compare(o.References),
		slices.Compare(k.RefColumns, o.RefColumns))
}

// Fingerprint is a SHA-256 over the canonical schema, in hexadecimal.
func (s Schema) Fingerprint() string {
	b, err := json.Marshal(s.Canonical())
	if err != nil {
		panic(fmt.Sprintf("schema: %v", err)) // strings and slices of them always marshal
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Sequence is the state of a sequence.
type Sequence struct {
	Name
	LastValue int64 `json:"last_value"`
	IsCalled  bool  `json:"is_called"`
}
