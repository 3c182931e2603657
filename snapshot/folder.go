package snapshot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/filelock"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/snapfile"
)

// folder is where the snapshots of a store are.
type folder struct{ *settings }

// path returns where the snapshot called name is. The name becomes a file name, so it
// must be one everywhere: it can't leave the folder, nor mean something to a file
// system. One that is none is a fault.
func (f folder) path(name string) string {
	if why := badName(name); why != "" {
		f.faults.AddClass(ErrInvalidName, msg.BadName, name, why)
	}
	return filepath.Join(f.dir, name+fileExtension)
}

// open opens a snapshot file and proves every byte of it.
func (f folder) open(path, name string, unpack bool) (*snapfile.Reader, error) {
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
		return nil, errs.New(ErrNotFound, msg.SnapshotNotFound.In(f.lang, name, f.dir, f.known()), nil)
	case errors.As(err, &damage):
		return nil, errs.New(ErrCorrupt, msg.SnapshotCorrupt.In(f.lang, name), err)
	}
	return nil, f.explain(err, msg.SnapshotUnreadable, name)
}

func (f folder) names() (names []string) {
	entries, _ := os.ReadDir(f.dir)
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), fileExtension); ok && badName(name) == "" {
			names = append(names, name)
		}
	}
	return names
}

// known lists the names of the snapshots that are there, for a text.
func (f folder) known() string {
	return cmp.Or(strings.Join(f.names(), ", "), "-")
}

// clash returns the name of another snapshot in the folder that a file system
// without cases, or with other rules for accents, takes for the same.
func (f folder) clash(name string) string {
	fold := func(s string) string { return cases.Fold().String(norm.NFC.String(s)) }
	names := f.names()
	i := slices.IndexFunc(names, func(other string) bool { return fold(other) == fold(name) })
	if i < 0 || slices.Contains(names, name) {
		return ""
	}
	return names[i]
}

// distinct refuses a new name that is another's in some file systems.
func (f folder) distinct(name string) error {
	if other := f.clash(name); other != "" {
		return errs.New(ErrInvalidName, msg.NameClashes.In(f.lang, name, other), nil)
	}
	return nil
}

func (f folder) exists(path, name string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, f.explain(err, msg.SnapshotUnreadable, name)
}

// list describes the snapshots in the folder, newest first.
func (f folder) list(ctx context.Context) ([]Info, error) {
	entries, err := os.ReadDir(f.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, f.explain(err, msg.FolderUnreadable, f.dir)
	}
	list := []Info{}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		name, ok := strings.CutSuffix(e.Name(), fileExtension)
		if !ok || badName(name) != "" {
			continue
		}
		path := filepath.Join(f.dir, e.Name())
		r, err := snapfile.Open(path)
		if err != nil {
			f.logger.WarnContext(ctx, msg.LeftOutOfList.In(f.lang), "path", path, "error", err.Error())
			continue
		}
		list = append(list, infoOf(&r.Manifest, path, r.Size))
		r.Close()
	}
	slices.SortStableFunc(list, func(a, b Info) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(a.Name, b.Name))
	})
	return list, nil
}

// remove removes a snapshot, waiting for a builder that is at it.
func (f folder) remove(ctx context.Context, path, name string) error {
	missing := errs.New(ErrNotFound, msg.SnapshotNotFound.In(f.lang, name, f.dir, f.known()), nil)
	if ok, err := f.exists(path, name); err != nil {
		return err
	} else if !ok {
		return missing
	}
	unlock, err := f.lock(ctx, path, name)
	if err != nil {
		return err
	}
	defer unlock()
	err = f.fs.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return missing
	}
	return f.explain(err, msg.CantDelete, name)
}

// makeDir makes the folder, with a .gitignore in it so that nothing personal is
// committed by accident. In a folder that was there it writes none.
func (f folder) makeDir() error {
	if info, err := os.Stat(f.dir); err == nil && info.IsDir() {
		return nil
	}
	if err := os.MkdirAll(f.dir, 0o755); err != nil {
		return f.explain(err, msg.FolderUnwritable, f.dir)
	}
	err := os.WriteFile(filepath.Join(f.dir, ".gitignore"), []byte("*\n"), 0o644)
	return f.explain(err, msg.FolderUnwritable, f.dir)
}

// lock makes this process the only one that writes the snapshot at path, and
// waits while another is. The kernel releases the lock of a process that dies.
func (f folder) lock(ctx context.Context, path, name string) (unlock func(), err error) {
	if ctx.Value(building(path)) != nil {
		return nil, errs.New(ErrLocked, msg.BuilderWaits.In(f.lang, name), nil)
	}
	if err := f.makeDir(); err != nil {
		return nil, err
	}
	file := lockPath(path)
	l, err := filelock.Try(file, lockMode)
	if err == nil && l == nil {
		f.logger.InfoContext(ctx, msg.WaitingForBuilder.In(f.lang), "snapshot", name, "whom", lockOwner(file))
		waiting, cancel := context.WithTimeout(ctx, buildWait)
		defer cancel()
		l, err = filelock.Lock(waiting, file, lockMode)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return nil, errs.New(ErrLocked, msg.BuilderTooSlow.In(f.lang, name, buildWait.String(), file, lockOwner(file)), nil)
		}
	}
	if err != nil {
		return nil, f.explain(err, msg.FolderUnwritable, f.dir)
	}
	// A word for those who wait. Where a locked file can't be written they do
	// without.
	_ = os.WriteFile(file, fmt.Appendf(nil, "pid %d, %s, since %s\n", os.Getpid(), filepath.Base(os.Args[0]), time.Now().Format(time.TimeOnly)), 0o644)
	return func() { unlockFile(l, path) }, nil
}

// sweep removes the temporary files that killed processes left in the folder: a
// living writer holds the lock of its snapshot.
func (f folder) sweep() {
	entries, _ := os.ReadDir(f.dir)
	for _, e := range entries {
		file, ok := strings.CutSuffix(e.Name(), fileExtension+".tmp")
		if !ok || !strings.HasPrefix(file, ".") {
			continue
		}
		path := filepath.Join(f.dir, file[1:]+fileExtension)
		l, err := filelock.Try(lockPath(path), lockMode)
		if err != nil || l == nil {
			continue
		}
		_ = os.Remove(snapfile.TempPath(path))
		unlockFile(l, path)
	}
}
