package progress

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creack/pty"
	"github.com/rivo/uniseg"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/msg"
)

// noTerminal is a file that is none.
func noTerminal(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Create(t.TempDir() + "/file")
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

// run does work of the given time in a synctest bubble, adding rows evenly each
// 100 ms, and returns what was logged.
func run(t *testing.T, w Work, rows int, takes time.Duration) []string {
	t.Helper()
	var out bytes.Buffer
	w.Logger = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	synctest.Test(t, func(*testing.T) {
		m := Start(w)
		steps := int(takes / (100 * time.Millisecond))
		time.Sleep(50 * time.Millisecond) // between two ticks
		for range steps {
			m.Add(rows / steps)
			time.Sleep(100 * time.Millisecond)
		}
		m.Done()
		m.Done()
		time.Sleep(time.Minute) // nothing comes after the end
	})
	if out.Len() == 0 {
		return nil
	}
	return strings.Split(strings.TrimSpace(out.String()), "\n")
}

func TestALineEveryFewSeconds(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{
		`level=INFO msg="public.t: 30,000 of 100,000 rows, 10,000 rows/s, about 7s left"`,
		`level=INFO msg="public.t: 60,000 of 100,000 rows, 10,000 rows/s, about 4s left"`,
		`level=INFO msg="public.t: 90,000 of 100,000 rows, 10,000 rows/s, about 1s left"`,
		`level=INFO msg="public.t: 100,000 rows in 10s"`,
	}, run(t, Work{What: "public.t", Total: 100_000, Terminal: noTerminal(t)}, 100_000, 10*time.Second))
}

func TestLinesInJapaneseAndWithoutATotal(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{
		`level=INFO msg="施設: 30,000 行、10,000 行/秒"`,
		`level=INFO msg="施設: 40,000 行、所要時間 4.1s"`,
	}, run(t, Work{What: "施設", Lang: msg.Japanese, Terminal: noTerminal(t)}, 40_000, 4*time.Second))
	require.Equal(t, []string{
		`level=INFO msg="施設: 0 / 7 行、経過時間 3s"`,
		`level=INFO msg="施設: 0 行、所要時間 3.6s"`,
	}, run(t, Work{What: "施設", Total: 7, Lang: msg.Japanese, Terminal: noTerminal(t)}, 0, 3500*time.Millisecond))
}

func TestShortWorkIsSilent(t *testing.T) {
	t.Parallel()
	require.Empty(t, run(t, Work{What: "t", Total: 900, Terminal: noTerminal(t)}, 900, 800*time.Millisecond))
	require.Empty(t, onTerminal(t, Work{What: "t", Total: 900}, 80, func(m *Meter) { time.Sleep(900 * time.Millisecond) }))
}

func TestOff(t *testing.T) {
	t.Parallel()
	require.Empty(t, run(t, Work{What: "t", Total: 900, Off: true, Terminal: noTerminal(t)}, 900, time.Minute))
	require.Empty(t, onTerminal(t, Work{What: "t", Off: true}, 80, func(*Meter) { time.Sleep(time.Minute) }))
	var none *Meter
	none.Add(1)
	none.Restart()
	none.Done()
}

// onTerminal returns what work writes to a terminal of so many columns.
func onTerminal(t *testing.T, w Work, columns uint16, work func(m *Meter)) string {
	t.Helper()
	master, terminal, err := pty.Open()
	if err != nil {
		t.Skipf("no pseudo terminal on %s: %v", runtime.GOOS, err)
	}
	defer master.Close()
	require.NoError(t, pty.Setsize(terminal, &pty.Winsize{Cols: columns, Rows: 24}))
	w.Terminal = terminal
	var out bytes.Buffer
	var read sync.WaitGroup
	read.Go(func() { _, _ = io.Copy(&out, master) }) // ends with the terminal
	synctest.Test(t, func(*testing.T) {
		m := Start(w)
		work(m)
		m.Done()
	})
	require.NoError(t, terminal.Close())
	read.Wait()
	return out.String()
}

func TestABarOnATerminal(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		work    Work
		columns uint16
		want    []string
	}{
		"english":       {Work{What: "public.t", Total: 100_000}, 100, []string{"public.t", "50000/100000", "10000 rows/s", "[5s:5s]", "100% |████"}},
		"japanese":      {Work{What: "施設の利用者", Total: 100_000, Lang: msg.Japanese}, 100, []string{"施設の利用者", "10000 行/s", "[5s:5s]"}},
		"narrow":        {Work{What: "t", Total: 100_000}, 70, []string{"50000/100000"}},
		"without total": {Work{What: "public.t"}, 100, []string{"public.t", "50000/-", "10000 rows/s"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := onTerminal(t, c.work, c.columns, func(m *Meter) {
				time.Sleep(50 * time.Millisecond) // between two ticks
				for range 100 {
					m.Add(1000)
					time.Sleep(100 * time.Millisecond)
				}
			})
			for _, want := range c.want {
				require.Contains(t, out, want)
			}
			require.NotContains(t, out, "\x1b", "no colours, no sequences")
			require.True(t, strings.HasSuffix(out, "\n"), "the prompt comes on a line of its own")
			for line := range strings.SplitSeq(out, "\r") {
				require.LessOrEqual(t, uniseg.StringWidth(strings.TrimRight(line, " \n")), int(c.columns), line)
			}
		})
	}
}

func TestRestartCountsFromNothing(t *testing.T) {
	t.Parallel()
	out := onTerminal(t, Work{What: "t", Total: 100}, 100, func(m *Meter) {
		m.Add(80)
		time.Sleep(2 * time.Second)
		m.Restart()
		m.Add(30)
		time.Sleep(2 * time.Second)
		m.Add(500) // more than was said
	})
	require.Contains(t, out, " 80% ")
	require.Contains(t, out, " 30% ")
	require.Contains(t, out, "100/100")
}

func TestManyGoroutinesMayAdd(t *testing.T) {
	t.Parallel()
	m := Start(Work{What: "t", Total: 8000, Terminal: noTerminal(t)})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				m.Add(1)
			}
		})
	}
	all.Wait()
	require.Equal(t, int64(8000), m.rows.Load())
	m.Done()
}

func BenchmarkAdd(b *testing.B) {
	m := Start(Work{What: "t"})
	defer m.Done()
	b.ReportAllocs()
	for b.Loop() {
		m.Add(1)
	}
}
