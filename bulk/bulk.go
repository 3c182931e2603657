// Package bulk fills a PostgreSQL database with typed rows through COPY, for tests
// that need many.
//
// # Factories
//
// A factory of your own is a struct and a call. [Insert] and [InsertSeq] load any
// struct into any table, and return what the server made; see [InsertRows] for how
// fields stand for columns:
//
//	type Book struct {
//		ID    int // made by the server, and filled in
//		Title string
//	}
//
//	func Books(t testing.TB, db bulk.DB, n int) []Book {
//		t.Helper()
//		rows := make([]Book, n)
//		for i := range rows {
//			rows[i].Title = fmt.Sprintf("Volume %d", i)
//		}
//		return bulk.Insert(t, db, "books", rows)
//	}
//
// [Offices], [Staffs], [WelfareRecipients] and [SupportPlanCycles] make the rows of
// the welfare domain, with defaults that an edit function may change row by row;
// [Welfare] makes a whole data set.
//
// They go into the set-up of a test binary, where package snapshot keeps what they
// made, or into a single test or benchmark. Where rows go is a pool, a connection or a
// transaction; [With] adds options to it: [Clock] and [Realistic] change what the
// factories make, [WithRetry], [WithProgress], [WithLogger] and [WithLanguage] how calls
// go about it.
//
// # All or nothing
//
// Each call is one transaction, association rows included: on any failure, the panic
// of an edit function too, no row of it stays. In a transaction of the caller's it is
// a savepoint, and the transaction goes on.
//
// Only test databases are changed: those whose name has the word test, tests, testing,
// testdb or dbtest, or that are named in [AllowDatabase].
//
// # Errors
//
// The functions with a testing.TB end the test on an error.
//
// A row that was refused is a [ConstraintError] or a [RowError]: with its table,
// number, key, column and a hint at what to do. The number comes from the server where
// it tells it, else from the key in its message, else rows of a slice are loaded once
// more by halves, in 5 seconds and 2·log₂ n loads at most, and rolled back. Other
// errors have one of the classes below where one fits; what the server says else, of
// missing rights say, is wrapped as it is.
//
// # Lost connections
//
// A call on a *pgxpool.Pool is made again when the connection is lost; see
// [WithRetry]. Its rows are never stored twice: when the answer to the commit is lost,
// the server is asked on another connection what became of the transaction
// (pg_xact_status). After a restart of the server the first and the last key are looked
// for. If the outcome can't be determined, the error is [ErrCommitUnknown].
//
// # Speed
//
// Rows go through COPY, binary where pgx makes the binary form of all their Go types.
// Much of the time of a load is the server's, for the foreign keys, which it checks
// row by row. From some hundred rows on they are checked afterwards instead, by one
// query for each key, with the triggers switched off meanwhile
// (session_replication_role) and the earlier parents locked FOR KEY SHARE: the same
// guarantee for less. That needs a superuser or GRANT SET ON PARAMETER
// session_replication_role, and SELECT and UPDATE on the referenced tables; without,
// for tables with triggers of the user's own, deferrable unique constraints or a
// reference to a table with row security, and in transactions that are not read
// committed, rows are loaded in the ordinary way, with the same result. In a
// transaction of the caller's the setting is put back.
//
// # Outside of tests
//
// [Seeder], [InsertRows] and [InsertRowsSeq] take a context and return errors.
package bulk

import "github.com/groundhogdb/groundhog/internal/errs"

// The classes of errors that this package returns, for errors.Is. Where the
// server refused a row, errors.As finds the *pgconn.PgError beneath.
var (
	// ErrInvalidArgument: an argument, a struct that does not fit the table, or a value
	// that can't be encoded for its column. Nothing was stored.
	ErrInvalidArgument = errs.ErrInvalidArgument
	// ErrUnsafeDatabase: the database is not a test database. Nothing was changed.
	ErrUnsafeDatabase = errs.ErrUnsafeDatabase
	// ErrConnection: the connection could not be made, or was lost.
	ErrConnection = errs.ErrConnection
	// ErrCommitUnknown: the connection was lost during the commit, and the server can't
	// say whether the rows are stored.
	ErrCommitUnknown = errs.ErrCommitUnknown
	// ErrLocked: another session holds a lock, the server broke a deadlock, or another
	// session took a factory's numbers after the connection was lost.
	ErrLocked = errs.ErrLocked
	// ErrDiskSpace: the server's disk is full.
	ErrDiskSpace = errs.ErrDiskSpace
	// ErrPermission: the role lacks a privilege.
	ErrPermission = errs.ErrPermission
)
