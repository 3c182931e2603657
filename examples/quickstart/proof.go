package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jedib0t/go-pretty/v6/table"
)

// state tells what all tables hold, by their names.
type state map[string]content

// content tells all that a table holds, whatever the order of its rows.
type content struct {
	rows int64
	hash string // the sum of the hashes of all rows as text
}

// stateOf reads the state of every table. It is plain SQL, so that the proof
// does not rest on the library that it is about.
func stateOf(ctx context.Context, pool *pgxpool.Pool) (state, error) {
	all := state{}
	read := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := pgx.BeginTxFunc(ctx, pool, read, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT nspname::text, relname::text
			FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace
			WHERE relkind IN ('r', 'p') AND NOT relispartition
				AND nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'groundhog')`)
		if err != nil {
			return err
		}
		names, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Schema, Table string }])
		if err != nil {
			return err
		}
		for _, name := range names {
			sql := "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)), 0)::text FROM " +
				pgx.Identifier{name.Schema, name.Table}.Sanitize() + " t"
			var c content
			if err := tx.QueryRow(ctx, sql).Scan(&c.rows, &c.hash); err != nil {
				return err
			}
			all[strings.TrimPrefix(name.Schema+"."+name.Table, "public.")] = c
		}
		return nil
	})
	return all, err
}

// prove compares the three states table by table and prints the outcome. It
// returns an error that names the tables in which the last state is not the
// first, or in which no change showed: then nothing would be proved.
func prove(w io.Writer, say texts, before, changed, after state) error {
	t := newTable(2, 3, 5)
	t.AppendHeader(table.Row{say.table, say.before, say.changed, say.hash, say.after, say.hash})
	verdict := map[bool]string{true: say.same, false: say.differs}
	var wrong, untouched []string
	for _, name := range namesOf(before, changed, after) {
		b, c, a := before[name], changed[name], after[name]
		if a != b { // also when one of them has no such table: no content has an empty hash
			wrong = append(wrong, name)
		}
		if c == b {
			untouched = append(untouched, name)
		}
		t.AppendRow(table.Row{name, number.Sprint(b.rows),
			number.Sprint(c.rows), verdict[c.hash == b.hash], number.Sprint(a.rows), verdict[a.hash == b.hash]})
	}
	if _, err := fmt.Fprintln(w, t.Render()); err != nil {
		return err
	}
	switch {
	case len(wrong) > 0:
		return fmt.Errorf(say.notProved, strings.Join(wrong, ", "))
	case len(untouched) > 0 || len(before) == 0:
		return errors.New(strings.TrimSpace(fmt.Sprintf(say.nothingChanged, strings.Join(untouched, ", "))))
	}
	_, err := fmt.Fprintln(w, say.proved)
	return err
}

func namesOf(states ...state) []string {
	all := map[string]bool{}
	for _, s := range states {
		for name := range s {
			all[name] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}
