//go:build !linux

package fault

import "testing"

// ChildWithShm needs Linux: elsewhere it skips t.
func ChildWithShm(t testing.TB, _, _, _ string, _ ...string) *Process {
	t.Helper()
	t.Skip("fault: another /dev/shm needs Linux")
	return nil
}
