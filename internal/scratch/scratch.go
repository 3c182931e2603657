// Package scratch makes temporary folders that go with the process that made
// them, however it ends.
package scratch

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
)

// Folder is a temporary folder.
type Folder struct {
	Path   string
	keeper keeper
}

// keeper sees to it that a folder goes with its process.
type keeper interface {
	// leave lets the folder stay.
	leave() error
	// remove removes the folder.
	remove(dir string) error
}

// New makes a folder below parent, or where that is empty below the folder for
// temporary files, with a name that begins with the prefix. It is removed by
// [Folder.Remove], and on a Unix also when the process ends without that, be it
// by SIGKILL; unless [Folder.Keep] is called first, or there is no shell to see to
// it. On error there is no folder. It costs a process, which waits.
func New(parent, prefix string) (*Folder, error) {
	path, err := newPath(parent, prefix)
	if err != nil {
		return nil, err
	}
	shell, err := keepByShell(path)
	if err != nil {
		return nil, err
	}
	return &Folder{Path: path, keeper: shell}, nil
}

// NewSwept makes a folder as New does, without a process that waits: what a process
// leaves that ends without [Folder.Remove] is removed by the next call with the same
// parent and prefix, of any process. In the folder there is a file, by which the others
// know whether it is in use.
func NewSwept(parent, prefix string) (*Folder, error) {
	path, err := newPath(parent, prefix)
	if err != nil {
		return nil, err
	}
	sweep(filepath.Dir(path), prefix)
	if err := os.Mkdir(path, 0o700); err != nil {
		return nil, err
	}
	lock, err := keepByLock(path)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(path))
	}
	return &Folder{Path: path, keeper: lock}, nil
}

// newPath returns the path of a folder that is not there.
func newPath(parent, prefix string) (string, error) {
	if parent == "" {
		parent = os.TempDir()
	}
	parent, err := filepath.Abs(parent)
	if err != nil {
		return "", err
	}
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	return filepath.Join(parent, prefix+hex.EncodeToString(random[:])), nil
}

// Keep lets the folder stay.
func (f *Folder) Keep() error { return f.keeper.leave() }

// Remove removes the folder with all that is in it.
func (f *Folder) Remove() error { return f.keeper.remove(f.Path) }
