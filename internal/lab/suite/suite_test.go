// Package suite is what lab measures as a suite of tests: each begins at the
// baseline, changes ten rows, and looks at them. LAB_WAY says how it gets there.
package suite

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib" // for pgtestdb
	"github.com/peterldowns/pgtestdb"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/bulk"
	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/snapshot"
)

const baselineRows = 10_000 // of welfare_recipients

type execer interface {
	Exec(ctx context.Context, sql string, args ...any) (commandTag, error)
}

var (
	way      = os.Getenv("LAB_WAY")
	parallel = os.Getenv("LAB_PARALLEL") == "true"
	all      = os.Getenv("LAB_ALL") == "true" // rows are changed
	source   = os.Getenv("LAB_SOURCE")
	admin    *pgxpool.Pool
	only     *pgx.Conn // for a way with one connection
)

func TestMain(m *testing.M) {
	switch way {
	case "":
	case "groundhog":
		fixtures.Main(m, func(t testing.TB) {
			began := time.Now()
			db := fixtures.Open(t, fixtures.WithSchema(fixtures.WelfareSchema))
			snapshot.Ensure(t, "baseline", func(t testing.TB) { bulk.Welfare(t, db, bulk.Medium) }, snapshot.Version("1"))
			tell(t, pool{db}, began)
		})
		return
	default:
		var err error
		if admin, err = pgxpool.New(context.Background(), os.Getenv("LAB_URL")); err != nil {
			panic(err)
		}
		if way == "a transaction, as go-txdb" {
			name := "lab_test_suite_" + os.Getenv("LAB_PACKAGE")
			do("DROP DATABASE IF EXISTS %s WITH (FORCE)", name)
			do("CREATE DATABASE %s TEMPLATE %s STRATEGY FILE_COPY", name, source)
			config := admin.Config().ConnConfig
			config.Database = name
			if only, err = pgx.ConnectConfig(context.Background(), config); err != nil {
				panic(err)
			}
		}
	}
	m.Run()
}

// tell says how long it took until a database at the baseline has answered, where lab wants
// to know.
func tell(t testing.TB, db execer, began time.Time) {
	if out := os.Getenv("LAB_TOOK"); out != "" {
		_, err := db.Exec(t.Context(), "SELECT count(*) FROM offices")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(out, []byte(time.Since(began).String()), 0o600))
	}
}

// TestFirst takes the time of a way other than groundhog's.
func TestFirst(t *testing.T) {
	if os.Getenv("LAB_TOOK") == "" || way == "groundhog" {
		t.Skip("it is run by lab")
	}
	began := time.Now()
	tell(t, baseline(t, 0), began)
}

func do(sql string, names ...string) {
	quoted := make([]any, len(names))
	for i, name := range names {
		quoted[i] = pgx.Identifier{name}.Sanitize()
	}
	if _, err := admin.Exec(context.Background(), fmt.Sprintf(sql, quoted...)); err != nil {
		panic(err)
	}
}

// baseline gives a test a database at the baseline.
func baseline(t *testing.T, number int) execer {
	switch way {
	case "groundhog":
		if parallel {
			return pool{snapshot.Clone(t, "baseline")}
		}
		snapshot.Restore(t, "baseline")
		return pool{fixtures.DB(t)}
	case "pgtestdb":
		config := admin.Config().ConnConfig
		made := pgtestdb.Custom(t, pgtestdb.Config{
			DriverName: "pgx", User: config.User, Password: config.Password, Port: fmt.Sprint(config.Port), Database: config.Database,
			Options: "host=" + config.Host + "&sslmode=disable",
		}, seeded{})
		return open(t, made.URL())
	case "a transaction, as go-txdb":
		tx, err := only.Begin(t.Context())
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, tx.Rollback(context.Background())) })
		return transaction{tx}
	}
	name := fmt.Sprintf("lab_test_suite_%s_%d", os.Getenv("LAB_PACKAGE"), number)
	do("CREATE DATABASE %s TEMPLATE %s STRATEGY FILE_COPY", name, source)
	t.Cleanup(func() { do("DROP DATABASE %s WITH (FORCE)", name) })
	config := admin.Config()
	config.ConnConfig.Database = name
	db, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return pool{db}
}

func open(t *testing.T, url string) execer {
	db, err := pgxpool.New(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return pool{db}
}

func TestSuite(t *testing.T) {
	if way == "" {
		t.Skip("it is run by lab")
	}
	tests, err := strconv.Atoi(os.Getenv("LAB_TESTS"))
	require.NoError(t, err)
	for i := range tests {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			if parallel {
				t.Parallel()
			}
			db := baseline(t, i)
			if all {
				for _, table := range tables {
					_, err := db.Exec(t.Context(), "UPDATE "+table+" SET updated_at = now()")
					require.NoError(t, err)
				}
			}
			changed, err := db.Exec(t.Context(), `UPDATE welfare_recipients SET last_name = 'changed' WHERE id IN (SELECT id FROM welfare_recipients LIMIT 5)`)
			require.NoError(t, err)
			require.EqualValues(t, 5, changed.RowsAffected())
			changed, err = db.Exec(t.Context(), `DELETE FROM support_plan_cycles WHERE id IN (SELECT id FROM support_plan_cycles LIMIT 5)`)
			require.NoError(t, err)
			require.EqualValues(t, 5, changed.RowsAffected())
			seen, err := db.Exec(t.Context(), `SELECT FROM welfare_recipients`)
			require.NoError(t, err)
			require.EqualValues(t, baselineRows, seen.RowsAffected())
		})
	}
}
