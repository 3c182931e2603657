package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

func main() {
	brief := flag.Bool("short", false, "measure next to nothing, to see that it works")
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
	if res.starts, err = p.started(ctx); err != nil {
		return err
	}
	if res.suite, res.first, err = p.suited(ctx, r); err != nil {
		return err
	}
	if res.writes, err = p.written(ctx, r); err != nil {
		return err
	}
	for _, offices := range p.restores {
		if res.restores[offices], res.deeds[offices], res.creates[offices], err = p.restored(ctx, r, offices); err != nil {
			return err
		}
	}
	if res.seeds, err = p.seeded(ctx, r); err != nil {
		return err
	}
	res.Took = time.Since(began).Round(time.Second)
	if err := res.write(out); err != nil {
		return err
	}
	told("written: %s/benchmarks.md", out)
	return nil
}
