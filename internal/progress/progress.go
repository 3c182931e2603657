// Package progress shows how far long work is: promise 10 of the library, for
// all its packages. On a terminal that is a bar with the rows, their rate and the
// time left; elsewhere a line in the log every few seconds. Work that takes less
// than about a second shows nothing.
//
// The bar is drawn by github.com/schollz/progressbar, without colours.
package progress

import (
	"context"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/groundhogdb/groundhog/internal/msg"
)

const (
	quiet     = time.Second            // work that is over by then shows nothing
	barEvery  = 100 * time.Millisecond // between two drawings of the bar
	lineEvery = 3 * time.Second        // between two lines in the log
)

// Work says what is to be shown.
type Work struct {
	What   string // names it in every line: "public.staffs"
	Total  int64  // rows; below 1: not known
	Lang   msg.Lang
	Logger *slog.Logger // gets the lines; nil: none
	Off    bool         // shows nothing at all

	// Terminal gets the bar, when it is one; nil stands for standard error.
	Terminal *os.File
}

// Meter counts what is done of a piece of work and shows it. Its methods may be
// called from any goroutine, also on a nil Meter.
type Meter struct {
	work    Work
	started time.Time
	rows    atomic.Int64

	mu    sync.Mutex
	timer *time.Timer // nil: ended, or nothing to show
	bar   *progressbar.ProgressBar
	out   *gate
	drawn int64 // what the bar shows
	shown bool
}

// Start begins to count. The Meter must be ended with [Meter.Done].
func Start(w Work) *Meter {
	m := &Meter{work: w, started: time.Now()}
	if w.Off {
		return m
	}
	terminal := w.Terminal
	if terminal == nil {
		terminal = os.Stderr
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if fd := int(terminal.Fd()); term.IsTerminal(fd) {
		columns, _, err := term.GetSize(fd)
		if err != nil || columns <= 0 {
			columns = 80
		}
		m.draw(terminal, columns)
		m.timer = time.AfterFunc(quiet, m.tick)
	} else if w.Logger != nil {
		m.timer = time.AfterFunc(lineEvery, m.tick)
	}
	return m
}

// Add counts n more rows; n may be negative, for work that is done again. It
// costs no more than an atomic addition.
func (m *Meter) Add(n int) {
	if m != nil {
		m.rows.Add(int64(n))
	}
}

// Restart counts from nothing again, for work that is done again.
func (m *Meter) Restart() {
	if m != nil {
		m.rows.Store(0)
	}
}

// Done ends the display, however the work went. A second call does nothing.
func (m *Meter) Done() {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.timer == nil {
		return
	}
	m.timer.Stop()
	m.timer = nil
	if !m.shown {
		return
	}
	if m.bar != nil {
		m.advance()
		_, _ = io.WriteString(m.out, "\n")
		return
	}
	m.line(msg.ProgressDone.In(m.work.Lang, m.work.What, msg.Count(m.rows.Load()), took(time.Since(m.started))))
}

// tick shows how far the work is, and sees to it that it is called again.
func (m *Meter) tick() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.timer == nil {
		return
	}
	m.shown = true
	if m.bar != nil {
		m.out.open = true
		m.advance()
		m.timer.Reset(barEvery)
		return
	}
	m.line(m.text())
	m.timer.Reset(lineEvery)
}

// text is the line that tells how far the work is.
func (m *Meter) text() string {
	rows, total, past := m.rows.Load(), m.work.Total, time.Since(m.started)
	rate := float64(rows) / past.Seconds()
	switch {
	case total < 1:
		return msg.ProgressOpen.In(m.work.Lang, m.work.What, msg.Count(rows), msg.Count(rate))
	case rows < 1:
		return msg.ProgressWaiting.In(m.work.Lang, m.work.What, msg.Count(rows), msg.Count(total), took(past))
	}
	left := time.Duration(float64(max(total-rows, 0)) / rate * float64(time.Second))
	return msg.ProgressLine.In(m.work.Lang, m.work.What, msg.Count(rows), msg.Count(total), msg.Count(rate), took(left))
}

func (m *Meter) line(text string) { m.work.Logger.InfoContext(context.Background(), text) }

// took writes a time as people read it.
func took(d time.Duration) string {
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// The bar leaves room in its line for the figures, and has a width of its own.
const (
	figures  = 60
	widest   = 40
	smallest = 5
)

// draw makes the bar. It is drawn from the start, so that it knows its rate, and
// seen only once the gate is open.
func (m *Meter) draw(w io.Writer, columns int) {
	m.out = &gate{w: w}
	total := m.work.Total
	if total < 1 {
		total = -1
	}
	m.bar = progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(m.out),
		progressbar.OptionSetDescription(m.work.What),
		progressbar.OptionSetWidth(min(max(columns-figures-len(m.work.What), smallest), widest)),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionSetItsString(msg.ProgressRows.In(m.work.Lang)),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionEnableColorCodes(false),
		progressbar.OptionSpinnerType(14),
		progressbar.OptionSetSpinnerChangeInterval(0), // else a goroutine turns it
	)
	_ = m.bar.Add64(0)
}

// advance draws the bar as it is now.
func (m *Meter) advance() {
	rows := m.rows.Load()
	if m.work.Total > 0 {
		rows = min(rows, m.work.Total)
	}
	_ = m.bar.Add64(rows - m.drawn) // the only errors are those of the terminal
	m.drawn = rows
}

// gate lets nothing through until it is open.
type gate struct {
	w    io.Writer
	open bool
}

func (g *gate) Write(p []byte) (int, error) {
	if !g.open {
		return len(p), nil
	}
	return g.w.Write(p)
}
