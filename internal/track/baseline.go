package track

import (
	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/schema"
)

// Baseline is what SetBaseline sets.
type Baseline struct {
	Token         string // the snapshot that it is
	ServerID      string
	Tables        []schema.Name // that hold rows, or have partitions that do
	Rows          map[schema.Name]int64
	Sequences     []schema.Sequence
	EventTriggers bool // the role may make event triggers
	Checked       bool // the role may not set session_replication_role: triggers fire and foreign keys are checked during an undo
	StaleViews    bool // materialised views may not show what the tables hold
	Reinstall     bool // what is there is not to be trusted: see Damaged

	// Untracked, if there is one, is called with each table that can't have a journal and
	// is loaded again, and why.
	Untracked func(Table)

	// WriterLockOnly: the caller kept writers out by the WriterLock alone. Where writers of
	// some of the tables do not take that, no baseline is set.
	WriterLockOnly bool
	// OutsideKeys are the foreign keys between a table and one that is not tracked.
	OutsideKeys []OutsideKey
	// RowTriggersOnly: a statement may end before triggers for the statement fire, as
	// functions in C can do. Then triggers for rows note everything.
	RowTriggersOnly bool
	// Native are the tables to which functions in C may write past all triggers.
	Native map[schema.Name]bool
	// CacheResets make extensions drop what they keep in memory of tables that were put
	// back.
	CacheResets map[schema.Name]catalog.CacheReset
}
