package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"
)

func main() {
	brief := flag.Bool("short", false, "measure next to nothing, to see that it works")
	only := flag.String("only", "", "measure the parts whose names contain this, and write no page")
	out := flag.String("out", "", "the folder for the page (default ../../docs, with -short a temporary one)")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "lab: there are no arguments but flags")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	p := full
	if *brief {
		p = short
	}
	p.only = *only
	if *out == "" {
		*out = "../../docs"
		if *brief {
			*out = os.TempDir()
		}
	}
	began := time.Now()
	told := func(format string, args ...any) {
		fmt.Printf("%7s  %s\n", time.Since(began).Round(time.Second), fmt.Sprintf(format, args...))
	}
	if err := run(ctx, p, *out, told); err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(1)
	}
}

// run measures all, and writes the page.
func run(ctx context.Context, p plan, out string, told func(string, ...any)) (err error) {
	began := time.Now()
	dir, err := os.MkdirTemp("", "groundhog-lab-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Chmod(dir, 0o755); err != nil { // a server of root's runs as somebody else
		return err
	}
	r, err := newRig(ctx, dir, told)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	res := &results{plan: p, Runs: p.runs, Machine: machine(), Date: began.Format(time.DateOnly), restores: map[int]*grid{}, deeds: map[int]*grid{}, creates: map[int]*grid{}}
	if err := r.admin.QueryRow(ctx, "SELECT 'PostgreSQL ' || split_part(current_setting('server_version'), ' ', 1)").Scan(&res.Server); err != nil {
		return err
	}
	source, _, err := r.source(ctx, 100)
	if err != nil {
		return err
	}
	type part struct {
		name    string
		measure func() error
	}
	parts := []part{
		{"servers", func() (err error) { res.starts, err = p.started(ctx); return err }},
		{"one test", func() (err error) { res.one, err = p.tested(ctx, r, source); return err }},
		{"the pause", func() (err error) { res.pause, err = p.paused(ctx, r, source); return err }},
		{"five tables", func() (err error) { res.crowd, err = p.crowded(ctx, r); return err }},
		{"the web application", func() (err error) { res.web, err = p.webbed(ctx, r); return err }},
		{"the suite", func() (err error) { res.suite, res.first, err = p.suited(ctx, r, source); return err }},
		{"writes", func() (err error) { res.writes, err = p.written(ctx, r, source); return err }},
	}
	for _, offices := range p.restores {
		parts = append(parts, part{number(rowsOf(offices)) + " rows", func() (err error) {
			res.restores[offices], res.deeds[offices], res.creates[offices], err = p.restored(ctx, r, offices)
			return err
		}})
	}
	parts = append(parts, part{"seeding", func() (err error) { res.seeds, err = p.seeded(ctx, r); return err }})
	for _, part := range parts {
		if !strings.Contains(part.name, p.only) {
			continue
		}
		began := time.Now()
		if err := part.measure(); err != nil {
			return err
		}
		took := time.Since(began).Round(time.Second)
		told("%s took %s", part.name, took)
		res.parts = append(res.parts, fmt.Sprintf("%s %s", part.name, took))
	}
	if p.only != "" {
		return nil // a page tells of all
	}
	res.Took = time.Since(began).Round(time.Second)
	if err := res.write(out); err != nil {
		return err
	}
	told("written: %s/benchmarks.md", out)
	return nil
}
