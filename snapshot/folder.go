package snapshot

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/snapfile"
)

// extension ends the name of a snapshot file.
const extension = ".groundhog"

// path returns where the snapshot called name is. The name becomes a file name,
// so it must be one everywhere: it can't leave the folder, nor mean something to
// a file system.
func (c *storeConfig) path(name string) (string, error) {
	if why := badName(name); why != "" {
		return "", errs.New(ErrInvalidName, msg.BadName.In(c.lang, name, why), nil)
	}
	return filepath.Join(c.dir, name+extension), nil
}

// open opens a snapshot file and proves every byte of it.
func (c *storeConfig) open(path, name string, unpack bool) (*snapfile.Reader, error) {
	r, err := snapfile.Open(path)
	if err == nil {
		if err = r.Verify(unpack); err == nil {
			return r, nil
		}
		r.Close()
	}
	var damage *snapfile.CorruptError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errs.New(ErrNotFound, msg.SnapshotNotFound.In(c.lang, name, c.dir, c.known()), nil)
	case errors.As(err, &damage):
		return nil, errs.New(ErrCorrupt, msg.SnapshotCorrupt.In(c.lang, name), err)
	}
	return nil, c.explain(err, msg.SnapshotUnreadable, name)
}

func (c *storeConfig) names() (names []string) {
	entries, _ := os.ReadDir(c.dir)
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), extension); ok && badName(name) == "" {
			names = append(names, name)
		}
	}
	return names
}

// known lists the names of the snapshots that are there, for a text.
func (c *storeConfig) known() string {
	return cmp.Or(strings.Join(c.names(), ", "), "-")
}

// clash returns the name of another snapshot in the folder that a file system
// without cases, or with other rules for accents, takes for the same.
func (c *storeConfig) clash(name string) string {
	fold := func(s string) string { return cases.Fold().String(norm.NFC.String(s)) }
	names := c.names()
	i := slices.IndexFunc(names, func(other string) bool { return fold(other) == fold(name) })
	if i < 0 || slices.Contains(names, name) {
		return ""
	}
	return names[i]
}

// distinct refuses a new name that is another's in some file systems.
func (c *storeConfig) distinct(name string) error {
	if other := c.clash(name); other != "" {
		return errs.New(ErrInvalidName, msg.NameClashes.In(c.lang, name, other), nil)
	}
	return nil
}

func (c *storeConfig) exists(path, name string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, c.explain(err, msg.SnapshotUnreadable, name)
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
