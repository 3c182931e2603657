package retry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/option"
)

// steps returns work that fails with the errors one after the other and then
// succeeds, noting when it was called.
func steps(failures ...error) (work func(context.Context) error, called *[]time.Time) {
	called = new([]time.Time)
	return func(context.Context) error {
		*called = append(*called, time.Now())
		if i := len(*called) - 1; i < len(failures) {
			return failures[i]
		}
		return nil
	}, called
}

var errCut = fmt.Errorf("read: %w", io.ErrUnexpectedEOF)

// Time is synctest's: waits of seconds take none.
func TestThreeAttemptsWithWaitsOfTwoAndFourSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		work, called := steps(errCut, errCut, errCut, errCut)
		err := Policy{}.Do(t.Context(), work)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.EqualError(t, err, "groundhog: given up after 3 attempts: read: unexpected EOF")
		requireWaits(t, *called, 2*time.Second, 4*time.Second)
	})
}

func TestFurtherWaitsAreEightAndThenTenSecondsAtMost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		work, called := steps(errCut, errCut, errCut, errCut, errCut, errCut)
		require.NoError(t, Policy{Attempts: 7}.Do(t.Context(), work))
		requireWaits(t, *called, 2*time.Second, 4*time.Second, 8*time.Second, 10*time.Second, 10*time.Second, 10*time.Second)
		last := *called
		require.Equal(t, 10*time.Second, last[6].Sub(last[5]), "no jitter beyond the longest")
	})
}

func requireWaits(t *testing.T, called []time.Time, want ...time.Duration) {
	t.Helper()
	require.Len(t, called, len(want)+1)
	for i, w := range want {
		waited := called[i+1].Sub(called[i])
		require.GreaterOrEqual(t, waited, w)
		require.LessOrEqual(t, waited, w+w/20)
	}
}

func TestJitterDiffers(t *testing.T) {
	t.Parallel()
	seen := map[time.Duration]bool{}
	for range 100 {
		seen[Policy{}.wait(1)] = true
	}
	require.Greater(t, len(seen), 50)
}

func TestOnlyConnectionFaultsAreRetried(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err   error
		again bool
	}{
		"broken socket":    {&net.OpError{Op: "read", Err: errors.New("reset")}, true},
		"end of file":      {io.EOF, true},
		"classified":       {errs.New(errs.ErrConnection, "lost", nil), true},
		"08006":            {&pgconn.PgError{Code: "08006"}, true},
		"admin shutdown":   {&pgconn.PgError{Code: "57P01"}, true},
		"crash shutdown":   {&pgconn.PgError{Code: "57P02"}, true},
		"cannot connect":   {&pgconn.PgError{Code: "57P03"}, true},
		"unique violation": {&pgconn.PgError{Code: "23505"}, false},
		"bad value":        {&pgconn.PgError{Code: "22P02"}, false},
		"query cancelled":  {&pgconn.PgError{Code: "57014"}, false},
		"wrong password":   {&pgconn.PgError{Code: "28P01"}, false},
		"commit unknown":   {errs.New(errs.ErrCommitUnknown, "?", io.ErrUnexpectedEOF), false},
		"cancelled":        {context.Canceled, false},
		"anything":         {errors.New("anything"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			work, called := steps(c.err)
			err := Policy{Waits: []time.Duration{time.Nanosecond}}.Do(t.Context(), work)
			if c.again {
				require.NoError(t, err)
				require.Len(t, *called, 2)
			} else {
				require.Same(t, c.err, err, "as it is")
				require.Len(t, *called, 1)
			}
		})
	}
}

func TestOneAttemptSwitchesItOff(t *testing.T) {
	t.Parallel()
	work, called := steps(errCut)
	require.Equal(t, errCut, Policy{Attempts: 1}.Do(t.Context(), work))
	require.Len(t, *called, 1)
}

func TestAFaultThenAnotherErrorEnds(t *testing.T) {
	t.Parallel()
	refused := &pgconn.PgError{Code: "23505"}
	work, called := steps(errCut, refused)
	require.ErrorIs(t, Policy{Waits: []time.Duration{0}}.Do(t.Context(), work), refused)
	require.Len(t, *called, 2)
}

func TestContextEndsAWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		work, called := steps(errCut, errCut)
		began := time.Now()
		err := Policy{Lang: msg.Japanese}.Do(ctx, work)
		require.Equal(t, time.Second, time.Since(began))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.ErrorContains(t, err, "コンテキスト")
		require.Len(t, *called, 1)
	})
}

func TestEndedContextDoesNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	work, called := steps()
	require.ErrorIs(t, Policy{}.Do(ctx, work), context.Canceled)
	require.Empty(t, *called)
}

func TestPanicComesThrough(t *testing.T) {
	t.Parallel()
	require.PanicsWithValue(t, "boom", func() {
		_ = Policy{}.Do(t.Context(), func(context.Context) error { panic("boom") })
	})
}

func TestThePrefixStandsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lost := fmt.Errorf("public.t: %w", errs.New(errs.ErrConnection, "lost", &pgconn.PgError{Severity: "FATAL", Code: "57P01", Message: "m", Detail: "By the test."}))
		work, _ := steps(lost, lost, lost)
		require.EqualError(t, Policy{}.Do(t.Context(), work), "groundhog: given up after 3 attempts: public.t: lost: FATAL: m (SQLSTATE 57P01)\nDETAIL: By the test.")
	})
}

func TestSet(t *testing.T) {
	t.Parallel()
	var p Policy
	var faults option.Faults
	require.Equal(t, Attempts, p.Most())
	waits := []time.Duration{time.Second, 0}
	p.Set(2, waits, &faults)
	require.NoError(t, faults.Err(msg.English))
	waits[0] = time.Hour
	require.Equal(t, Policy{Attempts: 2, Waits: []time.Duration{time.Second, 0}}, p)
	require.Equal(t, 2, p.Most())
	p.Set(0, []time.Duration{-time.Second, 1, -2}, &faults)
	require.EqualError(t, faults.Err(msg.English), "groundhog: WithRetry(0): there must be one attempt at least"+
		"\ngroundhog: WithRetry: the wait -1s must not be negative\ngroundhog: WithRetry: the wait -2ns must not be negative")
	require.ErrorIs(t, faults.Err(msg.Japanese), errs.ErrInvalidArgument)
	require.Equal(t, 2, p.Attempts)
}

func TestOneLogLineARetry(t *testing.T) {
	t.Parallel()
	for lang, text := range map[msg.Lang]string{msg.English: "trying again", msg.Japanese: "再試行"} {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			work, _ := steps(errCut, errCut, errCut)
			p := Policy{Logger: slog.New(slog.NewTextHandler(&out, nil)), Lang: lang, What: "public.t"}
			require.Error(t, p.Do(t.Context(), work))
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			require.Len(t, lines, 2, "none after the last attempt")
			for i, wait := range []string{"wait=2", "wait=4"} {
				require.Contains(t, lines[i], text)
				require.Contains(t, lines[i], fmt.Sprintf("what=public.t attempt=%d of=3 %s", i+1, wait))
				require.Contains(t, lines[i], "unexpected EOF")
			}
		})
	}
}
