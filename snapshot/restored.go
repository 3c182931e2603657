package snapshot

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/tally"
)

// Method is how a restore brought a table back.
type Method string

// The methods, the cheapest first.
const (
	// Unchanged: no session wrote to it since it was as the snapshot has it.
	Unchanged Method = "unchanged"
	// Undone: the journal put the changed rows back.
	Undone Method = "undone"
	// Reloaded: emptied and loaded from its part of the file.
	Reloaded Method = "reloaded"
	// Exchanged: the database was replaced by a copy of it at the snapshot.
	Exchanged Method = "exchanged"
	// Built: filled by the builder of [Ensure], and saved.
	Built Method = "built"
)

// Restored is what [Restore] or [Ensure] did.
type Restored struct {
	Info
	Methods     []TableMethod
	Why         string   // why it was built, if it was
	Differences []string // between the snapshot's schema and the database's: see [Warn]
	Duration    time.Duration

	// NotExchanged is why the database was not replaced by a copy, if tables were reloaded.
	NotExchanged string
}

// TableMethod is the method that was chosen for one table.
type TableMethod struct {
	Table  string // qualified: public.offices
	Method Method
	Why    string // why this method
	Rows   int64  // of the snapshot

	// Changed is how many rows were removed or put back, if the table was undone. An
	// updated row counts as both.
	Changed int64
}

// byCost are the methods, the cheapest first.
var byCost = []string{string(Unchanged), string(Undone), string(Exchanged), string(Reloaded), string(Built)}

// builtOf returns what Ensure returns when a builder filled the tables.
func builtOf(info Info, why string, began time.Time) Restored {
	r := Restored{Info: info, Why: why, Duration: time.Since(began)}
	for _, t := range info.Tables {
		r.Methods = append(r.Methods, TableMethod{Table: t.Name, Method: Built, Why: why, Rows: t.Rows})
	}
	return r
}

// tables counts them by method.
func (r Restored) tables() map[string]int {
	count := map[string]int{}
	for _, m := range r.Methods {
		count[string(m.Method)]++
	}
	return count
}

// count adds the restore to those of the process.
func (r Restored) count() { tally.Add(byCost, r.tables(), r.reasons(), r.Duration) }

// methods sums the methods up.
func (r Restored) methods() string {
	count := r.tables()
	var out []string
	for _, method := range byCost {
		if count[method] > 0 {
			out = append(out, fmt.Sprintf("%s %d", method, count[method]))
		}
	}
	return strings.Join(out, ", ")
}

// Limits to the reasons in one line.
const (
	whyReasons = 3   // more are counted
	whyTables  = 3   // more are counted
	whyLength  = 160 // of one reason, in letters
)

// why sums up why tables were loaded, or the database was exchanged: each reason with its
// tables.
func (r Restored) why(lang msg.Lang) string {
	var reasons []string
	tables := map[string][]string{}
	for _, m := range r.Methods {
		if m.Method != Reloaded && m.Method != Exchanged {
			continue
		}
		if tables[m.Why] == nil {
			reasons = append(reasons, m.Why)
		}
		tables[m.Why] = append(tables[m.Why], m.Table)
	}
	slices.SortStableFunc(reasons, func(a, b string) int { return len(tables[b]) - len(tables[a]) })
	var parts []string
	for _, reason := range reasons[:min(len(reasons), whyReasons)] {
		of := strings.Join(tables[reason], ", ")
		if n := len(tables[reason]); n > whyTables {
			of = msg.WhyTables.In(lang, msg.Count(n))
		}
		parts = append(parts, shortened(reason)+": "+of)
	}
	if more := len(reasons) - whyReasons; more > 0 {
		parts = append(parts, msg.WhyMore.In(lang, msg.Count(more)))
	}
	return strings.Join(parts, "; ")
}

// reasons counts the tables that were loaded or exchanged by the reason.
func (r Restored) reasons() map[string]int {
	count := map[string]int{}
	for _, m := range r.Methods {
		if m.Method == Reloaded || m.Method == Exchanged {
			count[shortened(m.Why)]++
		}
	}
	return count
}

func shortened(reason string) string {
	if letters := []rune(reason); len(letters) > whyLength {
		return fmt.Sprintf("%s…", string(letters[:whyLength]))
	}
	return reason
}
