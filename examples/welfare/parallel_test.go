package welfare

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/snapshot"
)

// Tests that run beside one another each get a database at the baseline. They
// share few of them: one that a test leaves is brought back, and the next test's.
func TestOfficesRenewInParallel(t *testing.T) {
	for i := range 8 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			db := snapshot.Clone(t, "baseline")

			require.NoError(t, renew(t.Context(), db, fmt.Sprintf("テスト事業所%04d", i)))

			require.Same(t, db, fixtures.DB(t), "it is this test's from now on")
			require.Equal(t, 10_100, count(t, "SELECT count(*) FROM support_plan_cycles"))
			changes := snapshot.Changes(t)
			require.Len(t, changes.Table("support_plan_cycles").Inserted(), 100)
			require.Len(t, changes.Table("support_plan_cycles").Updated(), 100)
		})
	}
}
