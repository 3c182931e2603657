package snapfile_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/snapfile"
)

type content map[string][]byte

var tables = []string{"empty", "offices", "wide"}

func small() content {
	return content{"offices": []byte("1\tテスト事業所0000\n2\tテスト事業所0001\n"), "wide": []byte(strings.Repeat("x\t\\N\n", 40))}
}

// large has a table of several frames that do not compress.
func large() content {
	noise := make([]byte, 3<<20+17)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(noise)
	return content{"offices": []byte("1\ta\n"), "wide": noise}
}

// write writes a file with the tables of c.
func write(fs snapfile.FS, path string, c content) error {
	var specs []snapfile.Table
	for _, name := range tables {
		specs = append(specs, snapfile.Table{Name: schema.Name{Schema: "public", Name: name}, Columns: []string{"id", "name"}})
	}
	w, err := snapfile.Create(fs, path, specs)
	if err != nil {
		return err
	}
	for i, name := range tables {
		if err := writePart(w, i, c[name]); err != nil {
			return errors.Join(err, w.Abort())
		}
	}
	return w.Commit(&snapfile.Manifest{Name: "test", CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Fingerprint: "f"})
}

func writePart(w *snapfile.Writer, i int, data []byte) error {
	p, err := w.Part(i)
	if err != nil {
		return err
	}
	rows := int64(bytes.Count(data, []byte("\n")))
	for len(data) > 0 {
		n := min(len(data), 1000)
		if _, err := p.Write(data[:n]); err != nil {
			return errors.Join(err, p.Close(0))
		}
		data = data[n:]
	}
	return p.Close(rows)
}

// read returns all data of a file after proving all of it.
func read(path string) (content, error) {
	r, err := snapfile.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if err := r.Verify(true); err != nil {
		return nil, err
	}
	out := content{}
	for i := len(r.Manifest.Tables) - 1; i >= 0; i-- { // in any order
		data, err := io.ReadAll(r.Table(i))
		if err != nil {
			return nil, err
		}
		if len(data) > 0 {
			out[r.Manifest.Tables[i].Name.Name] = data
		}
	}
	return out, nil
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]content{"small": small(), "large": large(), "nothing": {}} {
		path := filepath.Join(t.TempDir(), "a.groundhog")
		require.NoError(t, write(snapfile.OS, path, c), name)
		got, err := read(path)
		require.NoError(t, err, name)
		require.Equal(t, c, got, name)
	}
}

func TestSameDataSameBytes(t *testing.T) {
	t.Parallel()
	var files [][]byte
	for range 2 {
		path := filepath.Join(t.TempDir(), "a.groundhog")
		require.NoError(t, write(snapfile.OS, path, large()))
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		files = append(files, b)
	}
	require.True(t, bytes.Equal(files[0], files[1]))
}

// TestPartsThatAreWrittenAtOnce stand in the file as if written one by one.
func TestPartsThatAreWrittenAtOnce(t *testing.T) {
	t.Parallel()
	c := large()
	c["empty"] = c["wide"][7:] // two large parts
	path := filepath.Join(t.TempDir(), "a.groundhog")
	require.NoError(t, write(snapfile.OS, path, c))
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 2, 0}} {
		var specs []snapfile.Table
		for _, name := range tables {
			specs = append(specs, snapfile.Table{Name: schema.Name{Schema: "public", Name: name}, Columns: []string{"id", "name"}})
		}
		w, err := snapfile.Create(snapfile.OS, path, specs)
		require.NoError(t, err)
		var wg sync.WaitGroup
		for _, i := range order {
			wg.Go(func() {
				if err := writePart(w, i, c[tables[i]]); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.NoError(t, w.Commit(&snapfile.Manifest{Name: "test", CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Fingerprint: "f"}))
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got), "order %v", order)
	}
}

// TestFilesOfEarlierVersionsLoad: the files were written by the releases of their
// time and never change.
func TestFilesOfEarlierVersionsLoad(t *testing.T) {
	t.Parallel()
	for version := 1; version <= snapfile.Version; version++ {
		path := fmt.Sprintf("testdata/v%d.groundhog", version)
		got, err := read(path)
		require.NoError(t, err, path)
		require.Equal(t, small(), got, path)
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		require.EqualValues(t, version, b[8], path)
	}
}

// damaged writes the bytes to a file and requires that it is found damaged,
// with the facts that a person needs, without a panic and without a row.
func damaged(t *testing.T, path string, b []byte, what string, args ...any) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, b, 0o600))
	_, err := read(path)
	var damage *snapfile.CorruptError
	require.ErrorAs(t, err, &damage, what, args)
	require.Equal(t, path, damage.Path)
	require.NotEmpty(t, damage.Want, what, args)
	require.NotEmpty(t, damage.Got, what, args)
	require.NotEqual(t, damage.Want, damage.Got, what, args)
}

