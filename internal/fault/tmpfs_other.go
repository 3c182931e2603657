//go:build !linux

package fault

import "testing"

// TmpFS returns a folder on a file system that holds size bytes and no more.
// It needs Linux: elsewhere it skips t.
func TmpFS(t testing.TB, _ int64) string {
	t.Helper()
	t.Skip("fault: a file system of a given size needs Linux")
	return ""
}
