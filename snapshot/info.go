package snapshot

import (
	"fmt"
	"time"

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
	Tables        []TableInfo
	Rows          int64 // of all tables
	Bytes         int64 // of the file
}

// TableInfo tells how much of a snapshot belongs to one table.
type TableInfo struct {
	Name  string // qualified: public.offices
	Rows  int64
	Bytes int64 // in the file, compressed
}

// String is a line for people; the tables are in Tables.
func (i Info) String() string {
	return fmt.Sprintf("%s: %d rows in %d tables, %d bytes, created %s", i.Name, i.Rows, len(i.Tables), i.Bytes,
		i.CreatedAt.Format(time.RFC3339))
}

func infoOf(m *snapfile.Manifest, path string, size int64) Info {
	info := Info{Name: m.Name, Path: path, CreatedAt: m.CreatedAt, Description: m.Description, Server: m.Server,
		Fingerprint: m.Fingerprint, Bytes: size}
	if m.Migration != nil {
		info.SchemaVersion = m.Migration.Version
	}
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
	// Reloaded: emptied and loaded from its part of the file.
	Reloaded Way = "reloaded"
	// Built: filled by the builder of [Ensure], and saved.
	Built Way = "built"
)

// Restored tells what [Restore] or [Ensure] did.
type Restored struct {
	Info
	Ways     []TableWay
	Why      string // why it was built or reloaded
	Duration time.Duration
}

// TableWay is the way that was taken for one table.
type TableWay struct {
	Table string // qualified: public.offices
	Way   Way
	Rows  int64
}

func restoredOf(info Info, way Way, why string, began time.Time) Restored {
	r := Restored{Info: info, Why: why, Duration: time.Since(began)}
	for _, t := range info.Tables {
		r.Ways = append(r.Ways, TableWay{Table: t.Name, Way: way, Rows: t.Rows})
	}
	return r
}
