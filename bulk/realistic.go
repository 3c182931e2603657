package bulk

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
)

// seeded makes what belongs to a seed and a table, by number: ids, and what makes rows
// look real. A nil *seeded makes plain rows.
type seeded struct{ hash [32]byte }

// idNumbers is how many ids a seed has for a table.
const idNumbers = 1 << 48

// id returns the id with the number: a UUID of version 8 (RFC 9562, 5.8), which
// holds a hash of seed and table and, in its last six bytes, the number. So ids
// never meet, stand in an index in the order in which they were made, and the
// highest is found there.
func (s *seeded) id(number int64) (id uuid.UUID) {
	copy(id[:10], s.hash[:])
	binary.BigEndian.PutUint64(id[8:], uint64(s.hash[8])<<56|uint64(s.hash[9])<<48|uint64(number)) //nolint:gosec // not negative
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id
}

// makeID returns the id with the number, or one of no seed.
func (s *seeded) makeID(number int64) uuid.UUID {
	if s == nil {
		return newID()
	}
	return s.id(number)
}

// numberOf reads an id's number.
func numberOf(id uuid.UUID) int64 {
	return int64(binary.BigEndian.Uint64(id[8:]) & (idNumbers - 1))
}

// dice throws what belongs to a number.
func (s *seeded) dice(number int64) dice {
	return dice{rand.NewPCG(binary.BigEndian.Uint64(s.hash[16:]), uint64(number))} //nolint:gosec // any bits will do
}

// styleOffice makes an office look real.
func (s *seeded) styleOffice(o *Office, number int64) {
	if s == nil {
		return
	}
	d := s.dice(number)
	o.ID, o.Type, o.IsGroup = s.id(number), pick(d, officeTypes), d.n(5) == 0
	o.Name = fmt.Sprintf("%s%s%04d", pick(d, officeWords), officeKinds[o.Type], number)
	o.Address = new(fmt.Sprintf("%s%d-%d-%d", pick(d, towns), 1+d.n(9), 1+d.n(30), 1+d.n(20)))
}

// styleStaff makes a staff look real.
func (s *seeded) styleStaff(o *Staff, number int64) {
	if s == nil {
		return
	}
	d := s.dice(number)
	last, first := pick(d, familyNames()), pick(d, pick(d, []func() []name{maleNames, femaleNames})())
	o.ID, o.Role = s.id(number), pick(d, staffRoles)
	o.LastName, o.LastNameFurigana = new(last.kanji), new(last.kana)
	o.FirstName, o.FirstNameFurigana = new(first.kanji), new(first.kana)
	o.FullName = last.kanji + " " + first.kanji
	o.IsEmailVerified, o.IsMFAEnabled = d.n(10) != 0, d.n(3) == 0
}

// styleRecipient makes a recipient look real.
func (s *seeded) styleRecipient(o *WelfareRecipient, number int64, today time.Time) {
	if s == nil {
		return
	}
	const youngest, years = 18, 52
	d := s.dice(number)
	given := maleNames
	switch n := d.n(50); {
	case n == 0:
		o.Gender, given = GenderOther, pick(d, []func() []name{maleNames, femaleNames})
	case n < 25:
		o.Gender, given = GenderFemale, femaleNames
	default:
		o.Gender = GenderMale
	}
	last, first := pick(d, familyNames()), pick(d, given())
	o.ID, o.LastName, o.FirstName = s.id(number), last.kanji, first.kanji
	o.LastNameFurigana, o.FirstNameFurigana = new(last.kana), new(first.kana)
	o.BirthDay = today.AddDate(-youngest, 0, -d.n(years*365))
}

// maxCycles is how many plan cycles a recipient that looks real has at most.
const maxCycles = 3

// styleCycles makes the plan cycles of a recipient look real: from the one that is
// given, of a year each, one after the other, with the latest to be renewed within
// a year from today. A maker of no seed returns the one that is given.
func (s *seeded) styleCycles(plain SupportPlanCycle, today time.Time) []SupportPlanCycle {
	if s == nil {
		return []SupportPlanCycle{plain}
	}
	// Cycles get their ids from the server, so they go by their recipient's.
	id := plain.WelfareRecipientID
	d := s.dice(int64(binary.BigEndian.Uint64(id[:8]) ^ binary.BigEndian.Uint64(id[8:]))) //nolint:gosec // any bits will do
	out := make([]SupportPlanCycle, 1+d.n(maxCycles))
	end := today.AddDate(0, 0, d.n(365))
	for i := range out {
		c := plain
		before := len(out) - 1 - i // cycles after this one
		start := end.AddDate(-1-before, 0, 0)
		c.PlanCycleStartDate, c.NextRenewalDeadline = new(start), new(end.AddDate(-before, 0, 0))
		if signed := start.AddDate(0, 0, 7+d.n(30)); !signed.After(today) {
			c.FinalPlanSignedDate = new(signed)
		}
		c.IsLatestCycle = before == 0
		c.CycleNumber = new(*plain.CycleNumber + int32(i))
		c.NextPlanStartDate = new(*plain.NextPlanStartDate) // no two rows share what they point to
		out[i] = c
	}
	return out
}
