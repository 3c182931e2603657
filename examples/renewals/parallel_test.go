package main

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/snapshot"
)

// Tests that run beside one another each get a database at the baseline, which is
// theirs for all of groundhog from then on. They share few of them: one that a test
// leaves is brought back, and the next test's.
func TestOfficesSideBySide(t *testing.T) {
	t.Parallel()
	for i := range 8 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			db := snapshot.Clone(t, "baseline")
			require.Same(t, db, fixtures.DB(t))

			for plan := 100*i + 1; plan <= 100*i+11; plan++ {
				status, answer := call(t, http.MethodPost, fmt.Sprintf("/plans/%d/renew", plan), signedToday)
				require.Equal(t, http.StatusCreated, status, answer)
			}
			_, answer := call(t, http.MethodGet, "/deadlines?days=0", "")
			require.Contains(t, answer, `{"total":99,`)

			// The rows that changed can be read like those of a query, too.
			changes := snapshot.Changes(t).Table("support_plan_cycles")
			require.Len(t, changes.Updated(), 11)
			for n, row := range changes.Inserted() {
				id, err := row.New.Get("id")
				require.NoError(t, err)
				require.EqualValues(t, 1001+n, id)
			}
		})
	}
}
