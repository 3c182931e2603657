//go:build unix

package fault

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
)

// alive reports whether the process lives, by its state where that can be seen, since a
// zombie answers signals.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return syscall.Kill(pid, 0) == nil
	}
	_, state, _ := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte{' '})
	return len(state) > 0 && state[0] != 'Z' && state[0] != 'X'
}
