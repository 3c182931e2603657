package bulk

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
)

// Insert loads rows into a table, in one transaction, and returns them as they
// are stored: with the keys and defaults that the server made. On any error no
// row is stored and the test ends; see [InsertRows] for all the rest.
func Insert[T any](t testing.TB, db DB, table string, rows []T) []T {
	t.Helper()
	out, err := InsertRows(background(t), db, table, rows)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// InsertSeq loads the rows that a sequence yields into a table, in one
// transaction, and returns how many were stored. On any error no row is stored
// and the test ends; see [InsertRowsSeq] for all the rest.
func InsertSeq[T any](t testing.TB, db DB, table string, rows iter.Seq[T]) int64 {
	t.Helper()
	n, err := InsertRowsSeq(background(t), db, table, rows)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// InsertRows loads rows into a table through COPY, in one transaction (a
// savepoint, when db is a pgx.Tx), and returns a copy of them with what the
// server made filled in. rows themselves stay as they are.
//
// The table is named as in SQL: "users", "app.users", `app."Users"`; a name that
// is a table's own letter by letter needs no quotes. It may be partitioned,
// foreign or temporary, but no view.
//
// T is a struct. Its exported fields stand for columns by the rules of
// pgx.RowToStructByName, so that one struct writes and reads: `db:"name"` names
// the column, else the field's name does, underscores and case aside; fields of
// embedded structs count as its own; `db:"-"` leaves a field out. A column
// without a field gets its default. Beyond that:
//
//   - `db:"name,default"`: the zero value means the column's default, null when
//     it has none;
//   - identity columns, and columns of the primary key that have a default,
//     behave so by themselves. Any other value is stored as it is, also where
//     the identity is generated always, and the column's sequence is put past it;
//   - generated columns are never sent; their fields are left as they are.
//
// Values are whatever pgx can encode; enums, domains, composites and arrays of
// them need no registration. Types that only have a text form take it.
//
// On an error no row is stored, and the connection can be used further. What
// can be known beforehand (no such table or column, two fields for one column,
// a column that must not be null and has neither field nor default) is an
// [ErrInvalidArgument], before a row is sent. When the server refuses a row, the
// error tells the row's number, from 0, where the server tells it; the
// *pgconn.PgError is beneath.
//
// A call costs a begin, one look at the catalog, one query for each column that
// the server fills in, the COPY and a commit; the first one on a connection also
// reads the types. A pgx.CopyFromTracer does not see the COPY.
func InsertRows[T any](ctx context.Context, db DB, table string, rows []T) ([]T, error) {
	out := make([]T, len(rows))
	copy(out, rows)
	err := insert(ctx, db, table, func(l *loader[T]) error {
		_, err := l.load(out, true)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// InsertRowsSeq loads the rows that a sequence yields, by the rules of
// [InsertRows], and returns how many were stored. Memory does not grow with
// their number. The sequence is ranged over once, inside the transaction. When it
// panics, nothing is stored.
func InsertRowsSeq[T any](ctx context.Context, db DB, table string, rows iter.Seq[T]) (int64, error) {
	if rows == nil {
		_, set := unwrap(db)
		return 0, set.refuse(msg.BulkNilSeq)
	}
	var n int64
	err := insert(ctx, db, table, func(l *loader[T]) (err error) {
		n, err = l.loadSeq(rows)
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// insert runs load in a transaction, with a loader for the table.
func insert[T any](ctx context.Context, db DB, table string, load func(*loader[T]) error) error {
	db, set := unwrap(db)
	if err := set.check(db); err != nil {
		return err
	}
	if strings.TrimSpace(table) == "" {
		return set.refuse(msg.BulkEmptyTable)
	}
	return run(ctx, db, set, []string{table}, func(w *work) error {
		l, err := newLoader[T](w, table)
		if err != nil {
			return err
		}
		return load(l)
	})
}

// tablesShown bounds the list of tables in an error.
const tablesShown = 40

// noSuchTable tells which tables there are.
func (w *work) noSuchTable(name string) error {
	tables, err := catalog.TableNames(w.ctx, w.tx, tablesShown+1)
	if err != nil {
		return w.failed(msg.BulkLook.In(w.set.lang), err)
	}
	if len(tables) > tablesShown {
		tables = append(tables[:tablesShown], "…")
	}
	return w.set.refuse(msg.BulkNoTable, name, strings.Join(tables, ", "))
}

// lookFailed wraps an error of the look at the catalog. The server refuses a
// name that no table can have.
func (w *work) lookFailed(names []string, err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && slices.Contains([]string{"42601", "42602", "0A000", "22023"}, pg.Code) {
		return errs.New(errs.ErrInvalidArgument, msg.BulkTableName.In(w.set.lang, strconv.Quote(strings.Join(names, ", "))), err)
	}
	return w.failed(msg.BulkLook.In(w.set.lang), err)
}
