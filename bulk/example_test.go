package bulk_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/groundhogdb/groundhog/bulk"
	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/example"
)

// test stands for a test, a benchmark or the set-up of TestMain, which have a t.
func test(f func(t testing.TB)) { example.Test(f) }

// withDatabase stands for what a program has anyway: a context and a pool.
func withDatabase(schema string, use func(ctx context.Context, db *pgxpool.Pool) error) {
	test(func(t testing.TB) {
		if err := use(t.Context(), fixtures.Open(t, fixtures.WithSchema(schema))); err != nil {
			t.Fatal(err)
		}
	})
}

func ExampleOffices() {
	test(func(t testing.TB) {
		db := fixtures.Open(t, fixtures.WithSchema(fixtures.WelfareSchema))
		offices := bulk.Offices(t, db, 3, func(i int, o *bulk.Office) { o.IsGroup = i == 2 })
		for _, o := range offices {
			fmt.Println(o.Name, *o.Email, o.IsGroup)
		}
		fmt.Println(bulk.Offices(t, db, 1)[0].Name) // a second call adds
	})
	// Output:
	// テスト事業所0000 office0000@test-example.com false
	// テスト事業所0001 office0001@test-example.com false
	// テスト事業所0002 office0002@test-example.com true
	// テスト事業所0003
}

func ExampleStaffs() {
	test(func(t testing.TB) {
		db := fixtures.Open(t, fixtures.WithSchema(fixtures.WelfareSchema))
		offices := bulk.Offices(t, db, 2)
		staffs := bulk.Staffs(t, db, offices, 10, func(i int, s *bulk.Staff) {
			if i%10 == 0 {
				s.Role = bulk.RoleManager // one in each office
			}
		})
		fmt.Println(len(staffs), staffs[10].FullName, staffs[10].Role, staffs[10].OfficeID == offices[1].ID)
	})
	// Output: 20 事業所0001 スタッフ000 manager true
}

func ExampleWelfareRecipients() {
	test(func(t testing.TB) {
		db := fixtures.Open(t, fixtures.WithSchema(fixtures.WelfareSchema))
		offices := bulk.Offices(t, db, 2)
		recipients := bulk.WelfareRecipients(t, db, offices, 100)
		fmt.Println(len(recipients), recipients[100].FirstName, recipients[100].OfficeID == offices[1].ID)
	})
	// Output: 200 利用者000 true
}

func ExampleSupportPlanCycles() {
	test(func(t testing.TB) {
		db := fixtures.Open(t, fixtures.WithSchema(fixtures.WelfareSchema))
		recipients := bulk.WelfareRecipients(t, db, bulk.Offices(t, db, 1), 3)
		cycles := bulk.SupportPlanCycles(t, db, recipients, func(i int, c *bulk.SupportPlanCycle) {
			deadline := c.PlanCycleStartDate.AddDate(0, 0, 10*i) // today, in ten days, in twenty
			c.NextRenewalDeadline = &deadline
		})
		for _, c := range cycles {
			fmt.Println(c.ID, c.NextRenewalDeadline.Sub(*c.PlanCycleStartDate))
		}
	})
	// Output:
	// 1 0s
	// 2 240h0m0s
	// 3 480h0m0s
}

func ExampleWelfare() {
	test(func(t testing.TB) {
		db := fixtures.Open(t, fixtures.WithSchema(fixtures.WelfareSchema))
		d := bulk.Welfare(t, db, bulk.Small)
		fmt.Println(len(d.Offices), len(d.Staffs), len(d.Recipients), len(d.Cycles))
	})
	// Output: 10 100 1000 1000
}

// A factory of one's own: a struct, and a call.
func ExampleInsert() {
	type Book struct {
		ID    int // the server makes it
		Title string
		Price *string // nil: NULL
	}
	test(func(t testing.TB) {
		db := fixtures.Open(t, fixtures.WithSchema(`CREATE TABLE books (
			id    integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
			title text NOT NULL,
			price numeric)`))
		books := make([]Book, 1000)
		for i := range books {
			books[i].Title = fmt.Sprintf("Volume %d", i)
		}
		books = bulk.Insert(t, db, "books", books)
		fmt.Println(len(books), books[999])
	})
	// Output: 1000 {1000 Volume 999 <nil>}
}

