package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/groundhogdb/groundhog/bulk"
	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/workload"
	"github.com/groundhogdb/groundhog/snapshot"
)

func schemaSQL() string { return fixtures.WelfareSchema }

// plan says how much is measured.
type plan struct {
	restores []int // offices
	deeds    []int // offices, of these, where tests do more than change rows
	changes  []int // rows; below 0: all
	seeds    []int // offices
	runs     int
	patience time.Duration // for the runs of one way at one thing, with what goes before each
	tests    int           // of the suite, in each of its packages
	all      int           // of these, that change all rows
	crowd    int           // tests with five tables
	web      int           // tests of the web application
	pause    time.Duration // of a test that waits
	writes   int           // runs of tracked writes
	only     string        // what the names of the parts contain that are measured
}

var (
	full  = plan{restores: []int{100, 500, 3200}, deeds: []int{100, 500}, changes: []int{0, 10, 1000, -1}, seeds: []int{10, 100, 500, 3200}, runs: 9, patience: 4 * time.Second, tests: 50, all: 8, crowd: 100, web: workload.WebTests, pause: 2 * time.Second, writes: 300}
	short = plan{restores: []int{2, 4}, deeds: []int{2}, changes: []int{0, 10, -1}, seeds: []int{2}, runs: 2, patience: time.Second, tests: 3, all: 2, crowd: 10, web: 6, pause: 100 * time.Millisecond, writes: 5}
)

// outcome is what one way took, or why it did not.
type outcome struct {
	series
	why string
}

// grid has the outcomes of ways (rows) at some things (columns).
type grid struct {
	columns []string
	ways    []string
	cells   map[string]map[string]*outcome // way, column
}

func newGrid(columns ...string) *grid {
	return &grid{columns: columns, cells: map[string]map[string]*outcome{}}
}

func (g *grid) cell(way, column string) *outcome {
	if g.cells[way] == nil {
		g.cells[way] = map[string]*outcome{}
		g.ways = append(g.ways, way)
	}
	if g.cells[way][column] == nil {
		g.cells[way][column] = &outcome{}
	}
	return g.cells[way][column]
}

