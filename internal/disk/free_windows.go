package disk

import "golang.org/x/sys/windows"

// Free returns how many bytes this user may still write in the folder. known is false
// if the system does not say.
func Free(dir string) (free int64, known bool) {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, false
	}
	var bytes uint64
	if err := windows.GetDiskFreeSpaceEx(path, &bytes, nil, nil); err != nil {
		return 0, false
	}
	return int64(bytes), true //nolint:gosec // no disk has so many
}
