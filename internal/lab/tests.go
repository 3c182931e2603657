package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"golang.org/x/sync/errgroup"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/workload"
	"github.com/groundhogdb/groundhog/snapshot"
)

// Ways to give a test its database, where groundhog has two.
const (
	byRestore  = us + ", Restore"
	byClone    = us + ", Clone"
	schemaPool = "a pool of schemas, TRUNCATE"
	migrated   = "migrations for each test"
)

// testWay gives a test a database, has it do its work, and cleans up.
type testWay struct {
	name  string
	tests int // of a suite
	test  func(ctx context.Context, number int) error
}

// tested measures one test: from the call that gives it a database at the baseline to the
// end of its clean-up. It changes ten rows.
func (p plan) tested(ctx context.Context, r *rig, source string) (*grid, error) {
	g := newGrid("one test")
	ours, err := openedGroundhog(ctx, r, source)
	if err != nil {
		return nil, err
	}
	template, err := copied(ctx, r, source)
	if err != nil {
		return nil, err
	}
	template.Close()
	rolledBack, err := openTx(ctx, r, source)
	if err != nil {
		return nil, err
	}
	ways := []testWay{
		{name: byRestore, test: func(ctx context.Context, _ int) error {
			if _, err := ours.store.Restore(ctx, "lab"); err != nil {
				return err
			}
			return ours.exec(ctx, change(10))
		}},
		{name: byClone, test: func(ctx context.Context, _ int) error {
			return ours.inClone(ctx, func(pool *pgxpool.Pool) error {
				_, err := pool.Exec(ctx, change(10), pgx.QueryExecModeSimpleProtocol)
				return err
			})
		}},
		{name: fileCopy, test: func(ctx context.Context, _ int) error {
			return r.inCopy(ctx, template.name, func(pool *pgxpool.Pool) error {
				_, err := pool.Exec(ctx, change(10), pgx.QueryExecModeSimpleProtocol)
				return err
			})
		}},
		{name: inTx, test: func(ctx context.Context, _ int) error {
			if err := rolledBack.exec(ctx, change(10)); err != nil {
				return err
			}
			return rolledBack.restore(ctx)
		}},
	}
	for turn := range p.runs + 1 {
		for _, way := range ways {
			if err := r.settle(ctx); err != nil {
				return nil, err
			}
			for range inARow {
				took := new(series)
				if err := took.time(func() error { return way.test(ctx, 0) }); err != nil {
					return nil, fmt.Errorf("%s: %w", way.name, err)
				}
				if turn > 0 { // what is made once is made
					cell := g.cell(way.name, g.columns[0])
					cell.series = append(cell.series, *took...)
				}
			}
		}
	}
	for _, way := range ways {
		r.told("one test: %s in %s", way.name, g.cell(way.name, g.columns[0]).median().Round(10*time.Microsecond))
	}
	return g, errors.Join(ours.close(ctx), rolledBack.close(ctx), template.close(ctx))
}

// openedGroundhog is a database that fixtures made, with a snapshot of its rows.
func openedGroundhog(ctx context.Context, r *rig, source string) (*groundhog, error) {
	opened, err := openGroundhog(ctx, r, source)
	if err != nil {
		return nil, err
	}
	g := opened.(*groundhog)
	return g, g.create(ctx)
}

// madeGroundhog is one with a schema.
func madeGroundhog(ctx context.Context, r *rig, schema string) (*groundhog, error) {
	db, err := r.server.CreateDatabase(ctx, fixtures.WithSchema(schema))
	if err != nil {
		return nil, err
	}
	store, err := snapshot.NewStore(db.Pool, snapshot.WithDir(filepath.Join(r.dir, db.Name)), snapshot.WithProgress(false))
	if err != nil {
		return nil, err
	}
	g := &groundhog{&plain{db.Pool, r, db.Name}, db, store}
	return g, g.create(ctx)
}

// inClone does work in a clone of the snapshot.
func (g *groundhog) inClone(ctx context.Context, work func(*pgxpool.Pool) error) error {
	c, err := g.store.Clone(ctx, "lab")
	if err != nil {
		return err
	}
	return errors.Join(work(c.Pool), c.Close())
}

// inCopy does work in a copy of a template, and drops it.
func (r *rig) inCopy(ctx context.Context, template string, work func(*pgxpool.Pool) error) error {
	return r.inDatabase(ctx, work, func(name string) error {
		return r.do(ctx, "CREATE DATABASE %s TEMPLATE %s STRATEGY FILE_COPY", name, template)
	})
}

