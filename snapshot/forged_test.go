package snapshot_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/snapshot"
)

// resigned gives a snapshot file another manifest, under checksums that are right.
func resigned(t *testing.T, file []byte, manifest any) []byte {
	t.Helper()
	const trailer = 56
	at := binary.LittleEndian.Uint64(file[len(file)-trailer:])
	body, err := json.Marshal(manifest)
	require.NoError(t, err)
	out := append(bytes.Clone(file[:at]), body...)
	out = binary.LittleEndian.AppendUint64(out, at)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(body)))
	out = binary.LittleEndian.AppendUint32(out, crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
	sum := sha256.Sum256(out)
	return append(append(out, sum[:]...), file[len(file)-8:]...)
}

// manifestOf reads the manifest of a file.
func manifestOf(t *testing.T, file []byte) (manifest any) {
	t.Helper()
	at := binary.LittleEndian.Uint64(file[len(file)-56:])
	require.NoError(t, json.Unmarshal(file[at:len(file)-56], &manifest))
	return manifest
}

// changesOf returns the manifest with one value in it changed, for every value and
// every way to change it.
func changesOf(manifest any) (all []struct {
	what     string
	manifest any
}) {
	var deep func(v any, path string, put func(any) any)
	deep = func(v any, path string, put func(any) any) {
		others := []any{nil, "", -1, 1e18, true, []any{}, map[string]any{}, []any{nil}, "'; DROP TABLE author; --", "\x00", "pg_catalog"}
		for _, other := range others {
			all = append(all, struct {
				what     string
				manifest any
			}{fmt.Sprintf("%s = %#v", path, other), put(other)})
		}
		switch v := v.(type) {
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(v)) {
				deep(v[key], path+"."+key, func(other any) any {
					m := maps.Clone(v)
					m[key] = other
					return put(m)
				})
			}
		case []any:
			all = append(all, struct {
				what     string
				manifest any
			}{path + " twice", put(append(slices.Clone(v), v...))})
			for i := range v {
				deep(v[i], fmt.Sprintf("%s[%d]", path, i), func(other any) any {
					l := slices.Clone(v)
					l[i] = other
					return put(l)
				})
			}
		}
	}
	deep(manifest, "manifest", func(v any) any { return v })
	return all
}

// TestAForgedManifest says what is not so, under checksums that are right: it is
// refused, or harmless, and never a panic.
func TestAForgedManifest(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	b := setupSmall(t)
	exec(t, b.pool, `INSERT INTO book (author, title) VALUES (1, 'x')`)
	info, err := b.store.Create(t.Context(), "a")
	require.NoError(t, err)
	good, err := os.ReadFile(info.Path)
	require.NoError(t, err)
	saved := state(t, b.pool)
	all := changesOf(manifestOf(t, good))
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rand.New(rand.NewPCG(seed, seed)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	all = all[:min(len(all), times(150, 100_000))]
	refused := 0
	for _, c := range all {
		require.NoError(t, os.WriteFile(info.Path, resigned(t, good, c.manifest), 0o600))
		exec(t, b.pool, `INSERT INTO author (name) VALUES ('kept')`)
		before := state(t, b.pool)
		fault.Within(t, c.what, func() {
			_, err = b.store.Verify(t.Context(), "a")
			_, _ = b.store.List(t.Context())
			var restored snapshot.Restored
			restored, err = b.store.Restore(t.Context(), "a")
			_ = restored.String()
		})
		after := state(t, b.pool)
		if err != nil {
			refused++
			require.Greater(t, len(err.Error()), 20, c.what)
			require.Equal(t, before, after, c.what)
		} else if after["author"] != saved["author"] || after["book"] != saved["book"] {
			t.Errorf("%s: accepted, and the rows are %v, not %v", c.what, after, saved)
		}
		require.NoError(t, os.WriteFile(info.Path, good, 0o600))
		_, err = b.store.Restore(t.Context(), "a")
		require.NoError(t, err, c.what)
		require.Equal(t, saved, state(t, b.pool), c.what)
	}
	t.Logf("%d of %d refused", refused, len(all))
	t.Logf("fault: %d tried", len(all))
}
