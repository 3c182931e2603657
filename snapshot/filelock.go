package snapshot

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// buildWait is how long one process waits for another that builds the same
// snapshot.
const buildWait = 10 * time.Minute

// building is the key of a context in which a builder runs for the snapshot at
// that path.
type building string

// unlockFile unlocks a snapshot. The lock file of one that is not there goes too.
func unlockFile(l *flock.Flock, path string) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		_ = os.Remove(l.Path()) // who waits for it makes another one
	} else {
		_ = os.Truncate(l.Path(), 0)
	}
	l.Unlock()
}

func waitForLock(ctx context.Context, file string) (l *flock.Flock, err error) {
	ctx, cancel := context.WithTimeout(ctx, buildWait)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for l == nil && err == nil {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
			l, err = tryLock(file)
		}
	}
	return l, err
}

// tryLock locks a file, or returns nil when somebody else has it locked, or has
// removed it with the snapshot meanwhile. Another sort of file, like a link to
// one, is none of ours.
func tryLock(file string) (*flock.Flock, error) {
	if info, err := os.Lstat(file); err == nil && !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "lock", Path: file, Err: errors.New(info.Mode().Type().String())}
	}
	l := flock.New(file, flock.SetPermissions(0o644)) // another user may read it, and so lock it
	ok, err := l.TryLock()
	if err != nil || !ok {
		return nil, err
	}
	mine, err := l.Stat()
	if err == nil {
		var now fs.FileInfo
		if now, err = os.Lstat(file); err == nil && os.SameFile(mine, now) {
			return l, nil
		}
	}
	l.Unlock()
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return nil, err
}

// whom tells who holds a lock.
func whom(lock string) string {
	who, _ := os.ReadFile(lock)
	return cmp.Or(strings.TrimSpace(string(who)), "?")
}

func lockPath(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".lock")
}
