package bulk

import (
	"context"
	"maps"

	"github.com/google/uuid"

	"github.com/groundhogdb/groundhog/bulk/internal/load"
)

// factory makes and stores the rows of one attempt of a call. What it makes is kept for
// the attempts that follow (see [load.Replay]), and what it asked must not change until
// then.
type factory struct {
	db     lookup
	maker  rowMaker
	replay *load.Replay
}

func newFactory(c config, tx *load.Tx, replay *load.Replay) *factory {
	f := &factory{db: lookup{tx: tx, lang: c.load.Lang}, replay: replay}
	f.maker = rowMaker{style: c.style, lang: c.load.Lang, nameOf: f.db.nameOf}
	return f
}

// nextNumber returns the number with which the rows of a factory go on: after the
// highest that texts of theirs have and, with a seed, that ids of the tables do.
func (f *factory) nextNumber(ctx context.Context, after int64, n int, tables ...string) (int64, error) {
	for _, table := range tables {
		number, err := f.db.readNextID(ctx, f.maker.seeded(table), table)
		if err != nil {
			return 0, err
		}
		after = max(after, number)
	}
	if err := f.maker.checkNumberRange(tables[0], after, n); err != nil {
		return 0, err
	}
	return load.MustBeUnchanged(f.replay, after)
}

func (f *factory) nextStaffNumber(ctx context.Context, n int) (int64, error) {
	next, err := f.db.readNextStaff(ctx)
	if err != nil {
		return 0, err
	}
	return f.nextNumber(ctx, next, n, tableStaffs, tableOfficeStaffs)
}

func (f *factory) nextRecipientNumber(ctx context.Context, n int) (int64, error) {
	return f.nextNumber(ctx, 0, n, tableRecipients, tableOfficeRecipients)
}

func (f *factory) addOffices(ctx context.Context, n int, edits []func(int, *Office)) (Staff, []Office, error) {
	if err := f.db.lock(ctx); err != nil {
		return Staff{}, nil, err
	}
	next, err := f.db.readNextOffice(ctx)
	if err != nil {
		return Staff{}, nil, err
	}
	if next, err = f.nextNumber(ctx, next, n, tableOffices); err != nil {
		return Staff{}, nil, err
	}
	creator, err := f.findOrAddCreator(ctx)
	if err != nil {
		return Staff{}, nil, err
	}
	out, err := load.Once(f.replay, func() ([]Office, error) { return f.maker.makeOffices(n, next, creator.ID, edits), nil })
	if err != nil {
		return Staff{}, nil, err
	}
	return creator, out, store(ctx, f.db.tx, tableOffices, out)
}

// findOrAddCreator finds or makes the staff that creates offices.
func (f *factory) findOrAddCreator(ctx context.Context) (Staff, error) {
	found, err := f.db.findCreator(ctx)
	if err != nil {
		return Staff{}, err
	}
	there := append(found, Staff{})[0]
	if _, err := load.MustBeUnchanged(f.replay, there.ID); err != nil || len(found) > 0 {
		return there, err
	}
	made, err := load.Once(f.replay, func() ([]Staff, error) {
		real := f.maker.seeded(tableStaffs + " " + systemEmail)
		number, err := f.db.readNextID(ctx, real, tableStaffs)
		return []Staff{f.maker.makeCreator(real.makeID(number))}, err
	})
	if err != nil {
		return Staff{}, err
	}
	return made[0], store(ctx, f.db.tx, tableStaffs, made)
}

func (f *factory) addStaffs(ctx context.Context, offices []Office, perOffice int, edits []func(int, *Staff)) ([]Staff, error) {
	if err := f.db.checkOfficesExist(ctx, offices); err != nil {
		return nil, err
	}
	if err := f.db.lock(ctx); err != nil {
		return nil, err
	}
	next, err := f.nextStaffNumber(ctx, len(offices)*perOffice)
	if err != nil {
		return nil, err
	}
	numbers, err := f.db.readStaffNumbers(ctx, offices)
	if err != nil {
		return nil, err
	}
	if _, err := load.MustBeUnchanged(f.replay, maps.Clone(numbers)); err != nil {
		return nil, err
	}
	made, err := load.Once(f.replay, func() (staffRows, error) { return f.maker.makeStaffs(offices, perOffice, next, numbers, edits) })
	if err != nil {
		return nil, err
	}
	if err := store(ctx, f.db.tx, tableStaffs, made.staffs); err != nil {
		return nil, err
	}
	return made.staffs, store(ctx, f.db.tx, tableOfficeStaffs, made.joins)
}

