package snapfile

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"path/filepath"

	"github.com/klauspost/compress/zstd"

	"github.com/groundhogdb/groundhog/internal/schema"
)

// Writer writes a snapshot file beside its place and moves it there in
// [Writer.Commit]: until then the former file stands untouched.
//
// A library for atomic files (google/renameio) would leave out the sync of the
// folder and could not be made to fail at every step; these few lines are what
// promise 1 rests on.
type Writer struct {
	fs         FS
	path, temp string
	file       File
	buf        *bufio.Writer
	sum        hash.Hash
	offset     int64
	encoder    *zstd.Encoder

	tables  []Table
	raw     []byte // of the frame that is being filled
	payload []byte
	err     error // the first failed write; every later one returns it
}

// TempPath returns where the file for path is written before it is moved. It is
// one name for each path: whoever holds the lock of the snapshot may remove it.
func TempPath(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".tmp")
}

// Create begins a snapshot file for path. The caller holds the snapshot's lock.
func Create(fs FS, path string) (*Writer, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return nil, fmt.Errorf("prepare compression: %w", err)
	}
	w := &Writer{fs: fs, path: path, temp: TempPath(path), sum: sha256.New(), encoder: encoder,
		raw: make([]byte, 0, maxFrame)}
	w.file, err = fs.Create(w.temp)
	if err != nil {
		return nil, err
	}
	w.buf = bufio.NewWriterSize(w.file, 256<<10)
	w.put(header())
	return w, nil
}

// Table begins the data of the next table; [Writer.Write] takes it.
func (w *Writer) Table(name schema.Name, columns []string) {
	w.flush()
	w.tables = append(w.tables, Table{Name: name, Columns: columns, Offset: w.offset})
}

// Write adds COPY data to the current table.
func (w *Writer) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 && w.err == nil {
		k := min(len(p), maxFrame-len(w.raw))
		w.raw = append(w.raw, p[:k]...)
		p = p[k:]
		if len(w.raw) == maxFrame {
			w.flush()
		}
	}
	if w.err != nil {
		return 0, w.err
	}
	return n, nil
}

// SetRows notes how many rows the current table has.
func (w *Writer) SetRows(n int64) { w.tables[len(w.tables)-1].Rows = n }

func (w *Writer) flush() {
	if len(w.raw) == 0 {
		return
	}
	t := &w.tables[len(w.tables)-1]
	w.payload = w.encoder.EncodeAll(w.raw, w.payload[:0])
	var h [frameHeader]byte
	putFrameHeader(h[:], uint32(len(w.tables)-1), uint32(t.Frames), uint32(len(w.raw)), w.payload)
	w.put(h[:])
	w.put(w.payload)
	t.Frames++
	t.Raw += int64(len(w.raw))
	t.Bytes += int64(frameHeader + len(w.payload))
	w.raw = w.raw[:0]
}

// put writes to the file and to the checksum of the whole.
func (w *Writer) put(p []byte) {
	if w.err != nil {
		return
	}
	w.sum.Write(p)
	w.offset += int64(len(p))
	_, w.err = w.buf.Write(p)
}

// Commit writes the manifest, whose tables it fills in, makes the file durable
// and moves it into place. After an error the former file, if any, is whole and
// the new one is gone, unless only the sync of the folder failed: then the new
// file is in place, whole, and the error says that a power cut could undo it.
func (w *Writer) Commit(m *Manifest) error {
	w.flush()
	m.Tables = w.tables
	if m.Tables == nil {
		m.Tables = []Table{}
	}
	body, err := m.marshal()
	if err == nil && len(body) > maxManifest {
		err = fmt.Errorf("a manifest of %d bytes is larger than the format allows (%d)", len(body), maxManifest)
	}
	if err != nil {
		return errors.Join(err, w.Abort())
	}
	var trailer [trailerSize]byte
	order.PutUint64(trailer[0:], uint64(w.offset))
	order.PutUint32(trailer[8:], uint32(len(body)))
	order.PutUint32(trailer[12:], crc32.Checksum(body, castagnoli))
	w.put(body)
	w.put(trailer[:16])
	w.sum.Sum(trailer[:16])
	copy(trailer[48:], endMark)
	w.put(trailer[16:])
	if w.err == nil {
		w.err = w.buf.Flush()
	}
	if w.err == nil {
		w.err = w.file.Sync()
	}
	if w.err != nil {
		return errors.Join(w.err, w.Abort())
	}
	err = w.file.Close()
	w.file = nil
	if err == nil {
		err = w.fs.Rename(w.temp, w.path)
	}
	if err != nil {
		return errors.Join(err, w.Abort())
	}
	_ = w.encoder.Close()
	w.temp = ""
	return w.fs.SyncDir(filepath.Dir(w.path))
}

// Abort gives the new file up. After [Writer.Commit] succeeded it does nothing.
func (w *Writer) Abort() error {
	if w.temp == "" {
		return nil
	}
	_ = w.encoder.Close()
	var err error
	if w.file != nil {
		err = w.file.Close()
		w.file = nil
	}
	err = errors.Join(err, w.fs.Remove(w.temp))
	w.temp = ""
	return err
}

// Size returns how many bytes the file has so far.
func (w *Writer) Size() int64 { return w.offset }

var _ io.Writer = (*Writer)(nil)
