package bulk

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/groundhogdb/groundhog/internal/msg"
)

// staffRows are staffs and the rows that join them to their offices.
type staffRows struct {
	staffs []Staff
	joins  []officeStaff
}

// recipientRows are recipients and the rows that join them to their offices.
type recipientRows struct {
	recipients []WelfareRecipient
	joins      []officeRecipient
}

// home is where a recipient lives, and how many such offices there are.
type home struct {
	office  uuid.UUID
	offices int
}

// rowMaker makes the rows of the factories. It asks the database nothing.
type rowMaker struct {
	style
	lang   msg.Lang
	nameOf func(table string) string // as people write it
}

// checkNumberRange refuses to give numbers that could not be found again.
func (m *rowMaker) checkNumberRange(table string, next int64, n int) error {
	if next+int64(n) > numbersEnd {
		return refuse(m.lang, msg.BulkTooFar, msg.Count(n), m.nameOf(table), fmt.Sprint(next-1))
	}
	return nil
}

// makeOffices makes n offices, the numbers of which begin with next.
func (m *rowMaker) makeOffices(n int, next int64, creator uuid.UUID, edits []func(int, *Office)) []Office {
	out := make([]Office, n)
	texts := make([]struct{ address, phone, email string }, n) // one allocation for the texts that fields point to
	now, real := m.now(), m.seeded(tableOffices)
	for i := range out {
		number := next + int64(i)
		text := &texts[i]
		text.address = fmt.Sprintf(officeAddress, number)
		text.phone = fmt.Sprintf("03-%04d-%04d", number/10_000, number%10_000)
		text.email = fmt.Sprintf(officeEmail, number)
		out[i] = Office{
			Name: fmt.Sprintf(officeName+"%04d", number), Type: TypeBOffice,
			Address: &text.address, PhoneNumber: &text.phone, Email: &text.email,
			CreatedBy: creator, LastModifiedBy: creator,
			CreatedAt: now, UpdatedAt: now, IsTestData: true,
		}
		out[i].ID = real.makeID(number)
		real.styleOffice(&out[i], number)
		edit(i, &out[i], edits)
		keepID(&out[i].ID)
	}
	return out
}

// makeCreator makes the staff that creates offices.
func (m *rowMaker) makeCreator(id uuid.UUID) Staff {
	now := m.now()
	return Staff{
		ID: id, Email: systemEmail, HashedPassword: passwordHash, Role: RoleAppAdmin,
		LastName: new(systemName), LastNameFurigana: new(systemName), FullName: systemName,
		NotificationPreferences: defaultPreferences, CreatedAt: now, UpdatedAt: now, IsTestData: true,
	}
}

// makeStaffs makes perOffice staffs for each office. Their numbers begin with next; those of
// an office's staffs with what numbers has for it, which is changed.
func (m *rowMaker) makeStaffs(offices []Office, perOffice int, next int64, numbers map[uuid.UUID]int64, edits []func(int, *Staff)) (staffRows, error) {
	n := len(offices) * perOffice
	out := staffRows{make([]Staff, 0, n), make([]officeStaff, 0, n)}
	texts := make([]struct{ last, first, lastKana, firstKana string }, n)
	now, real, joins := m.now(), m.seeded(tableStaffs), m.seeded(tableOfficeStaffs)
	for o := range offices {
		office := &offices[o]
		if err := m.checkNumberRange(tableStaffs, numbers[office.ID], perOffice); err != nil {
			return staffRows{}, err
		}
		last, kana := familyName(office.Name, 50)
		for range perOffice {
			i := len(out.staffs)
			number := next + int64(i)
			first := fmt.Sprintf(staffName+"%03d", numbers[office.ID])
			numbers[office.ID]++
			text := &texts[i]
			text.last, text.first, text.lastKana, text.firstKana = last, first, kana, first
			out.staffs = append(out.staffs, Staff{
				ID: real.makeID(number), Email: fmt.Sprintf(staffEmail, number), HashedPassword: passwordHash, Role: RoleEmployee,
				LastName: &text.last, FirstName: &text.first, LastNameFurigana: &text.lastKana, FirstNameFurigana: &text.firstKana,
				FullName: last + " " + first, NotificationPreferences: defaultPreferences,
				CreatedAt: now, UpdatedAt: now, IsTestData: true, OfficeID: office.ID,
			})
			s := &out.staffs[i]
			real.styleStaff(s, number)
			edit(i, s, edits)
			keepID(&s.ID)
			if s.OfficeID == uuid.Nil {
				return staffRows{}, refuse(m.lang, msg.BulkNoOfficeID, fmt.Sprintf("staffs[%d]", i))
			}
			out.joins = append(out.joins, officeStaff{ID: joins.makeID(number), StaffID: s.ID, OfficeID: s.OfficeID, IsPrimary: true,
				CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt, IsTestData: s.IsTestData})
		}
	}
	return out, nil
}

