package fault

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// AtEnd calls f when t ends, and makes t fail with its error. That ends no
// cleanup, as require would: where subtests ran in parallel, Go then tells neither
// the error nor the name of the test.
func AtEnd(t testing.TB, f func() error) {
	t.Helper()
	t.Cleanup(func() {
		if err := f(); err != nil {
			t.Error(err)
		}
	})
}

// Within runs f, and makes t fail when f panics or takes longer than any call may.
func Within(t testing.TB, what string, f func()) {
	t.Helper()
	const limit = 10 * time.Second
	done := make(chan any, 1)
	go func() {
		defer func() { done <- recover() }()
		f()
	}()
	select {
	case p := <-done:
		if p != nil {
			t.Errorf("%s panicked: %v", what, p)
		}
	case <-time.After(limit):
		stacks := make([]byte, 1<<20)
		t.Fatalf("%s hangs\n%s", what, stacks[:runtime.Stack(stacks, true)])
	}
}

// TempDir is the folder for temporary files, as long as a socket can be made two
// folders below it, else /tmp. Unlike t.TempDir it lets in the user that a server
// of root's runs as.
func TempDir() string {
	if dir := os.TempDir(); len(dir) <= 24 {
		return dir
	}
	return "/tmp"
}

// NoGoroutines makes t fail when, at its end, a goroutine runs that did not run
// when NoGoroutines was called. Goroutines need a moment to end and get it.
// Tests that run beside t would be blamed on it, so t must not be parallel.
func NoGoroutines(t testing.TB) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	// Up to pgx 5.7 it sleeps for half a second, whether its pool is closed or not.
	sleeper := goleak.IgnoreAnyFunction("github.com/jackc/pgx/v5/pgxpool.(*Pool).triggerHealthCheck.func1")
	t.Cleanup(func() { goleak.VerifyNone(t, before, sleeper) })
}

// NoLeftovers makes t fail when, at its end, the folder has an entry that it
// had not before, or the data of a server in it still lies in memory, or a process
// is alive that has the folder in its command line or as its working folder. Leftovers get a moment to go away. Call it
// first, so that it looks last; the folder should be t's own, such as one that
// stands for TMPDIR in a [Child].
func NoLeftovers(t testing.TB, dir string) {
	t.Helper()
	noLeftovers(t, dir, limit/6)
}

func noLeftovers(t testing.TB, dir string, patience time.Duration) {
	t.Helper()
	before := entries(t, dir)
	t.Cleanup(func() {
		var left []string
		for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
			left = append(Processes(dir), dataInMemory(dir)...)
			for _, entry := range entries(t, dir) {
				if !slices.Contains(before, entry) {
					left = append(left, filepath.Join(dir, entry))
				}
			}
			if len(left) == 0 {
				return
			}
			if time.Now().After(deadline) {
				break
			}
		}
		t.Errorf("fault: left behind in %s:\n%s", dir, strings.Join(left, "\n"))
	})
}

// dataInMemory lists the folders in memory that have the data of servers in dir. A link in
// each tells whose it is.
func dataInMemory(dir string) (out []string) {
	links, _ := filepath.Glob("/dev/shm/groundhog-memory-*/server")
	for _, link := range links {
		if server, err := os.Readlink(link); err == nil && strings.HasPrefix(server, dir+"/") {
			out = append(out, filepath.Dir(link))
		}
	}
	return out
}

func entries(t testing.TB, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Errorf("fault: what is left behind can't be seen: %v", err)
		return nil
	}
	names := make([]string, len(list))
	for i, entry := range list {
		names[i] = entry.Name()
	}
	return names
}

// Processes lists the living processes, but for this one, that have the text
// in their command line or in the path of their working folder: "pid: command
// line". A zombie has ended. It knows Linux only and finds none elsewhere.
func Processes(text string) []string {
	var out []string
	folders, _ := filepath.Glob("/proc/[0-9]*")
	for _, proc := range folders {
		pid, _ := strconv.Atoi(filepath.Base(proc))
		command, _ := os.ReadFile(filepath.Join(proc, "cmdline")) // empty for a zombie
		command = bytes.TrimSpace(bytes.ReplaceAll(command, []byte{0}, []byte{' '}))
		folder, _ := os.Readlink(filepath.Join(proc, "cwd"))
		if pid != os.Getpid() && len(command) > 0 && (bytes.Contains(command, []byte(text)) || strings.Contains(folder, text)) {
			out = append(out, fmt.Sprintf("%d: %s", pid, command))
		}
	}
	return out
}

// Gone waits until the process has ended, be it a zombie, and fails t when it
// does not.
func Gone(t testing.TB, pid int) {
	t.Helper()
	for deadline := time.Now().Add(limit); alive(pid); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("fault: process %d is still alive %s later", pid, limit)
		}
	}
}
