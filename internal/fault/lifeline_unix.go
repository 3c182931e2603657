//go:build unix

package fault

import (
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"testing"
)

// lifeline ends a server, and removes its folder, when this process is gone before the
// server was ended: a test that panics, or that go test kills after its time, cleans
// nothing up.
const lifeline = `read -r line && exit
kill -QUIT "$1"
while kill -0 "$1" 2>/dev/null && sleep 0.1; do :; done
rm -rf "$2"`

// endWithProcess makes the server with that process id end with this process. The caller
// calls ended after it has ended the server.
func endWithProcess(pid int, dir string) (ended func() error, err error) {
	cmd := exec.Command("/bin/sh", "-c", lifeline, "lifeline", fmt.Sprint(pid), dir)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt from the terminal is ours to pass on
	end, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func() error {
		_, _ = io.WriteString(end, "\n")
		return cmd.Wait()
	}, nil
}

// startServer is [Start] for a server that lies in a folder of the test's.
func startServer(t testing.TB, cmd *exec.Cmd, dir string) *Process {
	t.Helper()
	p := Start(t, cmd)
	ended, err := endWithProcess(cmd.Process.Pid, dir)
	if err != nil {
		t.Fatalf("fault: no server: %v\n%s", err, p.Kill())
	}
	AtEnd(t, func() error {
		p.Signal(syscall.SIGQUIT)
		p.Wait()
		return ended()
	})
	return p
}
