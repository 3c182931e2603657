package errs

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
)

// Class returns the class of an error that PostgreSQL, the connection or the
// file system gave, or nil when none fits.
func Class(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch {
		case strings.HasPrefix(pg.Code, "08"), pg.Code == "57P01", pg.Code == "57P02", pg.Code == "57P03", pg.Code == "53300": // … too_many_connections
			return ErrConnection
		case pg.Code == "55P03", pg.Code == "40P01": // lock_not_available, deadlock_detected
			return ErrLocked
		case pg.Code == "53100": // disk_full
			return ErrDiskSpace
		case pg.Code == "42501": // insufficient_privilege
			return ErrPermission
		}
		return nil
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return ErrDiskSpace
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) || ofNetwork(err) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		ofClosed(err) || pgconn.SafeToRetry(err) {
		return ErrConnection
	}
	if errors.Is(err, fs.ErrPermission) {
		return ErrPermission
	}
	return nil
}

// IsDeadlock reports whether the server gave up on a statement to end a deadlock.
func IsDeadlock(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "40P01"
}

// IsClass reports whether PostgreSQL, the connection or the file system gave err, and
// class is the [Class] of it.
func IsClass(err, class error) bool {
	return class != nil && Class(err) == class //nolint:errorlint // Class returns nothing wrapped
}

// ofNetwork reports whether a network gave the error. A bare syscall.Errno is a
// net.Error too, by its methods: then it is most likely a file's.
func ofNetwork(err error) bool {
	var op *net.OpError
	var network net.Error
	if errors.As(err, &op) {
		return true
	}
	if !errors.As(err, &network) {
		return false
	}
	_, bare := network.(syscall.Errno)
	return !bare
}
