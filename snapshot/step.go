package snapshot

import (
	"io"
	"slices"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/snapfile"
)

// how is the way in which a table's rows are replaced.
type how int

const (
	// byTruncate: TRUNCATE, COPY. Costs new files for the table and each index.
	byTruncate how = iota
	// byDelete: DELETE, COPY. Costs a mark on each row, and space that the load
	// does not reuse.
	byDelete
	// byMerge: only the rows in scope, through a temporary table.
	byMerge
)

// loadStep is what is done to one table.
type loadStep struct {
	table catalog.Table
	part  *snapfile.Table // nil: the table stays empty
	data  func() io.Reader
	how   how
	where string // the rows in scope; none: all

	after *writesSoFar // what the transaction had written to it by then; see reactions.note
}

// stepsOf returns the steps of tables, with their parts of the file where it has one. r may be
// nil.
func stepsOf(tables []catalog.Table, r *snapfile.Reader) []loadStep {
	parts := map[schema.Name]int{}
	if r != nil {
		for i, t := range r.Manifest.Tables {
			parts[t.Name] = i
		}
	}
	steps := make([]loadStep, len(tables))
	for n, t := range tables {
		steps[n].table = t
		if i, ok := parts[t.Name]; ok {
			steps[n].part, steps[n].data = &r.Manifest.Tables[i], func() io.Reader { return r.Table(i) }
		}
	}
	return steps
}

// columns lists those of the file's columns that the table has a place for.
func (s loadStep) columns() []string {
	return slices.DeleteFunc(slices.Clone(s.part.Columns), func(c string) bool { return !slices.Contains(s.table.Columns, c) })
}

// writesSoFar is what a transaction had written to a table when it was loaded.
type writesSoFar struct {
	catalog.Writes
	command int64 // the last command that put a row in; -1: none
}
