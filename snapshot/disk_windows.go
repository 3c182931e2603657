package snapshot

import "golang.org/x/sys/windows"

// freeRoom returns how many bytes this user may still write in the folder, if
// the system tells.
func freeRoom(dir string) (free int64, known bool) {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, false
	}
	var bytes uint64
	if err := windows.GetDiskFreeSpaceEx(path, &bytes, nil, nil); err != nil {
		return 0, false
	}
	return int64(bytes), true
}
