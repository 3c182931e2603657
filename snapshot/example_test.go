package snapshot_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/snapshot"
)

// withStore stands for what a program has anyway: a pool, and a folder. Tests use
// snapshot.Ensure and snapshot.Restore on the database of fixtures.Open.
func withStore(schema string, use func(ctx context.Context, db *pgxpool.Pool, store *snapshot.Store) error) {
	ctx := context.Background()
	server, err := fixtures.Start(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close() //nolint:errcheck // the example is over
	dir, err := os.MkdirTemp("", "groundhog-example-*")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // the example is over
	database, err := server.CreateDatabase(ctx, fixtures.WithSchema(schema))
	if err == nil {
		var store *snapshot.Store
		if store, err = snapshot.NewStore(database.Pool, snapshot.WithDir(dir)); err == nil {
			err = use(ctx, database.Pool, store)
		}
		_ = database.Close()
	}
	if err != nil {
		fmt.Println(err)
	}
}

func ExampleStore() {
	const schema = `CREATE TABLE books (id int PRIMARY KEY, title text)`
	withStore(schema, func(ctx context.Context, db *pgxpool.Pool, store *snapshot.Store) error {
		build := func(ctx context.Context) error {
			_, err := db.Exec(ctx, `INSERT INTO books SELECT i, 'book ' || i FROM generate_series(1, 1000) i`)
			return err
		}
		for range 2 {
			restored, err := store.Ensure(ctx, "baseline", build)
			if err != nil {
				return err
			}
			fmt.Println(restored.Ways[0].Table, restored.Ways[0].Way == snapshot.Built, restored.Rows)
			if _, err := db.Exec(ctx, `DELETE FROM books WHERE id % 2 = 0`); err != nil {
				return err
			}
		}
		return nil
	})
	// Output:
	// public.books true 1000
	// public.books false 1000
}

// Only the test data is saved and restored; the other row stays as it is.
func ExampleRows() {
	const schema = `CREATE TABLE offices (name text PRIMARY KEY, is_test_data boolean NOT NULL);
		INSERT INTO offices VALUES ('real', false), ('test', true)`
	withStore(schema, func(ctx context.Context, db *pgxpool.Pool, store *snapshot.Store) error {
		info, err := store.Create(ctx, "test data", snapshot.Rows("is_test_data"))
		if err != nil {
			return err
		}
		fmt.Println(info.Rows, info.Scope)
		if _, err := db.Exec(ctx, `UPDATE offices SET name = name || ' 2'`); err != nil {
			return err
		}
		if _, err := store.Restore(ctx, "test data"); err != nil {
			return err
		}
		var names string
		err = db.QueryRow(ctx, `SELECT string_agg(name, ', ' ORDER BY name) FROM offices`).Scan(&names)
		fmt.Println(names)
		return err
	})
	// Output:
	// 1 Rows("is_test_data")
	// real 2, test
}
