package copyin

import "github.com/groundhogdb/groundhog/internal/errs"

// ValueError is a value that could not be encoded for its column. It wraps
// [errs.ErrInvalidArgument], and what pgx, the value's own methods or the check of its
// range said, which is its text.
type ValueError struct {
	Row    int // its number, as it was passed to [Stream.Row]
	Column Column
	GoType string // of the value
	cause  error
}

func (e *ValueError) Error() string { return e.cause.Error() }

// Unwrap returns the class and the cause.
func (e *ValueError) Unwrap() []error { return []error{errs.ErrInvalidArgument, e.cause} }
