package catalog

import (
	"github.com/groundhogdb/groundhog/internal/schema"
)

// Trigger is a user's trigger or rewrite rule on a table or on one of its
// partitions.
type Trigger struct {
	Table   schema.Name
	Name    string
	Enabled string // pg_trigger.tgenabled, pg_rewrite.ev_enabled: O origin, A always, R replica

	Extension bool   // an extension's own trigger on its own table
	kind      int16  // pg_trigger.tgtype
	column    string // the first one that an UPDATE must set for it to fire, if any
}

// fires reports whether the trigger fires in a session that replicates nothing.
func (t Trigger) fires() bool { return t.Enabled == "O" || t.Enabled == "A" }

// The bits of pg_trigger.tgtype.
const (
	triggerRow    = 1
	triggerInsert = 4
	triggerDelete = 8
	triggerUpdate = 16
)
