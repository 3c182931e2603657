package bulk_test

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"iter"
	"log/slog"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/bulk"
	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
)

// row fits the table t of the misuse tests.
type row struct {
	ID int
	V  string
}

// given is what a call is given, besides silly arguments of its own.
type given struct {
	db      bulk.DB
	offices []bulk.Office
	people  []bulk.WelfareRecipient
}

// asked are calls that are right but for what they are given; wrong is what is silly
// in itself, on any database. All functions and methods that the package exports
// have a line in one of them, or in sillyValues.
var (
	asked = map[string]func(ctx context.Context, g given) error{
		"InsertRows": func(ctx context.Context, g given) error {
			_, err := bulk.InsertRows(ctx, g.db, "t", []row{{V: "a"}})
			return err
		},
		"InsertRowsSeq": func(ctx context.Context, g given) error {
			_, err := bulk.InsertRowsSeq(ctx, g.db, "t", slices.Values([]row{{V: "a"}}))
			return err
		},
		"Seeder.Offices": func(ctx context.Context, g given) error { _, err := seeder(g.db).Offices(ctx, 1); return err },
		"Seeder.Staffs": func(ctx context.Context, g given) error {
			_, err := seeder(g.db).Staffs(ctx, g.offices, 1)
			return err
		},
		"Seeder.WelfareRecipients": func(ctx context.Context, g given) error {
			_, err := seeder(g.db).WelfareRecipients(ctx, g.offices, 1)
			return err
		},
		"Seeder.SupportPlanCycles": func(ctx context.Context, g given) error {
			_, err := seeder(g.db).SupportPlanCycles(ctx, g.people)
			return err
		},
		"Seeder.Welfare": func(ctx context.Context, g given) error { _, err := seeder(g.db).Welfare(ctx, 1); return err },
		"With": func(ctx context.Context, g given) error {
			tx, err := bulk.With(g.db).Begin(ctx)
			if err == nil {
				err = tx.Rollback(ctx)
			}
			return err
		},
	}
	askedOfTests = map[string]func(t testing.TB, g given){
		"Insert":            func(t testing.TB, g given) { bulk.Insert(t, g.db, "t", []row{{V: "a"}}) },
		"InsertSeq":         func(t testing.TB, g given) { bulk.InsertSeq(t, g.db, "t", slices.Values([]row{{V: "a"}})) },
		"Offices":           func(t testing.TB, g given) { bulk.Offices(t, g.db, 1) },
		"Staffs":            func(t testing.TB, g given) { bulk.Staffs(t, g.db, g.offices, 1) },
		"WelfareRecipients": func(t testing.TB, g given) { bulk.WelfareRecipients(t, g.db, g.offices, 1) },
		"SupportPlanCycles": func(t testing.TB, g given) { bulk.SupportPlanCycles(t, g.db, g.people) },
		"Welfare":           func(t testing.TB, g given) { bulk.Welfare(t, g.db, 1) },
	}
	wrong = map[string]func(ctx context.Context, g given) error{
		"no rows' type": func(ctx context.Context, g given) error {
			_, err := bulk.InsertRows(ctx, g.db, "t", []any{nil, 1})
			return err
		},
		"pointers to rows": func(ctx context.Context, g given) error {
			_, err := bulk.InsertRows(ctx, g.db, "t", []*row{nil})
			return err
		},
		"functions for rows": func(ctx context.Context, g given) error {
			_, err := bulk.InsertRows(ctx, g.db, "t", []func(){nil})
			return err
		},
		"a channel in a row": func(ctx context.Context, g given) error {
			_, err := bulk.InsertRows(ctx, g.db, "t", []struct{ V chan int }{{make(chan int)}})
			return err
		},
		"a struct that holds itself": func(ctx context.Context, g given) error {
			type loop struct {
				V    string
				Next *loop
			}
			l := loop{V: "a"}
			l.Next = &l
			_, err := bulk.InsertRows(ctx, g.db, "t", []loop{l})
			return err
		},
		"a zero byte in a text": func(ctx context.Context, g given) error {
			_, err := bulk.InsertRows(ctx, g.db, "t", []row{{V: "a\x00b"}})
			return err
		},
		"no UTF-8 in a text": func(ctx context.Context, g given) error {
			_, err := bulk.InsertRows(ctx, g.db, "t", []row{{V: "\xff\xfe"}})
			return err
		},
		"a sequence that fails": func(ctx context.Context, g given) error {
			var none iter.Seq[row]
			_, err := bulk.InsertRowsSeq(ctx, g.db, "t", none)
			return err
		},
		"a sequence that uses the lock": func(ctx context.Context, g given) error {
			_, err := bulk.InsertRowsSeq(ctx, g.db, "t", func(yield func(row) bool) { yield(row{V: "\x00"}) })
			return err
		},
		"more offices than there can be": func(ctx context.Context, g given) error { _, err := seeder(g.db).Offices(ctx, math.MaxInt); return err },
		"as many offices as have numbers": func(ctx context.Context, g given) error {
			_, err := seeder(g.db).Offices(ctx, 900_000_000_000_000)
			return err
		},
		"more staffs than there can be": func(ctx context.Context, g given) error {
			_, err := seeder(g.db).Staffs(ctx, g.offices, math.MaxInt)
			return err
		},
		"as many staffs as have numbers": func(ctx context.Context, g given) error {
			_, err := seeder(g.db).Staffs(ctx, g.offices, 300_000_000_000_000)
			return err
		},
		"staffs that overflow to nothing": func(ctx context.Context, g given) error {
			_, err := seeder(g.db).Staffs(ctx, []bulk.Office{g.offices[0], g.offices[1]}, math.MaxInt/2+1)
			return err
		},
		"people that overflow to nothing": func(ctx context.Context, g given) error {
			_, err := seeder(g.db).WelfareRecipients(ctx, []bulk.Office{g.offices[0], g.offices[1]}, math.MaxInt/2+1)
			return err
		},
		"more people than there can be": func(ctx context.Context, g given) error {
			_, err := seeder(g.db).WelfareRecipients(ctx, g.offices, math.MaxInt)
			return err
		},
		"as many people as have numbers": func(ctx context.Context, g given) error {
			_, err := seeder(g.db).WelfareRecipients(ctx, g.offices, 300_000_000_000_000)
			return err
		},
		"a scale that there can't be": func(ctx context.Context, g given) error { _, err := seeder(g.db).Welfare(ctx, math.MaxInt); return err },
		"a scale that overflows": func(ctx context.Context, g given) error {
			_, err := seeder(g.db).Welfare(ctx, math.MaxInt/100)
			return err
		},
		"a scale as large as the numbers": func(ctx context.Context, g given) error {
			_, err := seeder(g.db).Welfare(ctx, 9_000_000_000_000)
			return err
		},
		"realistic, and more than can be": func(ctx context.Context, g given) error {
			_, err := seeder(g.db, bulk.Realistic(-1)).Offices(ctx, math.MaxInt)
			return err
		},
		"realistic, as many as the ids": func(ctx context.Context, g given) error {
			_, err := seeder(g.db, bulk.Realistic(-1)).Offices(ctx, 900_000_000_000_000)
			return err
		},
		"a clock beyond what is stored": func(ctx context.Context, g given) error {
			_, err := seeder(g.db, bulk.Clock(time.Unix(1<<55, 0))).Offices(ctx, 1)
			return err
		},
		"a clock before what is stored": func(ctx context.Context, g given) error {
			_, err := seeder(g.db, bulk.Clock(time.Unix(-1<<55, 0))).Offices(ctx, 1)
			return err
		},
		"attempts that are none": func(ctx context.Context, g given) error {
			_, err := seeder(g.db, bulk.WithRetry(math.MinInt)).Offices(ctx, 1)
			return err
		},
		"a language with a zero byte": func(ctx context.Context, g given) error {
			_, err := seeder(g.db, bulk.WithLanguage("\x00")).Offices(ctx, 1)
			return err
		},
		"an edit that takes the key": func(ctx context.Context, g given) error {
			_, err := seeder(g.db).Offices(ctx, 2, func(_ int, o *bulk.Office) { o.ID = g.offices[0].ID })
			return err
		},
		"an edit that breaks the type": func(ctx context.Context, g given) error {
			_, err := seeder(g.db).Offices(ctx, 2, func(_ int, o *bulk.Office) { o.Type = "'; DROP TABLE t" })
			return err
		},
		"an edit with a text that is huge": func(ctx context.Context, g given) error {
			_, err := seeder(g.db).Offices(ctx, 2, func(_ int, o *bulk.Office) { o.Name = strings.Repeat("x", 1<<20) })
			return err
		},
		"offices twice, their staffs once": func(ctx context.Context, g given) error {
			_, err := seeder(g.db).Staffs(ctx, []bulk.Office{g.offices[0], {ID: uuid.Max}}, 1)
			return err
		},
		"people who are not there": func(ctx context.Context, g given) error {
			_, err := seeder(g.db).SupportPlanCycles(ctx, []bulk.WelfareRecipient{{ID: uuid.Max}})
			return err
		},
		"people of an office that is not": func(ctx context.Context, g given) error {
			_, err := seeder(g.db).SupportPlanCycles(ctx, []bulk.WelfareRecipient{{ID: g.people[0].ID, OfficeID: uuid.Max}})
			return err
		},
	}
	// sillyValues are values as nobody makes them, and options that take anything.
	sillyValues = map[string]func(t testing.TB){
		"ConstraintError.Error":  func(t testing.TB) { require.NotPanics(t, func() { _ = (&bulk.ConstraintError{}).Error() }) },
		"ConstraintError.Unwrap": func(t testing.TB) { require.NoError(t, (&bulk.ConstraintError{}).Unwrap()) },
		"RowError.Error":         func(t testing.TB) { require.NotPanics(t, func() { _ = (&bulk.RowError{}).Error() }) },
		"RowError.Unwrap":        func(t testing.TB) { require.NoError(t, (&bulk.RowError{}).Unwrap()) },
		"NewSeeder": func(t testing.TB) {
			_, err := bulk.NewSeeder(nil, nil, nil).Offices(context.Background(), -1)
			require.ErrorIs(t, err, bulk.ErrInvalidArgument)
			_, err = (&bulk.Seeder{}).Offices(context.Background(), 1)
			require.ErrorIs(t, err, bulk.ErrInvalidArgument)
		},
		"AllowDatabase": func(t testing.TB) { silly(t, bulk.AllowDatabase("")) },
		"Clock":         func(t testing.TB) { silly(t, bulk.Clock(time.Time{})) },
		"WithLanguage":  func(t testing.TB) { silly(t, bulk.WithLanguage(strings.Repeat("x", 1<<20))) },
		"WithLogger":    func(t testing.TB) { silly(t, bulk.WithLogger(nil)) },
		"WithProgress":  func(t testing.TB) { silly(t, bulk.WithProgress(false), bulk.WithProgress(true)) },
		"Realistic":     func(t testing.TB) { silly(t, bulk.Realistic(math.MinInt64)) },
		"WithRetry":     func(t testing.TB) { silly(t, bulk.WithRetry(math.MaxInt, math.MaxInt64)) },
	}
)