func (r *rig) inDatabase(ctx context.Context, work func(*pgxpool.Pool) error, create func(name string) error) error {
	name := r.name("test")
	if err := create(name); err != nil {
		return err
	}
	pool, err := r.open(ctx, name)
	if err == nil {
		err = work(pool)
	}
	pool.Close()
	return errors.Join(err, r.do(ctx, "DROP DATABASE %s WITH (FORCE)", name))
}

// paused measures a restore after ten changed rows, at once and after a pause, and what the
// same pause does to a client that changes the same rows in a database without a journal.
func (p plan) paused(ctx context.Context, r *rig, source string) (*grid, error) {
	g := newGrid("after "+p.pause.String(), "at once")
	ours, err := openedGroundhog(ctx, r, source)
	if err != nil {
		return nil, err
	}
	other, err := copied(ctx, r, source)
	if err != nil {
		return nil, err
	}
	held, err := other.Acquire(ctx) // a pool pings what was idle for a second
	if err != nil {
		return nil, err
	}
	defer held.Release()
	ways := []struct {
		name          string
		before, timed func() error
	}{
		{us, func() error { return ours.exec(ctx, change(10)) }, func() error { _, err := ours.store.Restore(ctx, "lab"); return err }},
		{"a client without groundhog", func() error { return nil }, func() error {
			_, err := held.Exec(ctx, "BEGIN; "+change(10)+"; ROLLBACK", pgx.QueryExecModeSimpleProtocol)
			return err
		}},
	}
	run := func(way int, idle time.Duration, cell *outcome) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(idle):
		}
		if err := ways[way].before(); err != nil {
			return err
		}
		return cell.time(ways[way].timed)
	}
	for range max(p.runs/2, 1) {
		for i, way := range ways {
			for range inARow {
				if err := run(i, 0, &outcome{}); err != nil {
					return nil, fmt.Errorf("%s: %w", way.name, err)
				}
			}
			for range inARow {
				if err := run(i, 0, g.cell(way.name, g.columns[1])); err != nil {
					return nil, fmt.Errorf("%s: %w", way.name, err)
				}
			}
			if err := run(i, p.pause, g.cell(way.name, g.columns[0])); err != nil {
				return nil, fmt.Errorf("%s: %w", way.name, err)
			}
		}
	}
	for _, way := range ways {
		r.told("after a pause: %s in %s", way.name, g.cell(way.name, g.columns[0]).median().Round(10*time.Microsecond))
	}
	held.Release()
	return g, errors.Join(ours.close(ctx), other.close(ctx))
}

// rounds measures suites in turns, of so many workers, and notes the time of a test.
func (p plan) rounds(ctx context.Context, r *rig, g *grid, column string, workers int, ways []testWay) error {
	for turn := range max(p.runs/4, 1) + 1 {
		for _, way := range ways {
			tests := way.tests
			if turn == 0 { // what is made once is made
				tests = min(tests, 2*workers)
			}
			if err := r.settle(ctx); err != nil {
				return err
			}
			began := time.Now()
			group, ctx := errgroup.WithContext(ctx)
			group.SetLimit(workers)
			for i := range tests {
				group.Go(func() error { return way.test(ctx, i) })
			}
			if err := group.Wait(); err != nil {
				return fmt.Errorf("%s: %w", way.name, err)
			}
			if turn > 0 {
				cell := g.cell(way.name, column)
				cell.series = append(cell.series, time.Since(began)/time.Duration(tests))
			}
		}
	}
	for _, way := range ways {
		r.told("%s: %s in %s a test", column, way.name, g.cell(way.name, column).median().Round(10*time.Microsecond))
	}
	return nil
}

