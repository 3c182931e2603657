package snapshot

import (
	"sync"

	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/track"
)

const (
	heavyRows   = 1000 // changes of a table from which on its journal is not for nothing left out
	heavyFrom   = 2    // restores in a row after which a table has no journal
	heavyProbed = 16   // restores after which it has one again, to see
)

// heavyTables are the tables of which tests change so much that the database is exchanged
// each time: a journal of that would be written for nothing. It takes a third of the time
// that it takes to change all rows.
type heavyTables struct {
	mu      sync.Mutex
	inARow  map[schema.Name]int // restores after which much of the table had changed
	skipped map[schema.Name]int // of these, those that it had no journal for
}

// changed takes note of the tables that were written to before a restore. skipped are those
// that had no journal.
func (h *heavyTables) changed(tables []track.Table, skipped []schema.Name) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.inARow == nil {
		h.inARow, h.skipped = map[schema.Name]int{}, map[schema.Name]int{}
	}
	without := map[schema.Name]bool{}
	for _, name := range skipped {
		without[name] = true
	}
	for _, t := range tables {
		switch {
		case without[t.Name]:
			if h.skipped[t.Name]++; h.skipped[t.Name] >= heavyProbed {
				h.inARow[t.Name], h.skipped[t.Name] = heavyFrom-1, 0
			}
		case t.Changed >= heavyRows && (t.Reload.IsZero() || t.Reload.Reason == track.TooManyChanges):
			h.inARow[t.Name]++
		default:
			h.inARow[t.Name] = 0
		}
	}
}

// written takes note of how many rows were written while the skipped tables had no journal.
func (h *heavyTables) written(rows int64, skipped []schema.Name) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if rows >= heavyRows {
		return
	}
	for _, name := range skipped {
		delete(h.inARow, name)
		delete(h.skipped, name)
	}
}

// list returns the tables that need no journal.
func (h *heavyTables) list() (names []schema.Name) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, n := range h.inARow {
		if n >= heavyFrom {
			names = append(names, name)
		}
	}
	return names
}
