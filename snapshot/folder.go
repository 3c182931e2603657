package snapshot

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
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
		noteOnce(context.Background(), c, notice{text: msg.FolderElsewhere, reason: testdata}, slog.LevelWarn, "unwritable", testdata, "dir", dir)
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

// writable reports whether files can be made in dir, or dir itself in the nearest
// folder above it that exists.
func writable(dir string) bool {
	for {
		info, err := os.Stat(dir)
		if err == nil && !info.IsDir() {
			return false
		}
		if err == nil {
			// Always the same name: those of killed processes would pile up.
			f, err := os.OpenFile(filepath.Join(dir, ".groundhog-probe"), os.O_CREATE|os.O_WRONLY, 0o600)
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

// building is the key of a context in which a builder runs for the snapshot at
// that path.
type building string

// lock makes this process the only one that writes the snapshot at path, and
// waits while another is. The kernel releases the lock of a process that dies.
func (c *storeConfig) lock(ctx context.Context, path, name string) (unlock func(), err error) {
	if ctx.Value(building(path)) != nil {
		return nil, errs.New(ErrLocked, msg.BuilderWaits.In(c.lang, name), nil)
	}
	if err := c.makeDir(); err != nil {
		return nil, err
	}
	file := lockPath(path)
	l, err := tryLock(file)
	if err == nil && l == nil {
		c.logger.InfoContext(ctx, msg.WaitingForBuilder.In(c.lang), "snapshot", name, "whom", whom(file))
		l, err = waitForLock(ctx, file)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return nil, errs.New(ErrLocked, msg.BuilderTooSlow.In(c.lang, name, buildWait.String(), file, whom(file)), nil)
		}
	}
	if err != nil {
		return nil, c.explain(err, msg.FolderUnwritable, c.dir)
	}
	// A word for those who wait. Where a locked file can't be written they do
	// without.
	_ = os.WriteFile(file, fmt.Appendf(nil, "pid %d, %s, since %s\n", os.Getpid(), filepath.Base(os.Args[0]), time.Now().Format(time.TimeOnly)), 0o644)
	return func() { release(l, path) }, nil
}

// release unlocks a snapshot. The lock file of one that is not there goes too.
func release(l *flock.Flock, path string) {
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
		l, err := tryLock(lockPath(path))
		if err != nil || l == nil {
			continue
		}
		_ = os.Remove(snapfile.TempPath(path))
		release(l, path)
	}
}
