package catalog_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/msg"
)

func TestBackendsAreDescribed(t *testing.T) {
	t.Parallel()
	b := catalog.Backend{PID: 7, Application: "psql", State: "idle", Query: "SELECT\n\t1", Since: "00:00:01"}
	require.Equal(t, `pid 7, application "psql", idle for 00:00:01: SELECT 1`, b.Describe(msg.English))
	b.Relation = "things"
	require.Equal(t, `pid 7, application "psql", idle, transaction open for 00:00:01, holds things, last statement: SELECT 1`, b.Describe(msg.English))
	require.Contains(t, b.Describe(msg.Japanese), "アプリケーション")
}
