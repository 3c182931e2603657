package snapshot_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/example"
	"github.com/groundhogdb/groundhog/snapshot"
)

// books is the schema of the examples, and threeBooks has some rows as well.
const (
	books      = `CREATE TABLE books (id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY, title text NOT NULL, price numeric, is_test_data boolean NOT NULL DEFAULT true);`
	threeBooks = books + `INSERT INTO books (title, price) VALUES ('Botchan', 9.50), ('Kokoro', 8.00), ('Sanshiro', 7.25);`
)

// test stands for a test, a benchmark or the set-up of TestMain, which have a t.
func test(f func(t testing.TB)) {
	example.Test(func(t testing.TB) {
		t.Setenv(snapshot.EnvDir, t.TempDir()) // not the folder of this package
		f(t)
	})
}

// withStore stands for what a program has anyway: a context, a pool and a store.
func withStore(schema string, use func(ctx context.Context, db *pgxpool.Pool, store *snapshot.Store) error) {
	test(func(t testing.TB) {
		db := fixtures.Open(t, fixtures.WithSchema(schema))
		store, err := snapshot.NewStore(db)
		if err == nil {
			err = use(t.Context(), db, store)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
}

// value reads a single value.
func value(t testing.TB, db *pgxpool.Pool, sql string) (v string) {
	t.Helper()
	if err := db.QueryRow(t.Context(), sql, pgx.QueryExecModeSimpleProtocol).Scan(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// Once, in the set-up of fixtures.Main: the first run builds, the others load the file.
func ExampleEnsure() {
	test(func(t testing.TB) {
		db := fixtures.Open(t, fixtures.WithSchema(books))
		for range 2 {
			restored := snapshot.Ensure(t, "baseline", func(t testing.TB) {
				exec(t, db, `INSERT INTO books (title) SELECT 'Volume ' || i FROM generate_series(1, 1000) i`)
			})
			fmt.Println(restored.Rows, restored.Methods[0].Method == snapshot.Built)
		}
	})
	// Output:
	// 1000 true
	// 1000 false
}

// In each test: it wakes up to the baseline, whatever others left behind.
func ExampleRestore() {
	test(func(t testing.TB) {
		db := fixtures.Open(t, fixtures.WithSchema(threeBooks))
		snapshot.Create(t, "baseline")
		exec(t, db, `DELETE FROM books WHERE id > 1; UPDATE books SET price = 0`)

		restored := snapshot.Restore(t, "baseline")
		fmt.Println(restored.Rows, value(t, db, `SELECT sum(price) FROM books`))
	})
	// Output: 3 24.75
}

// What was set in a session stays with its connection, which goes back to the pool. A
// test that does so ends with t.Cleanup(db.Reset).
func ExampleRestore_sessions() {
	test(func(t testing.TB) {
		db := fixtures.Open(t, fixtures.WithSchema(threeBooks))
		snapshot.Create(t, "baseline")
		exec(t, db, `SET search_path = elsewhere`)

		snapshot.Restore(t, "baseline")
		fmt.Println(value(t, db, `SELECT to_regclass('books') IS NULL`))
		db.Reset()
		fmt.Println(value(t, db, `SELECT to_regclass('books') IS NULL`))
	})
	// Output:
	// t
	// f
}

func ExampleCreate() {
	test(func(t testing.TB) {
		fixtures.Open(t, fixtures.WithSchema(threeBooks))
		info := snapshot.Create(t, "baseline", snapshot.Description("three books"))
		fmt.Println(info.Name, info.Rows, info.Tables[0].Name, info.Description)
	})
	// Output: baseline 3 public.books three books
}

func ExampleClean() {
	test(func(t testing.TB) {
		db := fixtures.Open(t, fixtures.WithSchema(threeBooks))
		snapshot.Clean(t)
		fmt.Println(value(t, db, `SELECT count(*) FROM books`))
		fmt.Println(value(t, db, `INSERT INTO books (title) VALUES ('Kokoro') RETURNING id`)) // sequences begin anew
	})
	// Output:
	// 0
	// 1
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

// The rows that were changed can be read like those of a query.
func ExampleChanges() {
	type Book struct {
		ID         int
		Title      string
		Price      *float64
		IsTestData bool
	}
	test(func(t testing.TB) {
		db := fixtures.Open(t, fixtures.WithSchema(threeBooks))
		snapshot.Create(t, "baseline")
		exec(t, db, `INSERT INTO books (title) VALUES ('Mon')`)

		inserted := snapshot.Changes(t).Table("books").Inserted()
		book, err := pgx.RowToStructByName[Book](inserted[0].New)
		fmt.Println(book.ID, book.Title, err)
	})
	// Output: 4 Mon <nil>
}

// What the code under test wrote is told row by row.
func ExampleRequireChanges() {
	test(func(t testing.TB) {
		db := fixtures.Open(t, fixtures.WithSchema(threeBooks))
		snapshot.Create(t, "baseline")
		exec(t, db, `UPDATE books SET price = 10 WHERE id = 1; DELETE FROM books WHERE id = 3`)

		snapshot.RequireChanges(t, `
			public.books ~1 -1
			  ~ id=1  price: 9.50 → 10
			  - id=3  title=Sanshiro  price=7.25  is_test_data=t
		`)
	})
	// Output:
}

func ExampleRequireUnchanged() {
	test(func(t testing.TB) {
		db := fixtures.Open(t, fixtures.WithSchema(threeBooks))
		snapshot.Create(t, "baseline")
		fmt.Println(value(t, db, `SELECT title FROM books WHERE id = 2 FOR UPDATE`))
		snapshot.RequireUnchanged(t)
	})
	// Output: Kokoro
}

// Columns that are other in each run, and tables that nobody asks for.
func ExampleIgnoring() {
	test(func(t testing.TB) {
		db := fixtures.Open(t, fixtures.WithSchema(threeBooks))
		exec(t, db, `ALTER TABLE books ADD updated_at timestamptz; CREATE TABLE audit_log (what text)`)
		snapshot.Create(t, "baseline")
		exec(t, db, `UPDATE books SET updated_at = now(), price = 10 WHERE id = 1; INSERT INTO audit_log VALUES ('a price')`)
		snapshot.RequireChanges(t, `
			public.books ~1
			  ~ id=1  price: 9.50 → 10
		`, snapshot.Ignoring("updated_at", "audit_log.*"))
	})
	// Output:
}

func ExampleChangeSet() {
	test(func(t testing.TB) {
		db := fixtures.Open(t, fixtures.WithSchema(threeBooks))
		snapshot.Create(t, "baseline")
		fmt.Println(snapshot.Changes(t).Empty())

		exec(t, db, `UPDATE books SET title = 'The title of this book is longer than any terminal would like' WHERE id = 1; DELETE FROM books WHERE id = 3`)
		changes := snapshot.Changes(t)
		fmt.Println(changes.Summary())
		fmt.Println(changes.String()) // for people: long values are cut
		fmt.Println(changes.Text())   // for RequireChanges: whole
		fmt.Println(len(changes.Table("books").Rows), len(changes.Table("authors").Rows))
	})
	// Output:
	// true
	// public.books ~1 -1 (title)
	// public.books ~1 -1
	//   ~ id=1  title: Botchan → The title of this book is longer than a…
	//   - id=3  title=Sanshiro  price=7.25  is_test_data=t
	// public.books ~1 -1
	//   ~ id=1  title: Botchan → The title of this book is longer than any terminal would like
	//   - id=3  title=Sanshiro  price=7.25  is_test_data=t
	// 2 0
}

func ExampleTableChanges() {
	test(func(t testing.TB) {
		db := fixtures.Open(t, fixtures.WithSchema(threeBooks))
		snapshot.Create(t, "baseline")
		exec(t, db, `UPDATE books SET title = 'Meian', price = 12 WHERE id = 1; DELETE FROM books WHERE id = 3`)

		table := snapshot.Changes(t).Table("public.books")
		fmt.Println(len(table.Inserted()), len(table.Updated()), len(table.Deleted()))
		fmt.Println(table.Updated()[0].Columns)
	})
	// Output:
	// 0 1 1
	// [title price]
}

func ExampleRow() {
	test(func(t testing.TB) {
		db := fixtures.Open(t, fixtures.WithSchema(threeBooks))
		snapshot.Create(t, "baseline")
		exec(t, db, `DELETE FROM books WHERE id = 3`)
		row := snapshot.Changes(t).Table("books").Deleted()[0].Old

		fmt.Println(row.Columns())
		title, err := row.Get("title") // one value
		fmt.Println(title, err)
		var id int
		var price float64
		err = row.Scan(&id, nil, &price, nil) // all of them, in this order
		fmt.Println(id, price, err)
		values, err := row.Values() // as pgx makes them
		fmt.Printf("%T %T %v\n", values[0], values[2], err)
		for i, column := range row.FieldDescriptions() { // as PostgreSQL writes them
			fmt.Printf("%s=%s ", column.Name, row.RawValues()[i])
		}
	})
	// Output:
	// [id title price is_test_data]
	// Sanshiro <nil>
	// 3 7.25 <nil>
	// int32 pgtype.Numeric <nil>
	// id=3 title=Sanshiro price=7.25 is_test_data=t
}

// Only the test data is saved and restored; the other row stays as it is.
func ExampleRows() {
	test(func(t testing.TB) {
		db := fixtures.Open(t, fixtures.WithSchema(threeBooks))
		exec(t, db, `UPDATE books SET is_test_data = false WHERE id = 1`)
		info := snapshot.Create(t, "test data", snapshot.Rows("is_test_data"))
		fmt.Println(info.Rows, info.Scope)
		exec(t, db, `UPDATE books SET price = 0`)
		snapshot.Restore(t, "test data")
		fmt.Println(value(t, db, `SELECT string_agg(price::text, ' ' ORDER BY id) FROM books`))
	})
	// Output:
	// 2 Rows("is_test_data")
	// 0 8.00 7.25
}

func ExampleRowsOf() {
	test(func(t testing.TB) {
		fixtures.Open(t, fixtures.WithSchema(threeBooks))
		info := snapshot.Create(t, "cheap", snapshot.RowsOf("books", "price < 9"))
		fmt.Println(info.Rows)
	})
	// Output: 2
}

func ExampleTables() {
	test(func(t testing.TB) {
		db := fixtures.Open(t, fixtures.WithSchema(threeBooks))
		exec(t, db, `CREATE TABLE booksellers (); CREATE TABLE rooms ()`)
		info := snapshot.Create(t, "books", snapshot.Tables("book*"))
		for _, table := range info.Tables {
			fmt.Println(table.Name, table.Rows)
		}
	})
	// Output:
	// public.books 3
	// public.booksellers 0
}

func ExampleExclude() {
	test(func(t testing.TB) {
		db := fixtures.Open(t, fixtures.WithSchema(threeBooks))
		exec(t, db, `CREATE TABLE audit_log ()`)
		info := snapshot.Create(t, "without the log", snapshot.Exclude("audit_log"))
		fmt.Println(len(info.Tables), info.Tables[0].Name)
	})
	// Output: 1 public.books
}

// What is shared between packages, or cached in CI, is in a folder of one's choice.
func ExampleWithDir() {
	test(func(t testing.TB) {
		fixtures.Open(t, fixtures.WithSchema(threeBooks))
		dir := t.TempDir()
		info := snapshot.Create(t, "baseline", snapshot.WithDir(dir))
		fmt.Println(strings.TrimPrefix(info.Path, dir))
	})
	// Output: /baseline.groundhog
}

func ExampleDescription() {
	test(func(t testing.TB) {
		fixtures.Open(t, fixtures.WithSchema(threeBooks))
		fmt.Println(snapshot.Create(t, "baseline", snapshot.Description("three books by Sōseki")).Description)
	})
	// Output: three books by Sōseki
}

func ExampleReplace() {
	test(func(t testing.TB) {
		db := fixtures.Open(t, fixtures.WithSchema(threeBooks))
		snapshot.Create(t, "baseline")
		exec(t, db, `DELETE FROM books WHERE id = 1`)
		fmt.Println(snapshot.Create(t, "baseline", snapshot.Replace()).Rows)
	})
	// Output: 2
}

// A migration that is just being written: the rows that still have a place are loaded.
func ExampleOnSchemaMismatch() {
	test(func(t testing.TB) {
		db := fixtures.Open(t, fixtures.WithSchema(threeBooks))
		snapshot.Create(t, "baseline")
		exec(t, db, `ALTER TABLE books ADD pages int`)
		restored := snapshot.Restore(t, "baseline", snapshot.OnSchemaMismatch(snapshot.Warn))
		fmt.Println(restored.Rows, restored.Differences)
	})
	// Output:
	// 3 [public.books: column pages integer was added; the snapshot has no value for it]
}

func ExampleSkipMissing() {
	test(func(t testing.TB) {
		db := fixtures.Open(t, fixtures.WithSchema(threeBooks))
		snapshot.Create(t, "baseline")
		exec(t, db, `ALTER TABLE books DROP price`)
		restored := snapshot.Restore(t, "baseline", snapshot.OnSchemaMismatch(snapshot.Warn), snapshot.SkipMissing())
		fmt.Println(restored.Rows, restored.Differences)
	})
	// Output:
	// 3 [public.books: column price numeric is gone; the snapshot has values for it]
}

// A transaction that the code under test forgot would keep the restore waiting.
func ExampleTerminateBlockers() {
	test(func(t testing.TB) {
		db := fixtures.Open(t, fixtures.WithSchema(threeBooks))
		snapshot.Create(t, "baseline")
		tx, err := db.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), `DELETE FROM books`); err != nil {
			t.Fatal(err)
		}
		snapshot.Restore(t, "baseline", snapshot.TerminateBlockers())
		fmt.Println(tx.Commit(t.Context()) != nil)
	})
	// Output: true
}

// The builder's version in place of the package's Go files: they may change without
// anything being built again.
func ExampleVersion() {
	test(func(t testing.TB) {
		db := fixtures.Open(t, fixtures.WithSchema(books))
		build := func(t testing.TB) { exec(t, db, `INSERT INTO books (title) VALUES ('Kokoro')`) }
		for _, v := range []string{"1", "1", "2"} {
			restored := snapshot.Ensure(t, "baseline", build, snapshot.Version(v))
			fmt.Println(v, restored.Why != "") // why it was built
		}
	})
	// Output:
	// 1 true
	// 1 false
	// 2 true
}

func ExampleMaxAge() {
	_ = func(t testing.TB, db *pgxpool.Pool, seed func(t testing.TB)) {
		snapshot.Ensure(t, "baseline", seed, snapshot.MaxAge(time.Hour))
	}
}

func ExampleLogChanges() {
	_ = func(t testing.TB) {
		snapshot.Restore(t, "baseline", snapshot.LogChanges(false)) // too many, or nobody's business
	}
}

// Without its lines the result of a benchmark fits a line.
func ExampleWithLogger() {
	_ = func(b *testing.B) {
		for b.Loop() {
			snapshot.Restore(b, "baseline", snapshot.WithLogger(slog.New(slog.DiscardHandler)))
		}
	}
}

func ExampleWithProgress() {
	_ = func(ctx context.Context, store *snapshot.Store) error {
		_, err := store.Create(ctx, "large", snapshot.WithProgress(false))
		return err
	}
}

// A program that runs next to a server which is restarted waits longer.
func ExampleWithRetry() {
	_ = func(db *pgxpool.Pool) (*snapshot.Store, error) {
		return snapshot.NewStore(db, snapshot.WithRetry(5, time.Second, 10*time.Second))
	}
}

// The database called shop is known to be one for tests, though its name does not say so.
func ExampleAllowDatabase() {
	_ = func(t testing.TB, shop *pgxpool.Pool) {
		fixtures.Use(t, shop, fixtures.AllowDatabase("shop"))
		snapshot.Restore(t, "baseline", snapshot.AllowDatabase("shop"))
	}
}

func ExampleWithLanguage() {
	withStore(threeBooks, func(ctx context.Context, _ *pgxpool.Pool, store *snapshot.Store) error {
		_, err := store.Restore(ctx, "a/b", snapshot.WithLanguage("ja"))
		fmt.Println(err)
		fmt.Println(errors.Is(err, snapshot.ErrInvalidName))
		return nil
	})
	// Output:
	// groundhog: "a/b" はスナップショット名にできません ('/')。ファイル名になるため、100 バイト以内で、区切り文字・制御文字・予約名は使えません
	// true
}

func ExampleNewStore() {
	_ = func(db *pgxpool.Pool, logger *slog.Logger) (*snapshot.Store, error) {
		return snapshot.NewStore(db, snapshot.WithDir("/var/cache/shop"), snapshot.WithLogger(logger))
	}
}

func ExampleStore() {
	withStore(books, func(ctx context.Context, db *pgxpool.Pool, store *snapshot.Store) error {
		build := func(ctx context.Context) error {
			_, err := db.Exec(ctx, `INSERT INTO books (title) SELECT 'Volume ' || i FROM generate_series(1, 1000) i`)
			return err
		}
		if _, err := store.Ensure(ctx, "baseline", build); err != nil {
			return err
		}
		if _, err := db.Exec(ctx, `DELETE FROM books WHERE id % 2 = 0`); err != nil {
			return err
		}
		restored, err := store.Restore(ctx, "baseline")
		fmt.Println(restored.Rows) // restored.Methods tells how, for each table
		return err
	})
	// Output: 1000
}

func ExampleStore_Create() {
	withStore(threeBooks, func(ctx context.Context, _ *pgxpool.Pool, store *snapshot.Store) error {
		for range 2 {
			info, err := store.Create(ctx, "baseline")
			fmt.Println(info.Rows, errors.Is(err, snapshot.ErrExists))
		}
		return nil
	})
	// Output:
	// 3 false
	// 0 true
}

func ExampleStore_Restore() {
	withStore(threeBooks, func(ctx context.Context, db *pgxpool.Pool, store *snapshot.Store) error {
		_, err := store.Restore(ctx, "baseline")
		fmt.Println(errors.Is(err, snapshot.ErrNotFound)) // the text lists those that are there
		if _, err := store.Create(ctx, "baseline"); err != nil {
			return err
		}
		restored, err := store.Restore(ctx, "baseline")
		fmt.Println(restored.Name, restored.Rows)
		return err
	})
	// Output:
	// true
	// baseline 3
}

func ExampleStore_Ensure() {
	withStore(books, func(ctx context.Context, db *pgxpool.Pool, store *snapshot.Store) error {
		restored, err := store.Ensure(ctx, "baseline", func(ctx context.Context) error {
			_, err := db.Exec(ctx, `INSERT INTO books (title) VALUES ('Kokoro')`)
			return err
		})
		fmt.Println(restored.Rows)
		return err
	})
	// Output: 1
}

func ExampleStore_Verify() {
	withStore(threeBooks, func(ctx context.Context, _ *pgxpool.Pool, store *snapshot.Store) error {
		info, err := store.Create(ctx, "baseline")
		if err != nil {
			return err
		}
		if err := os.Truncate(info.Path, info.Bytes-1); err != nil {
			return err
		}
		_, err = store.Verify(ctx, "baseline")
		fmt.Println(errors.Is(err, snapshot.ErrCorrupt))
		return nil
	})
	// Output: true
}

func ExampleStore_List() {
	withStore(threeBooks, func(ctx context.Context, _ *pgxpool.Pool, store *snapshot.Store) error {
		for _, name := range []string{"first", "second"} {
			if _, err := store.Create(ctx, name); err != nil {
				return err
			}
		}
		list, err := store.List(ctx)
		for _, info := range list {
			fmt.Println(info.Name, info.Rows)
		}
		return err
	})
	// Output:
	// second 3
	// first 3
}

func ExampleStore_Exists() {
	withStore(threeBooks, func(ctx context.Context, _ *pgxpool.Pool, store *snapshot.Store) error {
		fmt.Println(store.Exists(ctx, "baseline"))
		return nil
	})
	// Output: false <nil>
}

func ExampleStore_Delete() {
	withStore(threeBooks, func(ctx context.Context, _ *pgxpool.Pool, store *snapshot.Store) error {
		if _, err := store.Create(ctx, "baseline"); err != nil {
			return err
		}
		fmt.Println(store.Delete(ctx, "baseline"))
		fmt.Println(errors.Is(store.Delete(ctx, "baseline"), snapshot.ErrNotFound))
		return nil
	})
	// Output:
	// <nil>
	// true
}

// Test data goes, other rows stay.
func ExampleStore_Clean() {
	withStore(threeBooks, func(ctx context.Context, db *pgxpool.Pool, store *snapshot.Store) error {
		if _, err := db.Exec(ctx, `UPDATE books SET is_test_data = id > 1`); err != nil {
			return err
		}
		if err := store.Clean(ctx, snapshot.Rows("is_test_data")); err != nil {
			return err
		}
		var titles string
		err := db.QueryRow(ctx, `SELECT string_agg(title, ', ') FROM books`).Scan(&titles)
		fmt.Println(titles)
		return err
	})
	// Output: Botchan
}

func ExampleStore_Changes() {
	withStore(threeBooks, func(ctx context.Context, db *pgxpool.Pool, store *snapshot.Store) error {
		if _, err := store.Create(ctx, "baseline"); err != nil {
			return err
		}
		if _, err := db.Exec(ctx, `UPDATE books SET price = price + 1 WHERE id < 3`); err != nil {
			return err
		}
		if _, err := db.Exec(ctx, `DELETE FROM books WHERE id = 3`); err != nil {
			return err
		}
		changes, err := store.Changes(ctx)
		fmt.Println(changes)
		return err
	})
	// Output:
	// public.books ~2 -1
	//   ~ id=1  price: 9.50 → 10.50
	//   ~ id=2  price: 8.00 → 9.00
	//   - id=3  title=Sanshiro  price=7.25  is_test_data=t
}

func ExampleStore_Clone() {
	withStore(threeBooks, func(ctx context.Context, db *pgxpool.Pool, store *snapshot.Store) error {
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
		fmt.Println(books) // 3: the role must be one that may create databases
		return clone.Close()
	})
}

func ExampleCloned() {
	_ = func(ctx context.Context, store *snapshot.Store, program func(databaseURL string) error) error {
		clone, err := store.Clone(ctx, "baseline")
		if err != nil {
			return err
		}
		return errors.Join(program(clone.URL), clone.Close())
	}
}

// Whoever wants the database without a journal, to measure writes say.
func ExampleStore_Untrack() {
	withStore(threeBooks, func(ctx context.Context, db *pgxpool.Pool, store *snapshot.Store) error {
		if _, err := store.Create(ctx, "baseline"); err != nil {
			return err
		}
		if err := store.Untrack(ctx); err != nil {
			return err
		}
		var journal bool
		err := db.QueryRow(ctx, `SELECT to_regnamespace('groundhog') IS NOT NULL`).Scan(&journal)
		fmt.Println(journal)
		return err
	})
	// Output: false
}

func ExampleStore_DropCopies() {
	withStore(threeBooks, func(ctx context.Context, db *pgxpool.Pool, store *snapshot.Store) error {
		if _, err := store.Create(ctx, "baseline"); err != nil {
			return err
		}
		// A role that was granted something by a migration can be dropped after this.
		return store.DropCopies(ctx)
	})
}

func ExampleInfo() {
	_ = func(ctx context.Context, store *snapshot.Store) error {
		list, err := store.List(ctx)
		for _, info := range list {
			fmt.Println(info.String()) // some lines for each, and one for each of its tables
		}
		return err
	}
}

// What a snapshot does not have, and a restore leaves as tests left it.
func ExampleOutside() {
	_ = func(t testing.TB) {
		restored := snapshot.Restore(t, "baseline")
		for _, outside := range restored.Outside {
			t.Log(outside.String(), outside.Why == snapshot.OutsideRights)
		}
	}
}

// How each table came to be as the snapshot has it, and why so: a restore that costs
// more than it should tells here what kept it from undoing.
func ExampleRestored() {
	_ = func(t testing.TB) {
		restored := snapshot.Restore(t, "baseline")
		for _, m := range restored.Methods {
			t.Log(m.Table, m.Method, m.Why, m.Changed, "of", m.Rows)
		}
	}
}
