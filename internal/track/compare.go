package track

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/internal/catalog"
)

// Comparison is what Compare compares.
type Comparison struct {
	Table   catalog.TrackedTable // a root
	Columns []string             // of its rows
	Limit   int                  // how many pairs are wanted; 0: all

	// With is a table that has the baseline's rows, with these columns. None: the
	// journal tells of them.
	With  string
	Where string // the rows that are compared with it; none: all

	// Qualify says that the search path is not pg_catalog alone, and that names in
	// values must come out qualified all the same. It leaves pg_catalog as the path.
	Qualify bool
}

// Pair is a row as it was in the baseline and as it is now. One of them is nil
// where it was inserted or deleted. Values are as text; nil is null.
type Pair struct{ Old, New [][]byte }

// Compared is what Compare found.
type Compared struct {
	Undecided                  bool // the journal does not tell: nothing else is known
	Inserted, Updated, Deleted int64
	Fields                     []pgconn.FieldDescription // of a row
	Pairs                      []Pair                    // in the order of the key
}

// Compare pairs the baseline's rows with those that are there now, by the primary
// key, and leaves out those that are the same. Without a key, rows are the same or
// not. Values are compared as they are stored, so that every type has an equality.
func Compare(ctx context.Context, tx pgx.Tx, c Comparison) (out Compared, err error) {
	rows, err := tx.Query(ctx, c.query(), pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return out, err
	}
	defer rows.Close()
	last := int64(0)
	for rows.Next() {
		var place *int64
		var old *bool
		values, fields := rows.RawValues(), rows.FieldDescriptions()
		m := rows.Conn().TypeMap()
		about := []any{&out.Undecided, &out.Inserted, &out.Updated, &out.Deleted, &place, &old}
		for i, to := range about {
			if err := m.Scan(fields[i].DataTypeOID, fields[i].Format, values[i], to); err != nil {
				return out, err
			}
		}
		out.Fields = slices.Clone(fields[len(about):])
		if place == nil {
			break // nothing was found
		}
		if *place != last {
			last = *place
			out.Pairs = append(out.Pairs, Pair{})
		}
		if row := cloned(values[len(about):]); *old {
			out.Pairs[len(out.Pairs)-1].Old = row
		} else {
			out.Pairs[len(out.Pairs)-1].New = row
		}
	}
	for i := range out.Fields {
		out.Fields[i].Name = c.Columns[i]
	}
	return out, rows.Err()
}

func cloned(row [][]byte) [][]byte {
	out := make([][]byte, len(row))
	for i, v := range row {
		out[i] = slices.Clone(v)
	}
	return out
}

// comparison is what the template sees of one: see sql/compare.sql.
type comparison struct {
	Kind                       *kinds
	Only, Journal, BaselineXID string // see table
	Key                        columns
	Decides                    bool

	Compared    columns
	With, Where string // see Comparison
	Limit       int
	Qualify     bool
	OfTable     string // the rest of the columns of a side that a row t is
	OfJournal   string // the rest of the columns of a side that an entry j is
}

// query returns the query that compares.
func (c Comparison) query() string {
	t := newTable(&c.Table, &c.Table, false)
	compared := t.All.having(func(one column) bool { return slices.Contains(c.Columns, one.Name) })
	slices.SortFunc(compared, func(a, b column) int { return slices.Index(c.Columns, a.Name) - slices.Index(c.Columns, b.Name) })
	side := func(value func(column) string) string {
		return compared.rest(func(one column) string { return value(one) + " AS " + one.Entry }) +
			t.Key.rest(func(one column) string { return value(one) + " AS k" + one.Entry })
	}
	return render("compare", &comparison{
		Kind: t.Kind, Only: t.Only, Journal: t.Journal, Key: t.Key, Decides: t.Decides,
		BaselineXID: "(SELECT s.baseline_xid::text::pg_catalog.xid FROM groundhog.state s)",
		Compared:    compared, With: c.With, Where: c.Where, Limit: c.Limit, Qualify: c.Qualify,
		// Domains are left aside: a journal does not know them.
		OfTable:   side(func(one column) string { return one.collated("t." + one.Ident + "::" + one.Type) }),
		OfJournal: side(func(one column) string { return one.out("j." + one.Entry) }),
	})
}