// crowded measures tests that insert into five empty tables, eight at a time.
func (p plan) crowded(ctx context.Context, r *rig) (*grid, error) {
	const workers = 8
	g := newGrid("a test")
	ours, err := madeGroundhog(ctx, r, workload.Five)
	if err != nil {
		return nil, err
	}
	name := r.name("schemas")
	if err := r.do(ctx, "CREATE DATABASE %s", name); err != nil {
		return nil, err
	}
	free := make(chan *pgxpool.Pool, workers)
	for i := range workers {
		config := r.config(name)
		config.ConnConfig.RuntimeParams["search_path"] = fmt.Sprintf("schema_%d", i)
		pool, err := pgxpool.NewWithConfig(ctx, config)
		if err != nil {
			return nil, err
		}
		defer pool.Close()
		if _, err := pool.Exec(ctx, fmt.Sprintf("CREATE SCHEMA schema_%d; ", i)+workload.Five, pgx.QueryExecModeSimpleProtocol); err != nil {
			return nil, err
		}
		free <- pool
	}
	insert := func(ctx context.Context, pool *pgxpool.Pool) error {
		for _, sql := range workload.FiveInserts() {
			if _, err := pool.Exec(ctx, sql); err != nil {
				return err
			}
		}
		return nil
	}
	err = p.rounds(ctx, r, g, g.columns[0], workers, []testWay{
		{byClone, p.crowd, func(ctx context.Context, _ int) error {
			return ours.inClone(ctx, func(pool *pgxpool.Pool) error { return insert(ctx, pool) })
		}},
		{schemaPool, p.crowd, func(ctx context.Context, _ int) error {
			pool := <-free
			defer func() { free <- pool }()
			if err := insert(ctx, pool); err != nil {
				return err
			}
			_, err := pool.Exec(ctx, workload.FiveEmptied)
			return err
		}},
	})
	for range workers {
		(<-free).Close()
	}
	return g, errors.Join(err, ours.close(ctx), r.do(ctx, "DROP DATABASE %s WITH (FORCE)", name))
}

// webbed measures the suite of a web application.
func (p plan) webbed(ctx context.Context, r *rig) (*grid, error) {
	cores := runtime.GOMAXPROCS(0)
	g := newGrid(serially, inParallel)
	schema := strings.Join(workload.WebMigrations(), ";\n")
	ours, err := madeGroundhog(ctx, r, schema)
	if err != nil {
		return nil, err
	}
	template := r.name("web")
	if err := r.do(ctx, "CREATE DATABASE %s", template); err != nil {
		return nil, err
	}
	filled, err := r.open(ctx, template)
	if err != nil {
		return nil, err
	}
	_, err = filled.Exec(ctx, schema, pgx.QueryExecModeSimpleProtocol)
	filled.Close()
	if err != nil {
		return nil, err
	}
	work := func(ctx context.Context, pool *pgxpool.Pool, number int) error {
		db := stdlib.OpenDBFromPool(pool)
		return errors.Join(workload.WebTest(ctx, db, number), db.Close())
	}
	ways := []testWay{
		{byClone, p.web, func(ctx context.Context, number int) error {
			return ours.inClone(ctx, func(pool *pgxpool.Pool) error { return work(ctx, pool, number) })
		}},
		{fileCopy, p.web, func(ctx context.Context, number int) error {
			return r.inCopy(ctx, template, func(pool *pgxpool.Pool) error { return work(ctx, pool, number) })
		}},
		{migrated, max(p.web/10, 1), func(ctx context.Context, number int) error {
			return r.inDatabase(ctx, func(pool *pgxpool.Pool) error {
				if err := migrate(ctx, pool); err != nil {
					return err
				}
				return work(ctx, pool, number)
			}, func(name string) error { return r.do(ctx, "CREATE DATABASE %s", name) })
		}},
		{byRestore, p.web, func(ctx context.Context, number int) error {
			if _, err := ours.store.Restore(ctx, "lab"); err != nil {
				return err
			}
			return work(ctx, ours.Pool, number)
		}},
	}
	g.cell(byRestore, inParallel).why = "one database"
	if err := p.rounds(ctx, r, g, serially, 1, ways); err != nil {
		return nil, err
	}
	if err := p.rounds(ctx, r, g, inParallel, cores, ways[:3]); err != nil {
		return nil, err
	}
	return g, errors.Join(ours.close(ctx), r.do(ctx, "DROP DATABASE %s WITH (FORCE)", template))
}

// migrate runs each migration in a transaction that notes it, as tools for that do.
func migrate(ctx context.Context, pool *pgxpool.Pool) error {
	if _, err := pool.Exec(ctx, "CREATE TABLE migrations (version bigint PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())"); err != nil {
		return err
	}
	for i, migration := range workload.WebMigrations() {
		err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, migration, pgx.QueryExecModeSimpleProtocol); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, "INSERT INTO migrations (version) VALUES ($1)", i)
			return err
		})
		if err != nil {
			return fmt.Errorf("migration %d: %w", i, err)
		}
	}
	return nil
}
