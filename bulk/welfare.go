package bulk

import (
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

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

// ident quotes a table that look found.
func (w *work) ident(table string) string { return catalog.Ident(w.tables[table].Name) }

// room refuses to give numbers that could not be found again.
func (w *work) room(table string, next int64, n int) error {
	if next+int64(n) > numbersEnd {
		return w.set.refuse(msg.BulkTooFar, n, w.tables[table].String(), fmt.Sprint(next-1))
	}
	return nil
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
	if err := w.room(tableOffices, next, n); err != nil {
		return Staff{}, nil, err
	}
	creator, err := w.creator()
	if err != nil {
		return Staff{}, nil, err
	}
	out := make([]Office, n)
	now := w.set.now()
	for i := range out {
		number := next + int64(i)
		out[i] = Office{
			ID: newID(), Name: fmt.Sprintf(officeName+"%04d", number), Type: TypeBOffice,
			Address:     new(fmt.Sprintf(officeAddress, number)),
			PhoneNumber: new(fmt.Sprintf("03-%04d-%04d", number/10_000, number%10_000)),
			Email:       new(fmt.Sprintf(officeEmail, number)),
			CreatedBy:   creator.ID, LastModifiedBy: creator.ID,
			CreatedAt: now, UpdatedAt: now, IsTestData: true,
		}
		edit(i, &out[i], edits)
		keepID(&out[i].ID)
	}
	return creator, out, load(w, tableOffices, out)
}

// creator finds or makes the staff that creates offices.
func (w *work) creator() (Staff, error) {
	var found []Staff
	err := w.ask(tableStaffs, func(rows pgx.Rows) (err error) {
		found, err = pgx.CollectRows(rows, pgx.RowToStructByName[Staff])
		return err
	}, "SELECT "+columnNames[Staff]()+" FROM "+w.ident(tableStaffs)+" WHERE email = $1", systemEmail)
	if err != nil || len(found) > 0 {
		return append(found, Staff{})[0], err
	}
	now := w.set.now()
	made := []Staff{{
		ID: newID(), Email: systemEmail, HashedPassword: passwordHash, Role: RoleAppAdmin,
		LastName: new(systemName), LastNameFurigana: new(systemName), FullName: systemName,
		NotificationPreferences: defaultPreferences, CreatedAt: now, UpdatedAt: now, IsTestData: true,
	}}
	return made[0], load(w, tableStaffs, made)
}

// defaultPreferences are the column's own default.
var defaultPreferences = NotificationPreferences{
	InAppNotification: true, EmailNotification: true, EmailThresholdDays: 30, PushThresholdDays: 10,
}

func (w *work) staffs(offices []Office, perOffice int, edits []func(int, *Staff)) ([]Staff, error) {
	n := len(offices) * perOffice
	if err := w.lock(); err != nil {
		return nil, err
	}
	var email int64
	err := w.ask(tableStaffs, collectOne(&email),
		"SELECT coalesce(max(substring(email from $1)::bigint), -1) + 1 FROM "+w.ident(tableStaffs), staffMailbox)
	if err != nil {
		return nil, err
	}
	numbers := map[uuid.UUID]int64{}
	err = w.ask(tableStaffs, collectNumbers(numbers),
		"SELECT o.office_id, coalesce(max(substring(s.first_name from $1)::bigint) + 1, 0) FROM "+w.ident(tableOfficeStaffs)+" o JOIN "+
			w.ident(tableStaffs)+" s ON s.id = o.staff_id WHERE o.office_id = ANY($2) GROUP BY 1", staffPattern, officesOf(offices))
	if err != nil {
		return nil, err
	}
	if err := w.room(tableStaffs, email, n); err != nil {
		return nil, err
	}
	out, joins := make([]Staff, 0, n), make([]officeStaff, 0, n)
	now := w.set.now()
	for o := range offices {
		office := &offices[o]
		if err := w.room(tableStaffs, numbers[office.ID], perOffice); err != nil {
			return nil, err
		}
		last, kana := familyName(office.Name, 50)
		for range perOffice {
			i := len(out)
			first := fmt.Sprintf(staffName+"%03d", numbers[office.ID])
			numbers[office.ID]++
			out = append(out, Staff{
				ID: newID(), Email: fmt.Sprintf(staffEmail, email+int64(i)), HashedPassword: passwordHash, Role: RoleEmployee,
				LastName: new(last), FirstName: new(first), LastNameFurigana: new(kana), FirstNameFurigana: new(first),
				FullName: last + " " + first, NotificationPreferences: defaultPreferences,
				CreatedAt: now, UpdatedAt: now, IsTestData: true, OfficeID: office.ID,
			})
			s := &out[i]
			edit(i, s, edits)
			keepID(&s.ID)
			if s.OfficeID == uuid.Nil {
				return nil, w.set.refuse(msg.BulkNoOfficeID, fmt.Sprintf("staffs[%d]", i))
			}
			joins = append(joins, officeStaff{ID: newID(), StaffID: s.ID, OfficeID: s.OfficeID, IsPrimary: true,
				CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt, IsTestData: s.IsTestData})
		}
	}
	if err := load(w, tableStaffs, out); err != nil {
		return nil, err
	}
	return out, load(w, tableOfficeStaffs, joins)
}

func (w *work) recipients(offices []Office, perOffice int, edits []func(int, *WelfareRecipient)) ([]WelfareRecipient, error) {
	if err := w.lock(); err != nil {
		return nil, err
	}
	numbers := map[uuid.UUID]int64{}
	err := w.ask(tableRecipients, collectNumbers(numbers),
		"SELECT o.office_id, coalesce(max(substring(r.first_name from $1)::bigint) + 1, 0) FROM "+w.ident(tableOfficeRecipients)+" o JOIN "+
			w.ident(tableRecipients)+" r ON r.id = o.welfare_recipient_id WHERE o.office_id = ANY($2) GROUP BY 1", recipientMatch, officesOf(offices))
	if err != nil {
		return nil, err
	}
	n := len(offices) * perOffice
	out, joins := make([]WelfareRecipient, 0, n), make([]officeRecipient, 0, n)
	now, born := w.set.now(), date(1990, 1, 1)
	for o := range offices {
		office := &offices[o]
		if err := w.room(tableRecipients, numbers[office.ID], perOffice); err != nil {
			return nil, err
		}
		last, kana := familyName(office.Name, 255)
		for range perOffice {
			i, number := len(out), numbers[office.ID]
			numbers[office.ID]++
			out = append(out, WelfareRecipient{
				ID: newID(), LastName: last, FirstName: fmt.Sprintf(recipientName+"%03d", number),
				LastNameFurigana: new(kana), FirstNameFurigana: new(fmt.Sprintf(recipientKana+"%03d", number)),
				BirthDay: born, Gender: GenderMale, CreatedAt: now, UpdatedAt: now, IsTestData: true, OfficeID: office.ID,
			})
			r := &out[i]
			edit(i, r, edits)
			keepID(&r.ID)
			if r.OfficeID == uuid.Nil {
				return nil, w.set.refuse(msg.BulkNoOfficeID, fmt.Sprintf("recipients[%d]", i))
			}
			joins = append(joins, officeRecipient{ID: newID(), WelfareRecipientID: r.ID, OfficeID: r.OfficeID,
				CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, IsTestData: r.IsTestData})
		}
	}
	if err := load(w, tableRecipients, out); err != nil {
		return nil, err
	}
	return out, load(w, tableOfficeRecipients, joins)
}

func (w *work) cycles(recipients []WelfareRecipient, edits []func(int, *SupportPlanCycle)) ([]SupportPlanCycle, error) {
	if err := w.lock(); err != nil {
		return nil, err
	}
	all, lost := recipientsOf(recipients)
	numbers := map[uuid.UUID]int64{}
	err := w.ask(tableCycles, collectNumbers(numbers), "SELECT welfare_recipient_id, max(cycle_number) FROM "+w.ident(tableCycles)+
		" WHERE welfare_recipient_id = ANY($1) AND cycle_number < 2147483647 GROUP BY 1", all)
	if err != nil {
		return nil, err
	}
	homes := map[uuid.UUID]home{}
	if len(lost) > 0 {
		err := w.ask(tableOfficeRecipients, collectHomes(homes), "SELECT DISTINCT welfare_recipient_id, office_id FROM "+
			w.ident(tableOfficeRecipients)+" WHERE welfare_recipient_id = ANY($1)", lost)
		if err != nil {
			return nil, err
		}
	}
	out := make([]SupportPlanCycle, len(recipients))
	now, today := w.set.now(), w.set.today()
	deadline := today.AddDate(0, 0, renewalDays)
	for i := range recipients {
		r := &recipients[i]
		office := r.OfficeID
		if office == uuid.Nil {
			if office, err = w.home(i, r, homes[r.ID]); err != nil {
				return nil, err
			}
		}
		numbers[r.ID]++
		out[i] = SupportPlanCycle{
			WelfareRecipientID: r.ID, OfficeID: office,
			PlanCycleStartDate: new(today), NextRenewalDeadline: new(deadline), IsLatestCycle: true,
			CycleNumber: new(int32(numbers[r.ID])), NextPlanStartDate: new(int32(nextPlanStartDays)), //nolint:gosec // at most 2^31-1
			CreatedAt: now, UpdatedAt: now, IsTestData: true,
		}
		edit(i, &out[i], edits)
	}
	return out, load(w, tableCycles, out)
}

// home is where a recipient lives, and how many such offices there are.
type home struct {
	office  uuid.UUID
	offices int
}

func (w *work) home(i int, r *WelfareRecipient, h home) (uuid.UUID, error) {
	name := fmt.Sprintf("recipients[%d] (%s %s, %s)", i, r.LastName, r.FirstName, r.ID)
	switch h.offices {
	case 0:
		return uuid.Nil, w.set.refuse(msg.BulkNoOffice, name)
	case 1:
		return h.office, nil
	}
	return uuid.Nil, w.set.refuse(msg.BulkOffices, name, h.offices)
}

// load sends the rows of a factory. Ids that only the server can make come back
// in the rows.
func load[T any](w *work, table string, rows []T) error {
	l, err := newLoader[T](w, table)
	if err != nil {
		return err
	}
	_, err = l.load(rows, true)
	return err
}

func edit[T any](i int, row *T, edits []func(int, *T)) {
	for _, f := range edits {
		f(i, row)
	}
}

// newID makes an id. Version 7 ids that are made one after the other are near
// each other in an index, which makes a large load cheaper.
func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// keepID makes an id where an edit function took it away.
func keepID(id *uuid.UUID) {
	if *id == uuid.Nil {
		*id = newID()
	}
}

// familyName returns the family name, and its reading, of the people of an
// office: of 事業所0012 for テスト事業所0012, else the office's name, cut to limit
// letters.
func familyName(office string, limit int) (name, kana string) {
	if rest, ok := strings.CutPrefix(office, officeName); ok && rest != "" && strings.Trim(rest, "0123456789") == "" {
		return cut(lastName+rest, limit), cut(lastKana+rest, limit)
	}
	if office == "" {
		return lastName, lastKana
	}
	return cut(office, limit), cut(office, limit)
}

func cut(s string, limit int) string {
	n := 0
	for i := range s {
		if n == limit {
			return s[:i]
		}
		n++
	}
	return s
}
