package snapfile

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"

	"github.com/groundhogdb/groundhog/internal/schema"
)

// CorruptError tells where a snapshot file is damaged.
type CorruptError struct {
	Path   string
	Offset int64  // of the damaged part in the file
	Part   string // "header", "frame 3 of public.offices", …
	Want   string
	Got    string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("%s: %s at offset %d: expected %s, found %s", e.Path, e.Part, e.Offset, e.Want, e.Got)
}

// Reader reads a snapshot file. Nothing of the file is trusted before it is
// proven: lengths are bounded by the file's size and by the format's limits.
type Reader struct {
	Manifest Manifest
	Path     string
	Size     int64

	file   *os.File
	frames int64 // offset where the frames end and the manifest begins
}

// Open opens a snapshot file and proves its header, its trailer and its
// manifest. Damage is a [*CorruptError]. It does not read the table data: see
// [Reader.Verify].
func Open(path string) (*Reader, error) {
	r := &Reader{Path: path}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // to open a pipe would be to wait for who writes into it
		return nil, r.corrupt(0, "file", "a regular file", info.Mode().Type().String())
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	r.file = file
	if err := r.open(); err != nil {
		file.Close()
		return nil, err
	}
	return r, nil
}

// Stat describes the open file.
func (r *Reader) Stat() (os.FileInfo, error) { return r.file.Stat() }

// Close closes the file.
func (r *Reader) Close() error { return r.file.Close() }

func (r *Reader) open() error {
	info, err := r.file.Stat()
	if err != nil {
		return err
	}
	r.Size = info.Size()
	if r.Size < headerSize+trailerSize {
		return r.corrupt(0, "file", fmt.Sprintf("at least %d bytes", headerSize+trailerSize), fmt.Sprintf("%d bytes", r.Size))
	}
	var head [headerSize]byte
	if err := r.readAt(head[:], 0); err != nil {
		return err
	}
	if string(head[:8]) != magic {
		return r.corrupt(0, "header", "the mark of a snapshot file "+hexOf([]byte(magic)), hexOf(head[:8]))
	}
	if want, got := crc32.Checksum(head[:12], castagnoli), order.Uint32(head[12:]); want != got {
		return r.corrupt(12, "header", checksum(want), checksum(got))
	}
	if v := order.Uint32(head[8:]); v == 0 || v > Version {
		return r.corrupt(8, "header", fmt.Sprintf("a format version up to %d", Version), fmt.Sprintf("version %d, written by a newer groundhog", v))
	}
	if err := r.openManifest(); err != nil {
		return err
	}
	r.Manifest.Version = order.Uint32(head[8:])
	return nil
}

func (r *Reader) openManifest() error {
	end := r.Size - trailerSize
	var t [trailerSize]byte
	if err := r.readAt(t[:], end); err != nil {
		return err
	}
	if got := t[trailerSize-8:]; string(got) != endMark {
		return r.corrupt(r.Size-8, "trailer", "the end mark "+hexOf([]byte(endMark)), hexOf(got))
	}
	offset, length := order.Uint64(t[0:]), order.Uint32(t[8:])
	if length > maxManifest || offset < headerSize || offset > uint64(end) || offset+uint64(length) != uint64(end) { //nolint:gosec // a file's size
		return r.corrupt(end, "trailer", fmt.Sprintf("a manifest that ends at %d", end), fmt.Sprintf("%d bytes at %d", length, offset))
	}
	r.frames = int64(offset) //nolint:gosec // less than the file's size
	body := make([]byte, length)
	if err := r.readAt(body, r.frames); err != nil {
		return err
	}
	if want, got := crc32.Checksum(body, castagnoli), order.Uint32(t[12:]); want != got {
		return r.corrupt(r.frames, "manifest", checksum(got), checksum(want))
	}
	if err := json.Unmarshal(body, &r.Manifest); err != nil {
		return r.corrupt(r.frames, "manifest", "JSON", err.Error())
	}
	return r.checkIndex()
}

