package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// number groups digits by thousands, as both languages do.
var number = message.NewPrinter(language.English)

// report collects what was done.
type report struct {
	say   texts
	table table.Writer
}

// noRows is the count of a step that is not about rows.
const noRows = -1

func newReport(say texts) *report {
	r := &report{say: say, table: newTable(2, 3, 4)}
	r.table.AppendHeader(table.Row{say.step, say.rows, say.time, say.rate})
	return r
}

func (r *report) step(name string, rows int64, took time.Duration) {
	count, rate := "", ""
	if rows != noRows {
		count, rate = number.Sprint(rows), number.Sprint(int64(float64(rows)/took.Seconds()))
	}
	r.table.AppendRow(table.Row{name, count, number.Sprintf("%.1f ms", took.Seconds()*1000), rate})
}

func (r *report) print(w io.Writer) {
	fmt.Fprintln(w, r.table.Render())
}

// newTable draws with ASCII characters: the width of box-drawing ones is not
// the same on all terminals of the languages that we speak.
func newTable(numeric ...int) table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleDefault)
	t.Style().Format.Header = text.FormatDefault
	columns := make([]table.ColumnConfig, len(numeric))
	for i, n := range numeric {
		columns[i] = table.ColumnConfig{Number: n, Align: text.AlignRight}
	}
	t.SetColumnConfigs(columns)
	return t
}

// tableState tells all that a table holds, whatever the order of its rows.
type tableState struct {
	Name string
	Rows int64
	Hash string // the sum of the hashes of all rows as text
}

// stateOf reads the state of every table. It is plain SQL, so that the proof
// does not rest on the library that it is about.
func stateOf(ctx context.Context, pool *pgxpool.Pool) ([]tableState, error) {
	var states []tableState
	err := pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, "SELECT relname::text FROM pg_catalog.pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1")
		if err != nil {
			return err
		}
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, name := range names {
			s := tableState{Name: name}
			sql := "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)), 0)::text FROM " + pgx.Identifier{"public", name}.Sanitize() + " t"
			if err := tx.QueryRow(ctx, sql).Scan(&s.Rows, &s.Hash); err != nil {
				return err
			}
			states = append(states, s)
		}
		return nil
	})
	return states, err
}

// prove compares the three states table by table, prints the outcome, and
// returns an error unless the last one is the first again.
func prove(w io.Writer, say texts, before, changed, after []tableState) error {
	t := newTable(2, 3, 4)
	t.AppendHeader(table.Row{say.table, say.before, say.changed, say.after, say.proof})
	was, became := byName(changed), byName(after)
	equal, proved := len(before) == len(after), len(before) > 0
	for _, b := range before {
		c, a, verdict := was[b.Name], became[b.Name], say.same
		if a != b {
			verdict, equal = say.different, false
		}
		if c == b {
			proved = false
		}
		t.AppendRow(table.Row{b.Name, number.Sprint(b.Rows), number.Sprint(c.Rows), number.Sprint(a.Rows), verdict})
	}
	fmt.Fprintln(w, t.Render())
	switch {
	case !equal:
		return errors.New(say.notProved)
	case !proved:
		return errors.New(say.nothingChanged)
	}
	fmt.Fprintln(w, say.proved)
	return nil
}

func byName(states []tableState) map[string]tableState {
	m := make(map[string]tableState, len(states))
	for _, s := range states {
		m[s.Name] = s
	}
	return m
}
