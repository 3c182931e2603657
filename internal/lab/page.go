package main

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/template"
	"time"
)

// results are what the page tells.
type results struct {
	Date, Server, Machine string
	Runs                  int
	Took                  time.Duration

	parts []string // of the run, with how long each took

	plan                                plan
	restores                            map[int]*grid // by offices
	deeds                               map[int]*grid
	creates                             map[int]*grid
	seeds, suite, first, starts, writes *grid
	one, pause, crowd, web              *grid
}

// shown writes a time with as many digits as it deserves.
func shown(d time.Duration) string {
	ms := milliseconds(d)
	switch {
	case d == 0:
		return "–"
	case ms >= 10_000:
		return fmt.Sprintf("%.0f s", ms/1000)
	case ms >= 1000:
		return fmt.Sprintf("%.1f s", ms/1000)
	case ms >= 100:
		return fmt.Sprintf("%.0f ms", ms)
	case ms >= 10:
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.2f ms", ms)
}

// times shows the medians, and their ratios to those of the way called base, where
// there is one.
func (g *grid) times(first, base string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "| %s | %s |\n|---|%s\n", first, strings.Join(g.columns, " | "), strings.Repeat("---:|", len(g.columns)))
	for _, way := range g.measuredFirst() {
		cells := make([]string, len(g.columns))
		for i, column := range g.columns {
			cell := g.cell(way, column)
			text := shown(cell.median())
			if cell.median() == 0 && cell.why != "" {
				text = cell.why
			}
			if b := g.cells[base]; b != nil && way != base && cell.median() > 0 && b[column] != nil && b[column].median() > 0 {
				text += fmt.Sprintf(" (%s×)", ratio(float64(cell.median())/float64(b[column].median())))
			}
			cells[i] = text
		}
		name := way
		if way == base {
			name = "**" + way + "**"
		}
		fmt.Fprintf(&out, "| %s | %s |\n", name, strings.Join(cells, " | "))
	}
	return out.String()
}

// measuredFirst lists the ways, those that were not measured at the end.
func (g *grid) measuredFirst() []string {
	ways := slices.Clone(g.ways)
	slices.SortStableFunc(ways, func(a, b string) int { return cmp.Compare(g.missing(a), g.missing(b)) })
	return ways
}

func (g *grid) missing(way string) (n int) {
	for _, column := range g.columns {
		if g.cell(way, column).median() == 0 {
			n++
		}
	}
	return n
}

func ratio(v float64) string {
	switch {
	case v >= 10:
		return fmt.Sprintf("%.0f", v)
	case v < 0.01:
		return "<0.01"
	}
	return fmt.Sprintf("%.2g", v)
}

// joined puts grids of one column each side by side.
func joined(order []int, grids map[int]*grid) *grid {
	all := newGrid()
	for _, key := range order {
		g := grids[key]
		all.columns = append(all.columns, g.columns...)
		for _, way := range g.ways {
			*all.cell(way, g.columns[0]) = *g.cell(way, g.columns[0])
		}
	}
	return all
}

// Restores is a table for each size.
func (r *results) Restores() string {
	var out strings.Builder
	for _, offices := range r.plan.restores {
		fmt.Fprintf(&out, "%s rows in the database, by how many of them a test changed:\n\n%s\n", number(rowsOf(offices)), r.restores[offices].times("way back", us))
	}
	return strings.TrimSpace(out.String())
}

// Deeds is a table for each size at which they were measured.
func (r *results) Deeds() string {
	var out strings.Builder
	for _, offices := range r.plan.deeds {
		fmt.Fprintf(&out, "%s rows in the database:\n\n%s\n", number(rowsOf(offices)), r.deeds[offices].times("way back", us))
	}
	return strings.TrimSpace(out.String())
}

func (r *results) First() string { return r.first.times("way", us) }

func (r *results) Creates() string {
	return joined(r.plan.restores, r.creates).times("the state is written down by", us)
}
func (r *results) Seeds() string  { return r.seeds.times("rows", bulked) }
func (r *results) Suite() string  { return r.suite.times("way", us) }
func (r *results) Starts() string { return r.starts.times("server", "") }
func (r *results) One() string    { return r.one.times("way", byRestore) }
func (r *results) Crowd() string  { return r.crowd.times("way", byClone) }
func (r *results) Web() string    { return r.web.times("way", byClone) }

