package load

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

// Refused is all that is known of a row that was refused. Nothing of its call is stored.
// What is not known is the zero value, but for Row.
type Refused struct {
	Table string // as people write it
	Row   int    // its number among those of its table in the call; -1: not known
	Key   string // its primary key: "id=7"

	// Of the constraint that refused it; without Kind it was none.
	Kind       Kind
	Constraint string // its name
	Columns    []string
	References string // the table that a foreign key references

	// Of the value that can't be stored.
	Column string
	Field  string // the struct's
	GoType string // the value's
	PgType string // the column's, as SQL writes it

	Detail string
	Hint   string // what to do next
	Text   string // says all of this in the language of the call
	Cause  error  // a *pgconn.PgError if the server refused the row, else a *copyin.ValueError
}