// makeRecipients makes perOffice recipients for each office. The numbers of their ids begin
// with next; those of an office's recipients with what numbers has for it, which is
// changed.
func (m *rowMaker) makeRecipients(offices []Office, perOffice int, next int64, numbers map[uuid.UUID]int64, edits []func(int, *WelfareRecipient)) (recipientRows, error) {
	n := len(offices) * perOffice
	out := recipientRows{make([]WelfareRecipient, 0, n), make([]officeRecipient, 0, n)}
	texts := make([]struct{ last, first string }, n)
	now, today, born := m.now(), m.today(), date(1990, 1, 1)
	real, joins := m.seeded(tableRecipients), m.seeded(tableOfficeRecipients)
	for o := range offices {
		office := &offices[o]
		if err := m.checkNumberRange(tableRecipients, numbers[office.ID], perOffice); err != nil {
			return recipientRows{}, err
		}
		last, kana := familyName(office.Name, 255)
		for range perOffice {
			i, number := len(out.recipients), numbers[office.ID]
			numbers[office.ID]++
			text := &texts[i]
			text.last, text.first = kana, fmt.Sprintf(recipientKana+"%03d", number)
			out.recipients = append(out.recipients, WelfareRecipient{
				ID: real.makeID(next + int64(i)), LastName: last, FirstName: fmt.Sprintf(recipientName+"%03d", number),
				LastNameFurigana: &text.last, FirstNameFurigana: &text.first,
				BirthDay: born, Gender: GenderMale, CreatedAt: now, UpdatedAt: now, IsTestData: true, OfficeID: office.ID,
			})
			r := &out.recipients[i]
			real.styleRecipient(r, next+int64(i), today)
			edit(i, r, edits)
			keepID(&r.ID)
			if r.OfficeID == uuid.Nil {
				return recipientRows{}, refuse(m.lang, msg.BulkNoOfficeID, fmt.Sprintf("recipients[%d]", i))
			}
			out.joins = append(out.joins, officeRecipient{ID: joins.makeID(next + int64(i)), WelfareRecipientID: r.ID, OfficeID: r.OfficeID,
				CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, IsTestData: r.IsTestData})
		}
	}
	return out, nil
}

// makeCycles makes plan cycles for recipients. The numbers of a recipient's cycles go on
// after what numbers has for it, which is changed.
func (m *rowMaker) makeCycles(recipients []WelfareRecipient, homes map[uuid.UUID]home, numbers map[uuid.UUID]int64, edits []func(int, *SupportPlanCycle)) ([]SupportPlanCycle, error) {
	out := make([]SupportPlanCycle, 0, m.cyclesOf(len(recipients)))
	now, today, real := m.now(), m.today(), m.seeded(tableCycles)
	deadline := today.AddDate(0, 0, renewalDays)
	values := make([]struct {
		start, deadline time.Time
		number, next    int32
	}, len(recipients))
	for i := range recipients {
		r, v := &recipients[i], &values[i]
		office := r.OfficeID
		if office == uuid.Nil {
			var err error
			if office, err = m.homeOf(i, r, homes[r.ID]); err != nil {
				return nil, err
			}
		}
		v.start, v.deadline, v.next = today, deadline, nextPlanStartDays
		v.number = int32(numbers[r.ID] + 1) //nolint:gosec // at most 2^31-1
		one := SupportPlanCycle{
			WelfareRecipientID: r.ID, OfficeID: office,
			PlanCycleStartDate: &v.start, NextRenewalDeadline: &v.deadline, IsLatestCycle: true,
			CycleNumber: &v.number, NextPlanStartDate: &v.next,
			CreatedAt: now, UpdatedAt: now, IsTestData: true,
		}
		made := real.styleCycles(one, today)
		numbers[r.ID] += int64(len(made))
		for _, c := range made {
			out = append(out, c)
			edit(len(out)-1, &out[len(out)-1], edits)
		}
	}
	return out, nil
}

// homeOf returns the office of a recipient that does not tell it.
func (m *rowMaker) homeOf(i int, r *WelfareRecipient, h home) (uuid.UUID, error) {
	name := fmt.Sprintf("recipients[%d] (%s %s, %s)", i, r.LastName, r.FirstName, r.ID)
	switch h.offices {
	case 0:
		return uuid.Nil, refuse(m.lang, msg.BulkNoOffice, name)
	case 1:
		return h.office, nil
	}
	return uuid.Nil, refuse(m.lang, msg.BulkOffices, name, msg.Count(h.offices))
}

func edit[T any](i int, row *T, edits []func(int, *T)) {
	for _, f := range edits {
		f(i, row)
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

func date(year int, month time.Month, day int) time.Time {
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}