func number(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func changedText(n int) string {
	switch {
	case n < 0:
		return "all"
	case n == 0:
		return "none"
	}
	return number(n)
}

// inARow is how often a way comes back before the next one has its turn, as tests do
// one after the other.
const inARow = 3

// worker is a way at work.
type worker struct {
	peer
	way
}

// deed is what a test does beyond changing rows.
type deed struct {
	name   string
	sql    string
	schema bool // it changes the schema
	other  bool // the next test wants another state
}

var deeds = []deed{
	{name: "TRUNCATE … CASCADE", sql: "TRUNCATE offices CASCADE"},
	{name: "another snapshot", sql: change(10), other: true},
	{name: "a new column", sql: "ALTER TABLE offices ADD COLUMN more text", schema: true},
	{name: "the schema dropped", sql: "DROP SCHEMA public CASCADE", schema: true},
}

// restored measures ways back after some rows were changed, and after other deeds, and
// ways to write the state down, for one size of the database.
func (p plan) restored(ctx context.Context, r *rig, offices int) (restores, after, creates *grid, err error) {
	source, truth, err := r.source(ctx, offices)
	if err != nil {
		return nil, nil, nil, err
	}
	rows := rowsOf(offices)
	restores, after, creates = newGrid(), newGrid(), newGrid(number(rows))
	for _, n := range p.changes {
		restores.columns = append(restores.columns, changedText(n))
	}
	if slices.Contains(p.deeds, offices) {
		for _, d := range deeds {
			after.columns = append(after.columns, d.name)
		}
	}
	var at []worker
	for _, peer := range peers {
		excuse := func(why string) {
			for _, g := range []*grid{restores, after} {
				for _, column := range g.columns {
					g.cell(peer.name, column).why = why
				}
			}
		}
		if peer.most > 0 && rows > peer.most {
			excuse("takes too long")
			continue
		}
		r.told("%s rows: %s", number(rows), peer.name)
		w, err := peer.open(ctx, r, source)
		if err != nil {
			excuse(err.Error())
			continue
		}
		var create series
		for range max(p.runs/3, 1) {
			if err = r.settle(ctx); err == nil {
				err = create.time(func() error { return w.create(ctx) })
			}
			if err != nil || create.sum() > p.patience {
				break
			}
		}
		if !errors.Is(err, errNotMeant) {
			if err != nil {
				return nil, nil, nil, fmt.Errorf("%s: %w", peer.name, err)
			}
			creates.cell(peer.name, creates.columns[0]).series = create
		}
		if err := w.restore(ctx); err != nil { // what is done once is done
			return nil, nil, nil, fmt.Errorf("%s: %w", peer.name, err)
		}
		at = append(at, worker{peer, w})
	}
	if creates.cell(fileAlone, creates.columns[0]).series, err = p.fileAlone(ctx, r, source); err != nil {
		return nil, nil, nil, err
	}
	for i, n := range p.changes {
		sql := change(n)
		if n == 0 {
			sql = ""
		}
		if err := p.turns(ctx, r, at, truth, restores, restores.columns[i], deed{name: changedText(n) + " changed", sql: sql}, rows); err != nil {
			return nil, nil, nil, err
		}
	}
	for i := range after.columns {
		if err := p.turns(ctx, r, at, truth, after, after.columns[i], deeds[i], rows); err != nil {
			return nil, nil, nil, err
		}
	}
	var failed []error
	for _, w := range at {
		failed = append(failed, w.close(ctx))
	}
	return restores, after, creates, errors.Join(failed...)
}

// fileAlone is the way to write the state down in a database that groundhog makes no copies
// of.
const fileAlone = us + ", the file alone"

func (p plan) fileAlone(ctx context.Context, r *rig, source string) (took series, err error) {
	c, err := copied(ctx, r, source)
	if err != nil {
		return nil, err
	}
	store, err := snapshot.NewStore(c.Pool, snapshot.WithDir(filepath.Join(r.dir, c.name)), snapshot.WithProgress(false))
	for range max(p.runs/3, 1) {
		if err == nil {
			err = r.settle(ctx)
		}
		if err == nil {
			err = took.time(func() error { _, err := store.Create(ctx, "lab", snapshot.Replace()); return err })
		}
	}
	return took, errors.Join(err, c.close(ctx))
}

// turns has the ways come back after a deed, in turns.
func (p plan) turns(ctx context.Context, r *rig, at []worker, truth facts, g *grid, column string, d deed, rows int) error {
	able := slices.DeleteFunc(slices.Clone(at), func(w worker) bool {
		_, several := w.way.(keeper)
		switch {
		case d.schema && w.rows:
			g.cell(w.name, column).why = "rows only"
		case d.other && !several:
			g.cell(w.name, column).why = "not tried"
		default:
			return false
		}
		return true
	})
	for _, w := range able {
		if d.other {
			if err := w.makeOther(ctx); err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
		}
	}
	spent := map[string]time.Duration{}
	for range (p.runs + inARow - 1) / inARow {
		for _, w := range able {
			if err := r.settle(ctx); err != nil {
				return err
			}
			for range inARow {
				if spent[w.name] > p.patience {
					break
				}
				began := time.Now()
				if err := w.goes(ctx, g.cell(w.name, column), d); err != nil {
					return fmt.Errorf("%s, %s: %w", w.name, d.name, err)
				}
				spent[w.name] += time.Since(began)
			}
		}
	}
	for _, w := range able {
		r.told("%s rows, %s: %s in %s", number(rows), d.name, w.name, g.cell(w.name, column).median().Round(10*time.Microsecond))
		now, err := factsOf(ctx, w, true)
		if err == nil && now != truth {
			err = fmt.Errorf("it did not bring the rows back:\n%s\ninstead of\n%s", now, truth)
		}
		if err != nil {
			return fmt.Errorf("%s, %s: %w", w.name, d.name, err)
		}
	}
	return nil
}

// makeOther writes another state down, and goes back to the first one.
func (w worker) makeOther(ctx context.Context) error {
	if err := w.exec(ctx, "UPDATE offices SET name = name || ' 2'"); err != nil {
		return err
	}
	if err := w.way.(keeper).createOther(ctx); err != nil {
		return err
	}
	return w.restore(ctx)
}

// goes does the deed, and times the way back. Where the next test wants another state, the
// one after it wants the first one again, and both ways are timed.
func (w worker) goes(ctx context.Context, cell *outcome, d deed) error {
	back := []func(context.Context) error{w.restore}
	if d.other {
		back = []func(context.Context) error{w.way.(keeper).restoreOther, w.restore}
	}
	for _, restore := range back {
		if d.sql != "" {
			if err := w.exec(ctx, d.sql); err != nil {
				return err
			}
		}
		if err := cell.time(func() error { return restore(ctx) }); err != nil {
			return err
		}
	}
	return nil
}

// Ways to seed.
const (
	bulked     = "groundhog, the factories"
	welfare    = "groundhog, Welfare in one call"
	copyFrom   = "pgx.CopyFrom, rows ready"
	multiRow   = "INSERT of 500 rows, SQL ready"
	readyBytes = "COPY of ready bytes, keys unchecked"
)

// seeded measures filling an empty database, in one transaction each.
func (p plan) seeded(ctx context.Context, r *rig) (*grid, error) {
	g := newGrid()
	for _, offices := range p.seeds {
		g.columns = append(g.columns, number(rowsOf(offices)))
	}
	for i, offices := range p.seeds {
		source, _, err := r.source(ctx, offices)
		if err != nil {
			return nil, err
		}
		from, err := r.open(ctx, source)
		if err != nil {
			return nil, err
		}
		ready, err := copyOut(ctx, from)
		if err != nil {
			return nil, err
		}
		var statements []string
		var values map[string][][]any
		var columns map[string][]string
		if rowsOf(offices) <= manyRows {
			if statements, err = insertsOf(ctx, from); err != nil {
				return nil, err
			}
			if values, columns, err = valuesOf(ctx, from); err != nil {
				return nil, err
			}
		}
		from.Close()
		ways := []struct {
			name string
			most int // rows; 0: any number
			fill func(conn *pgx.Conn) error
		}{
			{bulked, 0, func(conn *pgx.Conn) error { return seed(ctx, conn, offices) }},
			{welfare, 0, func(conn *pgx.Conn) error {
				_, err := bulk.NewSeeder(conn, bulk.WithProgress(false)).Welfare(ctx, bulk.Scale(offices))
				return err
			}},
			{copyFrom, manyRows, func(conn *pgx.Conn) error {
				return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
					for _, table := range tables {
						if _, err := tx.CopyFrom(ctx, pgx.Identifier{table}, columns[table], pgx.CopyFromRows(values[table])); err != nil {
							return err
						}
					}
					return nil
				})
			}},
			{multiRow, manyRows, func(conn *pgx.Conn) error {
				return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
					for _, sql := range statements {
						if _, err := tx.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol); err != nil {
							return err
						}
					}
					return nil
				})
			}},
			{readyBytes, 0, func(conn *pgx.Conn) error {
				return ready.copyIn(ctx, conn, "BEGIN; SET LOCAL session_replication_role = replica")
			}},
		}
		for range max(p.runs/3, 1) {
			for _, way := range ways {
				cell := g.cell(way.name, g.columns[i])
				if way.most > 0 && rowsOf(offices) > way.most {
					cell.why = "takes too long"
					continue
				}
				if cell.sum() > 4*p.patience {
					continue
				}
				name := r.name("seed")
				if err := r.empty(ctx, name); err != nil {
					return nil, err
				}
				pool, err := r.open(ctx, name)
				if err != nil {
					return nil, err
				}
				err = pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error {
					return cell.time(func() error { return way.fill(conn.Conn()) })
				})
				pool.Close()
				if err = errors.Join(err, r.do(ctx, "DROP DATABASE %s WITH (FORCE)", name)); err != nil {
					return nil, fmt.Errorf("%s: %w", way.name, err)
				}
			}
		}
		for _, way := range ways {
			r.told("seed %s rows: %s in %s", g.columns[i], way.name, g.cell(way.name, g.columns[i]).median().Round(time.Millisecond))
		}
		if err := r.do(ctx, "DROP DATABASE %s WITH (FORCE)", source); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// valuesOf reads rows as Go's values.
