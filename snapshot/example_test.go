package snapshot_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"testing"

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

func ExampleStore_Changes() {
	const schema = `CREATE TABLE books (id int PRIMARY KEY, title text, price numeric, updated_at timestamptz DEFAULT now());
		INSERT INTO books VALUES (1, 'Botchan', 9.50), (2, 'Kokoro', 8.00), (3, 'Sanshiro', 7.25)`
	withStore(schema, func(ctx context.Context, db *pgxpool.Pool, store *snapshot.Store) error {
		if _, err := store.Create(ctx, "baseline"); err != nil {
			return err
		}
		if _, err := db.Exec(ctx, `UPDATE books SET price = price + 1, updated_at = now() WHERE id < 3`); err != nil {
			return err
		}
		if _, err := db.Exec(ctx, `DELETE FROM books WHERE id = 3`); err != nil {
			return err
		}
		changes, err := store.Changes(ctx, snapshot.Ignoring("updated_at"))
		if err != nil {
			return err
		}
		fmt.Println(changes)
		price, err := changes.Table("books").Updated()[0].New.Get("price")
		fmt.Printf("%T\n", price)
		return err
	})
	// Output:
	// public.books ~2 -1
	//   ~ id=1  price: 9.50 → 10.50
	//   ~ id=2  price: 8.00 → 9.00
	//   - id=3  title=Sanshiro  price=7.25
	// pgtype.Numeric
}

func ExampleStore_Clone() {
	const schema = `CREATE TABLE books (id int PRIMARY KEY, title text); INSERT INTO books VALUES (1, 'Botchan')`
	withStore(schema, func(ctx context.Context, db *pgxpool.Pool, store *snapshot.Store) error {
		if _, err := store.Create(ctx, "baseline"); err != nil {
			return err
		}
		if _, err := db.Exec(ctx, `DELETE FROM books`); err != nil {
			return err
		}
		clone, err := store.Clone(ctx, "baseline")
		if err != nil {
			return err
		}
		var books int
		if err := clone.Pool.QueryRow(ctx, `SELECT count(*) FROM books`).Scan(&books); err != nil {
			return err
		}
		fmt.Println(books) // 1: the role must be one that may create databases
		return clone.Close()
	})
}

// Tests that run side by side each get a database at the snapshot.
func ExampleClone() {
	_ = func(t *testing.T) {
		t.Parallel()
		db := snapshot.Clone(t, "baseline")
		if _, err := db.Exec(t.Context(), `DELETE FROM books`); err != nil {
			t.Fatal(err)
		}
	}
}

// What the code under test wrote is told row by row.
func ExampleRequireChanges() {
	_ = func(t *testing.T) {
		snapshot.Restore(t, "baseline")
		if _, err := fixtures.DB(t).Exec(t.Context(), `UPDATE books SET price = 10 WHERE id = 1`); err != nil {
			t.Fatal(err)
		}
		snapshot.RequireChanges(t, `
			public.books ~1
			  ~ id=1  price: 9.50 → 10
		`, snapshot.Ignoring("updated_at"))
	}
}
