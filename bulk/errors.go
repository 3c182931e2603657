package bulk

import (
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/bulk/internal/load"
	"github.com/groundhogdb/groundhog/internal/errs"
)

// ConstraintKind tells what kind of constraint refused a row.
type ConstraintKind string

// The kinds of constraints.
const (
	ForeignKey ConstraintKind = "foreign key"
	Unique     ConstraintKind = "unique"
	NotNull    ConstraintKind = "not null"
	Check      ConstraintKind = "check"
	Exclusion  ConstraintKind = "exclusion"
)

// ConstraintError is a row that a constraint of the database refused. Nothing
// was stored. errors.As finds it, and beneath it the *pgconn.PgError; its fields
// don't depend on any language, but Detail, which is the server's, and Hint. A trigger
// may have broken a constraint of another table: the *pgconn.PgError names that.
type ConstraintError struct {
	Kind       ConstraintKind
	Table      string   // "public.users"
	Columns    []string // of the constraint, or a unique index's expressions; none where they are not known
	Constraint string   // its name; "" for a not-null column and a row without a partition
	References string   // the table that a foreign key references, else ""

	// Row is the number of the row in the call, from 0; -1 where it can't be
	// known. For a factory it is the row's among those of Table.
	Row  int
	Key  string // the row's primary key, as far as it is known: "id=7"
	Hint string // what to do next

	Detail string // the server's, "" when it has none
	text   string
	cause  *pgconn.PgError
	whole  //nolint:unused // its method is what errs looks for
}

// whole marks a text that has all that the server said of the row.
type whole = errs.Whole //nolint:unused // see its uses

func (e *ConstraintError) Error() string {
	return describe(e.text, e.Unwrap(), string(e.Kind)+" "+e.Constraint, e.Table)
}

// Unwrap returns the *pgconn.PgError. Of a foreign key that was checked after the
// load it says what the server would have said, in English.
func (e *ConstraintError) Unwrap() error {
	if e.cause == nil { // not a nil pointer in an error that is not nil
		return nil
	}
	return e.cause
}

// RowError is a row with a value that can't be stored: that can't be written as
// the column's type, is out of its range or too long, or that a trigger refused.
// Nothing was stored. errors.As finds it, and the cause beneath it: a
// *pgconn.PgError if the server refused the row. If the value could not be encoded, the
// error wraps ErrInvalidArgument.
type RowError struct {
	Table string // "public.users"

	// Row is the number of the row in the call, from 0; -1 where it can't be
	// known. For a factory it is the row's among those of Table.
	Row    int
	Key    string // the row's primary key, as far as it is known: "id=7"
	Column string // "" where it can't be known, like the next three
	Field  string // the struct's
	GoType string // the value's
	PgType string // the column's, as SQL writes it

	Detail string // what is wrong with the value, in the words of who refused it
	Hint   string // what to do next
	text   string
	cause  error
	whole  //nolint:unused // its method is what errs looks for
}

func (e *RowError) Error() string { return describe(e.text, e.cause, e.Column, e.Table) }

// Unwrap returns the cause.
func (e *RowError) Unwrap() error { return e.cause }

// describe is the text of an error on a row. One that users make, for tests of how
// they handle errors, has no cause.
func describe(text string, cause error, what, table string) string {
	if cause == nil {
		return strings.TrimSpace("groundhog: " + strings.TrimSpace(what) + " (" + table + ")")
	}
	return errs.DescribeRow("groundhog: "+text, cause)
}

func constraintError(v load.Violation) error {
	return &ConstraintError{Kind: ConstraintKind(v.Kind), Table: v.Table, Columns: v.Columns, Constraint: v.Constraint, References: v.References,
		Row: v.Row, Key: v.Key, Hint: v.Hint, Detail: v.Detail, text: v.Text, cause: v.Cause}
}

func rowError(m load.Misfit) error {
	return &RowError{Table: m.Table, Row: m.Row, Key: m.Key, Column: m.Column, Field: m.Field, GoType: m.GoType, PgType: m.PgType,
		Detail: m.Detail, Hint: m.Hint, text: m.Text, cause: m.Cause}
}
