package snapfile_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/snapfile"
)

// forged is a file whose checksums are all right, written by
// docs/snapshot-format.md alone: what it says is what is tried.
type forged struct {
	version  uint32
	frames   []frame
	manifest []byte // nil: made of the frames, which are those of one table
	offset   func(right uint64) uint64
	length   func(right uint32) uint32
}

type frame struct {
	table, number, raw uint32
	stored             func(right uint32) uint32
	payload            []byte
}

func (f *forged) bytes(t *testing.T) []byte {
	t.Helper()
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	put := binary.LittleEndian
	b := append([]byte("\x89GHD\r\n\x1a\n"), put.AppendUint32(nil, f.version)...)
	b = put.AppendUint32(b, crc32.Checksum(b, castagnoli))
	raw := int64(0)
	for _, fr := range f.frames {
		var h []byte
		stored := uint32(len(fr.payload))
		if fr.stored != nil {
			stored = fr.stored(stored)
		}
		for _, v := range []uint32{fr.table, fr.number, fr.raw, stored} {
			h = put.AppendUint32(h, v)
		}
		b = append(b, put.AppendUint32(h, crc32.Update(crc32.Checksum(h, castagnoli), castagnoli, fr.payload))...)
		b = append(b, fr.payload...)
		raw += int64(fr.raw)
	}
	at := uint64(len(b))
	manifest := f.manifest
	if manifest == nil {
		table := map[string]any{"schema": "public", "name": "t", "columns": []string{"id"}, "rows": 1, "raw_bytes": min(raw, int64(len(f.frames))<<20), "bytes": len(b) - 16, "offset": 16, "frames": len(f.frames)}
		var err error
		manifest, err = json.Marshal(map[string]any{"name": "a", "tables": []any{table}})
		require.NoError(t, err)
	}
	length := uint32(len(manifest))
	b = append(b, manifest...)
	if f.offset != nil {
		at = f.offset(at)
	}
	if f.length != nil {
		length = f.length(length)
	}
	b = put.AppendUint64(b, at)
	b = put.AppendUint32(b, length)
	b = put.AppendUint32(b, crc32.Checksum(manifest, castagnoli))
	sum := sha256.Sum256(b)
	b = append(b, sum[:]...)
	return append(b, "\nGHDEND\n"...)
}

func packed(t *testing.T, data []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	return w.EncodeAll(data, nil)
}

