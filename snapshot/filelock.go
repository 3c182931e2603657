package snapshot

import (
	"cmp"
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

// lockMode lets another user read a lock file, and so lock it.
const lockMode = 0o644

// building is the key of a context in which a builder runs for the snapshot at
// that path.
type building string

// unlockFile unlocks a snapshot. The lock file of one that is not there goes too.
func unlockFile(l *flock.Flock, path string) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		_ = os.Remove(l.Path()) // a process that waits for it makes another one
	} else {
		_ = os.Truncate(l.Path(), 0)
	}
	l.Unlock()
}

// lockOwner returns what the process that holds a lock wrote of itself.
func lockOwner(lock string) string {
	owner, _ := os.ReadFile(lock)
	return cmp.Or(strings.TrimSpace(string(owner)), "?")
}

func lockPath(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".lock")
}
