package track

import "github.com/groundhogdb/groundhog/internal/schema"

// Outcome is what Restore or Undo did.
type Outcome struct {
	Unusable Reason // why nothing was done
	Server   string // … with what the server said, of Constraint
	Tables   []Table
}

// Why is why nothing was done, if that is so.
func (o Outcome) Why() Cause { return Cause{Reason: o.Unusable, Server: o.Server} }

// Table is a table that was written to.
type Table struct {
	schema.Name
	Reload  Cause // why it must be loaded again; none: it was undone
	Changed int64 // rows that were removed or put in again
	Rows    int64 // in the baseline; only Written tells
}
