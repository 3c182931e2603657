package bulk

import (
	"context"
	"iter"
	"reflect"
	"strings"
	"testing"

	"github.com/groundhogdb/groundhog/bulk/internal/load"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/option"
	"github.com/groundhogdb/groundhog/internal/testdb"
)

// Insert loads rows into a table, in one transaction, and returns them as they
// are stored: with the keys and defaults that the server made. On any error no
// row is stored and the test ends; see [InsertRows] for all the rest.
func Insert[T any](t testing.TB, db DB, table string, rows []T) []T {
	t.Helper()
	out, err := InsertRows(testdb.Context(t), inTest(t, db), table, rows)
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
	n, err := InsertRowsSeq(testdb.Context(t), inTest(t, db), table, rows)
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
	db, c := unwrap(db)
	if err := checkInsert[T](c, db, table).Err(c.load.Lang); err != nil {
		return nil, err
	}
	err := load.Run(ctx, db, c.load, intoTable(table, len(rows)), func(ctx context.Context, tx *load.Tx, _ *load.Replay) error {
		_, err := load.Rows(ctx, tx, table, out)
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
	db, c := unwrap(db)
	faults := checkInsert[T](c, db, table)
	if rows == nil {
		faults.Add(msg.BulkNilSeq)
	}
	if err := faults.Err(c.load.Lang); err != nil {
		return 0, err
	}
	var n int64
	err := load.Run(ctx, db, c.load, intoTable(table, 0), func(ctx context.Context, tx *load.Tx, replay *load.Replay) (err error) {
		n, err = load.Seq(ctx, tx, replay, table, rows)
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// checkInsert returns what is wrong with the arguments of a call that loads rows of type
// T into a table.
func checkInsert[T any](c config, db DB, table string) option.Faults {
	faults := c.check(db)
	if strings.TrimSpace(table) == "" {
		faults.Add(msg.BulkEmptyTable)
	}
	if t := reflect.TypeFor[T](); t.Kind() != reflect.Struct {
		faults.Add(msg.BulkNotAStruct, t.String())
	}
	return faults
}

func intoTable(table string, rows int) load.Spec {
	return load.Spec{What: table, Tables: []string{table}, Rows: rows}
}
