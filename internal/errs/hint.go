package errs

import "github.com/jackc/pgx/v5/pgconn"

// HasCode reports whether the server gave an error with the code that is in err.
func HasCode(err error, code string) bool {
	found := false
	eachServerError(err, func(pg *pgconn.PgError) { found = found || pg.Code == code })
	return found
}

// Hint replaces the server's hint in each of its errors with the code that is in err, where
// more is known than the server knows.
func Hint(err error, code, hint string) {
	eachServerError(err, func(pg *pgconn.PgError) {
		if pg.Code == code {
			pg.Hint = hint
		}
	})
}

// eachServerError calls f for each error of the server, also where an error's text tells
// of it already.
func eachServerError(err error, f func(*pgconn.PgError)) {
	switch e := err.(type) { //nolint:errorlint // each error of the tree is looked at
	case *pgconn.PgError:
		if e != nil {
			f(e)
		}
	case interface{ Unwrap() error }:
		eachServerError(e.Unwrap(), f)
	case interface{ Unwrap() []error }:
		for _, next := range e.Unwrap() {
			eachServerError(next, f)
		}
	}
}
