package memory_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/memory"
)

const folder = "/dev/shm/groundhog-memory-0123456789abcdef"

// server makes the folder of a server whose entry data is a link to the target.
func server(t *testing.T, target string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Symlink(target, filepath.Join(dir, "data")); err != nil {
		t.Skip("no link can be made: ", err)
	}
	return dir
}

func TestFolderOf(t *testing.T) {
	t.Parallel()
	if filepath.Separator != '/' {
		t.Skip("no server of ours runs on this system")
	}
	for target, want := range map[string]string{
		folder + "/data":   folder,
		folder + "/other":  "",
		folder + "/x/data": "",
		"/dev/shm/../groundhog-memory-0123456789abcdef/data": "",
		"/tmp/groundhog-memory-0123456789abcdef/data":        "",
		"/dev/shm/mine/data":                                 "",
		"data":                                               "",
	} {
		require.Equal(t, want, memory.FolderOf(server(t, target)), target)
	}
	dir := t.TempDir()
	require.Empty(t, memory.FolderOf(dir))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "data"), 0o700))
	require.Empty(t, memory.FolderOf(dir))
	require.Empty(t, memory.FolderOf("localhost"))
	require.Empty(t, memory.FolderOf(""))
}

func TestExplain(t *testing.T) {
	t.Parallel()
	full := func() *pgconn.PgError {
		return &pgconn.PgError{Code: "53100", Message: "could not extend file", Hint: "Check free disk space."}
	}
	for name, wrap := range map[string]func(error) error{
		"bare":   func(err error) error { return err },
		"ours":   func(err error) error { return errs.New(errs.ErrDiskSpace, "no row was loaded", err) },
		"joined": func(err error) error { return fmt.Errorf("x: %w", errors.Join(errors.New("y"), err)) },
		"told":   errs.Tell,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := wrap(full())
			memory.Explain(err, "", t.TempDir())
			require.Contains(t, errs.Text(err), "HINT: Check free disk space.")
			memory.Explain(err, "", server(t, folder+"/data"))
			require.Contains(t, errs.Text(err), "HINT: the data of the server lies in memory, in "+folder+", which is used up: set GROUNDHOG_MEMORY=0 to have it on disk")
			require.NotContains(t, errs.Text(err), "Check free disk space.")
		})
	}
	other := &pgconn.PgError{Code: "23505", Hint: "h"}
	memory.Explain(other, "", server(t, folder+"/data"))
	require.Equal(t, "h", other.Hint)
	memory.Explain(nil, "", server(t, folder+"/data"))
}
