package fault_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/fault"
)

func TestTmpFSIsFull(t *testing.T) {
	t.Parallel()
	dir := fault.TmpFS(t, 1<<20)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "fits"), make([]byte, 512<<10), 0o600))
	err := os.WriteFile(filepath.Join(dir, "does not"), make([]byte, 1<<20), 0o600)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.NoError(t, os.Remove(filepath.Join(dir, "does not")))
	require.NoError(t, os.Rename(filepath.Join(dir, "fits"), filepath.Join(dir, "renamed")))
}

func TestTmpFSIsGone(t *testing.T) {
	t.Parallel()
	var dir string
	if !t.Run("inner", func(t *testing.T) { dir = fault.TmpFS(t, 1<<20) }) || dir == "" {
		t.Skip("no tmpfs here")
	}
	require.NoDirExists(t, dir)
	mounts, err := os.ReadFile("/proc/self/mounts")
	require.NoError(t, err)
	require.NotContains(t, string(mounts), "groundhog-test")
}

func TestAtEnd(t *testing.T) {
	t.Parallel()
	var order []string
	said := failure(t, func(t testing.TB) {
		fault.AtEnd(t, func() error { order = append(order, "first"); return nil })
		fault.AtEnd(t, func() error { order = append(order, "last"); return errors.New("no luck") })
	})
	require.Equal(t, "no luck\n", said)
	require.Equal(t, []string{"last", "first"}, order, "an error does not end the cleanup")
}

func TestNoLeftovers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "was here before"), 0o700))
	fault.NoLeftovers(t, dir)
	fault.Child(t, "wait", dir).Line("waiting") // and is killed in time
}

func TestNoLeftoversFindsThem(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var pid string
	failed := failure(t, func(inner testing.TB) {
		fault.NoLeftoversWithin(inner, dir, 100*time.Millisecond)
		exit := fault.Child(inner, "orphan", dir).Wait()
		require.Zero(t, exit.Code, "%s", exit)
		pid = strings.TrimSpace(exit.Stdout)
		t.Cleanup(func() {
			id, err := strconv.Atoi(pid)
			require.NoError(t, err)
			p, err := os.FindProcess(id)
			require.NoError(t, err)
			require.NoError(t, p.Kill())
			fault.Gone(t, id)
		})
	})
	require.Contains(t, failed, pid+": sleep 60")
	require.Contains(t, failed, filepath.Join(dir, "left"))
}

// TestNoGoroutinesFindsThem is not parallel: it looks at the goroutines of the
// process.
func TestNoGoroutinesFindsThem(t *testing.T) {
	end := make(chan struct{})
	failed := failure(t, func(t testing.TB) {
		fault.NoGoroutines(t)
		go func() { <-end }()
	})
	close(end)
	require.Contains(t, failed, "found unexpected goroutines")
}

// failure runs f with a TB of its own, which must fail, and returns what it
// said. Work in Cleanup is part of it.
func failure(t *testing.T, f func(t testing.TB)) string {
	t.Helper()
	inner := &failing{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer inner.clean()
		f(inner)
	}()
	<-done
	require.True(t, inner.failed, "it should have failed")
	return inner.said.String()
}

// failing stands in for the testing.TB of a test that is expected to fail.
type failing struct {
	testing.TB
	said     strings.Builder
	failed   bool
	cleanups []func()
}

func (f *failing) Helper()          {}
func (f *failing) Cleanup(c func()) { f.cleanups = append(f.cleanups, c) }
func (f *failing) Logf(format string, args ...any) {
	fmt.Fprintf(&f.said, format+"\n", args...)
}
func (f *failing) Errorf(format string, args ...any) {
	f.failed = true
	f.Logf(format, args...)
}
func (f *failing) Error(args ...any) { f.Errorf("%s", fmt.Sprint(args...)) }
func (f *failing) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	runtime.Goexit()
}

func (f *failing) clean() {
	for i := len(f.cleanups) - 1; i >= 0; i-- {
		f.cleanups[i]()
	}
}