func TestEveryDamageIsSeen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.groundhog")
	require.NoError(t, write(snapfile.OS, path, small()))
	good, err := os.ReadFile(path)
	require.NoError(t, err)
	for i := range good {
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << bit
			damaged(t, path, bad, "byte %d bit %d flipped", i, bit)
		}
	}
	for i := range good {
		damaged(t, path, good[:i], "cut at %d", i)
		damaged(t, path, append(bytes.Clone(good[:i]), good[min(i+1, len(good)):]...), "byte %d removed", i)
	}
	for _, more := range []string{"\x00", "\n", string(good)} {
		damaged(t, path, append(bytes.Clone(good), more...), "appended")
	}
	t.Logf("fault: %d tried", 10*len(good)+3)
}

func TestSwappedFramesAreSeen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.groundhog")
	noise := large()["wide"][:1<<20]
	require.NoError(t, write(snapfile.OS, path, content{"wide": append(bytes.Clone(noise), noise...)}))
	r, err := snapfile.Open(path)
	require.NoError(t, err)
	wide := r.Manifest.Tables[2]
	require.NoError(t, r.Close())
	require.EqualValues(t, 2, wide.Frames)
	good, err := os.ReadFile(path)
	require.NoError(t, err)
	half := wide.Bytes / 2
	bad := bytes.Clone(good)
	copy(bad[wide.Offset:], good[wide.Offset+half:wide.Offset+wide.Bytes])
	copy(bad[wide.Offset+half:], good[wide.Offset:wide.Offset+half])
	damaged(t, path, bad, "frames swapped")
	copy(bad[wide.Offset:], good[wide.Offset:wide.Offset+half])
	damaged(t, path, bad, "frame repeated")
}

// TestEveryFileOperationMayFail lets each operation fail in turn: the former file
// stays whole, or the new one is there whole, and nothing else is.
func TestEveryFileOperationMayFail(t *testing.T) {
	t.Parallel()
	count := fault.FailAt(0, nil)
	require.NoError(t, write(count, filepath.Join(t.TempDir(), "a.groundhog"), large()))
	require.GreaterOrEqual(t, count.Count(), 10)
	for _, cause := range []error{fault.ErrInjected, syscall.ENOSPC} {
		for n := 1; n <= count.Count(); n++ {
			for _, former := range []content{nil, small()} {
				dir := t.TempDir()
				path := filepath.Join(dir, "a.groundhog")
				if former != nil {
					require.NoError(t, write(snapfile.OS, path, former))
				}
				err := write(fault.FailAt(n, cause), path, large())
				require.ErrorIs(t, err, cause, "operation %d", n)
				entries, err := os.ReadDir(dir)
				require.NoError(t, err)
				if n < count.Count() { // all but the last, the sync of the folder
					requireContent(t, path, former, fmt.Sprintf("operation %d", n))
				} else {
					requireContent(t, path, large(), "after the rename")
				}
				for _, e := range entries {
					require.Equal(t, "a.groundhog", e.Name(), "operation %d left a file", n)
				}
			}
		}
	}
}

func requireContent(t *testing.T, path string, want content, what string) {
	t.Helper()
	got, err := read(path)
	if want == nil {
		require.ErrorIs(t, err, os.ErrNotExist, what)
		return
	}
	require.NoError(t, err, what)
	require.Equal(t, want, got, what)
}

// FuzzOpen feeds whole files: nothing but a file that Create wrote is accepted,
// and whatever is fed, there is no panic and no large allocation.
func FuzzOpen(f *testing.F) {
	path := filepath.Join(f.TempDir(), "seed.groundhog")
	for version := 1; version <= snapfile.Version; version++ {
		b, err := os.ReadFile(fmt.Sprintf("testdata/v%d.groundhog", version))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, c := range []content{small(), {}} {
		if err := write(snapfile.OS, path, c); err != nil {
			f.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "a.groundhog")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := read(path)
		var damage *snapfile.CorruptError
		if err != nil && !errors.As(err, &damage) {
			t.Fatal(err)
		}
	})
}

// TestGarbageIsSeen: what is no snapshot, or one with parts twice, in whatever place.
func TestGarbageIsSeen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.groundhog")
	require.NoError(t, write(snapfile.OS, path, small()))
	good, err := os.ReadFile(path)
	require.NoError(t, err)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, seed))
	const n = 300
	for i := range n {
		garbage := make([]byte, r.IntN(3*len(good)))
		for j := range garbage {
			garbage[j] = byte(r.Uint32())
		}
		damaged(t, path, garbage, "garbage %d", i)
		copy(garbage, good[:min(16, len(garbage))]) // with a header that is right
		damaged(t, path, garbage, "garbage with a header %d", i)
		from := r.IntN(len(good))
		to := from + 1 + r.IntN(len(good)-from)
		damaged(t, path, slices.Concat(good[:to], good[from:]), "bytes %d to %d twice", from, to)
		if from > 0 || to < len(good) {
			at := r.IntN(len(good))
			moved := slices.Concat(good[:from], good[to:])
			at = min(at, len(moved))
			if moved = slices.Concat(moved[:at], good[from:to], moved[at:]); !bytes.Equal(moved, good) {
				damaged(t, path, moved, "bytes %d to %d moved to %d", from, to, at)
			}
		}
	}
	t.Logf("fault: %d tried", 4*n)
}
