package catalog_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/catalog"
)

// TestLoadable: tables of three kinds can be loaded; what there is not, is none of them.
func TestLoadable(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]bool{"r": true, "p": true, "f": true, "v": false, "m": false, "S": false, "rp": false, "": false} {
		require.Equal(t, want, catalog.InsertTarget{Kind: kind}.Loadable(), kind)
	}
}
