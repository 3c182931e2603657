package snapshot

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/snapfile"
	"github.com/groundhogdb/groundhog/internal/tally"
)

// Info describes a snapshot file.
type Info struct {
	Name          string
	Path          string
	CreatedAt     time.Time
	Description   string
	Server        string // that it was made on: "PostgreSQL 15.18"
	SchemaVersion string // as a known migration tool recorded it, if any
	Fingerprint   string // of the schema: SHA-256, hexadecimal
	Scope         string // the rows that it is about, if not all
	Tables        []TableInfo
	Outside       []Outside // what of the database is no part of it
	Rows          int64     // of all tables
	Bytes         int64     // of the file
}

// TableInfo tells how much of a snapshot belongs to one table.
type TableInfo struct {
	Name  string // qualified: public.offices; a part with a dot is quoted: "v1.0".offices
	Rows  int64
	Bytes int64 // in the file, compressed
}

// String describes the snapshot for people: a few lines, and a table of its
// tables, in the language that GROUNDHOG_LANG names.
func (i Info) String() string {
	var out strings.Builder
	line := func(text msg.Text, value string) {
		if value != "" {
			fmt.Fprintf(&out, "  %s: %s\n", text.In(""), value)
		}
	}
	fmt.Fprintln(&out, msg.InfoTitle.In("", i.Name, msg.Count(i.Rows), msg.Count(len(i.Tables)), msg.Count(i.Bytes)))
	line(msg.InfoDescription, i.Description)
	line(msg.InfoPath, i.Path)
	line(msg.InfoCreated, i.CreatedAt.Format(time.RFC3339))
	line(msg.InfoServer, i.Server)
	line(msg.InfoSchema, strings.TrimSpace(i.SchemaVersion+" "+i.Fingerprint[:min(len(i.Fingerprint), 12)]))
	line(msg.InfoScope, i.Scope)
	// Only names can be wider than their characters; they stand at the end.
	for _, t := range i.Tables {
		fmt.Fprintf(&out, "  %12s  %14s  %s\n", msg.InfoRows.In("", msg.Count(t.Rows)), msg.InfoBytes.In("", msg.Count(t.Bytes)), t.Name)
	}
	for _, o := range i.Outside {
		line(msg.InfoOutside, o.String())
	}
	return strings.TrimSuffix(out.String(), "\n")
}

func infoOf(m *snapfile.Manifest, path string, size int64) Info {
	// A file that was renamed is another snapshot.
	name := strings.TrimSuffix(filepath.Base(path), extension)
	info := Info{Name: name, Path: path, CreatedAt: m.CreatedAt, Description: m.Description, Server: m.Server,
		Fingerprint: m.Fingerprint, Bytes: size}
	info.Scope = scopeText(m.Scope)
	if m.Migration != nil {
		info.SchemaVersion = m.Migration.Version
	}
	info.Outside = outsideOf(m.Outside)
	for _, t := range m.Tables {
		info.Tables = append(info.Tables, TableInfo{Name: t.Name.String(), Rows: t.Rows, Bytes: t.Bytes})
		info.Rows += t.Rows
	}
	return info
}

// Way is how a table came to be as the snapshot has it.
type Way string

// The ways.
const (
	// Nothing: nobody wrote to it since it was as the snapshot has it.
	Nothing Way = "nothing to do"
	// Undone: the journal put the changed rows back.
	Undone Way = "undone"
	// Reloaded: emptied and loaded from its part of the file.
	Reloaded Way = "reloaded"
	// Built: filled by the builder of [Ensure], and saved.
	Built Way = "built"
)

// Restored tells what [Restore] or [Ensure] did.
type Restored struct {
	Info
	Ways        []TableWay
	Why         string   // why it was built, if it was
	Differences []string // between the snapshot's schema and the database's: see [Warn]
	Duration    time.Duration
}

// TableWay is the way that was taken for one table.
type TableWay struct {
	Table string // qualified: public.offices
	Way   Way
	Why   string // why this way
	Rows  int64  // of the snapshot

	// Changed is how many rows were removed or put back, if the table was undone. An
	// updated row counts as both.
	Changed int64
}

// byCost are the ways, the cheapest first.
var byCost = []string{string(Nothing), string(Undone), string(Reloaded), string(Built)}

// tables counts them by way.
func (r Restored) tables() map[string]int {
	count := map[string]int{}
	for _, w := range r.Ways {
		count[string(w.Way)]++
	}
	return count
}

// count adds the restore to those of the process.
func (r Restored) count() { tally.Add(byCost, r.tables(), r.reasons(), r.Duration) }

// way sums the ways up.
func (r Restored) way() string {
	count := r.tables()
	var out []string
	for _, way := range byCost {
		if count[way] > 0 {
			out = append(out, fmt.Sprintf("%s %d", way, count[way]))
		}
	}
	return strings.Join(out, ", ")
}

// scopeText writes a scope as the options that make it.
func scopeText(s *snapfile.Scope) string {
	if s == nil {
		return ""
	}
	var out []string
	if s.Rows != "" {
		out = append(out, fmt.Sprintf("Rows(%q)", s.Rows))
	}
	for _, r := range s.RowsOf {
		out = append(out, fmt.Sprintf("RowsOf(%q, %q)", r.Table, r.Predicate))
	}
	list := func(option string, patterns []string) {
		if len(patterns) > 0 {
			out = append(out, fmt.Sprintf("%s(%q)", option, patterns))
		}
	}
	list("Tables", s.Tables)
	list("Exclude", s.Exclude)
	return strings.Join(out, ", ")
}

// builtOf tells that a builder filled the tables.
func builtOf(info Info, why string, began time.Time) Restored {
	r := Restored{Info: info, Why: why, Duration: time.Since(began)}
	for _, t := range info.Tables {
		r.Ways = append(r.Ways, TableWay{Table: t.Name, Way: Built, Why: why, Rows: t.Rows})
	}
	return r
}
