package bulk

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/groundhogdb/groundhog/internal/msg"
)

// staffed are staffs and the rows that join them to their offices.
type staffed struct {
	staffs []Staff
	joins  []officeStaff
}

func (w *work) makeStaffs(offices []Office, perOffice int, next int64, numbers map[uuid.UUID]int64, edits []func(int, *Staff)) (staffed, error) {
	n := len(offices) * perOffice
	out := staffed{make([]Staff, 0, n), make([]officeStaff, 0, n)}
	texts := make([]struct{ last, first, lastKana, firstKana string }, n)
	now, real, joins := w.set.now(), w.set.seeded(tableStaffs), w.set.seeded(tableOfficeStaffs)
	for o := range offices {
		office := &offices[o]
		if err := w.room(tableStaffs, numbers[office.ID], perOffice); err != nil {
			return staffed{}, err
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
			real.staff(s, number)
			edit(i, s, edits)
			keepID(&s.ID)
			if s.OfficeID == uuid.Nil {
				return staffed{}, w.set.refuse(msg.BulkNoOfficeID, fmt.Sprintf("staffs[%d]", i))
			}
			out.joins = append(out.joins, officeStaff{ID: joins.makeID(number), StaffID: s.ID, OfficeID: s.OfficeID, IsPrimary: true,
				CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt, IsTestData: s.IsTestData})
		}
	}
	return out, nil
}

// settled are recipients and the rows that join them to their offices.
type settled struct {
	recipients []WelfareRecipient
	joins      []officeRecipient
}

func (w *work) makeRecipients(offices []Office, perOffice int, next int64, numbers map[uuid.UUID]int64, edits []func(int, *WelfareRecipient)) (settled, error) {
	n := len(offices) * perOffice
	out := settled{make([]WelfareRecipient, 0, n), make([]officeRecipient, 0, n)}
	texts := make([]struct{ last, first string }, n)
	now, today, born := w.set.now(), w.set.today(), date(1990, 1, 1)
	real, joins := w.set.seeded(tableRecipients), w.set.seeded(tableOfficeRecipients)
	for o := range offices {
		office := &offices[o]
		if err := w.room(tableRecipients, numbers[office.ID], perOffice); err != nil {
			return settled{}, err
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
			real.recipient(r, next+int64(i), today)
			edit(i, r, edits)
			keepID(&r.ID)
			if r.OfficeID == uuid.Nil {
				return settled{}, w.set.refuse(msg.BulkNoOfficeID, fmt.Sprintf("recipients[%d]", i))
			}
			out.joins = append(out.joins, officeRecipient{ID: joins.makeID(next + int64(i)), WelfareRecipientID: r.ID, OfficeID: r.OfficeID,
				CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, IsTestData: r.IsTestData})
		}
	}
	return out, nil
}

func (w *work) makeCycles(recipients []WelfareRecipient, homes map[uuid.UUID]home, numbers map[uuid.UUID]int64, edits []func(int, *SupportPlanCycle)) ([]SupportPlanCycle, error) {
	out := make([]SupportPlanCycle, 0, w.set.cyclesOf(len(recipients)))
	now, today, real := w.set.now(), w.set.today(), w.set.seeded(tableCycles)
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
			if office, err = w.home(i, r, homes[r.ID]); err != nil {
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
		made := real.cycles(one, today)
		numbers[r.ID] += int64(len(made))
		for _, c := range made {
			out = append(out, c)
			edit(len(out)-1, &out[len(out)-1], edits)
		}
	}
	return out, nil
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
	return uuid.Nil, w.set.refuse(msg.BulkOffices, name, msg.Count(h.offices))
}

func edit[T any](i int, row *T, edits []func(int, *T)) {
	for _, f := range edits {
		f(i, row)
	}
}

// newID makes an id of version 7 (RFC 9562, 5.7): milliseconds, a part of one as
// 12 more bits, and 62 random bits, which math/rand/v2 takes from ChaCha8. Ids
// that are made one after the other are near each other in an index, which makes a
// large load cheaper; the system's source of random bytes would cost more than
// all the rest of a row.
func newID() (id uuid.UUID) {
	const perMilli = int64(time.Millisecond)
	now := time.Now().UnixNano()
	binary.BigEndian.PutUint64(id[:8], uint64(now/perMilli)<<16|uint64(now%perMilli*4096/perMilli))
	binary.BigEndian.PutUint64(id[8:], rand.Uint64())
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}

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
