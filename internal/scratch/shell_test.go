//go:build unix

package scratch

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNoShell(t *testing.T) {
	shell = "/nowhere/sh"
	t.Cleanup(func() { shell = "/bin/sh" })
	f, err := New(t.TempDir(), "x-")
	require.NoError(t, err)
	require.DirExists(t, f.Path)
	require.NoError(t, f.Remove())
	require.NoDirExists(t, f.Path)
	f, err = New(t.TempDir(), "x-")
	require.NoError(t, err)
	require.NoError(t, f.Keep())
	require.DirExists(t, f.Path)
	_, err = New("/nowhere", "x-")
	require.ErrorContains(t, err, "/nowhere")
}