// Writes tells how many times as long statements take in a database that is tracked.
func (r *results) Writes() string { return r.writes.compared("statement") }

// Pause tells how many times as long something takes after a pause.
func (r *results) Pause() string { return r.pause.compared("ten rows") }

// Parts tells how long each part of the run took.
func (r *results) Parts() string { return strings.Join(r.parts, ", ") }

// compared shows the medians of two columns, and how many times as long as the second the
// first is.
func (g *grid) compared(first string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "| %s | %s | times |\n|---|---:|---:|---:|\n", first, strings.Join(g.columns, " | "))
	for _, way := range g.ways {
		with, without := g.cell(way, g.columns[0]).median(), g.cell(way, g.columns[1]).median()
		fmt.Fprintf(&out, "| %s | %s | %s | %.2f |\n", way, shown(with), shown(without), float64(with)/float64(without))
	}
	return out.String()
}

// Peers tells how each way was measured.
func (r *results) Peers() string {
	var out strings.Builder
	for _, p := range peers {
		if p.note != "" {
			fmt.Fprintf(&out, "- **%s**: %s.\n", p.name, p.note)
		}
	}
	return strings.TrimSpace(out.String())
}

func (r *results) Tests() int    { return 4 * r.plan.tests }
func (r *results) AllTests() int { return 4 * r.plan.all }
func (r *results) Crowded() int  { return r.plan.crowd }
func (r *results) WebTests() int { return r.plan.web }

// Losing tells where others are quicker, as measured. A transaction is left out.
func (r *results) Losing() string {
	var lines []string
	look := func(g *grid, what func(column string) string) {
		for _, column := range g.columns {
			for _, ours := range g.ways {
				if !strings.HasPrefix(ours, us) {
					continue
				}
				mine := g.cell(ours, column).median()
				var quicker []string
				for _, way := range g.ways {
					if took := g.cell(way, column).median(); !strings.HasPrefix(way, us) && way != inTx && took > 0 && took < mine {
						quicker = append(quicker, fmt.Sprintf("%s %s", way, shown(took)))
					}
				}
				if len(quicker) > 0 {
					lines = append(lines, fmt.Sprintf("- %s: %s %s; %s.", what(column), ours, shown(mine), strings.Join(quicker, ", ")))
				}
			}
		}
	}
	look(r.one, func(column string) string { return column })
	look(r.crowd, func(string) string { return "tests with five tables, eight at a time" })
	look(r.web, func(column string) string { return "the web application, " + column })
	for _, offices := range r.plan.restores {
		rows := number(rowsOf(offices)) + " rows, "
		look(r.restores[offices], func(column string) string { return rows + column + " changed" })
		look(r.deeds[offices], func(column string) string { return rows + column })
	}
	look(r.first, func(string) string { return "a new process" })
	look(r.suite, func(column string) string { return "the suite, " + column })
	for _, offices := range r.plan.restores {
		look(r.creates[offices], func(column string) string { return column + " rows written down" })
	}
	look(r.seeds, func(column string) string { return column + " rows seeded" })
	return strings.Join(lines, "\n")
}

