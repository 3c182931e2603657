package scratch_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/internal/scratch"
)

func init() {
	fault.Register("folder", func(args []string) error {
		make := scratch.New
		if len(args) > 2 {
			make = scratch.NewSwept
		}
		f, err := make(args[0], "groundhog-scratch ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(f.Path, "file"), []byte("x"), 0o600); err != nil {
			return err
		}
		fmt.Println("made", f.Path)
		switch args[1] {
		case "remove":
			return f.Remove()
		case "keep":
			return f.Keep()
		case "exit":
			os.Exit(0)
		case "panic":
			panic("in the middle")
		}
		select {}
	})
}

func TestFolderIsRemoved(t *testing.T) {
	t.Parallel()
	parent := filepath.Join(t.TempDir(), `it's a "folder"`)
	require.NoError(t, os.Mkdir(parent, 0o700))
	f, err := scratch.New(parent, "x-")
	require.NoError(t, err)
	require.Equal(t, parent, filepath.Dir(f.Path))
	info, err := os.Stat(f.Path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	require.NoError(t, os.MkdirAll(filepath.Join(f.Path, "a", "b"), 0o700))
	require.NoError(t, f.Remove())
	require.NoDirExists(t, f.Path)
	require.Empty(t, fault.Processes(f.Path))
}

func TestFolderGoesWithTheProcess(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"remove", "exit", "panic", "kill", "interrupt"} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			fault.NoLeftovers(t, dir)
			child := fault.Child(t, "folder", dir, end)
			child.Line("made " + dir)
			switch end {
			case "kill":
				child.Signal(syscall.SIGKILL)
			case "interrupt":
				child.Signal(os.Interrupt)
			}
			child.Wait()
		})
	}
	t.Run("at any moment", func(t *testing.T) {
		dir := t.TempDir()
		fault.NoLeftovers(t, dir)
		fault.KillAtRandom(t, 8, func() *fault.Process { return fault.Child(t, "folder", dir, "remove") }, func(int, fault.Exit) {})
	})
}

func TestFolderStaysWhenItIsForgotten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := scratch.New(dir, "x-")
	require.NoError(t, err)
	for range 3 {
		runtime.GC() // finalizers run behind it
		time.Sleep(10 * time.Millisecond)
	}
	kept, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, kept, 1)
}

func TestFolderIsKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	exit := fault.Child(t, "folder", dir, "keep").Wait()
	require.Equal(t, 0, exit.Code, exit)
	kept, err := filepath.Glob(filepath.Join(dir, "*", "file"))
	require.NoError(t, err)
	require.Len(t, kept, 1)
	require.Empty(t, fault.Processes(dir))
}

func TestFolderThatCannotBeMade(t *testing.T) {
	t.Parallel()
	for parent, want := range map[string]string{"/nowhere/at/all": "/nowhere/at/all", "/dev/null": "/dev/null"} {
		_, err := scratch.New(parent, "x-")
		require.ErrorContains(t, err, want)
		require.False(t, errors.Is(err, os.ErrClosed))
	}
}

// TestSweptFolderGoesWithTheNext that is made after its process has ended.
func TestSweptFolderGoesWithTheNext(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	age := func(path string) {
		old := time.Now().Add(-time.Hour)
		require.NoError(t, os.Chtimes(path, old, old))
	}
	left := func() []string {
		all, err := filepath.Glob(filepath.Join(dir, "*"))
		require.NoError(t, err)
		for _, path := range all {
			age(path)
		}
		return all
	}
	for _, end := range []string{"exit", "panic", "kill"} {
		child := fault.Child(t, "folder", dir, end, "swept")
		child.Line("made " + dir)
		if end == "kill" {
			require.Len(t, left(), 1)
			mine, err := scratch.NewSwept(dir, "groundhog-scratch ")
			require.NoError(t, err)
			require.Len(t, left(), 2, "the process lives")
			require.NoError(t, mine.Remove())
			child.Kill()
		}
		child.Wait()
		require.Len(t, left(), 1, end)
		next, err := scratch.NewSwept(dir, "groundhog-scratch ")
		require.NoError(t, err)
		require.Equal(t, []string{next.Path}, left(), end)
		require.NoError(t, next.Remove())
		require.Empty(t, left())
	}
	young := filepath.Join(dir, "groundhog-scratch young")
	require.NoError(t, os.Mkdir(young, 0o700))
	other := filepath.Join(dir, "mine")
	require.NoError(t, os.Mkdir(other, 0o700))
	age(other)
	kept, err := scratch.NewSwept(dir, "groundhog-scratch ")
	require.NoError(t, err)
	require.DirExists(t, young, "it may be just about to be locked")
	require.DirExists(t, other)
	require.NoError(t, kept.Keep())
	require.DirExists(t, kept.Path)
	require.NoError(t, kept.Remove())
	_, err = scratch.NewSwept("/nowhere/at/all", "x-")
	require.ErrorContains(t, err, "/nowhere/at/all")
}
