//go:build unix

package fault_test

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/fault"
)

func init() {
	fault.Register("serve", func(args []string) error {
		cmd := exec.Command("sleep", "600")
		if err := cmd.Start(); err != nil {
			return err
		}
		ended, err := fault.EndWithProcess(cmd.Process.Pid, args[0])
		if err != nil {
			return err
		}
		fmt.Println(cmd.Process.Pid)
		switch args[1] {
		case "panic":
			panic("as a test does")
		case "end": // as a test does that cleans up
			return ended()
		}
		select {}
	})
}

func TestAServerEndsWithItsProcess(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"killed", "panic", "end"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			p := fault.Child(t, "serve", dir, how)
			pid, err := strconv.Atoi(strings.TrimSpace(p.Line("")))
			require.NoError(t, err)
			if how == "killed" {
				p.Kill()
			}
			p.Wait()
			if how == "end" {
				require.True(t, fault.Alive(pid), "it is not ended twice: another process may have its id")
				server, err := os.FindProcess(pid)
				require.NoError(t, err)
				require.NoError(t, server.Kill())
				require.DirExists(t, dir)
				return
			}
			require.Eventually(t, func() bool {
				_, err := os.Stat(dir)
				return !fault.Alive(pid) && os.IsNotExist(err)
			}, time.Minute, 10*time.Millisecond)
		})
	}
}
