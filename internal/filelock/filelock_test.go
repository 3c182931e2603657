package filelock_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/internal/filelock"
)

func init() {
	fault.Register("lock", func(args []string) error {
		if _, err := filelock.Lock(context.Background(), args[0], 0o600); err != nil {
			return err
		}
		fmt.Println("locked")
		select {} // until it is killed
	})
}

func TestOneHoldsTheLock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	first, err := filelock.Try(path, 0o600)
	require.NoError(t, err)
	require.NotNil(t, first)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())

	second, err := filelock.Try(path, 0o600)
	require.NoError(t, err)
	require.Nil(t, second)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = filelock.Lock(ctx, path, 0o600)
	require.ErrorIs(t, err, context.DeadlineExceeded)

	require.NoError(t, first.Unlock())
	third, err := filelock.Lock(t.Context(), path, 0o600)
	require.NoError(t, err)
	require.NoError(t, third.Unlock())
}

// TestTheFileGoesWithItsLock: all who wait get the lock of the file that is there, one
// after the other, though each removes the file that the others wait for.
func TestTheFileGoesWithItsLock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	var held, turns atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				l, err := filelock.Lock(t.Context(), path, 0o600)
				if err != nil {
					t.Error(err)
					return
				}
				if held.Add(1) != 1 {
					t.Error("two hold the lock")
				}
				turns.Add(1)
				held.Add(-1)
				if err := os.Remove(path); err != nil {
					t.Error(err)
				}
				if err := l.Unlock(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 160, turns.Load())
}

func TestWhatIsNoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink(filepath.Join(dir, "other"), link))
	for _, path := range []string{dir, link} {
		_, err := filelock.Try(path, 0o600)
		require.ErrorContains(t, err, path)
		_, err = filelock.Lock(t.Context(), path, 0o600)
		require.ErrorContains(t, err, path)
	}
	require.NoFileExists(t, filepath.Join(dir, "other"))
	_, err := filelock.Try(filepath.Join(dir, "no", "lock"), 0o600)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestTheLockOfAKilledProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	child := fault.Child(t, "lock", path)
	child.Line("locked")
	l, err := filelock.Try(path, 0o600)
	require.NoError(t, err)
	require.Nil(t, l)
	child.Kill()
	l, err = filelock.Lock(t.Context(), path, 0o600)
	require.NoError(t, err)
	require.NoError(t, l.Unlock())
}
