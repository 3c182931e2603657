package errs_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/errs"
)

// TestClass: the errors of files have the methods of those of networks.
func TestClass(t *testing.T) {
	t.Parallel()
	file := func(e syscall.Errno) error { return &fs.PathError{Op: "open", Path: "x", Err: e} }
	network := func(e syscall.Errno) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", e)}
	}
	for _, c := range []struct {
		err  error
		want error
	}{
		{file(syscall.EACCES), nil},
		{file(syscall.EIO), nil},
		{file(syscall.EROFS), nil},
		{&os.LinkError{Op: "rename", Old: "a", New: "b", Err: syscall.EXDEV}, nil},
		{file(syscall.ENOSPC), errs.ErrDiskSpace},
		{network(syscall.ECONNREFUSED), errs.ErrConnection},
		{network(syscall.EACCES), errs.ErrConnection},
		{errors.Join(file(syscall.EACCES), network(syscall.ETIMEDOUT)), errs.ErrConnection},
		{fmt.Errorf("read: %w", io.ErrUnexpectedEOF), errs.ErrConnection},
		{os.ErrDeadlineExceeded, errs.ErrConnection},
		{&pgconn.PgError{Code: "57P01"}, errs.ErrConnection},
		{&pgconn.PgError{Code: "53300"}, errs.ErrConnection},
		{&pgconn.PgError{Code: "55P03"}, errs.ErrLocked},
		{&pgconn.PgError{Code: "23505"}, nil},
	} {
		require.Equal(t, c.want, errs.Class(c.err), "%v", c.err)
	}
}
