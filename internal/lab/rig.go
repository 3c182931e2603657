package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/groundhogdb/groundhog/bulk"
	"github.com/groundhogdb/groundhog/fixtures"
)

// tables are those of the welfare schema, parents first.
var tables = []string{"staffs", "offices", "office_staffs", "welfare_recipients", "office_welfare_recipients", "support_plan_cycles"}

// rowsOf is how many rows a dataset of so many offices has.
func rowsOf(offices int) int { return 321*offices + 1 }

// rig is the server that all is measured on.
type rig struct {
	server *fixtures.Server
	admin  *pgxpool.Pool
	dir    string       // for files
	made   atomic.Int64 // databases, for their names
	told   func(format string, args ...any)
}

func newRig(ctx context.Context, dir string, told func(string, ...any)) (*rig, error) {
	server, err := fixtures.Start(ctx)
	if err != nil {
		return nil, err
	}
	admin, err := pgxpool.New(ctx, server.URL())
	return &rig{server: server, admin: admin, dir: dir, told: told}, err
}

func (r *rig) close() error {
	r.admin.Close()
	return r.server.Close()
}

// do sends a statement that is none of a test's.
func (r *rig) do(ctx context.Context, sql string, names ...string) error {
	quoted := make([]any, len(names))
	for i, name := range names {
		quoted[i] = pgx.Identifier{name}.Sanitize()
	}
	_, err := r.admin.Exec(ctx, fmt.Sprintf(sql, quoted...))
	return err
}

// settle waits until nothing is done on the server that a way left to be done in the
// background, and leaves no dirty pages to the next way.
func (r *rig) settle(ctx context.Context) error {
	const quiet = 3 // looks in a row that see nothing: there are gaps between statements
	for seen := 0; seen < quiet; seen++ {
		var busy bool
		if err := r.admin.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'client backend' AND state = 'active' AND pid <> pg_backend_pid())`).Scan(&busy); err != nil {
			return err
		}
		if busy {
			seen = -1
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
	return r.do(ctx, "CHECKPOINT")
}

// config leads to a database of the server.
func (r *rig) config(database string) *pgxpool.Config {
	config := r.admin.Config()
	config.ConnConfig.Database = database
	config.MaxConns = 4
	return config
}

func (r *rig) open(ctx context.Context, database string) (*pgxpool.Pool, error) {
	pool, err := pgxpool.NewWithConfig(ctx, r.config(database))
	if err == nil {
		err = pool.Ping(ctx)
	}
	return pool, err
}

// source makes a database with a dataset, from which others are copied, and tells
// what is in it.
func (r *rig) source(ctx context.Context, offices int) (name string, facts facts, err error) {
	name = r.name("source")
	if err := r.empty(ctx, name); err != nil {
		return "", facts, err
	}
	pool, err := r.open(ctx, name)
	if err != nil {
		return "", facts, err
	}
	defer pool.Close()
	if err := seed(ctx, pool, offices); err != nil {
		return "", facts, err
	}
	if _, err := pool.Exec(ctx, "VACUUM ANALYZE"); err != nil {
		return "", facts, err
	}
	facts, err = factsOf(ctx, pool, true)
	return name, facts, err
}

// name makes one that says it is for tests.
func (r *rig) name(what string) string {
	return fmt.Sprintf("lab_test_%s_%d", strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' {
			return c
		}
		return -1
	}, strings.ToLower(what)), r.made.Add(1))
}

// empty makes a database with the schema and no rows.
func (r *rig) empty(ctx context.Context, name string) error {
	if err := r.do(ctx, "CREATE DATABASE %s", name); err != nil {
		return err
	}
	pool, err := r.open(ctx, name)
	if err != nil {
		return err
	}
	defer pool.Close()
	_, err = pool.Exec(ctx, fixtures.WelfareSchema, pgx.QueryExecModeSimpleProtocol)
	return err
}

// seed fills the welfare schema.
func seed(ctx context.Context, db bulk.DB, offices int) error {
	s := bulk.NewSeeder(db, bulk.WithProgress(false))
	of, err := s.Offices(ctx, offices)
	if err != nil {
		return err
	}
	if _, err := s.Staffs(ctx, of, 10); err != nil {
		return err
	}
	people, err := s.WelfareRecipients(ctx, of, 100)
	if err != nil {
		return err
	}
	_, err = s.SupportPlanCycles(ctx, people)
	return err
}

// change writes as a test does: half of the rows are updated, three tenths deleted,
// two tenths inserted. Below 0 all rows are updated.
func change(rows int) string {
	if rows < 0 {
		all := make([]string, len(tables))
		for i, table := range tables {
			all[i] = "UPDATE " + table + " SET updated_at = now()"
		}
		return strings.Join(all, "; ")
	}
	return fmt.Sprintf(`UPDATE welfare_recipients SET last_name = 'changed' WHERE id IN (SELECT id FROM welfare_recipients LIMIT %d);
		DELETE FROM support_plan_cycles WHERE id IN (SELECT id FROM support_plan_cycles LIMIT %d);
		INSERT INTO offices (name, is_group, type, created_by, last_modified_by)
			SELECT 'new', false, 'type_B_office', s.id, s.id FROM (SELECT id FROM staffs LIMIT 1) s, generate_series(1, %d)`, rows/2, rows*3/10, rows/5)
}

// facts are how many rows the tables have, and a hash of them that knows no order.
type facts string

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func factsOf(ctx context.Context, db querier, hashed bool) (facts, error) {
	each := make([]string, len(tables))
	for i, table := range tables {
		hash := "0"
		if hashed {
			hash = "sum(hashtextextended(t::text, 0))"
		}
		each[i] = fmt.Sprintf("SELECT '%s ' || count(*) || ' ' || %s FROM %[1]s t", table, hash)
	}
	rows, err := db.Query(ctx, strings.Join(each, " UNION ALL "))
	if err != nil {
		return "", err
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	slices.Sort(lines)
	return facts(strings.Join(lines, "\n")), err
}

// programs finds PostgreSQL's client programs, which need not be on PATH.
func programs(name string) string {
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if path := filepath.Join(dir, name); executable(path) {
			return path
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name) // the pattern is well-formed
	slices.Sort(found)
	if len(found) == 0 {
		return ""
	}
	return found[len(found)-1]
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// series are what runs of one thing took.
type series []time.Duration

func (s *series) time(f func() error) error {
	began := time.Now()
	err := f()
	*s = append(*s, time.Since(began))
	return err
}

func (s series) median() time.Duration {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[len(sorted)/2]
}

func (s series) sum() (total time.Duration) {
	for _, d := range s {
		total += d
	}
	return total
}
