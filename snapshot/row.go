package snapshot

import (
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
)

// Row is a row as the server told it. It is a [pgx.CollectableRow], so all that
// reads rows reads it too:
//
//	office, err := pgx.RowToStructByName[Office](change.New)
//
// The struct needs a field for each column of the table. For a few columns there is
// [Row.Get], for all of them without a struct pgx.RowToMap.
//
// Values of types that pgx does not know, such as enums, are strings. The zero Row
// has no columns.
type Row struct {
	fields []pgconn.FieldDescription
	values [][]byte // as text; nil: null
}

var _ pgx.CollectableRow = Row{}

// typeMaps are pgx's, each for one goroutine at a time.
var typeMaps = sync.Pool{New: func() any { return catalog.NewTextTypes() }}

// FieldDescriptions describes the columns.
func (r Row) FieldDescriptions() []pgconn.FieldDescription { return r.fields }

// RawValues returns the values as PostgreSQL writes them as text. They must not be
// changed.
func (r Row) RawValues() [][]byte { return r.values }

// Scan reads the values into the variables that dest points to, as [pgx.Rows] does.
func (r Row) Scan(dest ...any) error {
	m := typeMaps.Get().(*pgtype.Map)
	defer typeMaps.Put(m)
	if len(dest) == 1 {
		if scanner, ok := dest[0].(pgx.RowScanner); ok {
			return scanner.ScanRow(rowAlone{r, m})
		}
	}
	return pgx.ScanRow(m, r.fields, r.values, dest...)
}

// Values returns the values as Go's.
func (r Row) Values() ([]any, error) {
	out := make([]any, len(r.fields))
	for i := range r.fields {
		var err error
		if out[i], err = r.value(i); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (r Row) value(i int) (any, error) {
	if r.values[i] == nil {
		return nil, nil
	}
	m := typeMaps.Get().(*pgtype.Map)
	defer typeMaps.Put(m)
	if t, ok := m.TypeForOID(r.fields[i].DataTypeOID); ok {
		return t.Codec.DecodeValue(m, t.OID, pgtype.TextFormatCode, r.values[i])
	}
	return string(r.values[i]), nil
}

// Columns returns the names of the columns, in the order of the table.
func (r Row) Columns() []string {
	out := make([]string, len(r.fields))
	for i, f := range r.fields {
		out[i] = f.Name
	}
	return out
}

// Get returns the value of a column; nil is null. A column that the row has not is
// [ErrInvalidArgument].
func (r Row) Get(column string) (any, error) {
	for i, f := range r.fields {
		if f.Name == column {
			return r.value(i)
		}
	}
	return nil, errs.New(ErrInvalidArgument, msg.NoSuchColumn.In("", column, strings.Join(r.Columns(), ", ")), nil)
}

// rowAlone is the rows that pgx's scanners want.
type rowAlone struct {
	Row
	types *pgtype.Map
}

func (r rowAlone) TypeMap() *pgtype.Map { return r.types } // of pgx.Rows from 5.11 on

func (rowAlone) Next() bool { return false }

func (rowAlone) Close() {}

func (rowAlone) Err() error { return nil }

func (rowAlone) Conn() *pgx.Conn { return nil }

func (rowAlone) CommandTag() pgconn.CommandTag { return pgconn.CommandTag{} }
