package track

import (
	"strings"

	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
)

// Reason is a reason for which a database, or one of its tables, is loaded again
// rather than undone, or is not tracked at all. The functions in the database return
// these values and the journal keeps them: a change of one needs another version.
//
// SQL templates name a reason as Go does: {{.Reason.Truncated}}.
type Reason string

// The reasons that concern all tables: see Outcome.Unusable.
const (
	NoBaseline     Reason = "no_baseline"     // nothing marks the database as a baseline of ours
	Damaged        Reason = "damaged"         // something of ours is gone
	OtherBaseline  Reason = "other_baseline"  // it is the baseline of another snapshot
	OtherVersion   Reason = "version"         // another version of this library tracks it; that version gives this value too
	ForeignServer  Reason = "foreign_server"  // it came from another server, whose transaction ids are others
	Crash          Reason = "crash"           // the server crashed
	SchemaChanged  Reason = "schema_changed"  // the schema was changed
	UntrackedWrite Reason = "untracked_write" // rows were written where the journal could not tell
	LargeObjects   Reason = "large_objects"   // there are large objects
	Subscription   Reason = "subscription"    // a subscription may write
	Wraparound     Reason = "wraparound"      // transaction ids are too many to be compared

	// What can't be undone where foreign keys are checked, since the role may not set session_replication_role.
	Constraint     Reason = "constraint"      // a constraint does not let rows be put back in this way
	SideEffect     Reason = "side_effect"     // a foreign key or a trigger would change other rows
	UnindexedKey   Reason = "unindexed_key"   // what has no index on its foreign key would be read too often
	FixedIdentity  Reason = "fixed_identity"  // an identity that is always generated would have to be set
	ExtensionCache Reason = "extension_cache" // an extension keeps in memory what its tables hold
	NotCounted     Reason = "not_counted"     // track_counts is off, so nothing tells what triggers write

	DatabaseAltered Reason = "database_altered" // settings or rights of the database were changed: see Alternative
	Costly          Reason = "costly"           // the caller's alternative takes less time: see Alternative
	InUse           Reason = "in_use"           // a session of others is connected, a transaction is prepared, or there is a replication slot: see Reuse
	Unwatched       Reason = "unwatched"        // what the journal does not watch was written to: see Reuse
)

// The reasons that concern one table: see Table.Reload.
const (
	Truncated      Reason = "truncated"        // the table was truncated
	OverlappingTx  Reason = "overlapping_tx"   // a transaction that began before the baseline wrote to it
	TooManyChanges Reason = "too_many_changes" // so many rows were changed that loading is cheaper
	Undecided      Reason = "undecided"        // rows of one key were deleted more than once
	AlwaysTrigger  Reason = "always_trigger"   // a trigger or rule that fires in replica role too would see the undo
	RowSecurity    Reason = "row_security"     // row level security hides rows
	Published      Reason = "published"        // rows can't be deleted as long as a publication has them
	TooManyColumns Reason = "too_many_columns" // it has more columns than a journal may have
	RowTooLong     Reason = "row_too_long"     // a row did not fit into the journal
	LonePartition  Reason = "lone_partition"   // it is a partition of a table that is not tracked
	UnseenWrite    Reason = "unseen_write"     // code of its extension may have written past the triggers
	Refused        Reason = "refused"          // the server refused the journal or its triggers: see Cause.Server
)

// The reasons for which nothing tracks a database: see WhyUntrackable.
const (
	NoPrivileges  Reason = "no_privileges"  // the role may not set session_replication_role any more
	ForeignSchema Reason = "foreign_schema" // another role's schema has the name
	LaterVersion  Reason = "later_version"  // a later version of this library tracks the database
)

// The reasons of callers that do not ask the journal, or do not do what it tells.
const (
	Scoped   Reason = "scoped"    // the snapshot holds some of the rows only
	MostRows Reason = "most_rows" // most rows would have to be loaded anyway

	DatabaseGone Reason = "database_gone" // the database was dropped, or takes no connections
)

