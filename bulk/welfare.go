package bulk

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"golang.org/x/sync/errgroup"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/msg"
)

// The tables of the domain.
const (
	tableStaffs           = "staffs"
	tableOffices          = "offices"
	tableOfficeStaffs     = "office_staffs"
	tableRecipients       = "welfare_recipients"
	tableOfficeRecipients = "office_welfare_recipients"
	tableCycles           = "support_plan_cycles"
)

// What default rows look like. The number follows the word; a pattern finds it
// again.
const (
	officeName     = "テスト事業所"
	officeEmail    = "office%04d@test-example.com"
	officeAddress  = "東京都テスト区テスト町%d-1-1"
	lastName       = "事業所"
	lastKana       = "ジギョウショ"
	staffName      = "スタッフ"
	staffEmail     = "staff%06d@test-example.com"
	recipientName  = "利用者"
	recipientKana  = "リヨウシャ"
	systemEmail    = "system@test-example.com"
	systemName     = "システム"
	passwordHash   = "not-a-hash" // no password has it
	digits         = `([0-9]{1,15})`
	officePattern  = "^" + officeName + digits + "$"
	officeMailbox  = "^office" + digits + `@test-example\.com$`
	staffPattern   = "^" + staffName + digits + "$"
	staffMailbox   = "^staff" + digits + `@test-example\.com$`
	recipientMatch = "^" + recipientName + digits + "$"

	// numbersEnd is the first number that the patterns do not find any more.
	numbersEnd = 1_000_000_000_000_000

	renewalDays       = 25
	nextPlanStartDays = 7
)

// factoryLock is the advisory lock under which numbers are given: "ghogbulk".
const factoryLock = 0x67686f6762756c6b

// lock makes this call the only one that gives numbers, until the transaction
// ends.
func (w *work) lock() error {
	if _, err := w.tx.Exec(w.ctx, "SELECT pg_catalog.pg_advisory_xact_lock($1)", int64(factoryLock)); err != nil {
		return w.failed(msg.BulkLock.In(w.set.lang), err)
	}
	return nil
}

// ask reads what a factory has to know of rows that are there. The query is
// planned afresh each time: these tables grow from nothing to many thousands of
// rows, and a plan that was kept from when they were empty takes seconds.
func (w *work) ask(table string, collect func(pgx.Rows) error, sql string, args ...any) error {
	rows, err := w.tx.Query(w.ctx, sql, append([]any{pgx.QueryExecModeDescribeExec}, args...)...)
	if err == nil {
		err = collect(rows)
	}
	if err != nil {
		return w.failed(msg.BulkNumbers.In(w.set.lang, w.tables[table].String()), err)
	}
	return nil
}

// idsOf is a table of the ids in a parameter, each once. To join it is planned by
// their number; a comparison with ANY takes the planner longer than the server.
func idsOf(parameter string) string {
	return "(SELECT DISTINCT pg_catalog.unnest(" + parameter + "::uuid[])) i(id)"
}

// ident quotes a table that look found.
func (w *work) ident(table string) string { return catalog.Ident(w.tables[table].Name) }

// room refuses to give numbers that could not be found again.
func (w *work) room(table string, next int64, n int) error {
	if next+int64(n) > numbersEnd {
		return w.set.refuse(msg.BulkTooFar, msg.Count(n), w.tables[table].String(), fmt.Sprint(next-1))
	}
	return nil
}

// next returns the number with which the rows of a factory go on: after the
// highest that texts of theirs tell and, with a seed, that ids of the tables do.
func (w *work) next(after int64, n int, tables ...string) (int64, error) {
	for _, table := range tables {
		number, err := w.nextID(w.set.seeded(table), table)
		if err != nil {
			return 0, err
		}
		after = max(after, number)
	}
	if err := w.room(tables[0], after, n); err != nil {
		return 0, err
	}
	return same(w, after)
}

