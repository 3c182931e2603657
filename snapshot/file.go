package snapshot

import (
	"os"
	"sync"

	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/snapfile"
)

// snapshotFile is a snapshot file that was verified.
type snapshotFile struct {
	path, name string
	stat       os.FileInfo
	manifest   snapfile.Manifest
	info       Info
	sum        string // its identity

	reader *snapfile.Reader // open, or nil: see open
}

// newSnapshotFile takes over the reader of a file.
func newSnapshotFile(r *snapfile.Reader, name string) (*snapshotFile, error) {
	stat, err := r.Stat()
	if err != nil {
		r.Close()
		return nil, err
	}
	sum, err := r.Sum()
	if err != nil {
		r.Close()
		return nil, err
	}
	return &snapshotFile{path: r.Path, name: name, stat: stat, manifest: r.Manifest, info: infoOf(&r.Manifest, r.Path, r.Size), sum: sum, reader: r}, nil
}

// readSnapshotFile returns the file at path, of which only the manifest is proved.
func readSnapshotFile(path, name string) (*snapshotFile, error) {
	r, err := snapfile.Open(path)
	if err != nil {
		return nil, err
	}
	return newSnapshotFile(r, name)
}

// verify returns the file at path, of which it proves every byte.
func verify(c *settings, path, name string) (*snapshotFile, error) {
	r, err := folder{c}.open(path, name, false)
	if err != nil {
		return nil, err
	}
	f, err := newSnapshotFile(r, name)
	return f, c.explain(err, msg.SnapshotUnreadable, name)
}

// open opens a file that was verified earlier, and verifies what is there now.
func (f *snapshotFile) open(c *settings) error {
	if f.reader != nil {
		return nil
	}
	now, err := verify(c, f.path, f.name)
	if err != nil {
		return err
	}
	*f = *now
	return nil
}

func (f *snapshotFile) close() {
	if f.reader != nil {
		f.reader.Close()
		f.reader = nil
	}
}

// closed returns what is known of the file, without its reader.
func (f *snapshotFile) closed() *snapshotFile {
	known := *f
	known.reader = nil
	return &known
}

// files are the files that were verified, by path.
type files struct {
	mu   sync.Mutex
	seen map[string]*snapshotFile
}

// openVerified returns the verified file at path. One whose stat is the same as when it was
// verified is not read again before it has to be loaded.
func (v *files) openVerified(c *settings, path, name string) (*snapshotFile, error) {
	v.mu.Lock()
	seen := v.seen[path]
	v.mu.Unlock()
	if seen != nil {
		stat, err := os.Stat(path)
		if err == nil && os.SameFile(stat, seen.stat) && stat.Size() == seen.stat.Size() && stat.ModTime().Equal(seen.stat.ModTime()) {
			f := *seen
			f.name = name
			return &f, nil
		}
	}
	f, err := verify(c, path, name)
	if err == nil {
		v.remember(f)
	}
	return f, err
}

// remember keeps what is known of a file for the next look.
func (v *files) remember(f *snapshotFile) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.seen == nil {
		v.seen = map[string]*snapshotFile{}
	}
	v.seen[f.path] = f.closed()
}