// names are all reasons, by the name by which SQL templates call one.
var names = map[string]Reason{
	"NoBaseline":      NoBaseline,
	"Damaged":         Damaged,
	"OtherBaseline":   OtherBaseline,
	"OtherVersion":    OtherVersion,
	"ForeignServer":   ForeignServer,
	"Crash":           Crash,
	"SchemaChanged":   SchemaChanged,
	"UntrackedWrite":  UntrackedWrite,
	"LargeObjects":    LargeObjects,
	"Subscription":    Subscription,
	"Wraparound":      Wraparound,
	"DatabaseAltered": DatabaseAltered,
	"Constraint":      Constraint,
	"SideEffect":      SideEffect,
	"UnindexedKey":    UnindexedKey,
	"FixedIdentity":   FixedIdentity,
	"ExtensionCache":  ExtensionCache,
	"NotCounted":      NotCounted,
	"Costly":          Costly,
	"InUse":           InUse,
	"Unwatched":       Unwatched,
	"Truncated":       Truncated,
	"OverlappingTx":   OverlappingTx,
	"TooManyChanges":  TooManyChanges,
	"Undecided":       Undecided,
	"AlwaysTrigger":   AlwaysTrigger,
	"RowSecurity":     RowSecurity,
	"Published":       Published,
	"TooManyColumns":  TooManyColumns,
	"RowTooLong":      RowTooLong,
	"LonePartition":   LonePartition,
	"UnseenWrite":     UnseenWrite,
	"Refused":         Refused,
	"NoPrivileges":    NoPrivileges,
	"ForeignSchema":   ForeignSchema,
	"LaterVersion":    LaterVersion,
	"Scoped":          Scoped,
	"MostRows":        MostRows,
	"DatabaseGone":    DatabaseGone,
}

// texts are the reasons as people read them. Those of Refused and Constraint tell what the server said.
var texts = map[Reason]msg.Text{
	NoBaseline:      msg.WhyNoBaseline,
	Damaged:         msg.WhyDamaged,
	OtherBaseline:   msg.WhyOtherBaseline,
	OtherVersion:    msg.WhyOtherVersion,
	ForeignServer:   msg.WhyForeignServer,
	Crash:           msg.WhyCrash,
	SchemaChanged:   msg.WhySchemaChanged,
	UntrackedWrite:  msg.WhyUntrackedWrite,
	LargeObjects:    msg.WhyLargeObjects,
	Subscription:    msg.WhySubscription,
	Wraparound:      msg.WhyWraparound,
	DatabaseAltered: msg.WhyDatabaseAltered,
	SideEffect:      msg.WhySideEffect,
	UnindexedKey:    msg.WhyUnindexedKey,
	FixedIdentity:   msg.WhyFixedIdentity,
	ExtensionCache:  msg.WhyExtensionCache,
	NotCounted:      msg.WhyNotCounted,
	Costly:          msg.WhyCostly,
	InUse:           msg.WhyInUse,
	Unwatched:       msg.WhyUnwatched,
	Truncated:       msg.WhyTruncated,
	OverlappingTx:   msg.WhyOverlappingTx,
	TooManyChanges:  msg.WhyTooManyChanges,
	Undecided:       msg.WhyUndecided,
	AlwaysTrigger:   msg.WhyAlwaysTrigger,
	RowSecurity:     msg.WhyRowSecurity,
	Published:       msg.WhyPublished,
	TooManyColumns:  msg.WhyTooManyColumns,
	RowTooLong:      msg.WhyRowTooLong,
	LonePartition:   msg.WhyLonePartition,
	UnseenWrite:     msg.WhyUnseenWrite,
	NoPrivileges:    msg.WhyNoPrivileges,
	ForeignSchema:   msg.CantTrackForeignSchema,
	LaterVersion:    msg.CantTrackLaterVersion,
	Scoped:          msg.WhyScope,
	MostRows:        msg.WhyMostRows,
	DatabaseGone:    msg.WhyDatabaseGone,
}

// Because returns the reason as a cause.
func (r Reason) Because() Cause { return Cause{Reason: r} }

// Cause is why a table is loaded again or not tracked: a reason, or what the server
// said. The zero value is no cause.
type Cause struct {
	Reason Reason
	Server string // what the server said: of Refused and Constraint, or where no reason is known
}

// Said returns what the server said as a cause.
func Said(server string) Cause { return Cause{Server: server} }

// refusal is what the text of a cause begins with where the server refused a journal.
const refusal = string(Refused) + ": "

// causeOf reads what String wrote.
func causeOf(text string) Cause {
	if said, ok := strings.CutPrefix(text, refusal); ok {
		return Cause{Reason: Refused, Server: said}
	}
	return Reason(text).Because()
}

// IsZero reports whether there is no cause.
func (c Cause) IsZero() bool { return c == Cause{} }

// String returns the cause as the journal keeps it. It tells causes apart.
func (c Cause) String() string {
	if c.Reason == Refused {
		return refusal + c.Server
	}
	return string(c.Reason) + c.Server
}

// Text returns the cause as people read it. Without a reason that is what the server
// said.
func (c Cause) Text(lang msg.Lang) string {
	switch c.Reason {
	case Refused:
		return msg.WhyRefused.In(lang, schema.Line(c.Server))
	case Constraint:
		return msg.WhyConstraint.In(lang, schema.Line(c.Server))
	}
	text, ok := texts[c.Reason]
	if !ok {
		return c.String()
	}
	return text.In(lang)
}
