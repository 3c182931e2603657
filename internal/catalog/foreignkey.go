package catalog

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/schema"
)

// ForeignKey is a foreign key constraint of the live database.
type ForeignKey struct {
	Name       string
	Table      schema.Name // that has it: the loaded table, or one of its partitions
	Columns    []string
	References schema.Name // the table whose rows are loaded: a partition's root
	Target     schema.Name // that is referenced
	RefColumns []string
	Operators  []string // between RefColumns and Columns, qualified
	OnDelete   string   // pg_constraint.confdeltype
	Full       bool     // MATCH FULL
	Period     bool     // the last column is a range that must be covered
	Validated  bool
	Deferrable bool
}

// Dangling is the condition on rows c that reference no row of the target, which is
// quoted.
func (fk ForeignKey) Dangling(target string) string {
	join := " AND "
	if fk.Full { // partly null is wrong too
		join = " OR "
	}
	set := make([]string, len(fk.Columns))
	for i, c := range fk.Columns {
		set[i] = "c." + pgx.Identifier{c}.Sanitize() + " IS NOT NULL"
	}
	out := "(" + strings.Join(set, join) + ") AND "
	if !fk.Period {
		return out + fmt.Sprintf("NOT EXISTS (SELECT FROM %s p WHERE %s)", target, fk.Matching(len(fk.Columns)))
	}
	// A temporal foreign key: the last column is a time that rows of the target
	// must cover together.
	last := len(fk.Columns) - 1
	return out + fmt.Sprintf("NOT coalesce((SELECT pg_catalog.range_agg(p.%s) FROM %s p WHERE %s) OPERATOR(pg_catalog.@>) c.%s, false)",
		pgx.Identifier{fk.RefColumns[last]}.Sanitize(), target, fk.Matching(last), pgx.Identifier{fk.Columns[last]}.Sanitize())
}

// Matching compares the first n columns of a row p with those of a row c that
// references it.
func (fk ForeignKey) Matching(n int) string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("p.%s %s c.%s", pgx.Identifier{fk.RefColumns[i]}.Sanitize(), fk.Operators[i], pgx.Identifier{fk.Columns[i]}.Sanitize())
	}
	return strings.Join(out, " AND ")
}
