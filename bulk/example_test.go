package bulk_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/groundhogdb/groundhog/bulk"
	"github.com/groundhogdb/groundhog/fixtures"
)

// withDatabase stands for what an application has anyway: a pool. Tests get
// theirs from fixtures.Open.
func withDatabase(schema string, use func(ctx context.Context, db *pgxpool.Pool) error) {
	ctx := context.Background()
	server, err := fixtures.Start(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close() //nolint:errcheck // the example is over
	database, err := server.CreateDatabase(ctx, fixtures.WithSchema(schema))
	if err == nil {
		err = use(ctx, database.Pool)
		_ = database.Close()
	}
	if err != nil {
		fmt.Println(err)
	}
}

func ExampleSeeder() {
	withDatabase(fixtures.WelfareSchema, func(ctx context.Context, db *pgxpool.Pool) error {
		seeder := bulk.NewSeeder(db)
		offices, err := seeder.Offices(ctx, 2, func(i int, o *bulk.Office) {
			o.IsGroup = i == 0
		})
		if err != nil {
			return err
		}
		staffs, err := seeder.Staffs(ctx, offices, 10)
		if err != nil {
			return err
		}
		fmt.Println(offices[1].Name, *offices[1].Email)
		fmt.Println(staffs[10].FullName, len(staffs))
		return nil
	})
	// Output:
	// テスト事業所0001 office0001@test-example.com
	// 事業所0001 スタッフ000 20
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
		if err != nil {
			return err
		}
		fmt.Println(books)
		_, err = bulk.InsertRows(ctx, db, "books", []Book{{Title: "Sanshirō"}, {Title: "Kokoro"}})
		var refused *bulk.ConstraintError
		if errors.As(err, &refused) {
			fmt.Println(refused.Table, refused.Row, refused.Kind, refused.Columns, refused.Detail)
		}
		return nil
	})
	// Output:
	// [{1 Kokoro new} {2 Botchan used}]
	// public.books 1 unique [title] Key (title)=(Kokoro) already exists.
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
