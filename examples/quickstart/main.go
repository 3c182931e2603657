// Command quickstart shows the main job of groundhog from end to end, on a real
// PostgreSQL: it starts a private server, makes a database with the welfare
// schema, fills it, creates a snapshot, changes rows and commits, restores, and
// proves that every table is as it was. It needs PostgreSQL's programs on this
// machine, or a server given with -url, and leaves nothing running.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// The exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
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
		usage(stdout, opts.lang)
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "quickstart: %v %s\n", err, say.seeHelp)
		return exitUsage
	}
	// What the library itself has to say comes in the same language.
	if err := os.Setenv(envLang, opts.lang); err != nil {
		fmt.Fprintln(stderr, "quickstart:", err)
		return exitFailed
	}
	err = demo{options: opts, say: say, stdin: stdin, out: stdout}.run(ctx)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "quickstart:", say.interrupted)
		return exitInterrupted
	case err != nil:
		fmt.Fprintln(stderr, "quickstart:", err)
		return exitFailed
	}
	return exitOK
}

// options are what the flags say.
type options struct {
	offices int
	dir     string
	url     string
	lang    string
	keep    bool
}

// maxOffices keeps the rows, which are made in memory, within that of a laptop.
const maxOffices = 2000

// envLang names the environment variable that chooses groundhog's language.
const envLang = "GROUNDHOG_LANG"

func parse(args []string) (options, error) {
	opts := options{lang: envLanguage()}
	flags := flagSet(&opts)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	err := flags.Parse(args)
	chosen := opts.lang
	if !isLanguage(chosen) {
		opts.lang = envLanguage() // for the texts about it
	}
	say := textsIn(opts.lang)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return opts, err
	case err != nil:
		return opts, fmt.Errorf(say.badFlag, err)
	case !isLanguage(chosen):
		return opts, fmt.Errorf(say.badLang, chosen)
	case flags.NArg() > 0:
		return opts, fmt.Errorf(say.strayArgument, flags.Arg(0))
	case opts.offices < 1 || opts.offices > maxOffices:
		return opts, fmt.Errorf(say.badOffices, opts.offices, maxOffices)
	}
	return opts, nil
}

func flagSet(opts *options) *flag.FlagSet {
	say := textsIn(opts.lang)
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.IntVar(&opts.offices, "offices", 100, fmt.Sprintf(say.flagOffices, maxOffices))
	flags.StringVar(&opts.dir, "dir", "", say.flagDir)
	flags.StringVar(&opts.url, "url", "", say.flagURL)
	flags.StringVar(&opts.lang, "lang", opts.lang, say.flagLang)
	flags.BoolVar(&opts.keep, "keep", false, say.flagKeep)
	return flags
}

func usage(w io.Writer, lang string) {
	opts := options{lang: lang}
	fmt.Fprintln(w, textsIn(lang).usage)
	flags := flagSet(&opts)
	flags.SetOutput(w)
	flags.PrintDefaults()
}

func isLanguage(lang string) bool { return lang == "en" || lang == "ja" }

// envLanguage is the language that the environment asks for, such as "ja" or
// "ja_JP.UTF-8"; else English.
func envLanguage() string {
	lang := strings.ToLower(os.Getenv(envLang))
	lang = lang[:min(len(lang), 2)]
	if !isLanguage(lang) {
		lang = ""
	}
	return cmp.Or(lang, "en")
}