// silly gives options to a database that is none.
func silly(t testing.TB, opts ...bulk.Option) {
	t.Helper()
	_, err := bulk.InsertRows(context.Background(), bulk.With(nil, opts...), "t", []row{{}})
	require.ErrorIs(t, err, bulk.ErrInvalidArgument)
}

// verdict is what f fails a test of its own with; a panic is one too.
func verdict(t *testing.T, f func(t testing.TB)) (text string) {
	t.Helper()
	var crash any
	text = fatal(t, func(t testing.TB) {
		defer func() { crash = recover() }()
		f(t)
	})
	if crash != nil {
		t.Errorf("it panicked: %v", crash)
	}
	return text
}

// told reports whether an error says enough for a person.
func told(err error) bool { return err != nil && len(err.Error()) > 20 }

func TestMisuse(t *testing.T) {
	t.Parallel()
	db := welfare(t)
	several(t, db)
	execSQL(t, db, "CREATE TABLE t (id serial PRIMARY KEY, v text)")
	other := welfare(t)
	g := given{db: db, offices: bulk.Offices(t, db, 3)}
	g.people = bulk.WelfareRecipients(t, db, g.offices, 1)
	before := append(counts(t, db), one[int](t, db, "SELECT count(*) FROM t"))
	tried := 0
	for _, name := range slices.Sorted(maps.Keys(wrong)) {
		fault.Within(t, name, func() {
			if err := wrong[name](t.Context(), g); !told(err) {
				t.Errorf("%s: %v", name, err)
			}
		})
		tried++
	}
	for _, name := range []string{"", " ", ".", "..", "a.b.c.d", "\x00", "a\nb", `"`, `""`, `"".""`, strings.Repeat("x", 100_000), "\xff", "t; DROP TABLE t", "t --", "(SELECT 1)", "$1", "$$t$$", "pg_class", "information_schema.tables", "名前"} {
		fault.Within(t, name, func() {
			_, err := bulk.InsertRows(t.Context(), db, name, []row{{V: "a"}})
			if !told(err) || !errors.Is(err, bulk.ErrInvalidArgument) && name != "pg_class" {
				t.Errorf("table %.50q: %v", name, err)
			}
			if err != nil && len(err.Error()) > 200_000 {
				t.Errorf("table %.50q: an error of %d bytes", name, len(err.Error()))
			}
		})
		tried++
	}

	// Databases that are none, or none any more, and contexts that are over.
	closed, err := pgxpool.NewWithConfig(t.Context(), db.Config())
	require.NoError(t, err)
	closed.Close()
	conn, err := pgx.ConnectConfig(t.Context(), db.Config().ConnConfig)
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
	ended, err := db.Begin(t.Context())
	require.NoError(t, err)
	require.NoError(t, ended.Rollback(t.Context()))
	broken, err := db.Begin(t.Context())
	require.NoError(t, err)
	_, err = broken.Exec(t.Context(), "SELECT 1/0")
	require.Error(t, err)
	released, err := db.Acquire(t.Context())
	require.NoError(t, err)
	released.Release()
	nowhere := db.Config()
	nowhere.ConnConfig.Host, nowhere.ConnConfig.Port = "127.0.0.1", 1
	nowhere.ConnConfig.Fallbacks = nil
	unreachable, err := pgxpool.NewWithConfig(t.Context(), nowhere)
	require.NoError(t, err)
	defer unreachable.Close()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancelLate := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancelLate()
	for what, c := range map[string]struct {
		ctx context.Context
		db  bulk.DB
	}{
		"nothing":                {t.Context(), nil},
		"no pool":                {t.Context(), (*pgxpool.Pool)(nil)},
		"no connection":          {t.Context(), (*pgx.Conn)(nil)},
		"a closed pool":          {t.Context(), closed},
		"a closed connection":    {t.Context(), conn},
		"an ended transaction":   {t.Context(), ended},
		"a broken transaction":   {t.Context(), broken},
		"a released connection":  {t.Context(), released},
		"an unreachable server":  {t.Context(), bulk.With(unreachable, bulk.WithRetry(1))},
		"a context that is over": {cancelled, db},
		"a deadline long ago":    {late, db},
		"nested options on nil":  {t.Context(), bulk.With(bulk.With(bulk.With(nil)), bulk.WithLogger(slog.New(slog.DiscardHandler)))},
		"a DB that gives no one": {t.Context(), nobody{}},
	} {
		h := given{db: c.db, offices: g.offices, people: g.people}
		for name, call := range asked {
			if name == "With" && (strings.HasPrefix(what, "no") || what == "nested options on nil" || what == "a released connection" || strings.HasPrefix(what, "a DB")) {
				continue // Begin of a DB is that of what is beneath
			}
			fault.Within(t, name+" of "+what, func() {
				if err := call(c.ctx, h); !told(err) && (err == nil || name != "With" && c.ctx.Err() == nil) { // With adds nothing to pgx's own texts
					t.Errorf("%s of %s: %v", name, what, err)
				}
			})
			tried++
		}
		if c.ctx != t.Context() {
			continue
		}
		for name, call := range askedOfTests {
			fault.Within(t, name+" of "+what, func() {
				if text := verdict(t, func(t testing.TB) { call(t, h) }); len(text) < 20 {
					t.Errorf("%s of %s: %q", name, what, text)
				}
			})
			tried++
		}
	}
	require.NoError(t, broken.Rollback(t.Context()))

	// What belongs to another database.
	h := given{db: other, offices: g.offices, people: g.people}
	for name, call := range asked {
		if strings.HasPrefix(name, "Insert") || name == "Seeder.Staffs" || name == "Seeder.WelfareRecipients" || name == "Seeder.SupportPlanCycles" {
			fault.Within(t, name+" with what is another database's", func() {
				if err := call(t.Context(), h); !told(err) {
					t.Errorf("%s: %v", name, err)
				}
			})
			tried++
		}
	}
	require.Equal(t, []int{0, 0, 0, 0, 0, 0}, counts(t, other))
	for _, name := range slices.Sorted(maps.Keys(sillyValues)) {
		fault.Within(t, name, func() { sillyValues[name](t) })
		tried++
	}
	require.Equal(t, before, append(counts(t, db), one[int](t, db, "SELECT count(*) FROM t")))
	require.Zero(t, db.Stat().AcquiredConns())
	t.Logf("fault: %d tried", tried)
}

