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
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
)

// Writer writes a snapshot file beside its place and moves it there in
// [Writer.Commit]: until then the former file stands untouched. The parts of
// several tables may be written at the same time; in the file they stand in
// order.
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
	identity   string
	parts      []*Part

	mu     sync.Mutex
	more   sync.Cond // there is room, or the turn of another part
	offset int64
	turn   int   // the part whose frames are written as they come; others queue
	queued int   // bytes of all queues
	err    error // the first failed write; every later one returns it

	broken atomic.Pointer[error] // err, for those who don't hold mu
}

// maxQueued is how many bytes of packed frames wait for the turn of their part
// before their writer has to wait too.
const maxQueued = 8 << 20

// tools are what a part needs while it is written, handed from one to the next.
type tools struct {
	encoder *zstd.Encoder
	raw     [2][]byte // one is filled while the other is packed
	frame   []byte
}

// toolbox keeps tools from one part, and from one file, to the next: to make
// them takes as long as to pack half a megabyte.
var toolbox sync.Pool

func takeTools() (*tools, error) {
	if t, ok := toolbox.Get().(*tools); ok {
		return t, nil
	}
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(maxFrame))
	if err != nil {
		return nil, fmt.Errorf("prepare compression: %w", err)
	}
	return &tools{encoder: encoder, raw: [2][]byte{make([]byte, 0, maxFrame), make([]byte, 0, maxFrame)}}, nil
}

// TempPath returns where the file for path is written before it is moved. It is
// one name for each path: whoever holds the lock of the snapshot may remove it.
func TempPath(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".tmp")
}

// Create begins a snapshot file for path with a part for each of the tables, of
// which the name, the columns and the format are given. The caller holds the snapshot's lock.
func Create(fs FS, path string, tables []Table) (*Writer, error) {
	w := &Writer{fs: fs, path: path, temp: TempPath(path), sum: sha256.New()}
	w.more.L = &w.mu
	for i, t := range tables {
		w.parts = append(w.parts, &Part{w: w, number: i, table: Table{Name: t.Name, Columns: t.Columns, Format: t.Format}})
	}
	var err error
	if w.file, err = fs.Create(w.temp); err != nil {
		return nil, err
	}
	w.buf = bufio.NewWriterSize(w.file, 256<<10)
	w.put(header())
	if len(w.parts) > 0 {
		w.parts[0].table.Offset = w.offset
	}
	return w, nil
}

// Part takes the COPY data of one table.
type Part struct {
	w      *Writer
	number int
	table  Table

	tools   *tools
	filling int           // which of the raw buffers
	packing chan []byte   // full buffers, on their way to the file
	free    chan struct{} // the other buffer may be filled
	packed  chan struct{} // closed when all of them are there

	begun, done bool     // guarded by w.mu, like all below
	queue       [][]byte // frames that wait for the part's turn
}

// Part begins the part of the i-th table. Who has begun a part must close it.
// Memory is bounded as long as the earliest part that is not closed is always
// among those that are begun.
func (w *Writer) Part(i int) (*Part, error) {
	p := w.parts[i]
	w.mu.Lock()
	defer w.mu.Unlock()
	var err error
	if p.tools, err = takeTools(); err != nil {
		return nil, err
	}
	p.begun = true
	p.packing, p.free, p.packed = make(chan []byte), make(chan struct{}, 1), make(chan struct{})
	p.free <- struct{}{}
	go p.pack()
	return p, nil
}

// Write adds COPY data to the part.
func (p *Part) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		raw := &p.tools.raw[p.filling]
		k := min(len(b), maxFrame-len(*raw))
		*raw = append(*raw, b[:k]...)
		b = b[k:]
		if len(*raw) == maxFrame {
			p.send()
		}
	}
	if err := p.w.broken.Load(); err != nil {
		return 0, *err
	}
	return n, nil
}

// send hands the filled buffer on and takes the other one as soon as it is free.
func (p *Part) send() {
	p.packing <- p.tools.raw[p.filling]
	<-p.free
	p.filling = 1 - p.filling
	p.tools.raw[p.filling] = p.tools.raw[p.filling][:0]
}

