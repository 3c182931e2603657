package snapshot

import (
	"fmt"
	"strings"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/snapfile"
)

// Outside is a relation of the database that is no part of a snapshot: it is neither
// saved nor changed by a restore.
type Outside struct {
	Name      string        // qualified: tiger.county
	Kind      string        // "table", "foreign table", "materialized view" or "sequence"
	Why       OutsideReason // why it is outside
	Extension string        // that it belongs to, if any
}

// OutsideReason says why a relation is no part of a snapshot.
type OutsideReason string

// The reasons.
const (
	// OutsideExtension: it belongs to an extension that does not name any of its rows as
	// the user's, with pg_extension_config_dump, as for pg_dump.
	OutsideExtension OutsideReason = catalog.OfExtension
	// OutsideSystem: the extension names rows of it, but it is in a schema of the system.
	OutsideSystem OutsideReason = catalog.OfSystem
	// OutsideCondition: what the extension names is no condition on single rows.
	OutsideCondition OutsideReason = catalog.Unreadable
	// OutsideRights: it is an extension's, and the role that made the snapshot does not own it.
	OutsideRights OutsideReason = catalog.NotOwned
	// OutsideForeign: it is a foreign table.
	OutsideForeign OutsideReason = catalog.Foreign
	// OutsideGroundhog: it is in a schema called groundhog.
	OutsideGroundhog OutsideReason = catalog.OfGroundhog
	// OutsideUnpopulated: it is a materialized view that was not populated.
	OutsideUnpopulated OutsideReason = catalog.Unpopulated
	// OutsideMigration: a known migration tool keeps its state in it.
	OutsideMigration OutsideReason = catalog.OfMigration
)

// String describes it for people, in the language that GROUNDHOG_LANG names.
func (o Outside) String() string {
	why := string(o.Why)
	if text, ok := msg.OutsideOf[why]; ok {
		why = text.In("", o.Extension)
	} else if text, ok := msg.OutsideWhy[why]; ok {
		why = text.In("")
	}
	return fmt.Sprintf("%s %s (%s)", o.Kind, o.Name, why)
}

func outsideOf(saved []snapfile.Outside) (out []Outside) {
	for _, o := range saved {
		out = append(out, Outside{Name: o.Name.String(), Kind: o.Kind, Why: OutsideReason(o.Why), Extension: o.Extension})
	}
	return out
}

// outsideNames is how many names a line of the log has.
const outsideNames = 20

func firstOf(names []string) string {
	if n := len(names); n > outsideNames {
		return strings.Join(names[:outsideNames], ", ") + fmt.Sprintf(", … (%d)", n)
	}
	return strings.Join(names, ", ")
}