// bomb unpacks to a gigabyte of zeros, of which its head tells nothing.
func bomb(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out, zstd.WithWindowSize(1<<20), zstd.WithEncoderConcurrency(1))
	require.NoError(t, err)
	zeros := make([]byte, 1<<20)
	for range 1 << 10 {
		_, err := w.Write(zeros)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

// TestForgedFiles have checksums that are right around what is wrong. They are
// refused, in little memory.
func TestForgedFiles(t *testing.T) {
	// Not parallel: it looks at how much memory is taken.
	data := []byte("1\n")
	good := frame{raw: uint32(len(data)), payload: packed(t, data)}
	path := filepath.Join(t.TempDir(), "a.groundhog")
	f := forged{version: snapfile.Version, frames: []frame{good}}
	require.NoError(t, os.WriteFile(path, f.bytes(t), 0o600))
	got, err := read(path)
	require.NoError(t, err, "what is forged as it should be is read")
	require.Equal(t, content{"t": data}, got)

	claim := func(change func(*frame)) []frame {
		fr := good
		change(&fr)
		return []frame{fr}
	}
	to := func(v uint32) func(uint32) uint32 { return func(uint32) uint32 { return v } }
	second := good
	second.number = 1
	nested := []byte(strings.Repeat("[", 1<<20))
	index := func(change string) []byte {
		return []byte(`{"name":"a","tables":[{"schema":"public","name":"t","columns":["id"],"rows":1,` + change + `}]}`)
	}
	// A frame's head of zstd that says how large the content is: single segment, eight bytes.
	said := append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0xe0}, binary.LittleEndian.AppendUint64(nil, 1<<40)...)
	said = append(said, 0x01, 0, 0)
	cases := map[string]forged{
		"version 0":                        {version: 0, frames: []frame{good}},
		"the next version":                 {version: snapfile.Version + 1, frames: []frame{good}},
		"the last version":                 {version: math.MaxUint32, frames: []frame{good}},
		"no data":                          {frames: claim(func(f *frame) { f.raw = 0 })},
		"less than said":                   {frames: claim(func(f *frame) { f.raw = 1 << 20 })},
		"more than said":                   {frames: claim(func(f *frame) { f.raw = 1 })},
		"4 GiB":                            {frames: claim(func(f *frame) { f.raw = math.MaxUint32 })},
		"a byte beyond the limit":          {frames: claim(func(f *frame) { f.raw = 1<<20 + 1 })},
		"stored in 4 GiB":                  {frames: claim(func(f *frame) { f.stored = to(math.MaxUint32) })},
		"stored in 2 GiB":                  {frames: claim(func(f *frame) { f.stored = to(1 << 31) })},
		"stored in nothing":                {frames: claim(func(f *frame) { f.stored = to(0) })},
		"a byte more than is there":        {frames: claim(func(f *frame) { f.stored = func(n uint32) uint32 { return n + 1 } })},
		"unpacks to a gigabyte":            {frames: claim(func(f *frame) { f.raw, f.payload = 1<<20, bomb(t) })},
		"says that it unpacks to a TiB":    {frames: claim(func(f *frame) { f.raw, f.payload = 1<<20, said })},
		"is no zstd":                       {frames: claim(func(f *frame) { f.raw, f.payload = 2, data })},
		"of another table":                 {frames: claim(func(f *frame) { f.table = 1 })},
		"of a table far away":              {frames: claim(func(f *frame) { f.table = math.MaxUint32 })},
		"another frame":                    {frames: claim(func(f *frame) { f.number = 1 })},
		"a frame twice":                    {frames: []frame{good, good}},
		"frames swapped":                   {frames: []frame{second, good}},
		"a manifest of 4 GiB":              {frames: []frame{good}, length: to(math.MaxUint32)},
		"a manifest at the end of numbers": {frames: []frame{good}, offset: func(uint64) uint64 { return math.MaxUint64 }},
		"a manifest that wraps around":     {frames: []frame{good}, offset: func(at uint64) uint64 { return at - 1<<32 }, length: to(math.MaxUint32)},
		"a manifest over the header":       {frames: []frame{good}, offset: func(uint64) uint64 { return 0 }, length: func(n uint32) uint32 { return n + 16 + 20 + uint32(len(good.payload)) }},
		"an empty manifest":                {frames: []frame{good}, manifest: []byte{}},
		"a manifest that is null":          {frames: []frame{good}, manifest: []byte("null")},
		"a manifest that is a list":        {frames: []frame{good}, manifest: []byte("[]")},
		"a manifest that is deep":          {frames: []frame{good}, manifest: nested},
		"a manifest with more after it":    {frames: []frame{good}, manifest: append(index(`"raw_bytes":2,"bytes":0,"offset":16,"frames":1`), "{}"...)},
		"no tables":                        {frames: []frame{good}, manifest: []byte(`{"tables":[]}`)},
		"a table that is null":             {frames: []frame{good}, manifest: []byte(`{"tables":[null]}`)},
		"frames below zero":                {frames: []frame{good}, manifest: index(`"raw_bytes":2,"bytes":30,"offset":16,"frames":-1`)},
		"bytes below zero":                 {frames: []frame{good}, manifest: index(`"raw_bytes":2,"bytes":-30,"offset":16,"frames":1`)},
		"as many frames as numbers":        {frames: []frame{good}, manifest: index(`"raw_bytes":2,"bytes":30,"offset":16,"frames":9223372036854775807`)},
		"as many bytes as numbers":         {frames: []frame{good}, manifest: index(`"raw_bytes":2,"bytes":9223372036854775807,"offset":16,"frames":1`)},
		"a number that is none":            {frames: []frame{good}, manifest: index(`"raw_bytes":2,"bytes":1e300,"offset":16,"frames":1`)},
		"no rows in data":                  {frames: []frame{good}, manifest: index(fmt.Sprintf(`"rows":0,"raw_bytes":2,"bytes":%d,"offset":16,"frames":1`, 20+len(good.payload)))},
		"rows without data":                {manifest: index(`"raw_bytes":0,"bytes":0,"offset":16,"frames":0`)},
		"a table twice":                    {manifest: []byte(`{"tables":[{"schema":"public","name":"t","offset":16},{"schema":"public","name":"t","offset":16}]}`)},
		"a table without data":             {manifest: []byte(`{"schema":{"tables":[{"schema":"public","name":"t","kind":"table"}]},"tables":[]}`)},
		"a table of no schema":             {manifest: []byte(`{"schema":{"tables":[{"schema":"public","name":"t","kind":"table"}]},"tables":[{"schema":"public","name":"t","offset":16},{"schema":"public","name":"u","offset":16}]}`)},
		"a format of the future":           {frames: []frame{good}, manifest: index(`"format":"arrow","raw_bytes":2,"bytes":31,"offset":16,"frames":1`)},
	}
	for name, f := range cases {
		if !strings.Contains(name, "version") {
			f.version = snapfile.Version
		}
		b := f.bytes(t)
		require.NoError(t, os.WriteFile(path, b, 0o600))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		began := time.Now()
		_, err := read(path)
		took := time.Since(began)
		runtime.ReadMemStats(&after)
		var damage *snapfile.CorruptError
		require.ErrorAs(t, err, &damage, name)
		require.NotEqual(t, damage.Want, damage.Got, name)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(32<<20), name)
		require.Less(t, took, 2*time.Second, name)
	}
	t.Logf("fault: %d tried", len(cases))
}

// TestManyFrames: in a file with many frames no two of them can change places.
func TestManyFrames(t *testing.T) {
	t.Parallel()
	var frames []frame
	for i, data := range []string{"1\n", "2\n", "3\n", "4\n"} {
		frames = append(frames, frame{number: uint32(i), raw: 2, payload: packed(t, []byte(data))})
	}
	path := filepath.Join(t.TempDir(), "a.groundhog")
	tried := 0
	for i := range frames {
		for j := range frames {
			if i == j {
				continue
			}
			swapped := append([]frame(nil), frames...)
			swapped[i], swapped[j] = swapped[j], swapped[i]
			f := forged{version: snapfile.Version, frames: swapped}
			damaged(t, path, f.bytes(t), "frames %d and %d swapped", i, j)
			repeated := append([]frame(nil), frames...)
			repeated[i] = repeated[j]
			f.frames = repeated
			damaged(t, path, f.bytes(t), "frame %d in the place of %d", j, i)
			tried += 2
		}
		f := forged{version: snapfile.Version, frames: append(append([]frame(nil), frames[:i]...), frames[i+1:]...)}
		if i < len(frames)-1 {
			damaged(t, path, f.bytes(t), "without frame %d", i)
			tried++
		}
	}
	t.Logf("fault: %d tried", tried)
}
