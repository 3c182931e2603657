package snapshot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/groundhogdb/groundhog/internal/msg"
)

// EnvDir names the environment variable that says where snapshots are kept.
const EnvDir = "GROUNDHOG_DIR"

// workDir is the folder in which the process began. go test starts a test
// binary in the folder of the package under test; a test may change it later.
var workDir, _ = os.Getwd()

// defaultDir returns the folder of the snapshots where no option names one:
// testdata/snapshots of the package under test, or the user's cache folder where
// that can't be written, which is told once.
func defaultDir(logger *slog.Logger, lang msg.Lang) string {
	if dir := os.Getenv(EnvDir); dir != "" {
		return dir
	}
	dir := packageDir()
	if wanted := testdataDir(); dir != wanted {
		dirNotices.note(context.Background(), logger, lang, slog.LevelWarn, msg.FolderElsewhere, wanted, "unwritable", wanted, "dir", dir)
	}
	return dir
}

var dirNotices notices

func testdataDir() string { return filepath.Join(workDir, "testdata", "snapshots") }

// packageDir is asked once: the folder of a package does not change while it is tested.
var packageDir = sync.OnceValue(func() string {
	dir := testdataDir()
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
