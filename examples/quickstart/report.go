package main

import (
	"fmt"
	"io"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// number groups digits by thousands, as both languages do.
var number = message.NewPrinter(language.English)

// report collects what was done.
type report struct{ table table.Writer }

// step is a piece of work; it tells how many rows it was about.
type step struct {
	name string
	work func() (rows int64, err error)
}

// noRows is the count of a step that is not about rows.
const noRows = -1

func newReport(say texts) *report {
	r := &report{newTable(2, 3, 4)}
	r.table.AppendHeader(table.Row{say.step, say.rows, say.time, say.rate})
	return r
}

// step does a piece of work and notes its rows and its time.
func (r *report) step(name string, work func() (int64, error)) error {
	return r.steps([]step{{name, work}})
}

func (r *report) steps(all []step) error {
	for _, s := range all {
		began := time.Now()
		rows, err := s.work()
		if err != nil {
			return err
		}
		r.row(s.name, rows, time.Since(began))
	}
	return nil
}

// sum does several steps and notes what they come to together.
func (r *report) sum(name string, all []step) error {
	began := time.Now()
	var total int64
	for _, s := range all {
		err := r.step(s.name, func() (int64, error) {
			rows, err := s.work()
			total += rows
			return rows, err
		})
		if err != nil {
			return err
		}
	}
	r.row(name, total, time.Since(began))
	return nil
}

func (r *report) row(name string, rows int64, took time.Duration) {
	count, rate := "", ""
	if rows != noRows {
		count, rate = number.Sprint(rows), number.Sprint(int64(float64(rows)/took.Seconds()))
	}
	r.table.AppendRow(table.Row{name, count, number.Sprintf("%.1f ms", took.Seconds()*1000), rate})
}

func (r *report) print(w io.Writer) error {
	_, err := fmt.Fprintln(w, r.table.Render())
	return err
}

// newTable draws with ASCII characters: the width of box-drawing ones is not
// the same on all terminals of the languages that we speak.
func newTable(numeric ...int) table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleDefault)
	t.Style().Format.Header = text.FormatDefault
	columns := make([]table.ColumnConfig, len(numeric))
	for i, n := range numeric {
		columns[i] = table.ColumnConfig{Number: n, Align: text.AlignRight, AlignHeader: text.AlignRight}
	}
	t.SetColumnConfigs(columns)
	return t
}
