package copyin

// ValueError is a value that could not be encoded for its column.
type ValueError struct {
	Row    int // its number, as it was passed to [Stream.Row]
	Column Column
	GoType string // of the value
	cause  error
}

func (e *ValueError) Error() string { return e.cause.Error() }

// Unwrap returns what pgx, the value's own methods or the check of its range said.
func (e *ValueError) Unwrap() error { return e.cause }
