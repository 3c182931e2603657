package fault

import (
	"errors"
	"sync"

	"github.com/groundhogdb/groundhog/internal/snapfile"
)

// ErrInjected is what an operation that was made to fail returns.
var ErrInjected = errors.New("fault: injected")

// Files is the operating system's file operations, of which the n-th fails. It
// counts them, so that a test can try every n in turn.
type Files struct {
	mu     sync.Mutex
	n      int
	failAt int
	err    error
}

// FailAt returns file operations whose n-th, from 1, fails with err; none fails
// when n is 0. A write that fails has written half of its bytes.
func FailAt(n int, err error) *Files { return &Files{failAt: n, err: err} }

// Count tells how many operations there were.
func (f *Files) Count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

func (f *Files) step() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	if f.n == f.failAt {
		return f.err
	}
	return nil
}

// Create is os.OpenFile for a new file.
func (f *Files) Create(path string) (snapfile.File, error) {
	if err := f.step(); err != nil {
		return nil, err
	}
	file, err := snapfile.OS.Create(path)
	return &failingFile{File: file, fs: f}, err
}

// Rename is os.Rename.
func (f *Files) Rename(from, to string) error {
	if err := f.step(); err != nil {
		return err
	}
	return snapfile.OS.Rename(from, to)
}

// Remove is os.Remove.
func (f *Files) Remove(path string) error {
	if err := f.step(); err != nil {
		return err
	}
	return snapfile.OS.Remove(path)
}

// SyncDir syncs a folder.
func (f *Files) SyncDir(path string) error {
	if err := f.step(); err != nil {
		return err
	}
	return snapfile.OS.SyncDir(path)
}

type failingFile struct {
	snapfile.File
	fs *Files
}

func (f *failingFile) Write(p []byte) (int, error) {
	if err := f.fs.step(); err != nil {
		n, _ := f.File.Write(p[:len(p)/2])
		return n, err
	}
	return f.File.Write(p)
}

func (f *failingFile) Sync() error {
	if err := f.fs.step(); err != nil {
		return err
	}
	return f.File.Sync()
}

// Close closes the file whatever it returns, as the kernel does.
func (f *failingFile) Close() error {
	if err := f.fs.step(); err != nil {
		f.File.Close()
		return err
	}
	return f.File.Close()
}
