//go:build linux || darwin || freebsd || dragonfly

package disk

import "golang.org/x/sys/unix"

// Free returns how many bytes an ordinary user may still write in the folder. known is
// false if the system does not say.
func Free(dir string) (free int64, known bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, false
	}
	return int64(uint64(s.Bavail) * uint64(s.Bsize)), true //nolint:unconvert,gosec // the fields' types differ from system to system
}