// nextID returns the number after that of the highest id of a seed in a table.
func (w *work) nextID(s *seeded, table string) (int64, error) {
	if s == nil {
		return 0, nil
	}
	var found []pgtype.UUID
	err := w.ask(table, func(rows pgx.Rows) (err error) {
		found, err = pgx.CollectRows(rows, pgx.RowTo[pgtype.UUID])
		return err
	}, "SELECT id FROM "+w.ident(table)+" WHERE id BETWEEN $1 AND $2 ORDER BY id DESC LIMIT 1",
		pgtype.UUID{Bytes: s.id(0), Valid: true}, pgtype.UUID{Bytes: s.id(idNumbers - 1), Valid: true})
	if err != nil || len(found) == 0 {
		return 0, err
	}
	return numberOf(found[0].Bytes) + 1, nil
}

func (w *work) offices(n int, edits []func(int, *Office)) (Staff, []Office, error) {
	if err := w.lock(); err != nil {
		return Staff{}, nil, err
	}
	var next int64
	err := w.ask(tableOffices, collectOne(&next),
		"SELECT coalesce(max(greatest(substring(name from $1)::bigint, substring(email from $2)::bigint)), -1) + 1 FROM "+w.ident(tableOffices),
		officePattern, officeMailbox)
	if err != nil {
		return Staff{}, nil, err
	}
	if next, err = w.next(next, n, tableOffices); err != nil {
		return Staff{}, nil, err
	}
	creator, err := w.creator()
	if err != nil {
		return Staff{}, nil, err
	}
	out, err := once(w, func() ([]Office, error) {
		out := make([]Office, n)
		texts := make([]struct{ address, phone, email string }, n) // one allocation for the texts that fields point to
		now, real := w.set.now(), w.set.seeded(tableOffices)
		for i := range out {
			number := next + int64(i)
			text := &texts[i]
			text.address = fmt.Sprintf(officeAddress, number)
			text.phone = fmt.Sprintf("03-%04d-%04d", number/10_000, number%10_000)
			text.email = fmt.Sprintf(officeEmail, number)
			out[i] = Office{
				Name: fmt.Sprintf(officeName+"%04d", number), Type: TypeBOffice,
				Address: &text.address, PhoneNumber: &text.phone, Email: &text.email,
				CreatedBy: creator.ID, LastModifiedBy: creator.ID,
				CreatedAt: now, UpdatedAt: now, IsTestData: true,
			}
			out[i].ID = real.makeID(number)
			real.office(&out[i], number)
			edit(i, &out[i], edits)
			keepID(&out[i].ID)
		}
		return out, nil
	})
	if err != nil {
		return Staff{}, nil, err
	}
	return creator, out, store(w, tableOffices, out)
}

// creator finds or makes the staff that creates offices.
func (w *work) creator() (Staff, error) {
	var found []Staff
	err := w.ask(tableStaffs, func(rows pgx.Rows) (err error) {
		found, err = pgx.CollectRows(rows, pgx.RowToStructByName[Staff])
		return err
	}, "SELECT "+columnNames[Staff]()+" FROM "+w.ident(tableStaffs)+" WHERE email = $1", systemEmail)
	if err != nil {
		return Staff{}, err
	}
	there := append(found, Staff{})[0]
	if _, err := same(w, there.ID); err != nil || len(found) > 0 {
		return there, err
	}
	made, err := once(w, func() ([]Staff, error) {
		real := w.set.seeded(tableStaffs + " " + systemEmail)
		number, err := w.nextID(real, tableStaffs)
		now := w.set.now()
		return []Staff{{
			ID: real.makeID(number), Email: systemEmail, HashedPassword: passwordHash, Role: RoleAppAdmin,
			LastName: new(systemName), LastNameFurigana: new(systemName), FullName: systemName,
			NotificationPreferences: defaultPreferences, CreatedAt: now, UpdatedAt: now, IsTestData: true,
		}}, err
	})
	if err != nil {
		return Staff{}, err
	}
	return made[0], store(w, tableStaffs, made)
}

// defaultPreferences are the column's own default.
var defaultPreferences = NotificationPreferences{
	InAppNotification: true, EmailNotification: true, EmailThresholdDays: 30, PushThresholdDays: 10,
}

