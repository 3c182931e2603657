package snapshot

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/snapfile"
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
	name := strings.TrimSuffix(filepath.Base(path), fileExtension)
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