func valuesOf(ctx context.Context, db *pgxpool.Pool) (values map[string][][]any, columns map[string][]string, err error) {
	values, columns = map[string][][]any{}, map[string][]string{}
	for _, table := range tables {
		rows, err := db.Query(ctx, "SELECT * FROM "+table+" ORDER BY id")
		if err != nil {
			return nil, nil, err
		}
		for _, f := range rows.FieldDescriptions() {
			columns[table] = append(columns[table], f.Name)
		}
		if values[table], err = pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]any, error) { return row.Values() }); err != nil {
			return nil, nil, err
		}
	}
	return values, columns, nil
}

// written measures what a test's own writes take in a database that is tracked, and
// in one that is not.
func (p plan) written(ctx context.Context, r *rig, source string) (*grid, error) {
	const tracked, untracked = "tracked", "not tracked"
	const there = 10_000 // rows of the table
	g := newGrid(tracked, untracked)
	conns := map[string]*pgxpool.Pool{}
	stores := map[string]*snapshot.Store{}
	for _, name := range g.columns {
		c, err := copied(ctx, r, source)
		if err != nil {
			return nil, err
		}
		defer func() { _ = c.close(ctx) }()
		conns[name] = c.Pool
		if stores[name], err = snapshot.NewStore(c.Pool, snapshot.WithDir(filepath.Join(r.dir, name)), snapshot.WithProgress(false)); err != nil {
			return nil, err
		}
		if _, err := stores[name].Create(ctx, "lab", snapshot.Replace()); err != nil {
			return nil, err
		}
	}
	back := func() error {
		for _, name := range g.columns {
			if _, err := stores[name].Restore(ctx, "lab"); err != nil {
				return err
			}
		}
		return stores[untracked].Untrack(ctx)
	}
	for _, op := range []struct {
		name string
		rows int
		sql  string // of the numbers of the first and the last row
	}{
		{"insert 1 row", 1, "INSERT INTO support_plan_cycles (welfare_recipient_id, office_id, is_latest_cycle) SELECT welfare_recipient_id, office_id, false FROM support_plan_cycles WHERE id BETWEEN %d AND %d"},
		{"update 1 row", 1, "UPDATE support_plan_cycles SET google_event_id = 'x' WHERE id BETWEEN %d AND %d"},
		{"delete 1 row", 1, "DELETE FROM support_plan_cycles WHERE id BETWEEN %d AND %d"},
		{"select 1 row", 1, "SELECT * FROM support_plan_cycles WHERE id BETWEEN %d AND %d"},
		{"insert 1,000 rows", 1000, "INSERT INTO support_plan_cycles (welfare_recipient_id, office_id, is_latest_cycle) SELECT welfare_recipient_id, office_id, false FROM support_plan_cycles WHERE id BETWEEN %d AND %d"},
		{"update 1,000 rows", 1000, "UPDATE support_plan_cycles SET google_event_id = 'x' WHERE id BETWEEN %d AND %d"},
		{"delete 1,000 rows", 1000, "DELETE FROM support_plan_cycles WHERE id BETWEEN %d AND %d"},
		{"delete 10,000 rows", 10_000, "DELETE FROM support_plan_cycles WHERE id BETWEEN %d AND %d"},
	} {
		runs, fresh := p.writes, there/op.rows // rows that were not written before
		if op.rows > 1 {
			runs = min(9, p.writes)
		}
		for i := range runs {
			if i%fresh == 0 {
				if err := back(); err != nil {
					return nil, err
				}
				i = 0
			}
			i %= fresh
			for _, name := range g.columns {
				sql := fmt.Sprintf(op.sql, i*op.rows+1, (i+1)*op.rows)
				if err := g.cell(op.name, name).time(func() error { _, err := conns[name].Exec(ctx, sql); return err }); err != nil {
					return nil, err
				}
			}
		}
		r.told("%s: %s tracked, %s not", op.name, g.cell(op.name, tracked).median().Round(10*time.Microsecond), g.cell(op.name, untracked).median().Round(10*time.Microsecond))
	}
	return g, nil
}

