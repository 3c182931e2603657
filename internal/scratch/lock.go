package scratch

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/groundhogdb/groundhog/internal/filelock"
)

// lockName is the file in a folder that its process has locked for as long as it lives.
const lockName = "lock"

// young is the age up to which a folder may be just about to be locked.
const young = 5 * time.Second

// lockKeeper keeps a folder by a lock, which the kernel gives back when the process ends.
type lockKeeper struct{ lock *flock.Flock }

func keepByLock(dir string) (keeper, error) {
	lock, err := filelock.Try(filepath.Join(dir, lockName), 0o600)
	if err == nil && lock == nil {
		err = os.ErrExist // the folder is new
	}
	return lockKeeper{lock}, err
}

func (k lockKeeper) leave() error { return k.lock.Close() }

// remove unlocks the file first: not every system removes one that is open.
func (k lockKeeper) remove(dir string) error {
	return errors.Join(k.lock.Close(), os.RemoveAll(dir))
}

// sweep removes the folders of that prefix whose processes have ended. What fails is left
// to the next call.
func sweep(parent, prefix string) {
	entries, _ := os.ReadDir(parent)
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !e.IsDir() || !strings.HasPrefix(e.Name(), prefix) || time.Since(info.ModTime()) < young {
			continue
		}
		dir := filepath.Join(parent, e.Name())
		lock, err := filelock.Try(filepath.Join(dir, lockName), 0o600)
		if err == nil && lock != nil { // that of another user can't be locked
			_ = lockKeeper{lock}.remove(dir)
		}
	}
}