// belong refuses offices that are not in this database.
func (w *work) belong(offices []Office) error {
	var strangers []pgtype.UUID
	err := w.ask(tableOffices, func(rows pgx.Rows) (err error) {
		strangers, err = pgx.CollectRows(rows, pgx.RowTo[pgtype.UUID])
		return err
	}, "SELECT i.id FROM "+idsOf("$1")+" WHERE NOT EXISTS (SELECT FROM "+w.ident(tableOffices)+" o WHERE o.id = i.id)", officesOf(offices))
	if err != nil || len(strangers) == 0 {
		return err
	}
	for i := range offices {
		if slices.Contains(strangers, pgtype.UUID{Bytes: offices[i].ID, Valid: true}) {
			return w.set.refuse(msg.BulkStranger, fmt.Sprintf("offices[%d]", i), offices[i].Name, offices[i].ID.String(), w.session.Database)
		}
	}
	return nil
}

func (w *work) staffs(offices []Office, perOffice int, edits []func(int, *Staff)) ([]Staff, error) {
	n := len(offices) * perOffice
	if err := w.belong(offices); err != nil {
		return nil, err
	}
	if err := w.lock(); err != nil {
		return nil, err
	}
	next, err := w.nextStaff(n)
	if err != nil {
		return nil, err
	}
	numbers := map[uuid.UUID]int64{}
	err = w.ask(tableOfficeStaffs, collectNumbers(numbers),
		"SELECT o.office_id, coalesce(max(substring(s.first_name from $1)::bigint) + 1, 0) FROM "+w.ident(tableOfficeStaffs)+" o JOIN "+
			w.ident(tableStaffs)+" s ON s.id = o.staff_id JOIN "+idsOf("$2")+" ON o.office_id = i.id GROUP BY 1", staffPattern, officesOf(offices))
	if err != nil {
		return nil, err
	}
	if _, err := same(w, maps.Clone(numbers)); err != nil {
		return nil, err
	}
	made, err := once(w, func() (staffed, error) { return w.makeStaffs(offices, perOffice, next, numbers, edits) })
	if err != nil {
		return nil, err
	}
	if err := store(w, tableStaffs, made.staffs); err != nil {
		return nil, err
	}
	return made.staffs, store(w, tableOfficeStaffs, made.joins)
}

// nextStaff returns the number with which staffs go on.
func (w *work) nextStaff(n int) (next int64, err error) {
	err = w.ask(tableStaffs, collectOne(&next),
		"SELECT coalesce(max(substring(email from $1)::bigint), -1) + 1 FROM "+w.ident(tableStaffs), staffMailbox)
	if err != nil {
		return 0, err
	}
	return w.next(next, n, tableStaffs, tableOfficeStaffs)
}

func (w *work) recipients(offices []Office, perOffice int, edits []func(int, *WelfareRecipient)) ([]WelfareRecipient, error) {
	if err := w.belong(offices); err != nil {
		return nil, err
	}
	if err := w.lock(); err != nil {
		return nil, err
	}
	next, err := w.next(0, len(offices)*perOffice, tableRecipients, tableOfficeRecipients)
	if err != nil {
		return nil, err
	}
	numbers := map[uuid.UUID]int64{}
	err = w.ask(tableOfficeRecipients, collectNumbers(numbers),
		"SELECT o.office_id, coalesce(max(substring(r.first_name from $1)::bigint) + 1, 0) FROM "+w.ident(tableOfficeRecipients)+" o JOIN "+
			w.ident(tableRecipients)+" r ON r.id = o.welfare_recipient_id JOIN "+idsOf("$2")+" ON o.office_id = i.id GROUP BY 1", recipientMatch, officesOf(offices))
	if err != nil {
		return nil, err
	}
	if _, err := same(w, maps.Clone(numbers)); err != nil {
		return nil, err
	}
	made, err := once(w, func() (settled, error) { return w.makeRecipients(offices, perOffice, next, numbers, edits) })
	if err != nil {
		return nil, err
	}
	if err := store(w, tableRecipients, made.recipients); err != nil {
		return nil, err
	}
	return made.recipients, store(w, tableOfficeRecipients, made.joins)
}

