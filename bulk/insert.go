package bulk

import (
	"context"
	"errors"
	"iter"
	"reflect"
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
	out, err := InsertRows(background(t), inTest(t, db), table, rows)
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
	n, err := InsertRowsSeq(background(t), inTest(t, db), table, rows)
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
// foreign or temporary, but no view, nor a table with row security that applies to
// the role. Triggers fire, and what they change is not read back; rules don't apply.
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
// Values are whatever pgx can encode; enums, domains, composites, arrays of them,
// citext, ltree and hstore need no registration. Structs and maps go into json;
// pointers, sql.Null and the types of pgtype stand for null. A string, or what has a
// Value or String method that gives one, on its pointer too, is read by the server as
// the column's type: "infinity" is a timestamp. Numbers and times are stored as they
// are or refused: no fraction is cut off for an integer.
//
// On an error no row is stored, and the connection can be used further, unless it
// was lost or the context ended, upon which pgx closes it. What can be known
// beforehand (no such table or column, two fields for one column, a column that
// must not be null and has neither field nor default) is an [ErrInvalidArgument],
// before a row is sent. A row that is refused is a [*ConstraintError] or a
// [*RowError]. On a pool, lost connections are retried; see [WithRetry].
//
// A call costs a begin, one look at the catalog, one query for each column that
// the server fills in, the COPY and a commit; from some hundred rows on, two more
// looks at the catalog and the checks of foreign keys. The first one on a
// connection also reads the types. A pgx.CopyFromTracer does not see the COPY.
func InsertRows[T any](ctx context.Context, db DB, table string, rows []T) ([]T, error) {
	out := make([]T, len(rows))
	copy(out, rows)
	err := insert(ctx, db, table, len(rows), false, func(l *loader[T]) error {
		_, err := l.load(out)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// InsertRowsSeq loads the rows that a sequence yields, by the rules of
// [InsertRows], and returns how many were stored. Memory does not grow with
// their number: rows are encoded as they come. The sequence runs in the caller's
// goroutine, inside the transaction, and must not use db when that is a single
// connection; when it panics, or ends its goroutine, nothing is stored.
//
// After a lost connection the sequence is ranged over to its end, to count its rows,
// and then again, and must yield the same rows. If it yields fewer than before, since
// it can be ranged over only once, the error is an [ErrInvalidArgument], and nothing is
// stored. [WithRetry](1) never ranges over it again. Rows that were sent are not kept,
// so an error that the server gives without a line has no row number, and none has a
// key.
func InsertRowsSeq[T any](ctx context.Context, db DB, table string, rows iter.Seq[T]) (int64, error) {
	var n int64
	err := insert(ctx, db, table, 0, rows == nil, func(l *loader[T]) (err error) {
		n, err = l.loadSeq(rows)
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// insert checks the arguments, and runs load in a transaction, with a loader for the
// table.
func insert[T any](ctx context.Context, db DB, table string, rows int, nilSeq bool, load func(*loader[T]) error) error {
	db, set := unwrap(db)
	faults := set.check(db)
	if strings.TrimSpace(table) == "" {
		faults.Add(msg.BulkEmptyTable)
	}
	if t := reflect.TypeFor[T](); t.Kind() != reflect.Struct {
		faults.Add(msg.BulkNotAStruct, t.String())
	}
	if nilSeq {
		faults.Add(msg.BulkNilSeq)
	}
	if err := faults.Err(set.lang); err != nil {
		return err
	}
	return run(ctx, db, set, spec{what: table, tables: []string{table}, rows: rows}, func(w *work) error {
		l, err := newLoader[T](w, table)
		if err != nil {
			return err
		}
		return load(l)
	})
}

// tablesShown bounds the list of tables in an error; among tablesRead the nearest
// spelling is looked for.
const (
	tablesShown = 40
	tablesRead  = 10_000
)

// noSuchTable tells which tables there are.
func (w *work) noSuchTable(name string) error {
	tables, err := catalog.TableNames(w.ctx, w.tx, tablesRead)
	if err != nil {
		return w.failed(msg.BulkLook.In(w.set.lang), err)
	}
	meant := w.set.meant(name, tables)
	if len(tables) > tablesShown {
		tables = append(tables[:tablesShown], "…")
	}
	if len(tables) == 0 {
		return w.set.refuse(msg.BulkNoTables, name)
	}
	return w.set.refuse(msg.BulkNoTable, name, meant, strings.Join(tables, ", "))
}

// lookFailed wraps an error of the look at the catalog. The server refuses a
// name that no table can have.
func (w *work) lookFailed(names []string, err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && slices.Contains([]string{"42601", "42602", "0A000", "22021", "22023"}, pg.Code) {
		return errs.New(errs.ErrInvalidArgument, msg.BulkTableName.In(w.set.lang, strconv.Quote(strings.Join(names, ", "))), err)
	}
	return w.failed(msg.BulkLook.In(w.set.lang), err)
}
