package fault

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// envChild names the function that this process is to run in place of tests.
const envChild = "GROUNDHOG_FAULT_CHILD"

// limit is how long the harness waits for what ought to come soon: a line, the
// end of a process, the end of leftovers. It is only reached on failure, and a
// machine with much else to do, under the race detector, is none.
const limit = 3 * time.Minute

// registered holds the names, so that a wrong one starts no child, which would
// run all tests again.
var registered = map[string]bool{}

// Register names a function that [Child] can run in a process of its own. Call
// it from an init function of the test package:
//
//	func init() { fault.Register("create", createForever) }
//
// In that process the function runs right here, so there is no TestMain, no
// set-up and no flag: imported packages and the variables of the test package
// are ready, its later init functions have not run. An error goes to standard
// error and makes the process exit with 1.
func Register(name string, run func(args []string) error) {
	registered[name] = true
	if os.Getenv(envChild) != name {
		return
	}
	// A grandchild that runs this binary again is an ordinary one.
	_ = os.Unsetenv(envChild)
	go func() {
		// The parent holds the other end for as long as it lives.
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(3)
	}()
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Child starts this test binary anew to run the function registered under the
// name, with the arguments. The process is killed when t ends, and ends by
// itself when the test binary is killed.
func Child(t testing.TB, name string, args ...string) *Process {
	t.Helper()
	return start(t, childCommand(t, name, args...), name)
}

func childCommand(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	if !registered[name] {
		t.Fatalf("fault: no child: nothing is registered as %q: call fault.Register in an init function of this package", name)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatalf("fault: no child: %v", err)
	}
	cmd := exec.Command(self, args...)
	// The race detector sleeps for a second at the exit of a process, which
	// would take up most of what KillAtRandom believes to be its run.
	cmd.Env = append(os.Environ(), envChild+"="+name, "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0")
	lifeline, err := cmd.StdinPipe()
	if err != nil {
		t.Fatalf("fault: no child: %v", err)
	}
	t.Cleanup(func() { _ = lifeline.Close() })
	return cmd
}

// Start starts any command, watched like a [Child]: its output is captured,
// and it is killed when t ends.
func Start(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	return start(t, cmd, cmd.String())
}

// Process is a running process of a test.
type Process struct {
	t              testing.TB
	name           string
	cmd            *exec.Cmd
	stdout, stderr output
	begun          time.Time
	done           chan struct{}
	exit           Exit // once done
}

// Exit tells how a process ended.
type Exit struct {
	Code           int            // -1 when a signal ended it
	Signal         syscall.Signal // the signal that ended it, else -1
	Stdout, Stderr string
	Took           time.Duration // from its start
}

// Killed reports whether SIGKILL ended the process.
func (e Exit) Killed() bool { return e.Signal == syscall.SIGKILL }

func (e Exit) String() string {
	how := fmt.Sprintf("exit code %d", e.Code)
	if e.Signal >= 0 {
		how = fmt.Sprintf("signal %q", e.Signal)
	}
	return fmt.Sprintf("%s after %s\nstdout:\n%s\nstderr:\n%s", how, e.Took, e.Stdout, e.Stderr)
}

// heldOutput is how long a dead process's output may stay open: longer means
// that something it started holds it, which keeps `go test` from ending too.
const heldOutput = 10 * time.Second

func start(t testing.TB, cmd *exec.Cmd, name string) *Process {
	t.Helper()
	p, err := launch(t, cmd, name)
	if err != nil {
		t.Fatalf("fault: %s did not start: %v", name, err)
	}
	return p
}

func launch(t testing.TB, cmd *exec.Cmd, name string) (*Process, error) {
	p := &Process{t: t, name: name, cmd: cmd, done: make(chan struct{})}
	p.stdout.more = make(chan struct{})
	p.stderr.more = make(chan struct{})
	cmd.Stdout, cmd.Stderr = &p.stdout, &p.stderr
	cmd.WaitDelay = heldOutput
	p.begun = time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	waited := make(chan error, 1)
	go func() {
		err := cmd.Wait()
		p.exit = exitOf(cmd.ProcessState, time.Since(p.begun))
		p.exit.Stdout, p.exit.Stderr = p.stdout.String(), p.stderr.String()
		waited <- err
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		if errors.Is(<-waited, exec.ErrWaitDelay) {
			t.Errorf("fault: %s has ended, but something that it started still held its output %s later", name, heldOutput)
		}
	})
	return p, nil
}

func exitOf(state *os.ProcessState, took time.Duration) Exit {
	e := Exit{Code: state.ExitCode(), Signal: -1, Took: took}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		e.Signal = status.Signal()
	}
	return e
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Line waits for a line of standard output that contains the text and returns
// it. It fails the test when the process ends without one.
func (p *Process) Line(text string) string {
	p.t.Helper()
	return p.line(&p.stdout, text)
}

// ErrLine is [Process.Line] for standard error.
func (p *Process) ErrLine(text string) string {
	p.t.Helper()
	return p.line(&p.stderr, text)
}

func (p *Process) line(from *output, text string) string {
	p.t.Helper()
	line, ok := p.await(from, text)
	if !ok {
		p.t.Fatalf("fault: %s ended without a line that contains %q: %s", p.name, text, p.exit)
	}
	return line
}

// await waits for the line or for the end of the process.
func (p *Process) await(from *output, text string) (line string, ok bool) {
	p.t.Helper()
	late := time.After(limit)
	for ended := false; ; {
		line, more := from.find(text)
		switch {
		case more == nil:
			return line, true
		case ended:
			return "", false
		}
		select {
		case <-more:
		case <-p.done:
			ended = true
		case <-late:
			p.t.Fatalf("fault: %s gave no line that contains %q within %s. stdout:\n%s\nstderr:\n%s",
				p.name, text, limit, p.stdout.String(), p.stderr.String())
		}
	}
}

// Signal sends the signal. A process that has ended gets none.
func (p *Process) Signal(sig os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatalf("fault: %s got no signal: %v", p.name, err)
	}
}

// Kill ends the process with SIGKILL, unless it has ended, and waits for its
// end.
func (p *Process) Kill() Exit {
	p.t.Helper()
	p.Signal(os.Kill)
	return p.Wait()
}

// Wait waits for the end of the process and of its output.
func (p *Process) Wait() Exit {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(limit):
		p.t.Fatalf("fault: %s did not end within %s. stdout:\n%s\nstderr:\n%s", p.name, limit, p.stdout.String(), p.stderr.String())
	}
	return p.exit
}

// output collects what a process writes and wakes who waits for more.
type output struct {
	mu   sync.Mutex
	all  bytes.Buffer
	more chan struct{} // closed and made anew by each write
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.more)
	o.more = make(chan struct{})
	return o.all.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.String()
}

// find returns the first whole line with the text; without one, a channel that
// is closed when there is more to look at.
func (o *output) find(text string) (line string, more <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for line := range strings.Lines(o.all.String()) {
		if whole, ok := strings.CutSuffix(line, "\n"); ok && strings.Contains(whole, text) {
			return whole, nil
		}
	}
	return "", o.more
}
