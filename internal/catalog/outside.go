package catalog

import (
	"github.com/groundhogdb/groundhog/internal/schema"
)

// The rows that an extension names with pg_extension_config_dump are the user's:
// pg_dump saves them, and so does a snapshot. All else that belongs to an extension
// is the extension's.

// Outside is a relation of the database that is no part of any snapshot.
type Outside struct {
	schema.Name
	Kind      string // "table", "foreign table", "materialized view", "sequence"
	Why       string // one of the reasons below
	Extension string // that it belongs to, if any
	Rows      bool   // it holds rows, or may
}

// The reasons why a relation is outside. They are written into snapshot files.
const (
	OfExtension = "extension"   // the extension names no row of it as the user's
	OfSystem    = "system"      // it lies in a schema of the system's
	Unreadable  = "condition"   // the condition of the extension is none on single rows
	NotOwned    = "rights"      // the role does not own it
	Foreign     = "foreign"     // its rows are elsewhere
	OfGroundhog = "groundhog"   // it lies in the schema where groundhog keeps its own
	Unpopulated = "unpopulated" // it was never filled
	OfMigration = "migration"   // a migration tool keeps its state in it
)
