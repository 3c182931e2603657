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

// New makes a folder below parent, or where that is empty below the folder for
// temporary files, with a name that begins with the prefix. It is removed by
// [Folder.Remove], and on a Unix also when the process ends without that, be it
// by SIGKILL; unless [Folder.Keep] is called first, or there is no shell to see to
// it. On error there is no folder.
func New(parent, prefix string) (*Folder, error) {
	if parent == "" {
		parent = os.TempDir()
	}
	parent, err := filepath.Abs(parent)
	if err != nil {
		return nil, err
	}
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	f := &Folder{Path: filepath.Join(parent, prefix+hex.EncodeToString(random[:]))}
	if f.keeper, err = keep(f.Path); err != nil {
		return nil, err
	}
	return f, nil
}

// Keep lets the folder stay.
func (f *Folder) Keep() error { return f.keeper.leave() }

// Remove removes the folder with all that is in it.
func (f *Folder) Remove() error {
	return errors.Join(os.RemoveAll(f.Path), f.keeper.end())
}
