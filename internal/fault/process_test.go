package fault_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/fault"
)

// greeting is a package variable, which a child must find ready.
var greeting = strings.Repeat("hello ", 2)

func init() {
	fault.Register("greet", func(args []string) error {
		fmt.Println(greeting + strings.Join(args, ","))
		fmt.Fprintln(os.Stderr, "to the other side")
		return nil
	})
	fault.Register("fail", func([]string) error { return errors.New("no luck") })
	fault.Register("crash", func([]string) error { panic("at the disco") })
	fault.Register("wait", func([]string) error {
		fmt.Println("waiting")
		select {}
	})
	fault.Register("nest", nest)
	fault.Register("count", count)
	fault.Register("orphan", orphan)
}

// nest starts a child of its own and waits for ever.
func nest([]string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "GROUNDHOG_FAULT_CHILD=wait")
	lifeline, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	defer lifeline.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		return err
	}
	fmt.Println("grandchild", cmd.Process.Pid)
	return cmd.Wait()
}

// count writes numbers to a file, a step each millisecond.
func count(args []string) error {
	f, err := os.Create(args[0])
	if err != nil {
		return err
	}
	defer f.Close()
	for i := range 100 {
		if _, err := fmt.Fprintln(f, i); err != nil {
			return err
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// orphan leaves a process and a folder behind.
func orphan(args []string) error {
	dir, err := os.MkdirTemp(args[0], "left")
	if err != nil {
		return err
	}
	cmd := exec.Command("sleep", "60")
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		return err
	}
	fmt.Println(cmd.Process.Pid)
	return nil
}

func TestChild(t *testing.T) {
	t.Parallel()
	exit := fault.Child(t, "greet", "a", "-b").Wait()
	require.Zero(t, exit.Code, "%s", exit)
	require.Equal(t, "hello hello a,-b\n", exit.Stdout)
	require.Equal(t, "to the other side\n", exit.Stderr)
	require.False(t, exit.Killed())
	require.Positive(t, exit.Took)
}

func TestChildFails(t *testing.T) {
	t.Parallel()
	exit := fault.Child(t, "fail").Wait()
	require.Equal(t, 1, exit.Code)
	require.Equal(t, "no luck\n", exit.Stderr)

	exit = fault.Child(t, "crash").Wait()
	require.Equal(t, 2, exit.Code)
	require.Contains(t, exit.Stderr, "at the disco")
}

func TestChildIsKilled(t *testing.T) {
	t.Parallel()
	p := fault.Child(t, "wait")
	require.Equal(t, "waiting", p.Line("wait"))
	exit := p.Kill()
	require.True(t, exit.Killed(), "%s", exit)
	require.Equal(t, -1, exit.Code)
	fault.Gone(t, p.PID())
	p.Signal(os.Interrupt) // too late, and no failure

	p = fault.Child(t, "wait")
	p.Line("wait")
	p.Signal(os.Interrupt)
	require.Equal(t, syscall.SIGINT, p.Wait().Signal)
}

func TestChildEndsWithItsParent(t *testing.T) {
	t.Parallel()
	p := fault.Child(t, "nest")
	grandchild, err := strconv.Atoi(strings.TrimPrefix(p.Line("grandchild"), "grandchild "))
	require.NoError(t, err)
	require.True(t, p.Kill().Killed())
	fault.Gone(t, grandchild)
}

func TestChildEndsWithItsTest(t *testing.T) {
	t.Parallel()
	var pid int
	t.Run("inner", func(t *testing.T) {
		p := fault.Child(t, "wait")
		p.Line("wait")
		pid = p.PID()
	})
	fault.Gone(t, pid)
}

func TestChildOfNoName(t *testing.T) {
	t.Parallel()
	failed := failure(t, func(t testing.TB) { fault.Child(t, "nobody") })
	require.Contains(t, failed, `nothing is registered as "nobody"`)
}

func TestChildWithoutTheLine(t *testing.T) {
	t.Parallel()
	failed := failure(t, func(t testing.TB) { fault.Child(t, "greet").Line("good night") })
	require.Contains(t, failed, `ended without a line that contains "good night"`)
	require.Contains(t, failed, greeting, "what it said instead")
}

func TestStartAnyCommand(t *testing.T) {
	t.Parallel()
	p := fault.Start(t, exec.Command("sh", "-c", "echo one; echo two >&2; exit 7"))
	require.Equal(t, "two", p.ErrLine("tw"))
	require.Equal(t, "one", p.Line("one"))
	require.Equal(t, 7, p.Wait().Code)
}

func TestKillAtRandom(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "numbers")
	var whole int
	halves := map[int]bool{}
	fault.KillAtRandom(t, 8, func() *fault.Process { return fault.Child(t, "count", file) }, func(run int, exit fault.Exit) {
		got, err := os.ReadFile(file)
		if exit.Killed() && os.IsNotExist(err) {
			return // killed before it came to that
		}
		require.NoError(t, err)
		lines := strings.Count(string(got), "\n")
		if run == 0 {
			whole = lines
		}
		if exit.Killed() {
			halves[lines] = true
		}
		require.NoError(t, os.Remove(file))
	})
	require.Equal(t, 100, whole)
	require.Greater(t, len(halves), 1, "all kills came at the same moment: %v", halves)
}

func TestKillAtRandomWantsKills(t *testing.T) {
	t.Parallel()
	failed := failure(t, func(t testing.TB) {
		fault.KillAtRandom(t, 1, func() *fault.Process { return fault.Child(t, "fail") }, func(int, fault.Exit) {})
	})
	require.Contains(t, failed, "no luck")

	failed = failure(t, func(t testing.TB) {
		begin := func() *fault.Process {
			p := fault.Child(t, "greet")
			p.Wait()
			return p
		}
		fault.KillAtRandom(t, 2, begin, func(int, fault.Exit) {})
	})
	require.Contains(t, failed, "none of 12 runs was killed")
}
