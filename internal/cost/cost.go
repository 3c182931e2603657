// Package cost keeps operations from getting dearer: it counts what does not
// depend on the machine, statements and allocations, and compares them with what
// was recorded. It supports tests and is imported by tests only.
package cost

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// EnvRecord names the environment variable that makes [Compare] record what it
// measured instead: GROUNDHOG_RECORD=1 go test ./bulk -run TestCosts.
const EnvRecord = "GROUNDHOG_RECORD"

// Wire counts what is sent over the connections of a configuration. Unlike a
// tracer of pgx it sees everything, COPY too.
type Wire struct {
	mu         sync.Mutex
	statements []string
	executed   int
	roundTrips int
}

// Watch makes new connections of the configuration count on the wire.
func Watch(config *pgconn.Config) *Wire {
	w := &Wire{}
	config.BuildFrontend = func(r io.Reader, to io.Writer) *pgproto3.Frontend {
		return pgproto3.NewFrontend(r, &counter{to: to, wire: w})
	}
	return w
}

// Reset forgets what was counted.
func (w *Wire) Reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.statements, w.executed, w.roundTrips = nil, 0, 0
}

// Statements lists the texts that were sent to be run or prepared, in order.
func (w *Wire) Statements() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.statements)
}

// Counts tells how many statements were run, and how often the client waited for
// the server. Several statements in one text count once.
func (w *Wire) Counts() (statements, roundTrips int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.executed, w.roundTrips
}

// counter reads the messages in what is written.
type counter struct {
	to   io.Writer
	wire *Wire
	rest []byte // the beginning of a message
	skip int    // bytes of a message that are of no interest
}

func (c *counter) Write(p []byte) (int, error) {
	c.wire.mu.Lock()
	c.read(p)
	c.wire.mu.Unlock()
	return c.to.Write(p)
}

func (c *counter) read(p []byte) {
	const header = 5
	for len(p) > 0 {
		if c.skip > 0 {
			n := min(c.skip, len(p))
			c.skip, p = c.skip-n, p[n:]
			continue
		}
		if len(c.rest) < header {
			n := min(header-len(c.rest), len(p))
			c.rest, p = append(c.rest, p[:n]...), p[n:]
			if len(c.rest) < header {
				return
			}
		}
		kind := c.rest[0]
		size := 1 + int(uint32(c.rest[1])<<24|uint32(c.rest[2])<<16|uint32(c.rest[3])<<8|uint32(c.rest[4]))
		if kind == 0 { // messages before the log-in have no kind, only a length
			size = int(c.rest[2])<<8 | int(c.rest[3])
		}
		if kind != 'Q' && kind != 'P' {
			c.count(kind, "")
			c.skip, c.rest = size-header, nil
			continue
		}
		n := min(size-len(c.rest), len(p))
		c.rest, p = append(c.rest, p[:n]...), p[n:]
		if len(c.rest) == size {
			body := c.rest[header:]
			if kind == 'P' { // the statement's name comes first
				body = body[bytes.IndexByte(body, 0)+1:]
			}
			text, _, _ := bytes.Cut(body, []byte{0})
			c.count(kind, string(text))
			c.rest = nil
		}
	}
}

func (c *counter) count(kind byte, text string) {
	w := c.wire
	switch kind {
	case 'Q':
		w.executed++
		w.roundTrips++
		w.statements = append(w.statements, text)
	case 'P':
		w.statements = append(w.statements, text)
	case 'E':
		w.executed++
	case 'S', 'c', 'f': // Sync; CopyDone, CopyFail
		w.roundTrips++
	}
}

// Cost is what an operation takes.
type Cost struct {
	Statements int     `json:"statements"`
	RoundTrips int     `json:"roundTrips"`
	Allocs     float64 `json:"allocs"`
}

// Allocs returns the least number of allocations of several calls, each after
// prepare, which is not counted. What else the process does now and then, a pool's
// upkeep for one, allocates too, and makes a mean differ from run to run.
func Allocs(prepare, call func()) float64 {
	const runs = 10
	least := ^uint64(0)
	var before, after runtime.MemStats
	for range runs {
		prepare()
		runtime.ReadMemStats(&before)
		call()
		runtime.ReadMemStats(&after)
		least = min(least, after.Mallocs-before.Mallocs)
	}
	return float64(least)
}

// slack is how many allocations there may be beyond what was recorded: they vary
// with the versions of Go and of PostgreSQL.
const slack = 0.15

// Compare compares costs, by the names of their operations, with those in a file
// of the test's folder. Fewer statements than recorded fail too, so that the
// record follows; fewer allocations don't. Allocations are not compared under the
// race detector, which has its own.
func Compare(t testing.TB, file string, got map[string]Cost) {
	t.Helper()
	if os.Getenv(EnvRecord) != "" {
		record(t, file, got)
		return
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("%s is missing: record it with %s=1", file, EnvRecord)
	}
	var want map[string]Cost
	if err == nil {
		err = json.Unmarshal(text, &want)
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, w := range want {
		g, ok := got[name]
		switch {
		case !ok:
			t.Errorf("%s: recorded in %s, but not measured", name, file)
		case g.Statements != w.Statements || g.RoundTrips != w.RoundTrips:
			t.Errorf("%s: %d statements in %d round trips, recorded are %d in %d; if that is meant, record it with %s=1",
				name, g.Statements, g.RoundTrips, w.Statements, w.RoundTrips, EnvRecord)
		case !race && g.Allocs > w.Allocs*(1+slack):
			t.Errorf("%s: %.0f allocations, recorded are %.0f; if that is meant, record it with %s=1", name, g.Allocs, w.Allocs, EnvRecord)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s: not recorded in %s; record it with %s=1", name, file, EnvRecord)
		}
	}
}

func record(t testing.TB, file string, got map[string]Cost) {
	t.Helper()
	if race {
		t.Fatal("record without -race: the race detector allocates too")
	}
	text, err := json.MarshalIndent(got, "", "\t") // maps are written in the order of their keys
	if err == nil {
		err = os.MkdirAll(filepath.Dir(file), 0o755)
	}
	if err == nil {
		err = os.WriteFile(file, append(text, '\n'), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
