package bulk

import (
	"context"
	"testing"

	"github.com/groundhogdb/groundhog/bulk/internal/load"
	"github.com/groundhogdb/groundhog/internal/testdb"
)

// Seeder makes the rows of the welfare domain and returns errors: the form of
// the factories for programs. It is safe for concurrent use as far as its DB is.
type Seeder struct {
	db     DB
	config config
}

// NewSeeder returns a Seeder that works in db, with options. What is wrong with
// either is reported by its methods.
func NewSeeder(db DB, opts ...Option) *Seeder {
	inner, c := unwrap(With(db, opts...))
	return &Seeder{db: inner, config: c}
}

// Offices makes n offices and returns them. Their creator is the staff
// system@test-example.com, which is made when there is none.
//
// Each edit function is called for each row, in order, with the row's position
// in the result, before anything is sent: what it sets is stored. It must not
// use db, which is in a transaction and holds the factories' lock.
//
// On an error nothing is stored. After a lost connection the rows are sent again as
// they were made; edit functions are not called a second time.
//
// A second call adds offices: their numbers go on after the highest there is, also
// when processes call at once, since each call holds an advisory lock until its
// transaction ends. In a transaction of the caller's that is the caller's commit, and
// it must be read committed. All rows are in memory: more than ten million in one call
// are refused.
func (s *Seeder) Offices(ctx context.Context, n int, edit ...func(i int, o *Office)) ([]Office, error) {
	if err := s.check(count{"n", n, 1}, editsOf(edit)); err != nil {
		return nil, err
	}
	var out []Office
	err := s.run(ctx, load.Spec{What: tableOffices, Tables: []string{tableStaffs, tableOffices}, Rows: n}, func(ctx context.Context, f *factory) (err error) {
		_, out, err = f.addOffices(ctx, n, edit)
		return err
	})
	return done(out, err)
}

// Staffs makes perOffice staffs for each office, with their office_staffs rows,
// and returns them, those of one office after those of the one before. Offices
// that are not in the database are refused before any row is made. For edit
// functions, errors and second calls see [Seeder.Offices].
func (s *Seeder) Staffs(ctx context.Context, offices []Office, perOffice int, edit ...func(i int, s *Staff)) ([]Staff, error) {
	if err := s.check(count{"perOffice", perOffice, len(offices)}, editsOf(edit), officeIDs(offices)); err != nil {
		return nil, err
	}
	var out []Staff
	err := s.run(ctx, load.Spec{What: tableStaffs, Tables: []string{tableStaffs, tableOfficeStaffs, tableOffices}, Rows: 2 * len(offices) * perOffice}, func(ctx context.Context, f *factory) (err error) {
		out, err = f.addStaffs(ctx, offices, perOffice, edit)
		return err
	})
	return done(out, err)
}

// WelfareRecipients makes perOffice recipients for each office, with their
// office_welfare_recipients rows, and returns them, those of one office after
// those of the one before. For edit functions, errors and second calls see
// [Seeder.Offices].
func (s *Seeder) WelfareRecipients(ctx context.Context, offices []Office, perOffice int, edit ...func(i int, r *WelfareRecipient)) ([]WelfareRecipient, error) {
	if err := s.check(count{"perOffice", perOffice, len(offices)}, editsOf(edit), officeIDs(offices)); err != nil {
		return nil, err
	}
	var out []WelfareRecipient
	err := s.run(ctx, load.Spec{What: tableRecipients, Tables: []string{tableRecipients, tableOfficeRecipients, tableOffices}, Rows: 2 * len(offices) * perOffice}, func(ctx context.Context, f *factory) (err error) {
		out, err = f.addRecipients(ctx, offices, perOffice, edit)
		return err
	})
	return done(out, err)
}

// SupportPlanCycles makes one plan cycle for each recipient, which begins today
// and is to be renewed in 25 days, and returns them with their ids, in the order
// of the recipients; with [Realistic] it makes several for each. The cycle's number
// goes on after the recipient's highest; earlier cycles stay as they are. A recipient
// without OfficeID, one that was read from the database, is looked up; to have no
// office or several is an error. For edit functions, errors and second calls see
// [Seeder.Offices].
func (s *Seeder) SupportPlanCycles(ctx context.Context, recipients []WelfareRecipient, edit ...func(i int, c *SupportPlanCycle)) ([]SupportPlanCycle, error) {
	if err := s.check(editsOf(edit), recipientIDs(recipients)); err != nil {
		return nil, err
	}
	var out []SupportPlanCycle
	err := s.run(ctx, load.Spec{What: tableCycles, Tables: []string{tableCycles, tableOfficeRecipients}, Rows: s.config.style.cyclesOf(len(recipients))}, func(ctx context.Context, f *factory) (err error) {
		out, err = f.addCycles(ctx, recipients, edit)
		return err
	})
	return done(out, err)
}

// Welfare makes a whole data set in one transaction: as many offices as scale
// says, each with 10 staffs and with 100 recipients that have one plan cycle.
// Medium comes to 32,101 rows with the creator and the association rows.
func (s *Seeder) Welfare(ctx context.Context, scale Scale) (Dataset, error) {
	if err := s.check(count{"scale", int(scale), recipientsPerOffice}); err != nil {
		return Dataset{}, err
	}
	tables := []string{tableStaffs, tableOffices, tableOfficeStaffs, tableRecipients, tableOfficeRecipients, tableCycles}
	var d Dataset
	n := int(scale)
	rows := n + 2*n*staffsPerOffice + 2*n*recipientsPerOffice + s.config.style.cyclesOf(n*recipientsPerOffice)
	err := s.run(ctx, load.Spec{What: "Welfare", Tables: tables, Rows: rows}, func(ctx context.Context, f *factory) (err error) {
		d, err = f.addDataset(ctx, n)
		return err
	})
	if err != nil {
		return Dataset{}, err
	}
	return d, nil
}

// run makes and stores rows in one transaction.
func (s *Seeder) run(ctx context.Context, spec load.Spec, makeRows func(context.Context, *factory) error) error {
	return load.Run(ctx, s.db, s.config.load, spec, func(ctx context.Context, tx *load.Tx, replay *load.Replay) error {
		return makeRows(ctx, newFactory(s.config, tx, replay))
	})
}

func done[T any](rows []T, err error) ([]T, error) {
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// check returns an error that names everything that is wrong with the options, the DB
// and the arguments of a call, or nil.
func (s *Seeder) check(arguments ...argument) error {
	faults := s.config.check(s.db)
	for _, a := range arguments {
		a.check(&faults)
	}
	return faults.Err(s.config.load.Lang)
}

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