// Rows that are made as they are sent: memory does not grow with their number.
func ExampleInsertSeq() {
	type Reading struct {
		Sensor int
		Value  float64
	}
	test(func(t testing.TB) {
		db := fixtures.Open(t, fixtures.WithSchema("CREATE TABLE readings (sensor integer, value double precision)"))
		n := bulk.InsertSeq(t, db, "readings", func(yield func(Reading) bool) {
			for i := range 10_000 {
				if !yield(Reading{Sensor: i % 7, Value: float64(i) / 2}) {
					return
				}
			}
		})
		fmt.Println(n)
	})
	// Output: 10000
}

// Options go with the database, to whatever is called with it.
func ExampleWith() {
	test(func(t testing.TB) {
		db := fixtures.Open(t, fixtures.WithSchema(fixtures.WelfareSchema))
		april := bulk.With(db, bulk.Clock(time.Date(2026, 4, 1, 9, 0, 0, 0, time.UTC)), bulk.WithProgress(false))
		recipients := bulk.WelfareRecipients(t, april, bulk.Offices(t, april, 1), 1)
		cycles := bulk.SupportPlanCycles(t, april, recipients)
		fmt.Println(cycles[0].NextRenewalDeadline.Format(time.DateOnly))
	})
	// Output: 2026-04-26
}

func ExampleClock() {
	test(func(t testing.TB) {
		db := fixtures.Open(t, fixtures.WithSchema(fixtures.WelfareSchema))
		now := time.Date(2026, 4, 1, 9, 0, 0, 0, time.UTC)
		offices := bulk.Offices(t, bulk.With(db, bulk.Clock(now)), 1)
		fmt.Println(offices[0].CreatedAt.Equal(now))
	})
	// Output: true
}

func ExampleRealistic() {
	test(func(t testing.TB) {
		db := fixtures.Open(t, fixtures.WithSchema(fixtures.WelfareSchema))
		real := bulk.With(db, bulk.Realistic(1))
		recipients := bulk.WelfareRecipients(t, real, bulk.Offices(t, real, 1), 2)
		cycles := bulk.SupportPlanCycles(t, real, recipients)
		for _, r := range recipients {
			fmt.Println(r.LastName, r.FirstName, *r.LastNameFurigana, *r.FirstNameFurigana, r.Gender)
		}
		fmt.Println(len(cycles) > len(recipients))
	})
	// Output:
	// 中野 蓮 ナカノ レン male
	// 山下 大翔 ヤマシタ ヒロト male
	// true
}

// Lost connections are tried again four times: after a second, after three, and so on.
func ExampleWithRetry() {
	_ = func(t testing.TB, db *pgxpool.Pool) {
		patient := bulk.With(db, bulk.WithRetry(5, time.Second, 3*time.Second))
		bulk.Offices(t, patient, 100)
	}
}

func ExampleWithProgress() {
	_ = func(t testing.TB, db *pgxpool.Pool) {
		silent := bulk.With(db, bulk.WithProgress(false))
		bulk.Welfare(t, silent, bulk.Large)
	}
}

// A program sees when a connection was lost, and how far long work is. Tests have
// that in their log anyway.
func ExampleWithLogger() {
	_ = func(ctx context.Context, db *pgxpool.Pool) error {
		_, err := bulk.NewSeeder(db, bulk.WithLogger(slog.New(slog.NewTextHandler(os.Stderr, nil)))).Welfare(ctx, bulk.Large)
		return err
	}
}

// The database called shop is known to be one for tests, though its name does not say so.
func ExampleAllowDatabase() {
	_ = func(t testing.TB, db *pgxpool.Pool) {
		bulk.Offices(t, bulk.With(db, bulk.AllowDatabase("shop")), 100)
	}
}

func ExampleWithLanguage() {
	withDatabase(fixtures.WelfareSchema, func(ctx context.Context, db *pgxpool.Pool) error {
		_, err := bulk.NewSeeder(db, bulk.WithLanguage("ja")).Offices(ctx, -1)
		fmt.Println(err)
		fmt.Println(errors.Is(err, bulk.ErrInvalidArgument))
		return nil
	})
	// Output:
	// groundhog: n が -1 です。負の数は指定できません
	// true
}

func ExampleNewSeeder() {
	withDatabase(fixtures.WelfareSchema, func(ctx context.Context, db *pgxpool.Pool) error {
		tx, err := db.Begin(ctx)
		if err != nil {
			return err
		}
		defer tx.Rollback(ctx)
		offices, err := bulk.NewSeeder(tx).Offices(ctx, 2) // part of the transaction
		fmt.Println(len(offices))
		return err
	})
	// Output: 2
}