// nobody is a DB that breaks its promise.
type nobody struct{}

func (nobody) Begin(context.Context) (pgx.Tx, error) { return nil, nil }

// TestMisuseInOddPlaces: after the test's end, in its cleanup, in goroutines and in
// parallel subtests, all of which the functions with a testing.TB may meet.
func TestMisuseInOddPlaces(t *testing.T) {
	t.Parallel()
	db := welfare(t)
	execSQL(t, db, "CREATE TABLE t (id serial PRIMARY KEY, v text)")
	g := given{db: db, offices: bulk.Offices(t, db, 3)}
	g.people = bulk.WelfareRecipients(t, db, g.offices, 1)
	var over testing.TB
	t.Run("in a cleanup", func(t *testing.T) {
		over = t
		t.Cleanup(func() {
			for name, call := range askedOfTests {
				fault.Within(t, name, func() { call(t, g) })
			}
		})
	})
	for name, call := range askedOfTests {
		fault.Within(t, name+" of an ended test", func() {
			if text := verdict(over.(*testing.T), func(t testing.TB) { call(t, g) }); text != "" {
				t.Errorf("%s: %s", name, text)
			}
		})
	}
	t.Run("side by side", func(t *testing.T) {
		for name, call := range askedOfTests {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				fault.Within(t, name, func() { call(t, g) })
			})
		}
	})
	require.Equal(t, 3, one[int](t, db, "SELECT count(DISTINCT id) FROM t WHERE v = 'a'")-3, "two functions, three times")
	t.Logf("fault: %d tried", 3*len(askedOfTests))
}

