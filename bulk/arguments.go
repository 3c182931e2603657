package bulk

import (
	"fmt"

	"github.com/google/uuid"

	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/option"
)

// argument is an argument of a call that may be wrong.
type argument interface{ check(*option.Faults) }

// mostRows is how many rows of a table one call of a factory makes, all of which are
// in memory.
const mostRows = 10_000_000

// count is a number of rows, or of what has rows.
type count struct {
	name string
	n    int
	each int // rows for each of n
}

func (c count) check(faults *option.Faults) {
	switch {
	case c.n < 0:
		faults.Add(msg.BulkNegative, c.name, msg.Count(c.n))
	case c.each > 0 && c.n > mostRows/c.each: // a product might overflow
		faults.Add(msg.BulkTooMany, c.name, msg.Count(c.n), msg.Count(mostRows))
	}
}

type editFuncs[T any] []func(int, *T)

func editsOf[T any](functions []func(int, *T)) argument { return editFuncs[T](functions) }

func (f editFuncs[T]) check(faults *option.Faults) {
	for i, edit := range f {
		if edit == nil {
			faults.Add(msg.BulkNilEdit, fmt.Sprintf("edit[%d]", i))
		}
	}
}

// ids are the ids of rows, by the name and the number of the rows' slice. The first
// that is zero is told: there may be thousands.
type ids struct {
	name string
	n    int
	id   func(i int) uuid.UUID
}

func (a ids) check(faults *option.Faults) {
	for i := range a.n {
		if a.id(i) == uuid.Nil {
			faults.Add(msg.BulkZeroID, fmt.Sprintf("%s[%d]", a.name, i))
			return
		}
	}
}

func officeIDs(offices []Office) argument {
	return ids{"offices", len(offices), func(i int) uuid.UUID { return offices[i].ID }}
}

func recipientIDs(recipients []WelfareRecipient) argument {
	return ids{"recipients", len(recipients), func(i int) uuid.UUID { return recipients[i].ID }}
}
