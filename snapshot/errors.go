package snapshot

import (
	"errors"

	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/schema"
)

// The errors of this package, for errors.Is.
var (
	ErrNotFound        = errs.ErrNotFound
	ErrExists          = errs.ErrExists
	ErrCorrupt         = errs.ErrCorrupt
	ErrSchemaMismatch  = errs.ErrSchemaMismatch
	ErrDiskSpace       = errs.ErrDiskSpace
	ErrLocked          = errs.ErrLocked
	ErrInvalidName     = errs.ErrInvalidName
	ErrInvalidArgument = errs.ErrInvalidArgument
	ErrUnsafeDatabase  = errs.ErrUnsafeDatabase
	ErrConnection      = errs.ErrConnection
	ErrPermission      = errs.ErrPermission
	ErrConflict        = errs.ErrConflict
	ErrUnsupported     = errs.ErrUnsupported
	ErrSetup           = errs.ErrSetup
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
