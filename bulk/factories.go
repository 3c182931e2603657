package bulk

import (
	"testing"

	"github.com/groundhogdb/groundhog/internal/testdb"
)

// Offices makes n offices and returns them; see [Seeder.Offices]. On any error
// nothing is stored and the test ends. The rows stay after the test: they go
// with their database, or when a snapshot is restored.
func Offices(t testing.TB, db DB, n int, edit ...func(i int, o *Office)) []Office {
	t.Helper()
	out, err := NewSeeder(inTest(t, db)).Offices(testdb.Context(t), n, edit...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Staffs makes perOffice staffs for each office, with their office_staffs rows,
// and returns them; see [Seeder.Staffs]. On any error nothing is stored and the
// test ends.
func Staffs(t testing.TB, db DB, offices []Office, perOffice int, edit ...func(i int, s *Staff)) []Staff {
	t.Helper()
	out, err := NewSeeder(inTest(t, db)).Staffs(testdb.Context(t), offices, perOffice, edit...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// WelfareRecipients makes perOffice recipients for each office, with their
// office_welfare_recipients rows, and returns them; see
// [Seeder.WelfareRecipients]. On any error nothing is stored and the test ends.
func WelfareRecipients(t testing.TB, db DB, offices []Office, perOffice int, edit ...func(i int, r *WelfareRecipient)) []WelfareRecipient {
	t.Helper()
	out, err := NewSeeder(inTest(t, db)).WelfareRecipients(testdb.Context(t), offices, perOffice, edit...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// SupportPlanCycles makes one plan cycle for each recipient and returns them
// with their ids; see [Seeder.SupportPlanCycles]. On any error nothing is stored
// and the test ends.
func SupportPlanCycles(t testing.TB, db DB, recipients []WelfareRecipient, edit ...func(i int, c *SupportPlanCycle)) []SupportPlanCycle {
	t.Helper()
	out, err := NewSeeder(inTest(t, db)).SupportPlanCycles(testdb.Context(t), recipients, edit...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Welfare makes a whole data set, [Small], [Medium] or [Large], in one
// transaction, and returns it; see [Seeder.Welfare]. On any error nothing is
// stored and the test ends.
func Welfare(t testing.TB, db DB, scale Scale) Dataset {
	t.Helper()
	out, err := NewSeeder(inTest(t, db)).Welfare(testdb.Context(t), scale)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
