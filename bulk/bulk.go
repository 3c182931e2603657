// Package bulk fills a PostgreSQL database with typed rows through COPY, for
// tests that need many.
//
// The factories [Offices], [Staffs], [WelfareRecipients] and
// [SupportPlanCycles] make the rows of the welfare domain, with defaults that
// an edit function may change row by row; [Welfare] makes a whole data set.
// [Insert] and [InsertSeq] load any struct into any table: they are how other
// domains write factories of their own.
//
// Each call is one transaction, association rows included: on any failure, the
// panic of an edit function too, no row of it stays. In a transaction of the
// caller's it is a savepoint, and the transaction goes on.
//
// Only test databases are changed: those whose name has the word test, tests,
// testing, testdb or dbtest, or that are named in [AllowDatabase].
//
// The functions with a testing.TB end the test on an error. [Seeder],
// [InsertRows] and [InsertRowsSeq] return it, and take a context.
package bulk

import "github.com/groundhogdb/groundhog/internal/errs"

// The classes of errors that this package returns, for errors.Is. Where the
// server refused a row, errors.As finds the *pgconn.PgError beneath.
var (
	// ErrInvalidArgument: an argument, or a struct that does not fit the table.
	// Nothing was sent.
	ErrInvalidArgument = errs.ErrInvalidArgument
	// ErrUnsafeDatabase: the database is not a test database. Nothing was changed.
	ErrUnsafeDatabase = errs.ErrUnsafeDatabase
	// ErrConnection: the connection could not be made, or was lost.
	ErrConnection = errs.ErrConnection
	// ErrCommitUnknown: the connection was lost during the commit, so the rows
	// may be stored or not.
	ErrCommitUnknown = errs.ErrCommitUnknown
	// ErrLocked: somebody else holds a lock, or a deadlock was broken.
	ErrLocked = errs.ErrLocked
	// ErrDiskSpace: the server's disk is full.
	ErrDiskSpace = errs.ErrDiskSpace
)
