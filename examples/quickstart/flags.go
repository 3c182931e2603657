package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/groundhogdb/groundhog/internal/msg"
)

// options are what the flags say.
type options struct {
	offices int
	dir     string
	url     string
	lang    msg.Lang
	keep    bool
}

// maxOffices keeps the rows, which are made in memory, within that of a laptop.
const maxOffices = 10_000

// parse reads the flags. Its error is one line in the language that they choose,
// and does not repeat the address, which may hold a password.
func parse(args []string) (options, error) {
	opts := options{lang: languageOf(args)}
	say := textsIn(opts.lang)
	var offices, lang string
	flags := flagSet(say, &opts, &offices, &lang)
	if err := flags.Parse(args); err != nil {
		return opts, say.flagError(err)
	}
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	_, known := msg.Parse(lang)
	n, err := strconv.Atoi(offices)
	opts.offices = n
	switch {
	case given["lang"] && !known:
		return opts, fmt.Errorf(say.badLang, lang)
	case flags.NArg() > 0:
		return opts, fmt.Errorf(say.strayArgument, flags.Arg(0))
	case err != nil || n < 1 || n > maxOffices:
		return opts, fmt.Errorf(say.badOffices, offices, maxOffices)
	case given["dir"] && !mayBeFolder(opts.dir):
		return opts, fmt.Errorf(say.badDir, opts.dir)
	case given["url"] && !isAddress(opts.url):
		return opts, errors.New(say.badURL)
	}
	return opts, nil
}

func flagSet(say texts, opts *options, offices, lang *string) *flag.FlagSet {
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	flags.StringVar(offices, "offices", "100", fmt.Sprintf(say.flagOffices, maxOffices))
	flags.StringVar(&opts.dir, "dir", "", say.flagDir)
	flags.StringVar(&opts.url, "url", "", say.flagURL)
	flags.StringVar(lang, "lang", "", say.flagLang)
	flags.BoolVar(&opts.keep, "keep", false, say.flagKeep)
	return flags
}

// usage lists the flags. flag.PrintDefaults knows English only.
func usage(w io.Writer, say texts) {
	fmt.Fprintln(w, say.usage)
	flags := flagSet(say, &options{}, new(string), new(string))
	flags.VisitAll(func(f *flag.Flag) {
		value, text := flag.UnquoteUsage(f)
		fmt.Fprintf(w, "  %s\n    \t%s\n", strings.TrimSpace("-"+f.Name+" "+value), text)
	})
}

// flagError says in the reader's language what package flag says in English.
func (say texts) flagError(err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	kind, what, _ := strings.Cut(err.Error(), ": ")
	switch kind {
	case "flag provided but not defined":
		return fmt.Errorf(say.unknownFlag, what)
	case "flag needs an argument":
		return fmt.Errorf(say.noValue, what)
	case "bad flag syntax":
		return fmt.Errorf(say.strayArgument, what)
	}
	return errors.New(say.badKeep) // the one flag whose value package flag reads
}

// languageOf looks for -lang before anything else is read, since what is wrong
// with the other flags is told in that language.
func languageOf(args []string) msg.Lang {
	var chosen msg.Lang
	for i, arg := range args {
		name, value, joined := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if !strings.HasPrefix(arg, "-") || name != "lang" {
			continue
		}
		if !joined && i+1 < len(args) {
			value = args[i+1]
		}
		if lang, ok := msg.Parse(value); ok {
			chosen = lang
		}
	}
	return chosen.Or()
}

// mayBeFolder reports whether files can be made in path, or path itself in the
// nearest folder above it that exists.
func mayBeFolder(path string) bool {
	if path == "" {
		return false
	}
	for {
		_, err := os.Stat(path)
		if err == nil {
			made, err := os.MkdirTemp(path, ".groundhog-*")
			return err == nil && os.Remove(made) == nil
		}
		parent := filepath.Dir(path)
		if !errors.Is(err, fs.ErrNotExist) || parent == path {
			return false
		}
		path = parent
	}
}

// scheme is how an address begins that is no list of keyword=value pairs.
var scheme = regexp.MustCompile(`^\s*[A-Za-z][A-Za-z0-9+.-]*:`)

func isAddress(text string) bool {
	if scheme.MatchString(text) && !strings.HasPrefix(text, "postgres://") && !strings.HasPrefix(text, "postgresql://") {
		return false
	}
	_, err := pgxpool.ParseConfig(text)
	return err == nil && strings.TrimSpace(text) != ""
}
