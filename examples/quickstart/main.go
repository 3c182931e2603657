// Command quickstart shows the main job of groundhog from end to end, on a real
// PostgreSQL: it starts a private server, makes a database with the welfare
// schema, fills it, creates a snapshot, changes rows and commits, restores, and
// proves that every table is as it was. It needs PostgreSQL's programs on this
// machine, or a server given with -url, and leaves nothing running.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"github.com/groundhogdb/groundhog/internal/msg"
)

// The exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop)   // a second interrupt does not wait for the tidying up
	signal.Ignore(syscall.SIGPIPE) // a reader that has seen enough (| head) does not keep us from tidying up either
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the program: it returns the exit code. When ctx ends it stops and
// tidies up.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	opts, err := parse(args)
	say := textsIn(opts.lang)
	switch {
	case errors.Is(err, flag.ErrHelp):
		usage(stdout, say)
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "quickstart: %v %s\n", err, say.seeHelp)
		return exitUsage
	}
	// What the library itself has to say comes in the same language.
	if err := os.Setenv(msg.EnvLang, string(opts.lang)); err != nil {
		fmt.Fprintln(stderr, "quickstart:", err)
		return exitFailed
	}
	d := demo{options: opts, say: say, stdin: stdin, attended: isTerminal(stdin), out: stdout, report: newReport(say)}
	err = d.run(ctx)
	switch left := (leftover{}); {
	case ctx.Err() != nil && !errors.As(err, &left):
		fmt.Fprintln(stderr, "quickstart:", say.interrupted)
		return exitInterrupted
	case err != nil:
		fmt.Fprintln(stderr, "quickstart:", err)
		return exitFailed
	}
	return exitOK
}

// isTerminal reports whether somebody can press Enter there.
func isTerminal(r io.Reader) bool {
	f, ok := r.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
