package snapshot_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/workload"
)

// BenchmarkWebSuite runs the suite of a web application with 50 tables, whose tests use
// database/sql over the pool and several connections at the same time: each test with a
// clone; with a copy of a template that is made and dropped by hand, with a pool of its own;
// with Restore, one after the other; and with a database of its own that all migrations are
// run in, of which there are few, since it takes long. "ms-…" is the time of a test,
// "x-template" that of clones by that of copies by hand, at most 0.5, and "x-restore" by
// that of Restore. It is 12 tests, and all 131 with GROUNDHOG_BENCH_LARGE=1.
func BenchmarkWebSuite(b *testing.B) {
	tests := 12
	if benchLarge() {
		tests = workload.WebTests
	}
	s := newWebSuite(b)
	for _, workers := range []int{1, 2} {
		b.Run(fmt.Sprintf("parallel=%d", workers), func(b *testing.B) {
			ways := []webWay{
				{"clone", tests, s.clone},
				{"template", tests, s.template},
				{"restore", tests, s.restore},
				{"migrations", max(tests/20, 1), s.migrations},
			}
			if workers > 1 {
				ways = ways[:2] // of Restore there is one database
			}
			took := map[string]*timer{}
			for _, way := range ways {
				took[way.name] = new(timer)
				inWorkers(b, workers, min(way.tests, 2*workers), way.test) // what is made once is made
			}
			for turn := 0; b.Loop(); turn++ {
				for i := range ways {
					way := ways[(turn+i)%len(ways)]
					exec(b, s.admin, "CHECKPOINT") // each way pays for what it wrote itself
					began := time.Now()
					inWorkers(b, workers, way.tests, way.test)
					*took[way.name] = append(*took[way.name], time.Since(began)/time.Duration(way.tests))
				}
			}
			for _, way := range ways {
				b.ReportMetric(milliseconds(took[way.name].median()), "ms-"+way.name)
				if way.name == "template" || way.name == "restore" {
					b.ReportMetric(float64(took["clone"].median())/float64(took[way.name].median()), "x-"+way.name)
				}
			}
		})
	}
}

// webWay gives each test a database.
type webWay struct {
	name  string
	tests int
	test  func(ctx context.Context, number int) error
}

// webSuite has the database of the web application, and a template of it for those that
// copy by hand.
type webSuite struct {
	bundle
	hand   *byHand
	config *pgxpool.Config // of pools that are made by hand
	admin  *pgxpool.Pool   // of the server's maintenance database
}

func newWebSuite(b *testing.B) *webSuite {
	b.Helper()
	s := &webSuite{bundle: setupCopied(b, fixtures.WithSchema(strings.Join(workload.WebMigrations(), ";\n")))}
	s.hand = newByHand(b, s.pool)
	s.hand.pool.Close()
	s.config = plainConfig(b, s.hand.config)
	config := s.config.Copy()
	config.ConnConfig.Database = "postgres"
	var err error
	s.admin, err = pgxpool.NewWithConfig(b.Context(), config)
	require.NoError(b, err)
	b.Cleanup(s.admin.Close)
	_, err = s.store.Create(b.Context(), "bench")
	require.NoError(b, err)
	s.store.AwaitCopies()
	return s
}

func webTest(ctx context.Context, pool *pgxpool.Pool, number int) error {
	db := stdlib.OpenDBFromPool(pool)
	if err := workload.WebTest(ctx, db, number); err != nil {
		return err
	}
	return db.Close()
}

func (s *webSuite) clone(ctx context.Context, number int) error {
	c, err := s.store.Clone(ctx, "bench")
	if err != nil {
		return err
	}
	if err := webTest(ctx, c.Pool, number); err != nil {
		return err
	}
	return c.Close()
}

func (s *webSuite) restore(ctx context.Context, number int) error {
	if _, err := s.store.Restore(ctx, "bench"); err != nil {
		return err
	}
	return webTest(ctx, s.pool, number)
}

func (s *webSuite) template(ctx context.Context, number int) error {
	return s.byHand(ctx, number, "CREATE DATABASE %s TEMPLATE "+pgx.Identifier{s.hand.templates[0]}.Sanitize()+" STRATEGY FILE_COPY", nil)
}

func (s *webSuite) migrations(ctx context.Context, number int) error {
	return s.byHand(ctx, number, "CREATE DATABASE %s", workload.WebMigrations())
}

// byHand makes a database for a test, runs each migration in a transaction that also notes
// it, and drops the database after the test.
func (s *webSuite) byHand(ctx context.Context, number int, create string, migrations []string) error {
	name := fmt.Sprintf("%s_%d", s.hand.name, number)
	quoted := pgx.Identifier{name}.Sanitize()
	if _, err := s.admin.Exec(ctx, fmt.Sprintf(create, quoted)); err != nil {
		return err
	}
	config := s.config.Copy()
	config.ConnConfig.Database = name
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	if len(migrations) > 0 {
		if err := migrate(ctx, pool, migrations); err != nil {
			return err
		}
	}
	if err := webTest(ctx, pool, number); err != nil {
		return err
	}
	pool.Close()
	_, err = s.admin.Exec(ctx, "DROP DATABASE "+quoted+" WITH (FORCE)")
	return err
}

func migrate(ctx context.Context, pool *pgxpool.Pool, migrations []string) error {
	if _, err := pool.Exec(ctx, "CREATE TABLE migrations (version bigint PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())"); err != nil {
		return err
	}
	for i, migration := range migrations {
		err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, migration, pgx.QueryExecModeSimpleProtocol); err != nil {
				return fmt.Errorf("%s: %w", migration, err)
			}
			_, err := tx.Exec(ctx, "INSERT INTO migrations (version) VALUES ($1)", i)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