func ExampleSeeder() {
	withDatabase(fixtures.WelfareSchema, func(ctx context.Context, db *pgxpool.Pool) error {
		seeder := bulk.NewSeeder(db)
		offices, err := seeder.Offices(ctx, 2, func(i int, o *bulk.Office) { o.IsGroup = i == 0 })
		if err != nil {
			return err
		}
		staffs, err := seeder.Staffs(ctx, offices, 10)
		if err != nil {
			return err
		}
		recipients, err := seeder.WelfareRecipients(ctx, offices, 100)
		if err != nil {
			return err
		}
		cycles, err := seeder.SupportPlanCycles(ctx, recipients)
		if err != nil {
			return err
		}
		fmt.Println(len(offices), len(staffs), len(recipients), len(cycles))

		more, err := seeder.Welfare(ctx, bulk.Small) // all of that in one transaction
		fmt.Println(len(more.Offices), more.Offices[0].Name)
		return err
	})
	// Output:
	// 2 20 200 200
	// 10 テスト事業所0002
}

func ExampleInsertRows() {
	type Book struct {
		ID    int    // the server makes it
		Title string // `db:"title"` would say the same
		State string `db:"state,default"`
	}
	withDatabase(`CREATE TABLE books (
		id    integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
		title text NOT NULL UNIQUE,
		state text NOT NULL DEFAULT 'new')`, func(ctx context.Context, db *pgxpool.Pool) error {
		books, err := bulk.InsertRows(ctx, db, "books", []Book{{Title: "Kokoro"}, {Title: "Botchan", State: "used"}})
		fmt.Println(books)
		return err
	})
	// Output: [{1 Kokoro new} {2 Botchan used}]
}

func ExampleInsertRowsSeq() {
	type Reading struct {
		Sensor int
		Value  float64
	}
	withDatabase("CREATE TABLE readings (sensor integer, value double precision)", func(ctx context.Context, db *pgxpool.Pool) error {
		n, err := bulk.InsertRowsSeq(ctx, db, "readings", func(yield func(Reading) bool) {
			for i := range 10_000 {
				if !yield(Reading{Sensor: i % 7, Value: float64(i) / 2}) {
					return
				}
			}
		})
		fmt.Println(n)
		return err
	})
	// Output: 10000
}

func ExampleConstraintError() {
	type Book struct {
		Title string
	}
	withDatabase("CREATE TABLE books (title text PRIMARY KEY)", func(ctx context.Context, db *pgxpool.Pool) error {
		_, err := bulk.InsertRows(ctx, db, "books", []Book{{"Kokoro"}, {"Sanshirō"}, {"Kokoro"}})
		var refused *bulk.ConstraintError
		if errors.As(err, &refused) {
			fmt.Println(refused.Table, refused.Row, refused.Key, refused.Kind, refused.Columns, refused.Constraint)
			fmt.Println(refused.Error())
		}
		var pg *pgconn.PgError // what Unwrap returns
		fmt.Println(errors.As(err, &pg), pg.Code, errors.Is(refused.Unwrap(), pg))
		return nil
	})
	// Output:
	// public.books 2 title=Kokoro unique [title] books_pkey
	// groundhog: public.books, row 2 (title=Kokoro) was refused: books_pkey: Key (title)=(Kokoro) already exists. Give each row a value of its own in (title), or remove the row that has it; nothing was stored: ERROR: duplicate key value violates unique constraint "books_pkey" (SQLSTATE 23505)
	// true 23505 true
}

func ExampleRowError() {
	type Book struct {
		Title string
		Sold  string // whatever the server can read as the column's type
	}
	withDatabase("CREATE TABLE books (title text PRIMARY KEY, sold date)", func(ctx context.Context, db *pgxpool.Pool) error {
		_, err := bulk.InsertRows(ctx, db, "books", []Book{{"Kokoro", "2026-04-01"}, {"Botchan", "2026-04-31"}})
		var refused *bulk.RowError
		if errors.As(err, &refused) {
			fmt.Println(refused.Table, refused.Row, refused.Key, refused.Column, refused.Field, refused.GoType, refused.PgType)
			fmt.Println(refused.Error())
		}
		var pg *pgconn.PgError // what Unwrap returns
		fmt.Println(errors.As(err, &pg), pg.Code, errors.Is(refused.Unwrap(), pg))
		return nil
	})
	// Output:
	// public.books 1 title=Botchan sold Sold string date
	// groundhog: public.books, row 1 (title=Botchan), column sold date: field Sold holds a string that can't be stored there. Give field Sold a value, or a Go type, that stands for a date; nothing was stored: ERROR: date/time field value out of range: "2026-04-31" (SQLSTATE 22008)
	// true 22008 true
}
