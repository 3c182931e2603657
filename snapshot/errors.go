package snapshot

import (
	"errors"

	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/schema"
)

// The classes of errors that this package returns, for errors.Is.
var (
	ErrNotFound        = errs.ErrNotFound        // no such snapshot, or nothing to compare with
	ErrExists          = errs.ErrExists          // a snapshot of that name
	ErrCorrupt         = errs.ErrCorrupt         // a damaged file
	ErrSchemaMismatch  = errs.ErrSchemaMismatch  // the snapshot is of another schema
	ErrDiskSpace       = errs.ErrDiskSpace       // a disk is full, or has too little room
	ErrLocked          = errs.ErrLocked          // another session, test or process has what is needed
	ErrInvalidName     = errs.ErrInvalidName     // a name that no file can have everywhere
	ErrInvalidArgument = errs.ErrInvalidArgument // an argument or option that means nothing
	ErrUnsafeDatabase  = errs.ErrUnsafeDatabase  // not a test database
	ErrConnection      = errs.ErrConnection      // the server does not answer, or the connection was lost
	ErrPermission      = errs.ErrPermission      // the role or the process may not do it
	ErrConflict        = errs.ErrConflict        // what is in the database conflicts with what would be written
	ErrUnsupported     = errs.ErrUnsupported     // the database has what a snapshot can't hold
	ErrSetup           = errs.ErrSetup           // the builder failed
)

// tableError is an error about one table.
type tableError struct {
	table schema.Name
	err   error
}

func (e *tableError) Error() string { return e.table.String() + ": " + e.err.Error() }

func (e *tableError) Unwrap() error { return e.err }

// ofTable says which table an error is about.
func ofTable(table schema.Name, err error) error {
	if err == nil {
		return nil
	}
	return &tableError{table, err}
}

// errTruncated means that another session truncated a table while a transaction read it.
var errTruncated = errors.New("a table was truncated while the snapshot began")
