package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestPage: all that is measured works, and comes out as a page with its pictures.
func TestPage(t *testing.T) {
	if os.Getenv(imageEnv) == "" {
		t.Setenv(imageEnv, noImage) // or it would be downloaded
	}
	dir := t.TempDir()
	tiny := plan{restores: []int{1, 2}, deeds: []int{1}, changes: []int{0, 10, -1}, seeds: []int{1}, runs: 1, patience: time.Second, tests: 1, all: 1, crowd: 8, web: 2, pause: time.Millisecond, writes: 2}
	require.NoError(t, run(t.Context(), tiny, dir, t.Logf))
	text, err := os.ReadFile(filepath.Join(dir, "benchmarks.md"))
	require.NoError(t, err)
	for _, p := range peers {
		require.Contains(t, string(text), p.name)
	}
	for _, d := range deeds {
		require.Contains(t, string(text), d.name)
	}
	require.NotContains(t, string(text), "<no value>")
	for _, name := range []string{"restore.svg", "suite.svg"} {
		picture, err := os.ReadFile(filepath.Join(dir, "benchmarks", name))
		require.NoError(t, err)
		require.Contains(t, string(picture), "</svg>")
	}
}

func TestFiguresAreShownAsTheyDeserve(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "–", 123_400 * time.Nanosecond: "0.12 ms", 1_234 * time.Microsecond: "1.23 ms", 12_345 * time.Microsecond: "12.3 ms",
		123 * time.Millisecond: "123 ms", 1_234 * time.Millisecond: "1.2 s", 12_340 * time.Millisecond: "12 s",
	} {
		require.Equal(t, want, shown(d))
	}
	require.Equal(t, "1,027,201", number(1_027_201))
	require.Equal(t, time.Duration(3), series{5, 1, 3}.median())
}