// TestReadOnly: a standby, and what looks like one, says so and is not tried again.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	db := welfare(t)
	execSQL(t, db, "CREATE TABLE t (id serial PRIMARY KEY, v text)")
	g := given{offices: bulk.Offices(t, db, 3)}
	g.people = bulk.WelfareRecipients(t, db, g.offices, 1)
	before := append(counts(t, db), one[int](t, db, "SELECT count(*) FROM t"))
	config := db.Config()
	config.ConnConfig.RuntimeParams["default_transaction_read_only"] = "on"
	standby, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	defer standby.Close()
	g.db = standby
	for name, call := range asked {
		if name == "With" {
			continue
		}
		fault.Within(t, name, func() {
			err := call(t.Context(), g)
			var pg *pgconn.PgError
			if !told(err) || !errors.As(err, &pg) || pg.Code != "25006" || !strings.Contains(err.Error(), "read-only") {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	require.Equal(t, before, append(counts(t, db), one[int](t, db, "SELECT count(*) FROM t")))
	t.Logf("fault: %d tried", len(asked)-1)
}

// TestMisuseKnowsAll: what is exported is called above.
func TestMisuseKnowsAll(t *testing.T) {
	t.Parallel()
	called := func(name string) bool {
		return asked[name] != nil || askedOfTests[name] != nil || sillyValues[name] != nil
	}
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), e.Name(), nil, 0)
		require.NoError(t, err)
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || !f.Name.IsExported() {
				continue
			}
			name := f.Name.Name
			if f.Recv != nil {
				of := f.Recv.List[0].Type
				if p, ok := of.(*ast.StarExpr); ok {
					of = p.X
				}
				id, ok := of.(*ast.Ident)
				if !ok || !id.IsExported() {
					continue
				}
				name = id.Name + "." + name
			}
			require.True(t, called(name), "%s is not among the silly calls", name)
		}
	}
}

// TestAnEmptyDatabase has no tables to list: the schema was forgotten.
func TestAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	_, err := bulk.NewSeeder(fixtures.Open(t)).Offices(t.Context(), 1)
	require.ErrorContains(t, err, "the database is empty. Make the schema first")
}
