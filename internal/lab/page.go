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

	plan                                plan
	restores                            map[int]*grid // by offices
	deeds                               map[int]*grid
	creates                             map[int]*grid
	seeds, suite, first, starts, writes *grid
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

// Writes tells how many times as long statements take in a database that is tracked.
func (r *results) Writes() string {
	var out strings.Builder
	fmt.Fprintf(&out, "| statement | %s | times |\n|---|---:|---:|---:|\n", strings.Join(r.writes.columns, " | "))
	for _, op := range r.writes.ways {
		with, without := r.writes.cell(op, r.writes.columns[0]).median(), r.writes.cell(op, r.writes.columns[1]).median()
		fmt.Fprintf(&out, "| %s | %s | %s | %.2f |\n", op, shown(with), shown(without), float64(with)/float64(without))
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
func (r *results) AllTests() int { return 4 * ((r.plan.tests + 1) / 2) }

// Losing tells where others are quicker, as measured. A transaction is left out.
func (r *results) Losing() string {
	var lines []string
	look := func(g *grid, what func(column string) string) {
		for _, column := range g.columns {
			mine := g.cell(us, column).median()
			var quicker []string
			for _, way := range g.ways {
				if took := g.cell(way, column).median(); way != us && way != inTx && took > 0 && took < mine {
					quicker = append(quicker, fmt.Sprintf("%s %s", way, shown(took)))
				}
			}
			if len(quicker) > 0 {
				lines = append(lines, fmt.Sprintf("- %s: groundhog %s; %s.", what(column), shown(mine), strings.Join(quicker, ", ")))
			}
		}
	}
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

## A suite

{{.Tests}} tests in 4 packages, run as ` + "`go test`" + ` runs packages: as many processes at once as there are cores. Each test begins at the baseline of
32,101 rows, changes 10 of them and reads 10,000. The time is that of the whole suite divided by its tests; templates and snapshots were there
already. One after the other groundhog restores; with t.Parallel each test has a ` + "`snapshot.Clone`" + `. In the last column {{.AllTests}} tests change every row
first, so most of the time is that of their own writes, which groundhog's journal notes.

![Time per test of the suite](benchmarks/suite.svg)

{{.Suite}}

## A new process

Until the first test of a process has an answer of a database at the baseline of 32,101 rows, where the server runs and has the template. Of groundhog
that is ` + "`fixtures.Open` and `snapshot.Ensure`" + ` with a file that is valid; of the others a copy of the template and a new pool.

{{.First}}

## Seeding

An empty database is filled, indexes and foreign keys in place, in one transaction. The factories make their rows and read the keys back; the other
ways were given theirs ready-made. The last one is what the server itself takes: nobody checks the foreign keys.

{{.Seeds}}

## Writing the state down

groundhog writes a file that outlives the server, and begins to track changes; templates are copies in the server.

{{.Creates}}

## From nothing to a server that answers

{{.Starts}}

## Where groundhog loses

**A transaction that is rolled back** is the quickest of all, where the code under test needs no commit and no second connection.

{{with .Losing}}**Here another way was quicker** in this run:

{{.}}

{{else}}No other way was quicker in this run, after anything that was measured above.

{{end}}**Writing the state down** reads each row, puts it in order, packs and checks it, which a copy of the files does not.

**What tests write** costs more in a database that is tracked, since triggers keep the journal:

{{.Writes}}
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
