package errs

// connClosed is the text of the error of a connection that pgx closed when an
// operation failed before, as it is with each version: pgx names the error from 5.10
// on, and says of it that nothing was sent, so [pgconn.SafeToRetry], before 5.13 only.
const connClosed = "conn closed"

// ofClosed reports whether an error in the tree says that the connection was closed.
func ofClosed(err error) bool {
	switch wraps := err.(type) { //nolint:errorlint // this walks the tree itself
	case nil:
		return false
	case interface{ Unwrap() error }:
		return err.Error() == connClosed || ofClosed(wraps.Unwrap())
	case interface{ Unwrap() []error }:
		for _, err := range wraps.Unwrap() {
			if ofClosed(err) {
				return true
			}
		}
		return false
	}
	return err.Error() == connClosed
}