func (w *work) cycles(recipients []WelfareRecipient, edits []func(int, *SupportPlanCycle)) ([]SupportPlanCycle, error) {
	if err := w.lock(); err != nil {
		return nil, err
	}
	all, lost := recipientsOf(recipients)
	numbers := map[uuid.UUID]int64{}
	err := w.ask(tableCycles, collectNumbers(numbers), "SELECT welfare_recipient_id, max(cycle_number) FROM "+w.ident(tableCycles)+
		" JOIN "+idsOf("$1")+" ON welfare_recipient_id = i.id WHERE cycle_number < 2147483647 GROUP BY 1", all)
	if err != nil {
		return nil, err
	}
	homes := map[uuid.UUID]home{}
	if len(lost) > 0 {
		err := w.ask(tableOfficeRecipients, collectHomes(homes), "SELECT DISTINCT welfare_recipient_id, office_id FROM "+
			w.ident(tableOfficeRecipients)+" JOIN "+idsOf("$1")+" ON welfare_recipient_id = i.id", lost)
		if err != nil {
			return nil, err
		}
	}
	if _, err := same(w, maps.Clone(numbers)); err != nil {
		return nil, err
	}
	if _, err := same(w, homes); err != nil {
		return nil, err
	}
	out, err := once(w, func() ([]SupportPlanCycle, error) { return w.makeCycles(recipients, homes, numbers, edits) })
	if err != nil {
		return nil, err
	}
	return out, store(w, tableCycles, out)
}

// welfare makes a whole data set. Nothing has to be asked about what belongs to
// offices that are new, so the server loads rows while the next ones are made.
func (w *work) welfare(scale int) (d Dataset, err error) {
	if d.Creator, d.Offices, err = w.offices(scale, nil); err != nil {
		return d, err
	}
	staff, err := w.nextStaff(scale * staffsPerOffice)
	if err != nil {
		return d, err
	}
	recipient, err := w.next(0, scale*recipientsPerOffice, tableRecipients, tableOfficeRecipients)
	if err != nil {
		return d, err
	}
	numbers := func() map[uuid.UUID]int64 { return map[uuid.UUID]int64{} }
	loads := queue()
	defer loads.wait() //nolint:errcheck // on a way out with another error
	staffs, err := once(w, func() (staffed, error) { return w.makeStaffs(d.Offices, staffsPerOffice, staff, numbers(), nil) })
	if err != nil {
		return d, err
	}
	loads.add(func() error { return store(w, tableStaffs, staffs.staffs) })
	loads.add(func() error { return store(w, tableOfficeStaffs, staffs.joins) })
	people, err := once(w, func() (settled, error) {
		return w.makeRecipients(d.Offices, recipientsPerOffice, recipient, numbers(), nil)
	})
	if err != nil {
		return d, err
	}
	loads.add(func() error { return store(w, tableRecipients, people.recipients) })
	loads.add(func() error { return store(w, tableOfficeRecipients, people.joins) })
	d.Cycles, err = once(w, func() ([]SupportPlanCycle, error) { return w.makeCycles(people.recipients, nil, numbers(), nil) })
	if err != nil {
		return d, err
	}
	loads.add(func() error { return store(w, tableCycles, d.Cycles) })
	d.Staffs, d.Recipients = staffs.staffs, people.recipients
	return d, loads.wait()
}

// queued are loads that run one after the other beside the making of rows.
type queued struct {
	todo chan func() error
	all  errgroup.Group
	wait func() error
}

func queue() *queued {
	const room = 8 // more than there are loads, so that adding never waits
	q := &queued{todo: make(chan func() error, room)}
	q.wait = sync.OnceValue(func() error {
		close(q.todo)
		return q.all.Wait()
	})
	q.all.Go(func() error {
		for load := range q.todo {
			if err := load(); err != nil {
				return err
			}
		}
		return nil
	})
	return q
}

func (q *queued) add(load func() error) { q.todo <- load }

// store sends the rows of a factory. Ids that only the server can make come back
// in the rows.
func store[T any](w *work, table string, rows []T) error {
	l, err := newLoader[T](w, table)
	if err != nil {
		return err
	}
	_, err = l.load(rows)
	return err
}
