// Package errs declares the errors of groundhog once. The public packages
// export those that they return.
//
// An error has a class, asked for with [errors.Is], a text that says what is
// wrong, where, and what to do, and a cause that is wrapped once.
package errs

import "errors"

// The classes of errors, for errors.Is.
var (
	ErrNotFound        = errors.New("groundhog: not found")
	ErrExists          = errors.New("groundhog: already exists")
	ErrCorrupt         = errors.New("groundhog: damaged snapshot file")
	ErrSchemaMismatch  = errors.New("groundhog: snapshot of another schema")
	ErrDiskSpace       = errors.New("groundhog: not enough disk space")
	ErrLocked          = errors.New("groundhog: locked by somebody else")
	ErrInvalidName     = errors.New("groundhog: invalid name")
	ErrInvalidArgument = errors.New("groundhog: invalid argument")
	ErrUnsafeDatabase  = errors.New("groundhog: not a test database")
	ErrConnection      = errors.New("groundhog: connection fault")
	ErrCommitUnknown   = errors.New("groundhog: unknown whether the transaction was committed")
	ErrPermission      = errors.New("groundhog: permission denied")
	ErrConflict        = errors.New("groundhog: the database conflicts with what would be written")
	ErrUnsupported     = errors.New("groundhog: the database has what a snapshot cannot hold")
	ErrSetup           = errors.New("groundhog: the caller's set-up failed")
)

// prefix begins the text of each error of the library. The text of a cause follows
// without it.
const prefix = "groundhog: "

// Error is an error of a class, with a text for people.
type Error struct {
	Whole

	class error
	text  string
	cause error
}

// New returns an error of the class with the text, already in the reader's
// language. class may be nil where no class fits; cause may be nil.
func New(class error, text string, cause error) *Error {
	return &Error{class: class, text: text, cause: cause}
}

func (e *Error) Error() string {
	if e.cause == nil {
		return prefix + e.text
	}
	return Describe(prefix+e.text, e.cause)
}

// Unwrap makes both the class and the cause visible to errors.Is and errors.As.
func (e *Error) Unwrap() []error {
	out := make([]error, 0, 2)
	if e.class != nil {
		out = append(out, e.class)
	}
	if e.cause != nil {
		out = append(out, e.cause)
	}
	return out
}
