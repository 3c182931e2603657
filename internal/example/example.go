// Package example lets Example functions, which are given no testing.TB, show what
// wants one.
package example

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"testing"
)

// Test runs f like a test, and what it left to t.Cleanup. The log of one that fails, or
// skips, is printed, so the example's output is another than the one expected.
func Test(f func(t testing.TB)) {
	ctx, cancel := context.WithCancel(context.Background())
	t := &tb{ctx: ctx}
	alone(func() { f(t) })
	cancel()
	for len(t.cleanups) > 0 {
		last := t.cleanups[len(t.cleanups)-1]
		t.cleanups = t.cleanups[:len(t.cleanups)-1]
		alone(last)
	}
	if t.failed || t.skipped {
		fmt.Print(string(t.log))
	}
}

// alone runs f in a goroutine of its own, which t.FailNow ends.
func alone(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

// tb has what tests of databases use; the rest panics.
type tb struct {
	testing.TB
	ctx             context.Context
	cleanups        []func()
	log             []byte
	failed, skipped bool
}

func (t *tb) Name() string              { return "Example" }
func (t *tb) Context() context.Context  { return t.ctx }
func (t *tb) Helper()                   {}
func (t *tb) Cleanup(f func())          { t.cleanups = append(t.cleanups, f) }
func (t *tb) Failed() bool              { return t.failed }
func (t *tb) Output() io.Writer         { return t }
func (t *tb) Log(args ...any)           { _, _ = fmt.Fprintln(t, args...) }
func (t *tb) Logf(f string, a ...any)   { t.Log(fmt.Sprintf(f, a...)) }
func (t *tb) Fail()                     { t.failed = true }
func (t *tb) FailNow()                  { t.Fail(); runtime.Goexit() }
func (t *tb) Error(args ...any)         { t.Log(args...); t.Fail() }
func (t *tb) Errorf(f string, a ...any) { t.Error(fmt.Sprintf(f, a...)) }
func (t *tb) Fatal(args ...any)         { t.Log(args...); t.FailNow() }
func (t *tb) Fatalf(f string, a ...any) { t.Fatal(fmt.Sprintf(f, a...)) }

func (t *tb) Skip(args ...any) {
	t.Log(args...)
	t.skipped = true
	runtime.Goexit()
}

func (t *tb) Write(p []byte) (int, error) {
	t.log = append(t.log, p...)
	return len(p), nil
}

func (t *tb) TempDir() string {
	dir, err := os.MkdirTemp("", "groundhog-example-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func (t *tb) Setenv(name, value string) {
	before, was := os.LookupEnv(name)
	if err := os.Setenv(name, value); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = os.Unsetenv(name)
		if was {
			_ = os.Setenv(name, before)
		}
	})
}
