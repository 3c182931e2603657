//go:build unix

package snapfile

import (
	"errors"
	"os"
	"syscall"
)

// syncDir accepts EINVAL: some network and FUSE file systems have no sync of
// folders.
func syncDir(dir *os.File) error {
	if err := dir.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}
