package snapshot

import (
	"os"
	"sync"

	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/snapfile"
)

// file is a snapshot file that was proven.
type file struct {
	path, name string
	stat       os.FileInfo
	manifest   snapfile.Manifest
	info       Info
	sum        string // its identity

	reader *snapfile.Reader // open, or nil: see open
}

// proven are the files that this process has proven, by path. One whose stat is
// the same is not read again before it has to be loaded.
var proven sync.Map

// look returns the proven file at path.
func (c *storeConfig) look(path, name string) (*file, error) {
	if was, ok := proven.Load(path); ok {
		f := *was.(*file)
		stat, err := os.Stat(path)
		if err == nil && os.SameFile(stat, f.stat) && stat.Size() == f.stat.Size() && stat.ModTime().Equal(f.stat.ModTime()) {
			f.name = name
			return &f, nil
		}
	}
	r, err := c.open(path, name, false)
	if err != nil {
		return nil, err
	}
	f, err := fileOf(r, name)
	if err != nil {
		return nil, c.explain(err, msg.SnapshotUnreadable, name)
	}
	f.remember()
	return f, nil
}

// fileOf takes over the reader of a file that was just proven.
func fileOf(r *snapfile.Reader, name string) (*file, error) {
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
	return &file{path: r.Path, name: name, stat: stat, manifest: r.Manifest, info: infoOf(&r.Manifest, r.Path, r.Size), sum: sum, reader: r}, nil
}

// remember keeps what is known of the file for the next look.
func (f *file) remember() {
	known := *f
	known.reader = nil
	proven.Store(f.path, &known)
}

// open opens a file that was proven earlier, and proves what is there now.
func (f *file) open(c *storeConfig) error {
	if f.reader != nil {
		return nil
	}
	proven.Delete(f.path)
	now, err := c.look(f.path, f.name)
	if err != nil {
		return err
	}
	*f = *now
	return nil
}

func (f *file) close() {
	if f.reader != nil {
		f.reader.Close()
	}
}
