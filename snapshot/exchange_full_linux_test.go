package snapshot_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/snapshot"
)

func init() {
	// Exchanges while the memory in which the data lies has no room for a copy.
	fault.Register("full swap", func(args []string) (err error) {
		ctx := context.Background()
		if err := errors.Join(os.Setenv("TMPDIR", args[0]), os.Setenv(fixtures.EnvMemory, "1")); err != nil {
			return err
		}
		server, err := fixtures.Start(ctx, fixtures.WithServer(fixtures.ServerLocal))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, server.Close()) }()
		db, err := server.CreateDatabase(ctx, fixtures.WithSchema(swapSchema))
		if err != nil {
			return err
		}
		store, err := snapshot.NewStore(db.Pool, snapshot.WithDir(filepath.Join(args[0], "snapshots")))
		if err != nil {
			return err
		}
		w := swapper{db: db.Pool, store: store, hashes: map[string]string{}, random: rand.New(rand.NewPCG(1, 1))}
		for v, name := range []string{"a", "b"} {
			if err := w.prepare(ctx, name, v+1); err != nil {
				return err
			}
		}
		for i := range 12 {
			ballast := "/dev/shm/ballast"
			var fs unix.Statfs_t
			if err := unix.Statfs("/dev/shm", &fs); err != nil {
				return err
			}
			left := []int64{2, 4, 6, 10, 20}[i%5] << 20
			f, err := os.Create(ballast)
			if err != nil {
				return err
			}
			err = unix.ENOSPC
			for size := int64(fs.Bavail)*fs.Bsize - left; size > 0 && errors.Is(err, unix.ENOSPC); size -= 1 << 20 {
				err = unix.Fallocate(int(f.Fd()), 0, 0, size)
			}
			if err = errors.Join(err, f.Close()); err != nil {
				return err
			}
			name, change := []string{"a", "b"}[i%2], swapChanges[i%len(swapChanges)]
			_ = script(ctx, db.Pool, change) // may have no room
			_, err = store.Restore(ctx, name)
			switch {
			case err == nil:
				if err := w.check(ctx, db.Pool, name, "full"); err != nil {
					return err
				}
				fmt.Println("restored", left>>20)
			case !errors.Is(err, snapshot.ErrDiskSpace):
				return fmt.Errorf("%d left, %s: %w", left>>20, change, err)
			default:
				fmt.Println("refused", left>>20, strings.ReplaceAll(err.Error(), "\n", " "))
			}
			if err := os.Remove(ballast); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
			for _, name := range []string{name, "a", "b"} { // there is room again
				if _, err := store.Restore(ctx, name); err != nil {
					return fmt.Errorf("with room again, after %s: %w", change, err)
				}
				if err := w.check(ctx, db.Pool, name, "with room again after "+change); err != nil {
					return err
				}
			}
		}
		return db.Close()
	})
}

// TestFullMemoryDuringExchanges: where there is no room for a copy, a restore says so or
// does without.
func TestFullMemoryDuringExchanges(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	dir, err := os.MkdirTemp(fault.TempDir(), "full-")
	require.NoError(t, err)
	fault.AtEnd(t, func() error { return os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o777|os.ModeSticky))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "snapshots"), 0o700))
	exit := fault.ChildWithShm(t, "tmpfs", "size=300m,mode=1777", "full swap", dir).Wait()
	require.Equal(t, 0, exit.Code, exit)
	t.Log(exit.Stdout)
	t.Log("fault: 12 tried")
}
