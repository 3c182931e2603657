package welfare

import (
	"testing"

	"github.com/groundhogdb/groundhog/bulk"
	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/snapshot"
)

// TestMain runs once. The first run seeds and writes the snapshot to
// testdata/snapshots; the next ones load it from there, until a Go file of this
// package changes or a day has passed.
func TestMain(m *testing.M) {
	fixtures.Main(m, func(t testing.TB) {
		db := fixtures.Open(t, fixtures.WithSchema(fixtures.WelfareSchema))
		snapshot.Ensure(t, "baseline", func(t testing.TB) {
			offices := bulk.Offices(t, db, 100)
			bulk.Staffs(t, db, offices, 10)
			recipients := bulk.WelfareRecipients(t, db, offices, 100)
			bulk.SupportPlanCycles(t, db, recipients)
		})
	})
}
