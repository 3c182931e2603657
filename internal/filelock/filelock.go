// Package filelock locks files between processes, also those whose owner removes
// them while others wait. The kernel unlocks the files of a process that dies.
//
// The locking is github.com/gofrs/flock's.
package filelock

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/gofrs/flock"
)

// interval is the time between two attempts: no system can wait for a lock and for
// the end of a context.
const interval = 5 * time.Millisecond

// Lock locks the file at path, which it makes with perm if it is not there. It waits
// while another holds the lock, until ctx ends. What is there and is not a regular
// file, such as a link, is an error.
func Lock(ctx context.Context, path string, perm fs.FileMode) (*flock.Flock, error) {
	for {
		l, err := open(path, perm)
		if err != nil {
			return nil, err
		}
		if _, err := l.TryLockContext(ctx, interval); err != nil {
			return nil, errors.Join(err, l.Close())
		}
		if held, err := still(l); held || err != nil {
			return l, err
		}
	}
}

// Try is Lock that does not wait: it returns nil if another holds the lock, or removed
// the file in the meantime.
func Try(path string, perm fs.FileMode) (*flock.Flock, error) {
	l, err := open(path, perm)
	if err != nil {
		return nil, err
	}
	if ok, err := l.TryLock(); err != nil || !ok {
		return nil, errors.Join(err, l.Close())
	}
	held, err := still(l)
	if !held {
		l = nil
	}
	return l, err
}

func open(path string, perm fs.FileMode) (*flock.Flock, error) {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "lock", Path: path, Err: errors.New(info.Mode().Type().String())}
	}
	return flock.New(path, flock.SetPermissions(perm)), nil
}

// still reports whether the file that was locked is the one at its path. It unlocks
// another one.
func still(l *flock.Flock) (held bool, err error) {
	locked, err := l.Stat()
	if err == nil {
		var now fs.FileInfo
		if now, err = os.Lstat(l.Path()); err == nil && os.SameFile(locked, now) {
			return true, nil
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return false, errors.Join(err, l.Close())
}