func (f *factory) addRecipients(ctx context.Context, offices []Office, perOffice int, edits []func(int, *WelfareRecipient)) ([]WelfareRecipient, error) {
	if err := f.db.checkOfficesExist(ctx, offices); err != nil {
		return nil, err
	}
	if err := f.db.lock(ctx); err != nil {
		return nil, err
	}
	next, err := f.nextRecipientNumber(ctx, len(offices)*perOffice)
	if err != nil {
		return nil, err
	}
	numbers, err := f.db.readRecipientNumbers(ctx, offices)
	if err != nil {
		return nil, err
	}
	if _, err := load.MustBeUnchanged(f.replay, maps.Clone(numbers)); err != nil {
		return nil, err
	}
	made, err := load.Once(f.replay, func() (recipientRows, error) { return f.maker.makeRecipients(offices, perOffice, next, numbers, edits) })
	if err != nil {
		return nil, err
	}
	if err := store(ctx, f.db.tx, tableRecipients, made.recipients); err != nil {
		return nil, err
	}
	return made.recipients, store(ctx, f.db.tx, tableOfficeRecipients, made.joins)
}

func (f *factory) addCycles(ctx context.Context, recipients []WelfareRecipient, edits []func(int, *SupportPlanCycle)) ([]SupportPlanCycle, error) {
	if err := f.db.lock(ctx); err != nil {
		return nil, err
	}
	all, lost := recipientsOf(recipients)
	numbers, err := f.db.readCycleNumbers(ctx, all)
	if err != nil {
		return nil, err
	}
	homes, err := f.db.readHomes(ctx, lost)
	if err != nil {
		return nil, err
	}
	if _, err := load.MustBeUnchanged(f.replay, maps.Clone(numbers)); err != nil {
		return nil, err
	}
	if _, err := load.MustBeUnchanged(f.replay, homes); err != nil {
		return nil, err
	}
	out, err := load.Once(f.replay, func() ([]SupportPlanCycle, error) { return f.maker.makeCycles(recipients, homes, numbers, edits) })
	if err != nil {
		return nil, err
	}
	return out, store(ctx, f.db.tx, tableCycles, out)
}

// addDataset makes a whole data set. Nothing has to be asked about what belongs to
// offices that are new, so the server loads rows while the next ones are made.
func (f *factory) addDataset(ctx context.Context, scale int) (d Dataset, err error) {
	if d.Creator, d.Offices, err = f.addOffices(ctx, scale, nil); err != nil {
		return d, err
	}
	staff, err := f.nextStaffNumber(ctx, scale*staffsPerOffice)
	if err != nil {
		return d, err
	}
	recipient, err := f.nextRecipientNumber(ctx, scale*recipientsPerOffice)
	if err != nil {
		return d, err
	}
	err = load.Meanwhile(f.db.tx, func(add func(func(*load.Tx) error)) error {
		staffs, err := load.Once(f.replay, func() (staffRows, error) {
			return f.maker.makeStaffs(d.Offices, staffsPerOffice, staff, map[uuid.UUID]int64{}, nil)
		})
		if err != nil {
			return err
		}
		add(func(tx *load.Tx) error { return store(ctx, tx, tableStaffs, staffs.staffs) })
		add(func(tx *load.Tx) error { return store(ctx, tx, tableOfficeStaffs, staffs.joins) })
		people, err := load.Once(f.replay, func() (recipientRows, error) {
			return f.maker.makeRecipients(d.Offices, recipientsPerOffice, recipient, map[uuid.UUID]int64{}, nil)
		})
		if err != nil {
			return err
		}
		add(func(tx *load.Tx) error { return store(ctx, tx, tableRecipients, people.recipients) })
		add(func(tx *load.Tx) error { return store(ctx, tx, tableOfficeRecipients, people.joins) })
		cycles, err := load.Once(f.replay, func() ([]SupportPlanCycle, error) {
			return f.maker.makeCycles(people.recipients, nil, map[uuid.UUID]int64{}, nil)
		})
		if err != nil {
			return err
		}
		add(func(tx *load.Tx) error { return store(ctx, tx, tableCycles, cycles) })
		d.Staffs, d.Recipients, d.Cycles = staffs.staffs, people.recipients, cycles
		return nil
	})
	return d, err
}

// store loads the rows of a factory. Ids that only the server can make come back
// in the rows.
func store[T any](ctx context.Context, tx *load.Tx, table string, rows []T) error {
	_, err := load.Rows(ctx, tx, table, rows)
	return err
}
