// Package retry does work again after a connection fault: promise 7 of the
// library, for all its packages. Nothing else is retried: an error that the server gave
// for the work itself would only come back.
//
// The loop and its waits are those of github.com/avast/retry-go.
package retry

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	retrygo "github.com/avast/retry-go/v4"

	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/option"
)

// Attempts is how often work is tried unless a Policy says otherwise.
const Attempts = 3

// Waits are the waits after the first, second, … failure; the last one is for
// all that follow.
var Waits = []time.Duration{2 * time.Second, 4 * time.Second, 8 * time.Second, 10 * time.Second}

// jitter is how much longer a wait may be, as a part of it, so that processes
// that lost the same server don't come back at the same moment. The longest
// wait stays the longest.
const jitter = 0.05

// Policy says how often work is tried and how long is waited in between. Its
// zero value is the promise: 3 attempts, waits of 2 s and 4 s, no log.
type Policy struct {
	Attempts int             // at most; below 1 stands for the default
	Waits    []time.Duration // in place of the default ones
	Logger   *slog.Logger    // gets one line a retry; nil: none
	Lang     msg.Lang
	What     string // names the work in the log: "public.staffs"
}

// Set takes over what the option WithRetry of a public package was given. It adds to
// faults what is wrong with that, and then changes nothing.
func (p *Policy) Set(attempts int, waits []time.Duration, faults *option.Faults) {
	valid := true
	if attempts < 1 {
		faults.Add(msg.RetryAttempts, msg.Count(attempts))
		valid = false
	}
	for _, wait := range waits {
		if wait < 0 {
			faults.Add(msg.RetryWait, wait.String())
			valid = false
		}
	}
	if valid {
		p.Attempts, p.Waits = attempts, slices.Clone(waits)
	}
}

// Most returns the number of attempts that are made at most.
func (p Policy) Most() int {
	if p.Attempts < 1 {
		return Attempts
	}
	return p.Attempts
}

// Do calls work until it succeeds, fails with anything but a connection fault, or the
// attempts are used up. It returns what the last call returned;
// after several attempts the text says how many there were. When ctx ends during a
// wait, the error is of both: the context's cause and the fault.
func (p Policy) Do(ctx context.Context, work func(context.Context) error) error {
	tried := 0
	var last error
	err := retrygo.Do(
		func() error {
			tried++
			last = work(ctx)
			return last
		},
		retrygo.Context(ctx),
		retrygo.Attempts(0), // as many as RetryIf lets through
		retrygo.RetryIf(func(err error) bool { return fault(err) && ctx.Err() == nil && tried < p.Most() }),
		retrygo.DelayType(func(_ uint, err error, _ *retrygo.Config) time.Duration {
			wait := p.wait(tried)
			p.log(ctx, msg.RetryWaiting, "attempt", tried, "of", p.Most(),
				"wait", wait.Round(100*time.Millisecond).String(), "error", errs.Text(err))
			return wait
		}),
	)
	switch {
	case err == nil || tried == 0:
		return err
	case ctx.Err() != nil && fault(last):
		return &gaveUp{text: msg.RetryEnded.In(p.Lang, msg.Count(tried)), causes: []error{last, context.Cause(ctx)}}
	case tried > 1:
		return &gaveUp{text: msg.RetryGivenUp.In(p.Lang, msg.Count(tried)), causes: []error{last}}
	}
	return last
}

// wait returns how long to wait after the n-th failure.
func (p Policy) wait(n int) time.Duration {
	waits := p.Waits
	if len(waits) == 0 {
		waits = Waits
	}
	wait := waits[min(n, len(waits))-1]
	longer := time.Duration(rand.Float64() * jitter * float64(wait))
	return max(wait, min(wait+longer, waits[len(waits)-1]))
}

func (p Policy) log(ctx context.Context, text msg.Text, attrs ...any) {
	if p.Logger == nil {
		return
	}
	if p.What != "" {
		attrs = append([]any{"what", p.What}, attrs...)
	}
	p.Logger.WarnContext(ctx, text.In(p.Lang), attrs...)
}

// fault reports whether the error is a connection fault: one of class
// [errs.ErrConnection], or one that [errs.Class] puts there. A commit whose
// answer was lost is none, since doing it again could store rows twice. Nor is an error
// on an argument: what its cause looks like may come from a method of the caller's.
func fault(err error) bool {
	return err != nil && !errors.Is(err, errs.ErrCommitUnknown) && !errors.Is(err, errs.ErrInvalidArgument) &&
		(errors.Is(err, errs.ErrConnection) || errs.IsClass(err, errs.ErrConnection))
}

// Retryable reports whether work that failed with the error is worth another
// attempt: a connection fault, while the context lives.
func Retryable(ctx context.Context, err error) bool { return ctx.Err() == nil && fault(err) }

// gaveUp is the end of several attempts.
type gaveUp struct {
	errs.Whole

	text   string
	causes []error
}

func (e *gaveUp) Error() string {
	text := "groundhog: " + e.text
	for _, cause := range e.causes {
		text = errs.Describe(text, cause)
	}
	return text
}

func (e *gaveUp) Unwrap() []error { return e.causes }
