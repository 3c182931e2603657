// Package bubble lets groundhog be used inside the bubbles of testing/synctest.
//
// A timer, a channel or a wait group that is made in a bubble must not be used
// outside: the runtime ends the process. Clocks are not real there. So what groundhog
// does for a caller in a bubble it does outside of it ([Outside]), on a goroutine that
// ends with the call. Only what belongs to the caller runs inside ([Inside]): its
// functions, and the pools that it is given.
package bubble

import (
	"bytes"
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
)

// In reports whether the caller runs in a bubble. Only the runtime knows, and it
// writes that into the first line of a goroutine's stack trace: "goroutine 7
// [running, synctest bubble 1]:". That costs some microseconds, and more the more calls are
// on the stack. So another goroutine asks, which belongs to the same bubble.
func In() bool {
	answer := make(chan bool)
	go func() { answer <- in() }()
	return <-answer
}

func in() bool {
	var buffer [96]byte
	trace := buffer[:runtime.Stack(buffer[:], false)]
	header, _, _ := bytes.Cut(trace, []byte{'\n'})
	return bytes.Contains(header, []byte(", synctest bubble"))
}

// Owns reports whether t is the one that synctest.Test gave to the function that runs
// in the bubble: its cleanups run in the bubble, those of any other test after it. It
// reports false for a t of another type than testing's.
func Owns(t testing.TB) (owns bool) {
	d, ok := t.(interface{ Deadline() (time.Time, bool) })
	if !ok {
		return false
	}
	// It panics in a bubble, and just there.
	defer func() { owns = recover() != nil }()
	d.Deadline()
	return false
}

// Do is Outside for work that returns something.
func Do[T any](ctx context.Context, work func(context.Context) (T, error)) (out T, err error) {
	if none := Outside(ctx, func(ctx context.Context) { out, err = work(ctx) }); none != nil {
		return out, none
	}
	return out, err
}

// Err is Outside for work that returns an error.
func Err(ctx context.Context, work func(context.Context) error) (err error) {
	if none := Outside(ctx, func(ctx context.Context) { err = work(ctx) }); none != nil {
		return none
	}
	return err
}

// Outside calls work outside of any bubble and waits until it returns. A caller that
// is in no bubble calls work itself. The context that work gets ends with ctx and has
// its values, but no channel or timer of the bubble. A panic of work, and its
// runtime.Goexit, go on in the caller.
//
// The error is of class ErrInvalidArgument: the runtime has no way out of the bubble.
func Outside(ctx context.Context, work func(context.Context)) error {
	if !In() {
		work(ctx)
		return nil
	}
	j := &job{ctx: ctx}
	// The context is asked inside: what it answers by may be a channel of the bubble.
	ends := ctx.Done() != nil
	ended, cause := ctx.Err(), context.Cause(ctx)
	j.caller.Lock()
	j.worker.Lock()
	stop := func() bool { return true }
	defer func() { stop() }()
	started := leave(func() {
		defer j.end()
		// The channel of the context is made at the first call of Done.
		outer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
		outer.Done()
		defer cancel(nil)
		why := &atomic.Pointer[error]{}
		end := func(err, cause error) {
			why.Store(&err)
			cancel(cause)
		}
		switch {
		case ended != nil:
			end(ended, cause)
		case ends:
			j.inside(func() { stop = context.AfterFunc(ctx, func() { end(ctx.Err(), context.Cause(ctx)) }) })
		}
		work(context.WithValue(outerContext{outer, why}, key{}, j))
		j.returned = true
	})
	if !started {
		return errs.New(errs.ErrInvalidArgument, msg.NoWayOut.In(""), nil)
	}
	j.serve()
	switch {
	case j.crash != nil:
		panic(j.crash)
	case !j.returned:
		runtime.Goexit()
	}
	return nil
}

// Inside calls f in the bubble of the caller that the context came from by [Outside],
// with the caller's own context, since one that was made inside would be closed from
// outside when its parent ends. Where there is no such caller it calls f itself. When f panics or ends its goroutine, as t.Fatal does,
// it does so in the caller, and the goroutine of Inside ends too, so that deferred
// functions run.
func Inside(ctx context.Context, f func(context.Context)) {
	if j, ok := ctx.Value(key{}).(*job); ok && !In() {
		j.inside(func() { f(j.ctx) })
		return
	}
	f(ctx)
}

// Calls reports whether the context came, by [Outside], from a caller in a bubble.
func Calls(ctx context.Context) bool {
	_, ok := ctx.Value(key{}).(*job)
	return ok
}

type key struct{}

// outerContext ends with what the context of the caller ended with.
type outerContext struct {
	context.Context
	why *atomic.Pointer[error] // what that is
}

func (c outerContext) Err() error {
	err := c.Context.Err()
	if why := c.why.Load(); err != nil && why != nil {
		return *why
	}
	return err
}

// job is work outside, for a caller inside. One of the two waits for the other, by
// locking a mutex which that one unlocks: a channel would be the bubble's or not.
type job struct {
	ctx            context.Context // the caller's
	caller, worker sync.Mutex

	call     func() // that the worker wants to be called inside; nil: it has ended
	aborted  bool   // the call did not return
	returned bool   // the work did
	crash    any    // what it panicked with
}

// inside is called by the worker.
func (j *job) inside(f func()) {
	j.call = f
	j.caller.Unlock()
	j.worker.Lock()
	if j.aborted {
		j.aborted = false
		runtime.Goexit()
	}
}

// end is the end of the worker, however it came.
func (j *job) end() {
	if !j.returned {
		j.crash = recover()
	}
	j.call = nil
	j.caller.Unlock()
}

// serve makes the calls that the worker wants until it has ended.
func (j *job) serve() {
	for {
		j.caller.Lock()
		if j.call == nil {
			return
		}
		j.serveOne()
	}
}

func (j *job) serveOne() {
	returned := false
	defer func() {
		j.aborted = !returned
		j.worker.Unlock()
		if !returned {
			j.serve() // what the deferred functions of the worker want
		}
	}()
	j.call()
	returned = true
}

// leave calls f on a goroutine that is in no bubble, and reports whether it could. A go statement makes one in the
// bubble of its caller; but the runtime promises that cleanups run outside of any.
// Having one run takes a garbage collection, some milliseconds. A goroutine that
// waits all the time for work would be found by those who look for leaks.
func leave(f func()) (ok bool) {
	const collections, yields = 100, 1000
	ran := &atomic.Bool{}
	dispose(func() {
		if ran.CompareAndSwap(false, true) {
			go f()
		}
	})
	for range collections {
		runtime.GC()
		for range yields {
			if ran.Load() {
				return true
			}
			runtime.Gosched()
		}
	}
	// It must not run later, when nothing waits for it.
	return !ran.CompareAndSwap(false, true)
}

// dispose has f called by the next garbage collection, since nothing refers to what
// it is the cleanup of.
//
//go:noinline
func dispose(f func()) {
	type thing struct {
		_ *thing
		_ [64]byte
	}
	runtime.AddCleanup(&thing{}, func(f func()) { f() }, f)
}