// checkIndex proves that the tables' parts lie one behind the other and fill
// the file from the header to the manifest.
func (r *Reader) checkIndex() error {
	at := int64(headerSize)
	for _, t := range r.Manifest.Tables {
		least := t.Frames * frameHeader
		if t.Offset != at || t.Frames < 0 || t.Rows < 0 || t.Bytes < least || t.Bytes > r.frames-at ||
			t.Frames > r.Size || t.Raw < t.Frames || t.Raw > t.Frames*maxFrame {
			return r.corrupt(r.frames, "manifest", fmt.Sprintf("the data of %s at offset %d", t.Name, at),
				fmt.Sprintf("%d frames of %d bytes at %d", t.Frames, t.Bytes, t.Offset))
		}
		if t.Format != Text && t.Format != Binary {
			return r.corrupt(r.frames, "manifest", fmt.Sprintf("a known format of the data of %s", t.Name), fmt.Sprintf("%q", t.Format))
		}
		if (t.Rows == 0) != (t.Raw <= t.none()) {
			return r.corrupt(r.frames, "manifest", fmt.Sprintf("as many rows of %s as its data has", t.Name), fmt.Sprintf("%d rows in %d bytes", t.Rows, t.Raw))
		}
		at += t.Bytes
	}
	if at != r.frames {
		return r.corrupt(at, "manifest", fmt.Sprintf("table data up to offset %d", r.frames), fmt.Sprintf("data up to %d", at))
	}
	return r.checkTables()
}

// checkTables proves that the index and the schema tell of the same tables: one that
// had no data for lack of an entry would be emptied by a restore.
func (r *Reader) checkTables() error {
	const part = "manifest"
	indexed := make(map[schema.Name]bool, len(r.Manifest.Tables))
	for _, t := range r.Manifest.Tables {
		if indexed[t.Name] {
			return r.corrupt(r.frames, part, "each table once in the index", fmt.Sprintf("%q twice", t.Name))
		}
		indexed[t.Name] = true
	}
	if len(r.Manifest.Schema.Tables) == 0 { // it describes no database
		return nil
	}
	outside := map[schema.Name]bool{}
	for _, o := range r.Manifest.Outside {
		outside[o.Name] = true
	}
	described := 0
	for _, t := range r.Manifest.Schema.Tables {
		switch {
		case t.PartitionOf != nil: // its rows are among those of the whole
		case outside[t.Name] && !indexed[t.Name]: // it has none here
		case !indexed[t.Name]:
			return r.corrupt(r.frames, part, "all tables of the schema in the index", fmt.Sprintf("no %q", t.Name))
		default:
			described++
		}
	}
	if described < len(indexed) {
		return r.corrupt(r.frames, part, "all tables of the index in the schema", fmt.Sprintf("%d of %d", described, len(indexed)))
	}
	return nil
}

// Verify proves every byte of the file: the checksum of each frame, and the
// checksum of the whole. With unpack it unpacks every frame too. It needs some
// 2 MiB of memory, whatever the file's size.
func (r *Reader) Verify(unpack bool) error {
	sum := sha256.New()
	in := bufio.NewReaderSize(io.TeeReader(io.NewSectionReader(r.file, 0, r.Size-trailerSize+16), sum), 256<<10)
	if _, err := io.CopyN(io.Discard, in, headerSize); err != nil {
		return r.readFault(0, err)
	}
	for i := range r.Manifest.Tables {
		t := r.tableReader(i, in)
		if err := t.proveAll(unpack); err != nil {
			return err
		}
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		return r.readFault(r.frames, err)
	}
	var stored [sha256.Size]byte
	if err := r.readAt(stored[:], r.Size-trailerSize+16); err != nil {
		return err
	}
	if got := sum.Sum(nil); !bytes.Equal(got, stored[:]) {
		return r.corrupt(0, "file", "SHA-256 "+hexOf(stored[:]), hexOf(got))
	}
	return nil
}

// Sum returns the SHA-256 that stands in the file: the identity of its content.
func (r *Reader) Sum() (string, error) {
	var stored [sha256.Size]byte
	err := r.readAt(stored[:], r.Size-trailerSize+16)
	return hexOf(stored[:]), err
}

// Table returns the COPY data of the i-th table of the manifest, without
// reading those of the others. Each frame is proven before a byte of it is
// handed out.
func (r *Reader) Table(i int) io.Reader {
	t := r.Manifest.Tables[i]
	return r.tableReader(i, bufio.NewReaderSize(io.NewSectionReader(r.file, t.Offset, t.Bytes), 64<<10))
}

func (r *Reader) tableReader(i int, in *bufio.Reader) *tableReader {
	t := r.Manifest.Tables[i]
	return &tableReader{r: r, t: t, number: uint32(i), in: in, offset: t.Offset, end: t.Offset + t.Bytes} //nolint:gosec // a manifest has fewer tables than bytes
}