// started measures how long it takes until a server answers.
func (p plan) started(ctx context.Context) (*grid, error) {
	const first, again, hand = "groundhog, the first time of all", "groundhog, later", "initdb and pg_ctl -w by hand"
	g := newGrid("to the first answer")
	column := g.columns[0]
	ask := func(url string) error {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close(ctx) }()
		return conn.Ping(ctx)
	}
	start := func(way string) error {
		var server *fixtures.Server
		err := g.cell(way, column).time(func() (err error) {
			if server, err = fixtures.Start(ctx); err == nil {
				err = ask(server.URL())
			}
			return err
		})
		return errors.Join(err, server.Close())
	}
	before, was := os.LookupEnv("XDG_CACHE_HOME")
	for range max(p.runs/3, 1) {
		cache, err := os.MkdirTemp("", "groundhog-lab-cache-*")
		if err != nil {
			return nil, err
		}
		if err := errors.Join(os.Chmod(cache, 0o755), os.Setenv("XDG_CACHE_HOME", cache)); err != nil {
			return nil, err
		}
		err = errors.Join(start(first), start(again))
		if was {
			err = errors.Join(err, os.Setenv("XDG_CACHE_HOME", before))
		} else {
			err = errors.Join(err, os.Unsetenv("XDG_CACHE_HOME"))
		}
		if err = errors.Join(err, os.RemoveAll(cache)); err != nil {
			return nil, err
		}
		if programs("initdb") == "" {
			g.cell(hand, column).why = "not installed"
			continue
		}
		if err := byHand(ctx, g.cell(hand, column), ask); err != nil {
			return nil, err
		}
	}
	return g, nil
}

