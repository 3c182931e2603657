package load

import "github.com/jackc/pgx/v5/pgconn"

// Kind is what kind of constraint refused a row.
type Kind string

// The kinds of constraints.
const (
	ForeignKey Kind = "foreign key"
	Unique     Kind = "unique"
	NotNull    Kind = "not null"
	Check      Kind = "check"
	Exclusion  Kind = "exclusion"
)

// kinds are the SQLSTATEs of constraints.
var kinds = map[string]Kind{"23503": ForeignKey, "23505": Unique, "23502": NotNull, "23514": Check, "23P01": Exclusion}

// Violation is all that is known of a row that a constraint refused. Nothing of its call
// is stored. What is not known is the zero value, but for Row.
type Violation struct {
	Table string // as people write it
	Row   int    // its number among those of its table in the call; -1: not known
	Key   string // its primary key: "id=7"

	Kind       Kind
	Constraint string // its name
	Columns    []string
	References string // the table that a foreign key references

	Detail string // the server's
	Hint   string // what to do next
	Text   string // says all of this in the language of the call
	Cause  *pgconn.PgError
}

// Misfit is all that is known of a row with a value that can't be stored, or that a
// trigger refused. Nothing of its call is stored. What is not known is the zero value,
// but for Row.
type Misfit struct {
	Table string // as people write it
	Row   int    // its number among those of its table in the call; -1: not known
	Key   string // its primary key: "id=7"

	Column string
	Field  string // the struct's
	GoType string // the value's
	PgType string // the column's, as SQL writes it

	Detail string
	Hint   string // what to do next
	Text   string // says all of this in the language of the call
	Cause  error  // a *pgconn.PgError if the server refused the row, else a *copyin.ValueError
}

// Errors makes the errors of rows that were refused.
type Errors struct {
	Violation func(Violation) error
	Misfit    func(Misfit) error
}
