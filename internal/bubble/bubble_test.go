package bubble_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/groundhogdb/groundhog/internal/bubble"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestOutside: work is outside of the bubble, whose clock stands still meanwhile.
func TestOutside(t *testing.T) {
	t.Parallel()
	require.False(t, bubble.In())
	outer := t
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			require.True(t, bubble.In())
			require.True(t, bubble.Owns(t))
			require.False(t, bubble.Owns(outer))
			require.False(t, bubble.Owns(struct{ testing.TB }{t}))
			began := time.Now()
			var order []string
			require.NoError(t, bubble.Outside(t.Context(), func(ctx context.Context) {
				require.False(t, bubble.In())
				require.Greater(t, time.Now().Year(), 2000)
				order = append(order, "outside")
				bubble.Inside(ctx, func(context.Context) {
					require.True(t, bubble.In())
					order = append(order, "inside")
					require.NoError(t, bubble.Outside(ctx, func(context.Context) { order = append(order, "outside again") }))
				})
				<-time.After(time.Millisecond)
				order = append(order, "end")
			}))
			require.Equal(t, []string{"outside", "inside", "outside again", "end"}, order)
			require.Zero(t, time.Since(began))
		})
	}
	require.NoError(t, bubble.Outside(t.Context(), func(ctx context.Context) {
		require.Equal(t, t.Context(), ctx)
		bubble.Inside(ctx, func(context.Context) {})
	}))
}

// TestContexts: an end of the caller's context reaches the work.
func TestContexts(t *testing.T) {
	t.Parallel()
	type name struct{}
	over := errors.New("over")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(context.WithValue(t.Context(), name{}, "value"))
		require.NoError(t, bubble.Outside(ctx, func(ctx context.Context) {
			require.Equal(t, "value", ctx.Value(name{}))
			require.NoError(t, ctx.Err())
			child, stop := context.WithTimeout(ctx, time.Hour)
			defer stop()
			bubble.Inside(ctx, func(context.Context) { cancel(over) })
			<-child.Done()
			require.ErrorIs(t, ctx.Err(), context.Canceled)
			require.ErrorIs(t, context.Cause(child), over)
		}))
		late, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		time.Sleep(time.Minute)
		require.NoError(t, bubble.Outside(late, func(ctx context.Context) {
			<-ctx.Done()
			require.ErrorIs(t, ctx.Err(), context.DeadlineExceeded)
		}))
	})
}

// TestContextsWithAChannelOfTheBubble: the runtime ends the process when one is read
// outside, as Err of an ended context does.
func TestContextsWithAChannelOfTheBubble(t *testing.T) {
	t.Parallel()
	over := errors.New("over")
	synctest.Test(t, func(t *testing.T) {
		ended, cancel := context.WithCancelCause(t.Context())
		ended.Done()
		cancel(over)
		require.NoError(t, bubble.Outside(ended, func(ctx context.Context) {
			<-ctx.Done()
			require.ErrorIs(t, ctx.Err(), context.Canceled)
			require.ErrorIs(t, context.Cause(ctx), over)
		}))
		late, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		<-late.Done()
		require.NoError(t, bubble.Outside(late, func(ctx context.Context) {
			require.ErrorIs(t, ctx.Err(), context.DeadlineExceeded)
			bubble.Inside(ctx, func(ctx context.Context) { require.ErrorIs(t, ctx.Err(), context.DeadlineExceeded) })
		}))
		during, cancel := context.WithCancelCause(t.Context())
		during.Done()
		require.NoError(t, bubble.Outside(during, func(ctx context.Context) {
			require.NoError(t, ctx.Err())
			bubble.Inside(ctx, func(context.Context) { cancel(over) })
			<-ctx.Done()
			require.ErrorIs(t, ctx.Err(), context.Canceled)
		}))
	})
}

// TestEndsOfAllKinds: a panic and a Goexit, outside and inside, end both, after what
// was deferred.
func TestEndsOfAllKinds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		inside bool
		end    func()
		crash  any
	}{
		{"panic outside", false, func() { panic("boom") }, "boom"},
		{"panic inside", true, func() { panic("boom") }, "boom"},
		{"goexit outside", false, runtime.Goexit, nil},
		{"goexit inside", true, runtime.Goexit, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var returned, deferred, within bool
				var crash any
				var wg sync.WaitGroup
				wg.Go(func() {
					defer func() { crash = recover() }()
					_ = bubble.Outside(t.Context(), func(ctx context.Context) {
						defer func() {
							deferred = true
							bubble.Inside(ctx, func(context.Context) { within = bubble.In() })
						}()
						if c.inside {
							bubble.Inside(ctx, func(context.Context) { c.end() })
						} else {
							c.end()
						}
					})
					returned = true
				})
				wg.Wait()
				require.False(t, returned)
				require.True(t, deferred)
				require.True(t, within)
				require.Equal(t, c.crash, crash)
			})
		})
	}
}

func BenchmarkIn(b *testing.B) {
	for b.Loop() {
		bubble.In()
	}
}