func byHand(ctx context.Context, cell *outcome, ask func(string) error) error {
	const nobody = 65534
	dir, err := os.MkdirTemp("", "lab-*")
	if err != nil {
		return err
	}
	if os.Getuid() == 0 {
		if err := os.Chown(dir, nobody, nobody); err != nil {
			return err
		}
	}
	data := filepath.Join(dir, "data")
	run := func(program string, args ...string) error {
		cmd := exec.CommandContext(ctx, programs(program), args...)
		cmd.Dir = dir
		if os.Getuid() == 0 { // they don't run as root
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		}
		out, err := os.Create(filepath.Join(dir, program)) // a pipe would be kept open by the server
		if err != nil {
			return err
		}
		defer func() { _ = out.Close() }()
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Run(); err != nil {
			said, _ := os.ReadFile(out.Name())
			return fmt.Errorf("%s: %w: %s", program, err, said)
		}
		return nil
	}
	err = cell.time(func() error {
		if err := run("initdb", "--auth=trust", "--username=postgres", "--no-sync", data); err != nil {
			return err
		}
		if err := run("pg_ctl", "-w", "-D", data, "-l", filepath.Join(dir, "log"), "-o", "-c listen_addresses='' -k "+dir, "start"); err != nil {
			return err
		}
		return ask("postgres://postgres@/postgres?host=" + dir)
	})
	return errors.Join(err, run("pg_ctl", "-D", data, "-m", "immediate", "stop"), os.RemoveAll(dir))
}

