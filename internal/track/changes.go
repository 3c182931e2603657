package track

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/internal/catalog"
)

// Written tells which tables were written to since the baseline, or why nothing is
// known of that. With a token it has to be the baseline of that snapshot. Like
// Restore it speaks of Reload where the journal of a table does not tell all: that of
// a table that only can't be undone does.
func Written(ctx context.Context, tx pgx.Tx, token *string, home string) (out Outcome, err error) {
	err = pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT coalesce(v.void, ''), w.name IS NOT NULL, coalesce(w.space, ''), coalesce(w.name, ''),
				coalesce(nullif(w.why, '`+string(Published)+`'), CASE WHEN x.owner IS NOT NULL THEN '`+string(UnseenWrite)+`' END, ''), coalesce(w.rows, 0)
			FROM groundhog.verdict($1, $2, $3) v LEFT JOIN groundhog.written() w ON v.void IS NULL LEFT JOIN groundhog.native x ON x.owner = w.owner`, token, home, version)
		if err != nil {
			return err
		}
		out = Outcome{Unusable: Crash} // without a row: see schema.sql
		var t Table
		var written bool
		var why string
		_, err = pgx.ForEachRow(rows, []any{&out.Unusable, &written, &t.Schema, &t.Name.Name, &why, &t.Rows}, func() error {
			if written {
				t.Reload = causeOf(why)
				out.Tables = append(out.Tables, t)
			}
			return nil
		})
		return err
	})
	if void := unusable(err); void != "" {
		return Outcome{Unusable: void}, nil
	}
	return out, err
}

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
	g := generator{TrackedTable: c.Table, root: &c.Table}
	rows, err := tx.Query(ctx, g.compare(c), pgx.QueryExecModeSimpleProtocol)
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

// compare writes the query. It has one row at least.
func (g *generator) compare(c Comparison) string {
	const horizon = "(SELECT s.r::text::pg_catalog.xid FROM groundhog.state s)"
	columns := g.columns(func(r catalog.TrackedColumn) bool { return slices.Contains(c.Columns, r.Name) })
	slices.SortFunc(columns, func(a, b column) int { return slices.Index(c.Columns, a.Name) - slices.Index(c.Columns, b.Name) })
	key := g.columns(inKey)

	// The columns of both sides: k… is the key, c… what is compared. Domains are left
	// aside: a journal does not know them.
	side := func(value func(column) string) string {
		one := func(c column) string { return value(c) + " AS " + c.entry }
		return "SELECT true AS there" + list(columns, one) + list(key, func(c column) string { return value(c) + " AS k" + c.entry })
	}
	stored := func(c column) string {
		value := fmt.Sprintf("t.%s::%s", c.ident, c.Type)
		if c.Collation != "" {
			value = "(" + value + ") COLLATE " + c.Collation
		}
		return value
	}
	entry := func(c column) string { return c.out("j." + c.entry) }

	decided := "SELECT NULL::pg_catalog.tid AS at, true AS one WHERE false"
	var before, after string
	switch {
	case c.With != "":
		before, after = side(stored)+" FROM "+c.With+" t", side(stored)+" FROM "+g.only()+" t"
		if c.Where != "" {
			after = side(stored) + fmt.Sprintf(" FROM (SELECT * FROM %s WHERE %s) t", g.only(), c.Where)
		}
	default:
		before = side(entry) + fmt.Sprintf(" FROM %s j WHERE j.kind = '%s'", g.journal(), kindOld)
		after = side(stored) + fmt.Sprintf(" FROM %s t WHERE %s", g.only(), g.newer(horizon))
		if g.hasKey() {
			after = strings.Replace(side(stored), "SELECT", "SELECT DISTINCT ON (t.tableoid, t.ctid)", 1) +
				fmt.Sprintf(" FROM (SELECT %s FROM %s j WHERE j.kind IN ('%s', '%s')) j JOIN %s t ON %s WHERE %s",
					g.keys(), g.journal(), kindOld, kindNew, g.only(), g.same(), g.newer(horizon))
		}
		if g.decides() {
			decided = g.decided(horizon)
			before += " UNION ALL " + side(entry) + fmt.Sprintf(" FROM decided d JOIN %s j ON j.ctid = d.at WHERE d.one", g.journal())
		}
	}
	match := each(key, " AND ", func(c column) string { return fmt.Sprintf("o.k%s %s n.k%[1]s", c.entry, c.Equal) })
	order := each(key, ", ", func(c column) string { return fmt.Sprintf("coalesce(o.k%s, n.k%[1]s)", c.entry) })
	if len(key) == 0 {
		// Rows are told by their text, and those of the same text are counted.
		numbered := func(side string) string {
			return fmt.Sprintf("SELECT s.*, pg_catalog.row_number() OVER (PARTITION BY s.text) AS number FROM (SELECT s.*, ROW(%s)::text AS text FROM (%s) s) s",
				each(columns, ", ", func(c column) string { return "s." + c.entry }), side)
		}
		before, after = numbered(before), numbered(after)
		match, order = "o.text = n.text AND o.number = n.number", "coalesce(o.text, n.text)"
	}
	values := func(side string) string { return list(columns, func(c column) string { return side + "." + c.entry }) }
	// An array that once had a NULL in it is stored in another way, and is the same.
	differ := fmt.Sprintf("pg_catalog.record_image_ne(ROW(%[1]s), ROW(%[2]s)) AND ROW(%[1]s)::text <> ROW(%[2]s)::text", strings.TrimPrefix(values("o"), ", "), strings.TrimPrefix(values("n"), ", "))
	if len(columns) == 0 {
		differ = "false"
	}
	limit := ""
	if c.Limit > 0 {
		limit = fmt.Sprintf(" LIMIT %d", c.Limit)
	}
	count := func(what string) string {
		return "pg_catalog.count(*) FILTER (WHERE " + what + ") OVER ()"
	}
	qualify := ""
	if c.Qualify { // once, when the statement is planned and no row has been read
		qualify = " WHERE (SELECT pg_catalog.set_config('search_path', 'pg_catalog', true)) IS NOT NULL"
	}
	// A row of the result is one side of a pair: both would be too many columns for a
	// table of many.
	shown := list(columns, func(c column) string {
		return fmt.Sprintf("CASE WHEN s.old THEN (x.before).%s ELSE (x.after).%[1]s END", c.entry)
	})
	return fmt.Sprintf(`WITH decided AS MATERIALIZED (%s), before AS MATERIALIZED (%s), after AS MATERIALIZED (%s)
		SELECT EXISTS (SELECT FROM decided d WHERE NOT d.one), coalesce(x.inserted, 0), coalesce(x.updated, 0), coalesce(x.deleted, 0), x.place, s.old%s
		FROM (VALUES (1)) one LEFT JOIN ((
			SELECT o AS before, n AS after, o.there AS was, n.there AS now, %s AS inserted, %s AS updated, %s AS deleted, pg_catalog.row_number() OVER (ORDER BY %s) AS place
			FROM before o FULL JOIN after n ON %s
			WHERE o.there IS NULL OR n.there IS NULL OR %s
			ORDER BY place%s) x JOIN (VALUES (true), (false)) s(old) ON CASE WHEN s.old THEN x.was ELSE x.now END) ON true%s
		ORDER BY x.place, s.old DESC`, decided, before, after, shown,
		count("o.there IS NULL"), count("o.there AND n.there"), count("n.there IS NULL"), order, match, differ, limit, qualify)
}
