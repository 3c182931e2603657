package track

import (
	"embed"
	"strconv"
	"strings"
	"sync"
	"text/template"

	"github.com/groundhogdb/groundhog/internal/catalog"
)

// What is made in the database is written in files of SQL, which are templates.
//
//go:embed sql/*.sql
var sqlFiles embed.FS

// templates parses the files, once and when they are needed.
var templates = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("").Option("missingkey=error").Funcs(template.FuncMap{
		"ident":        catalog.Ident,
		"literal":      catalog.Literal,
		"likeness":     func() string { return catalog.LikenessOf },
		"watchedFacts": catalog.WatchedFacts, "unwatchedFacts": catalog.UnwatchedFacts,
		"body":           func() string { return bodyMark },
		"journalCounted": func() int { return journalCounted }, "leastEntry": func() int { return leastEntry },
		"undoFrom": func() int { return undoFrom }, "undoShare": func() float64 { return undoShare },
	}).ParseFS(sqlFiles, "sql/*.sql"))
})

// render returns the SQL that a template makes of data. Only a template that does not
// fit its data fails, which tests find.
func render(name string, data any) string {
	var out strings.Builder
	out.Grow(4 << 10)
	if err := templates().ExecuteTemplate(&out, name, data); err != nil {
		panic(err)
	}
	return dollars(out.String())
}

// bodyMark stands for the dollars around the body of a function until these are known.
// No SQL holds it.
const bodyMark = "\x00"

// dollars puts dollars around the bodies, with a tag that the text, and so no name in
// it, holds.
func dollars(sql string) string {
	if !strings.Contains(sql, bodyMark) {
		return sql
	}
	tag := "$groundhog"
	for n := 1; strings.Contains(sql, tag); n++ {
		tag = "$groundhog" + strconv.Itoa(n)
	}
	return strings.ReplaceAll(sql, bodyMark, tag+"$")
}

// constants are what all templates may name.
type constants struct {
	Reason          map[string]Reason // by their names in Go
	Kind            kinds
	Version         int
	WriterLock      int64
	LockTimeout     int64 // in milliseconds
	NoWait          int64 // the same, where the server would end another session in a deadlock
	MostPrepared    int   // statements of a session
	ReadRows        int   // so many rows of a table are read in the time in which one is written
	Wraparound      int64
	LoadedRow       int // what it costs to load a row: see Alternative
	PagesCounted    int // of a journal, to tell how many entries there are
	UsualEntry      int // bytes
	CertainlyCostly int // times as many entries as may be undone would fit into the journals: some may be, but they are long
}

// kinds are the kinds of entries in a journal.
type kinds struct {
	Old       string // a row of the baseline that was updated, or deleted where that is told row by row
	New       string // the key of a row that was inserted, or that an update gave another key
	Gone      string // the key that an update took from a row
	Deleted   string // a deleted row, of the baseline or not
	Undecided string // a deleted row that may or may not be the baseline's
}

var shared = &constants{
	Reason:          names,
	Kind:            kinds{Old: "v", New: "k", Gone: "g", Deleted: "d", Undecided: "?"},
	Version:         version,
	WriterLock:      WriterLock,
	LockTimeout:     LockTimeout.Milliseconds(),
	NoWait:          1,
	MostPrepared:    100,
	ReadRows:        80,
	Wraparound:      wraparound,
	LoadedRow:       2,
	PagesCounted:    64,
	UsualEntry:      128,
	CertainlyCostly: 10,
}

// The version of what is kept in the database. A later one replaces an earlier one, and
// an earlier one leaves a later one alone.
const version = 5

// Ids of transactions from here on are not compared: xmin has only half their bits.
const wraparound = 1<<31 - 1<<20

// A table with more changes than undoFrom and undoShare of its rows is loaded again:
// putting one row back costs about as much as loading one.
const (
	undoFrom  = 1000
	undoShare = 0.7

	journalCounted = 65536 // bytes: the entries of a smaller journal are not counted
	leastEntry     = 36    // bytes: no entry takes less of its journal
)
