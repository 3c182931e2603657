package bulk_test

import (
	"context"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/bulk"
)

func TestTheSameSeedMakesTheSameBytes(t *testing.T) {
	t.Parallel()
	dump := func(seed int64) string {
		db := welfare(t)
		several(t, db)
		bulk.Welfare(t, bulk.With(db, bulk.Realistic(seed), bulk.Clock(clock)), bulk.Small)
		bulk.Offices(t, bulk.With(db, bulk.Realistic(seed), bulk.Clock(clock)), 3)
		var all strings.Builder
		for _, table := range tables {
			all.WriteString(one[string](t, db, "SELECT string_agg(t::text, E'\n' ORDER BY id) FROM "+table+" t"))
		}
		return all.String()
	}
	first := dump(7)
	require.Equal(t, first, dump(7))
	require.NotEqual(t, first, dump(8))
}

func TestRealisticRows(t *testing.T) {
	t.Parallel()
	db := welfare(t)
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	d := bulk.Welfare(t, bulk.With(db, bulk.Realistic(1), bulk.Clock(now)), bulk.Small)
	requireStoredRealistic(t, db, d)
	katakana := regexp.MustCompile(`^[ァ-ヶー]+$`)
	readings := map[string]string{}
	genders, types, roles, surnames := map[bulk.Gender]int{}, map[bulk.OfficeType]int{}, map[bulk.StaffRole]int{}, map[string]int{}
	for _, r := range d.Recipients {
		require.Regexp(t, katakana, *r.LastNameFurigana)
		require.Regexp(t, katakana, *r.FirstNameFurigana)
		if before, ok := readings[r.LastName]; ok {
			require.Equal(t, before, *r.LastNameFurigana, "one reading a name")
		}
		readings[r.LastName] = *r.LastNameFurigana
		genders[r.Gender]++
		surnames[r.LastName]++
		age := now.Sub(r.BirthDay).Hours() / 24 / 365.25
		require.True(t, age >= 17.9 && age < 71, age)
		require.True(t, r.IsTestData)
	}
	require.Len(t, genders, 3)
	require.Greater(t, len(surnames), 50)
	for _, o := range d.Offices {
		types[o.Type]++
	}
	for _, s := range d.Staffs {
		roles[s.Role]++
		require.Equal(t, *s.LastName+" "+*s.FirstName, s.FullName)
	}
	require.GreaterOrEqual(t, len(types), 2)
	require.Len(t, roles, 3)

	require.Greater(t, len(d.Cycles), len(d.Recipients))
	latest, deadlines := map[uuid.UUID]int{}, map[time.Month]int{}
	last := map[uuid.UUID]int32{}
	for _, c := range d.Cycles {
		require.Equal(t, last[c.WelfareRecipientID]+1, *c.CycleNumber, "numbered one after the other")
		last[c.WelfareRecipientID]++
		require.True(t, c.PlanCycleStartDate.Before(*c.NextRenewalDeadline))
		if c.IsLatestCycle {
			latest[c.WelfareRecipientID]++
			deadlines[c.NextRenewalDeadline.Month()]++
			require.False(t, c.NextRenewalDeadline.Before(now.Truncate(24*time.Hour)))
		}
	}
	require.Len(t, latest, len(d.Recipients))
	for _, n := range latest {
		require.Equal(t, 1, n)
	}
	require.Len(t, deadlines, 12, "spread over the year")
}

func requireStoredRealistic(t *testing.T, db querier, d bulk.Dataset) {
	t.Helper()
	require.Equal(t, d.Offices, read[bulk.Office](t, db, "SELECT * FROM offices ORDER BY id"))
	require.Equal(t, d.Cycles, read[bulk.SupportPlanCycle](t, db, "SELECT * FROM support_plan_cycles ORDER BY id"))
	require.Equal(t, len(d.Recipients), one[int](t, db, "SELECT count(*) FROM welfare_recipients"))
}

func TestRealisticNeverCollides(t *testing.T) {
	t.Parallel()
	db := welfare(t)
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			if _, err := seeder(db, bulk.Realistic(int64(i%2))).Welfare(context.Background(), 2); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	bulk.Welfare(t, db, 2) // plain rows beside them
	require.Equal(t, []int{141, 14, 140, 1400, 1400}, counts(t, db)[:5])
	offices := bulk.Offices(t, bulk.With(db, bulk.Realistic(0)), 2, func(_ int, o *bulk.Office) { o.Name, o.Email = "another", nil })
	more := bulk.Offices(t, bulk.With(db, bulk.Realistic(0)), 2)
	require.NotEqual(t, offices[1].ID, more[0].ID, "ids go on though no text tells their number")
	execSQL(t, db, "UPDATE staffs SET email = email || '.old'")
	staffs := bulk.Staffs(t, bulk.With(db, bulk.Realistic(0)), more, 3)
	require.Len(t, staffs, 6)
	require.Equal(t, uuid.Version(8), staffs[0].ID.Version())
	require.Equal(t, uuid.RFC4122, staffs[0].ID.Variant())
}

func TestRealisticEdits(t *testing.T) {
	t.Parallel()
	db := bulk.With(welfare(t), bulk.Realistic(3))
	offices := bulk.Offices(t, db, 1)
	recipients := bulk.WelfareRecipients(t, db, offices, 50, func(i int, r *bulk.WelfareRecipient) {
		if i == 0 {
			r.LastName = "特別"
		}
	})
	require.Equal(t, "特別", recipients[0].LastName)
	n := 0
	cycles := bulk.SupportPlanCycles(t, db, recipients, func(i int, c *bulk.SupportPlanCycle) {
		require.Equal(t, n, i)
		n++
		c.GoogleCalendarID = new("x")
	})
	require.Len(t, cycles, n)
	require.Equal(t, "x", *cycles[n-1].GoogleCalendarID)
}
