package snapfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// FS is the file operations that writing a snapshot takes, so that each of them
// can be made to fail in a test. [OS] is the real one.
type FS interface {
	Create(path string) (File, error)
	Rename(from, to string) error
	Remove(path string) error
	SyncDir(path string) error
}

// File is a file that is being written.
type File interface {
	io.WriteCloser
	Sync() error
}

// OS is the operating system's file operations.
var OS FS = osFS{}

type osFS struct{}

// Create makes a new file in place of any that is there, which may be a link to
// somebody else's.
func (osFS) Create(path string) (File, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
}
func (osFS) Rename(from, to string) error { return os.Rename(from, to) }
func (osFS) Remove(path string) error     { return os.Remove(path) }

// SyncDir makes a rename durable. Systems that can't sync a folder (Windows)
// don't need to.
func (osFS) SyncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return syncDir(dir)
}