// Close ends the part, whose table has that many rows. It may be called again.
func (p *Part) Close(rows int64) error {
	if p.tools == nil {
		return nil
	}
	if len(p.tools.raw[p.filling]) > 0 {
		p.send()
	}
	close(p.packing)
	<-p.packed
	w := p.w
	w.mu.Lock()
	defer w.mu.Unlock()
	p.table.Rows = rows
	for i := range p.tools.raw {
		p.tools.raw[i] = p.tools.raw[i][:0]
	}
	toolbox.Put(p.tools)
	p.tools, p.done = nil, true
	w.advance()
	return w.err
}

// pack turns full buffers into frames.
func (p *Part) pack() {
	defer close(p.packed)
	for raw := range p.packing {
		t := &p.table
		frame := p.tools.encoder.EncodeAll(raw, append(p.tools.frame[:0], make([]byte, frameHeader)...))
		p.tools.frame = frame
		putFrameHeader(frame, uint32(p.number), uint32(t.Frames), uint32(len(raw)), frame[frameHeader:]) //nolint:gosec // a manifest has fewer tables than bytes, and 2^32 frames are more than a disk
		t.Frames++
		t.Raw += int64(len(raw))
		t.Bytes += int64(len(frame))
		p.free <- struct{}{}
		p.w.take(p, frame)
	}
}

// take writes a frame when it is the part's turn, else keeps a copy until then.
func (w *Writer) take(p *Part, frame []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.err == nil && w.turn != p.number && w.queued+len(frame) > maxQueued && w.parts[w.turn].begun {
		w.more.Wait()
	}
	if w.turn == p.number {
		w.put(frame)
		return
	}
	p.queue = append(p.queue, append([]byte(nil), frame...))
	w.queued += len(frame)
}

// advance gives the turn to the first part that is not complete, and writes what
// has queued for the parts up to it.
func (w *Writer) advance() {
	for w.turn < len(w.parts) && w.parts[w.turn].done {
		if w.turn++; w.turn == len(w.parts) {
			break
		}
		next := w.parts[w.turn]
		next.table.Offset = w.offset
		for _, frame := range next.queue {
			w.put(frame)
			w.queued -= len(frame)
		}
		next.queue = nil
	}
	w.more.Broadcast()
}

// put writes to the file and to the checksum of the whole.
func (w *Writer) put(p []byte) {
	if w.err != nil {
		return
	}
	w.sum.Write(p)
	w.offset += int64(len(p))
	if _, err := w.buf.Write(p); err != nil {
		w.err = err
		w.broken.Store(&err)
		w.more.Broadcast()
	}
}

// Commit writes the manifest, whose tables it fills in, makes the file durable
// and moves it into place. Every part must be closed. After an error the former
// file, if any, is whole and the new one is gone, unless only the sync of the
// folder failed: then the new file is in place, whole, and the error says that a
// power cut could undo it.
func (w *Writer) Commit(m *Manifest) error {
	m.Version = Version
	m.Tables = make([]Table, 0, len(w.parts))
	for _, p := range w.parts {
		if !p.done && w.err == nil {
			w.err = fmt.Errorf("the part of %s is not complete", p.table.Name)
		}
		m.Tables = append(m.Tables, p.table)
	}
	body, err := m.marshal()
	if err == nil && len(body) > maxManifest {
		err = fmt.Errorf("a manifest of %d bytes is larger than the format allows (%d)", len(body), maxManifest)
	}
	if err != nil {
		return errors.Join(err, w.Abort())
	}
	var trailer [trailerSize]byte
	order.PutUint64(trailer[0:], uint64(w.offset))  //nolint:gosec // not negative
	order.PutUint32(trailer[8:], uint32(len(body))) //nolint:gosec // at most maxManifest
	order.PutUint32(trailer[12:], crc32.Checksum(body, castagnoli))
	w.put(body)
	w.put(trailer[:16])
	w.identity = hexOf(w.sum.Sum(trailer[:16])[16:48])
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
	w.temp = ""
	return w.fs.SyncDir(filepath.Dir(w.path))
}

// Abort gives the new file up. Every part that was begun must be closed. After
// [Writer.Commit] succeeded it does nothing.
func (w *Writer) Abort() error {
	if w.temp == "" {
		return nil
	}
	var err error
	if w.file != nil {
		err = w.file.Close()
		w.file = nil
	}
	err = errors.Join(err, w.fs.Remove(w.temp))
	w.temp = ""
	return err
}

// Sum returns the SHA-256 that stands in the committed file; see [Reader.Sum].
func (w *Writer) Sum() string { return w.identity }

// Size returns how many bytes the file has so far.
func (w *Writer) Size() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.offset
}

var _ io.Writer = (*Part)(nil)