// What a test of the suite does.
const (
	serially   = "one after the other"
	inParallel = "t.Parallel"
	allChanged = "one after the other, all rows changed"
)

// suited measures a suite: packages that run as processes, as go test runs them, whose
// tests begin at the baseline, change 10 rows, or all of them, and look at them. It also
// measures what a process takes that is new until it has a database at the baseline.
func (p plan) suited(ctx context.Context, r *rig, source string) (suite, first *grid, err error) {
	const packages = 4
	suite, first = newGrid(serially, inParallel, allChanged), newGrid("to the first answer at the baseline")
	binary := filepath.Join(r.dir, "suite.test")
	if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, "./suite").CombinedOutput(); err != nil {
		return nil, nil, fmt.Errorf("%w: %s", err, out)
	}
	process := func(way string, i int, env ...string) error {
		cmd := exec.CommandContext(ctx, binary, "-test.count=1")
		cmd.Dir = r.dir
		cmd.Env = append(append(os.Environ(), "LAB_WAY="+way, "LAB_SOURCE="+source, "LAB_URL="+r.server.URL(), fmt.Sprint("LAB_PACKAGE=", i),
			"GROUNDHOG_DATABASE_URL="+r.server.URL(), "GROUNDHOG_DIR="+filepath.Join(r.dir, "suite")), env...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%s: %w: %s", way, err, strings.TrimSpace(string(out)))
		}
		return err
	}
	run := func(way, column string, tests int) error {
		limit := make(chan struct{}, runtime.GOMAXPROCS(0)) // as go test -p
		results := make(chan error, packages)
		for i := range packages {
			go func() {
				limit <- struct{}{}
				defer func() { <-limit }()
				results <- process(way, i, fmt.Sprint("LAB_TESTS=", tests), fmt.Sprint("LAB_PARALLEL=", column == inParallel), fmt.Sprint("LAB_ALL=", column == allChanged))
			}()
		}
		var failed []error
		for range packages {
			failed = append(failed, <-results)
		}
		return errors.Join(failed...)
	}
	ways := []string{us, testdb, fileCopy, inTx}
	for turn := range min(3, 1+p.runs) {
		for _, way := range ways {
			for _, column := range suite.columns {
				tests := p.tests
				switch {
				case turn == 0: // makes templates and files
					tests = 1
				case column == allChanged:
					tests = p.all
				}
				cell := suite.cell(way, column)
				if way == inTx && column == inParallel {
					cell.why = "not tried"
					continue
				}
				if err := r.settle(ctx); err != nil {
					return nil, nil, err
				}
				began := time.Now()
				if err := run(way, column, tests); err != nil {
					return nil, nil, err
				}
				took := time.Since(began)
				if turn > 0 {
					cell.series = append(cell.series, took/time.Duration(packages*tests))
				}
				r.told("suite of %d tests: %s, %s: %s", packages*tests, way, column, took.Round(time.Millisecond))
			}
		}
	}
	took := filepath.Join(r.dir, "took")
	for range p.runs {
		for _, way := range ways[:3] {
			if err := r.settle(ctx); err != nil {
				return nil, nil, err
			}
			if err := process(way, 0, "LAB_TESTS=0", "LAB_TOOK="+took); err != nil {
				return nil, nil, err
			}
			said, err := os.ReadFile(took)
			if err != nil {
				return nil, nil, err
			}
			d, err := time.ParseDuration(string(said))
			if err != nil {
				return nil, nil, err
			}
			cell := first.cell(way, first.columns[0])
			cell.series = append(cell.series, d)
		}
	}
	for _, way := range ways[:3] {
		r.told("a new process: %s in %s", way, first.cell(way, first.columns[0]).median().Round(10*time.Microsecond))
	}
	return suite, first, nil
}
