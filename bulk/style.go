package bulk

import (
	"crypto/sha256"
	"fmt"
	"time"
)

// style is how the rows of the factories look.
type style struct {
	clock time.Time // zero: the present
	seed  *int64    // nil: plain rows
}

// seeded returns the maker for a table, or nil when rows are plain.
func (s style) seeded(table string) *seeded {
	if s.seed == nil {
		return nil
	}
	return &seeded{sha256.Sum256(fmt.Appendf(nil, "groundhog %d %s", *s.seed, table))}
}

// cyclesOf tells how many cycles so many recipients get, more or less.
func (s style) cyclesOf(recipients int) int {
	if s.seed == nil {
		return recipients
	}
	return recipients * (1 + maxCycles) / 2
}

// now is the present as the database keeps it: in microseconds, and in the
// location in which pgx reads it.
func (s style) now() time.Time {
	now := s.clock
	if now.IsZero() {
		now = time.Now()
	}
	return now.Truncate(time.Microsecond).In(time.Local)
}

// today is the date of the clock in its own location, as pgx reads a date.
func (s style) today() time.Time {
	now := s.clock
	if now.IsZero() {
		now = time.Now()
	}
	y, m, d := now.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}
