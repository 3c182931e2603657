package snapshot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/snapfile"
)

// EnvDir names the environment variable that says where snapshots are kept.
const EnvDir = "GROUNDHOG_DIR"

// workDir is the folder in which the process began. go test starts a test
// binary in the folder of the package under test; a test may change it later.
var workDir, _ = os.Getwd()

// defaultDir returns the folder of the snapshots where no option names one:
// testdata/snapshots of the package under test, or the user's cache folder where
// that can't be written.
func defaultDir(c *storeConfig) string {
	if dir := os.Getenv(EnvDir); dir != "" {
		return dir
	}
	testdata := filepath.Join(workDir, "testdata", "snapshots")
	dir := packageDir(testdata)
	if dir != testdata {
		c.logger.Warn(msg.FolderElsewhere.In(c.lang), "unwritable", testdata, "dir", dir)
	}
	return dir
}

var packageDir = memo(func(dir string) string {
	if writable(dir) {
		return dir
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return dir // the error of the first write tells about this one
	}
	sum := sha256.Sum256([]byte(workDir))
	return filepath.Join(cache, "groundhog", "snapshots", hex.EncodeToString(sum[:8]))
})

// memo calls f once: the folder of a package does not change while it is tested.
func memo(f func(string) string) func(string) string {
	var once sync.Once
	var out string
	return func(in string) string {
		once.Do(func() { out = f(in) })
		return out
	}
}

// writable tells whether files can be made in dir, or dir itself in the nearest
// folder above it that exists.
func writable(dir string) bool {
	for {
		info, err := os.Stat(dir)
		if err == nil && !info.IsDir() {
			return false
		}
		if err == nil {
			f, err := os.CreateTemp(dir, ".groundhog-*")
			if err != nil {
				return false
			}
			f.Close()
			_ = os.Remove(f.Name())
			return true
		}
		parent := filepath.Dir(dir)
		if !errors.Is(err, fs.ErrNotExist) || parent == dir {
			return false
		}
		dir = parent
	}
}

// makeDir makes the folder, with a .gitignore in it so that nothing personal is
// committed by accident. In a folder that was there it writes none.
func (c *storeConfig) makeDir() error {
	if info, err := os.Stat(c.dir); err == nil && info.IsDir() {
		return nil
	}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return c.explain(err, msg.FolderUnwritable, c.dir)
	}
	err := os.WriteFile(filepath.Join(c.dir, ".gitignore"), []byte("*\n"), 0o644)
	return c.explain(err, msg.FolderUnwritable, c.dir)
}

// buildWait is how long one process waits for another that builds the same
// snapshot.
const buildWait = 10 * time.Minute

// lock makes this process the only one that writes the snapshot at path, and
// waits while another is. The kernel releases the lock of a process that dies.
func (c *storeConfig) lock(ctx context.Context, path, name string) (unlock func(), err error) {
	if err := c.makeDir(); err != nil {
		return nil, err
	}
	l := flock.New(lockPath(path))
	ok, err := l.TryLock()
	if err == nil && !ok {
		c.logger.InfoContext(ctx, msg.WaitingForBuilder.In(c.lang), "snapshot", name)
		wait, cancel := context.WithTimeout(ctx, buildWait)
		defer cancel()
		_, err = l.TryLockContext(wait, 5*time.Millisecond)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return nil, errs.New(ErrLocked, msg.BuilderTooSlow.In(c.lang, name, buildWait.String(), l.Path()), nil)
		}
	}
	if err != nil {
		return nil, c.explain(err, msg.FolderUnwritable, c.dir)
	}
	return func() { l.Unlock() }, nil
}

func lockPath(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".lock")
}

// sweep removes the temporary files that killed processes left in the folder: a
// living writer holds the lock of its snapshot.
func (c *storeConfig) sweep() {
	entries, _ := os.ReadDir(c.dir)
	for _, e := range entries {
		file, ok := strings.CutSuffix(e.Name(), extension+".tmp")
		if !ok || !strings.HasPrefix(file, ".") {
			continue
		}
		path := filepath.Join(c.dir, file[1:]+extension)
		l := flock.New(lockPath(path))
		if ok, err := l.TryLock(); err != nil || !ok {
			continue
		}
		_ = os.Remove(snapfile.TempPath(path))
		l.Unlock()
	}
}
