// Package snapfile reads and writes snapshot files: an atomic, checksummed
// container of table data. It knows no database. The layout, byte by byte, is
// in docs/snapshot-format.md.
//
//	header    16 bytes   magic, version, CRC-32C
//	frames    …          for each table its COPY output, cut and compressed
//	manifest  JSON       what the file holds and where
//	trailer   56 bytes   where the manifest is, CRC-32C, SHA-256, end mark
package snapfile

import (
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"time"

	"github.com/groundhogdb/groundhog/internal/schema"
)

// Version is the version of the format that this package writes. It reads
// every version from 1 on. Version 2 added the scope and the format of the data: a
// reader that does not know them would take the file for another one. Version 3 added
// the rows of extensions' tables that are the user's, and what is outside: a reader
// that does not know of that would find tables without data.
const Version = 3

// Extensions is the first version that has the rows of extensions' tables.
const Extensions = 3

const (
	// magic starts a file. The byte above 127, the CR LF, the control-Z and
	// the lone LF are broken by any transfer that takes the file for text.
	magic = "\x89GHD\r\n\x1a\n"
	// endMark ends a file, so that a file that was cut is known at once.
	endMark = "\nGHDEND\n"

	headerSize  = 16
	frameHeader = 20
	trailerSize = 8 + 4 + 4 + 32 + 8

	// maxFrame is the most raw bytes of one frame. Together with maxManifest
	// it bounds what a damaged length can make a reader allocate.
	maxFrame    = 1 << 20
	maxManifest = 64 << 20
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	order      = binary.LittleEndian
)

// Manifest tells what a snapshot file holds.
type Manifest struct {
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	CreatedAt   time.Time         `json:"created_at"`
	Server      string            `json:"server"`            // "PostgreSQL 15.18"
	Builder     string            `json:"builder,omitempty"` // the key that Ensure compares
	Fingerprint string            `json:"fingerprint"`
	Migration   *Migration        `json:"migration,omitempty"`
	Scope       *Scope            `json:"scope,omitempty"` // none: the whole database
	Schema      schema.Schema     `json:"schema"`
	Tables      []Table           `json:"tables"` // in the order of their data
	Sequences   []schema.Sequence `json:"sequences,omitempty"`
	Outside     []Outside         `json:"outside,omitempty"` // sorted by name

	Version uint32 `json:"-"` // of the format that the file is in
}

// Outside is a relation of the database that is no part of the snapshot. One of
// Schema has no data in the file.
type Outside struct {
	schema.Name
	Kind      string `json:"kind"`
	Why       string `json:"why"`
	Extension string `json:"extension,omitempty"`
}

// Migration is the version that a known migration tool recorded.
type Migration struct {
	Table   string `json:"table"`
	Version string `json:"version"`
}

// Scope tells which rows the snapshot is about; all others are left alone.
type Scope struct {
	Rows    string   `json:"rows,omitempty"`    // the boolean column that marks the rows
	RowsOf  []RowsOf `json:"rows_of,omitempty"` // sorted by table
	Tables  []string `json:"tables,omitempty"`  // patterns, sorted; none: all tables
	Exclude []string `json:"exclude,omitempty"` // patterns, sorted
}

// RowsOf is the condition on the rows of one table.
type RowsOf struct {
	Table     string `json:"table"`
	Predicate string `json:"predicate"` // SQL
}

// Table is the index entry of one table's data.
type Table struct {
	schema.Name
	Columns []string `json:"columns"`          // of the COPY data, in its order
	Format  string   `json:"format,omitempty"` // of the COPY data: Text or Binary
	Rows    int64    `json:"rows"`
	Raw     int64    `json:"raw_bytes"` // of COPY data
	Bytes   int64    `json:"bytes"`     // of frames in the file
	Offset  int64    `json:"offset"`    // of the first frame
	Frames  int64    `json:"frames"`
}

// none is how many bytes of COPY data a table without rows has at most: those of the
// binary format are a signature, flags, the length of an extension, and an end.
func (t Table) none() int64 {
	if t.Format == Binary {
		return 11 + 4 + 4 + 2
	}
	return 0
}

// The formats of COPY data.
const (
	Text   = ""
	Binary = "binary"
)

func header() []byte {
	b := make([]byte, headerSize)
	copy(b, magic)
	order.PutUint32(b[8:], Version)
	order.PutUint32(b[12:], crc32.Checksum(b[:12], castagnoli))
	return b
}

// putFrameHeader fills the 20 bytes before a frame's payload. The checksum
// covers the table's number and the frame's number in it, so that a frame in
// another's place is damage too.
func putFrameHeader(h []byte, table, frame, raw uint32, payload []byte) {
	order.PutUint32(h[0:], table)
	order.PutUint32(h[4:], frame)
	order.PutUint32(h[8:], raw)
	order.PutUint32(h[12:], uint32(len(payload))) //nolint:gosec // at most 2*maxFrame
	order.PutUint32(h[16:], frameSum(h, payload))
}

func frameSum(h, payload []byte) uint32 {
	return crc32.Update(crc32.Checksum(h[:16], castagnoli), castagnoli, payload)
}

func (m *Manifest) marshal() ([]byte, error) { return json.Marshal(m) }
