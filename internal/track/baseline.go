package track

import (
	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/schema"
)

// Baseline is what SetBaseline marks.
type Baseline struct {
	Token         string
	ServerID      string
	Tables        []schema.Name // that hold rows, or have partitions that do
	Rows          map[schema.Name]int64
	Sequences     []schema.Sequence
	EventTriggers bool // the role may make event triggers
	StaleViews    bool // materialised views may not show what the tables hold
	Reinstall     bool // what is there is not to be trusted: see Damaged

	// Untracked, if there is one, is told of each table that can't have a journal and
	// is loaded again, and why.
	Untracked func(Table)

	// Ready tells that the caller kept writers out by the gate alone: where that does not
	// watch all of the tables, nothing is marked.
	WriterLockOnly bool
	// Keys are the foreign keys between a table and one that is not tracked.
	OutsideKeys []OutsideKey
	// Rowwise tells that a statement may end before triggers for the statement fire:
	// functions in C can do that. Then those for rows tell of all.
	RowTriggersOnly bool
	// Native are the tables to which functions in C may write past all triggers.
	Native map[schema.Name]bool
	// Pokes wake extensions when their tables were brought back.
	CacheResets map[schema.Name]catalog.CacheReset
}
