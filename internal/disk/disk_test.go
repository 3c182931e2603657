package disk_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/disk"
	"github.com/groundhogdb/groundhog/internal/fault"
)

func TestFree(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	free, known := disk.Free(dir)
	require.True(t, known)
	require.Positive(t, free)
	_, known = disk.Free(filepath.Join(dir, "nothing"))
	require.False(t, known)
}

func TestFreeOfASmallDisk(t *testing.T) {
	t.Parallel()
	const size = 8 << 20
	free, known := disk.Free(fault.TmpFS(t, size))
	require.True(t, known)
	require.InDelta(t, size, free, 1<<20)
}