type tableReader struct {
	r           *Reader
	t           Table
	number      uint32
	frame       uint32
	in          *bufio.Reader
	offset, end int64
	raw         int64
	decoder     *zstd.Decoder
	payload     []byte
	buf, unread []byte
	err         error
}

func (t *tableReader) Read(p []byte) (int, error) {
	for len(t.unread) == 0 {
		if t.err == nil {
			t.unread, t.err = t.next(true)
		}
		if t.err != nil {
			if t.decoder != nil {
				t.decoder.Close()
				t.decoder = nil
			}
			return 0, t.err
		}
	}
	n := copy(p, t.unread)
	t.unread = t.unread[n:]
	return n, nil
}

func (t *tableReader) proveAll(unpack bool) error {
	if unpack {
		_, err := io.Copy(io.Discard, t)
		return err
	}
	for {
		if _, err := t.next(false); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// next proves the next frame and, when unpack says so, returns its raw bytes.
func (t *tableReader) next(unpack bool) ([]byte, error) {
	part := fmt.Sprintf("frame %d of %s", t.frame, t.t.Name)
	corrupt := func(want, got string) error { return t.r.corrupt(t.offset, part, want, got) }
	if t.offset == t.end {
		if int64(t.frame) != t.t.Frames || t.raw != t.t.Raw {
			return nil, corrupt(fmt.Sprintf("%d frames of %d bytes", t.t.Frames, t.t.Raw), fmt.Sprintf("%d of %d", t.frame, t.raw))
		}
		return nil, io.EOF
	}
	var h [frameHeader]byte
	if t.end-t.offset < frameHeader {
		return nil, corrupt("a frame", fmt.Sprintf("%d bytes", t.end-t.offset))
	}
	if _, err := io.ReadFull(t.in, h[:]); err != nil {
		return nil, t.r.readFault(t.offset, err)
	}
	raw, stored := order.Uint32(h[8:]), order.Uint32(h[12:])
	if raw == 0 || raw > maxFrame || int64(stored) > t.end-t.offset-frameHeader || stored > 2*maxFrame {
		return nil, corrupt(fmt.Sprintf("a frame of 1 to %d bytes inside its table's part", maxFrame), fmt.Sprintf("%d bytes, stored in %d", raw, stored))
	}
	if cap(t.payload) < int(stored) {
		t.payload = make([]byte, stored)
	}
	t.payload = t.payload[:stored]
	if _, err := io.ReadFull(t.in, t.payload); err != nil {
		return nil, t.r.readFault(t.offset, err)
	}
	if want, got := order.Uint32(h[16:]), frameSum(h[:], t.payload); want != got {
		return nil, corrupt(checksum(want), checksum(got))
	}
	if table, frame := order.Uint32(h[0:]), order.Uint32(h[4:]); table != t.number || frame != t.frame {
		return nil, corrupt(fmt.Sprintf("frame %d of table %d", t.frame, t.number), fmt.Sprintf("frame %d of table %d", frame, table))
	}
	var out []byte
	if unpack {
		var err error
		if out, err = t.unpack(int(raw)); err != nil {
			return nil, corrupt(fmt.Sprintf("%d bytes of data", raw), err.Error())
		}
	}
	t.frame++
	t.raw += int64(raw)
	t.offset += frameHeader + int64(stored)
	return out, nil
}

func (t *tableReader) unpack(raw int) ([]byte, error) {
	if t.decoder == nil {
		var err error
		t.decoder, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxFrame))
		if err != nil {
			return nil, err
		}
	}
	if cap(t.buf) < raw {
		t.buf = make([]byte, 0, raw)
	}
	out, err := t.decoder.DecodeAll(t.payload, t.buf[:0])
	if err == nil && len(out) != raw {
		err = fmt.Errorf("%d bytes", len(out))
	}
	return out, err
}

func (r *Reader) corrupt(offset int64, part, want, got string) error {
	return &CorruptError{Path: r.Path, Offset: offset, Part: part, Want: want, Got: got}
}

func (r *Reader) readAt(p []byte, offset int64) error {
	if _, err := r.file.ReadAt(p, offset); err != nil {
		return r.readFault(offset, err)
	}
	return nil
}

// readFault tells a file that became shorter while it was read from a disk that
// can't be read.
func (r *Reader) readFault(offset int64, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return r.corrupt(offset, "file", fmt.Sprintf("%d bytes", r.Size), "an earlier end")
	}
	return err
}

func checksum(sum uint32) string { return fmt.Sprintf("CRC-32C %08x", sum) }
func hexOf(b []byte) string      { return hex.EncodeToString(b) }
