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
	"github.com/jackc/pgx/v5/pgproto3"
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
		{file(syscall.EACCES), errs.ErrPermission},
		{file(syscall.EPERM), errs.ErrPermission},
		{file(syscall.EIO), nil},
		{file(syscall.EROFS), nil},
		{&os.LinkError{Op: "rename", Old: "a", New: "b", Err: syscall.EXDEV}, nil},
		{file(syscall.ENOSPC), errs.ErrDiskSpace},
		{network(syscall.ECONNREFUSED), errs.ErrConnection},
		{network(syscall.EACCES), errs.ErrConnection},
		{errors.Join(file(syscall.EACCES), network(syscall.ETIMEDOUT)), errs.ErrConnection},
		{fmt.Errorf("read: %w", io.ErrUnexpectedEOF), errs.ErrConnection},
		{os.ErrDeadlineExceeded, errs.ErrConnection},
		{closed(t), errs.ErrConnection},
		{fmt.Errorf("commit: %w", errors.Join(io.ErrNoProgress, fmt.Errorf("%w", closed(t)))), errs.ErrConnection},
		{received{closed(t)}, errs.ErrConnection},
		{errors.New("conn closed by the peer's firewall"), nil},
		{&pgconn.PgError{Code: "57P01"}, errs.ErrConnection},
		{&pgconn.PgError{Code: "53300"}, errs.ErrConnection},
		{&pgconn.PgError{Code: "55P03"}, errs.ErrLocked},
		{&pgconn.PgError{Code: "42501"}, errs.ErrPermission},
		{&pgconn.PgError{Code: "28000"}, nil},
		{&pgconn.PgError{Code: "23505"}, nil},
	} {
		require.Equal(t, c.want, errs.Class(c.err), "%v", c.err)
	}
}

// closed is the error of a connection that pgx has closed.
func closed(t testing.TB) error {
	client, server := net.Pipe()
	t.Cleanup(func() { _ = server.Close() })
	config, err := pgconn.ParseConfig("postgres://u@h/d?sslmode=disable")
	require.NoError(t, err)
	conn, err := pgconn.Construct(&pgconn.HijackedConn{Conn: client, Frontend: pgproto3.NewFrontend(client, client), Config: config})
	require.NoError(t, err)
	require.NoError(t, client.Close())
	_ = conn.Close(t.Context()) // whether it says goodbye or not
	_, err = conn.Exec(t.Context(), "SELECT").ReadAll()
	require.Error(t, err)
	return err
}

// received is how pgx from 5.13 on says that it was closed after something was sent:
// such an error does not tell that the statement may be made again.
type received struct{ error }

func (e received) Unwrap() error { return errors.New(e.Error()) }