var page = template.Must(template.New("page").Parse(`# Benchmarks

Made by ` + "`cd internal/lab && go run .`" + ` on {{.Date}}: {{.Server}}, {{.Machine}}. All ways ran in one run of {{.Took}}, in turns, on the same
private server and the same rows of the welfare schema; figures are medians, and those in brackets how many times as long as groundhog.
Absolute times are the machine's; the ratios are what counts.

![What it takes to come back after 10 changed rows, by the size of the database](benchmarks/restore.svg)

## Back to the baseline

The time of the whole call, until the database answers again. Where a way makes a new database, that includes a new pool, which the code
under test has to be given. groundhog keeps the pool: where it replaces the database by a copy, under the same name, the pool connects again; else
connections stay, as they do for those that delete and load. Each way comes back three times in a row before the next one has its turn, for which
what the former left to the background is waited for, and a checkpoint made.

{{.Restores}}

Beyond changed rows: TRUNCATE of a table and all that refer to it; a test that wants another snapshot than the one before it; and changes of the
schema, which rows alone don't bring back.

{{.Deeds}}

Each way was proved right after its last run: every table has as many rows as before, with the same hash of their content.

{{.Peers}}

## One test

From the call that gives a test a database at the baseline of 32,101 rows to the end of its clean-up; the test changes 10 of them. With Restore
the tests of a process have one database, one after the other; a clone or a copy is a test's own.

{{.One}}

## A suite

{{.Tests}} tests in 4 packages, run as ` + "`go test`" + ` runs packages: as many processes at once as there are cores. Each test begins at the baseline of
32,101 rows, changes 10 of them and reads 10,000. The time is that of the whole suite divided by its tests; templates and snapshots were there
already. One after the other groundhog restores; with t.Parallel each test has a ` + "`snapshot.Clone`" + `. In the last column {{.AllTests}} tests change every row
first, so most of the time is that of their own writes, which groundhog's journal notes.

![Time per test of the suite](benchmarks/suite.svg)

{{.Suite}}

## Tests at the same time

{{.Crowded}} tests, eight at a time, each of which inserts a row into five empty tables. The other way has eight schemas in one database, and a pool
of connections for each: a test takes one, and empties its tables at the end, as job queues and other small services do. The time is that of all
tests divided by their number.

{{.Crowd}}

## A web application

{{.WebTests}} tests of an application with 50 tables, of which migrations fill ten. Each test makes 6 to 40 statements through database/sql over the
pool; two to four handlers of requests work at the same time, each on a connection. With t.Parallel there are as many tests at once as there are
cores. A copy by hand has a pool of its own and is dropped after the test.

{{.Web}}

## A new process

Until the first test of a process has an answer of a database at the baseline of 32,101 rows, where the server runs and has the template. Of groundhog
that is ` + "`fixtures.Open` and `snapshot.Ensure`" + ` with a file that is valid; of the others a copy of the template and a new pool.

{{.First}}

## Seeding

An empty database is filled, indexes and foreign keys in place. The factories make their rows and read the keys back: in four calls, each a
transaction that looks at and locks what the former ones left, or in one. The other ways have one transaction, and were given their rows ready-made. COPY of ready bytes is what the server itself takes, where nothing checks the foreign keys.

{{.Seeds}}

## Writing the state down

groundhog writes a file that outlives the server, begins to track changes, and copies the database for those that replace it: without that copy it is
"the file alone". Templates are copies in the server. testcontainers-go copies through the write-ahead log, too.

{{.Creates}}

## From nothing to a server that answers

{{.Starts}}

## Where groundhog loses

**A transaction that is rolled back** is the quickest of all, where the code under test needs no commit and no second connection.

**A clone** costs more than a restore, since its connections find less in their caches; what it brings is tests at the same time.

{{with .Losing}}**Here another way was quicker** in this run:

{{.}}

{{else}}No other way was quicker in this run, after anything that was measured above.

{{end}}**Writing the state down** reads each row, puts it in order, packs and checks it, which a copy of the files does not.

**What tests write** costs more in a database that is tracked, since triggers keep the journal:

{{.Writes}}
**After a pause** a restore takes longer, as any statement does: the processor's caches hold other things, and processes sleep. The same pause
lets a client without groundhog wait that changes ten rows and rolls them back:

{{.Pause}}
The parts of the run: {{.Parts}}.
`))

// write makes the page and its pictures in a folder.
func (r *results) write(dir string) error {
	pictures := filepath.Join(dir, "benchmarks")
	if err := os.MkdirAll(pictures, 0o755); err != nil {
		return err
	}
	if err := plotRestores(filepath.Join(pictures, "restore.svg"), r.plan.restores, r.restores, changedText(10)); err != nil {
		return err
	}
	if err := plotSuite(filepath.Join(pictures, "suite.svg"), r.suite); err != nil {
		return err
	}
	var out bytes.Buffer
	if err := page.Execute(&out, r); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "benchmarks.md"), out.Bytes(), 0o644)
}

func machine() string {
	return fmt.Sprintf("%d cores, %s/%s, %s", runtime.GOMAXPROCS(0), runtime.GOOS, runtime.GOARCH, runtime.Version())
}
