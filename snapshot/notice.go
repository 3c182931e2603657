package snapshot

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"weak"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/testdb"
)

// notice is a reason for which something of a database takes longer, or is left out.
type notice struct {
	database weak.Pointer[pgxpool.Pool]
	text     msg.Text
	reason   string // in no language
}

// noticed are those that a logger showed.
var noticed sync.Map // of notice to true

// note tells once for each database and reason that something takes longer, or is left
// out. One that no logger shows is told to the next.
func (s *Store) note(ctx context.Context, c *storeConfig, level slog.Level, text msg.Text, reason string, args ...any) {
	noteOnce(ctx, c, notice{weak.Make(s.databases()), text, reason}, level, args...)
}

// untold reports whether note would tell it.
func (s *Store) untold(ctx context.Context, c *storeConfig, level slog.Level, text msg.Text, reason string) bool {
	_, was := noticed.Load(notice{weak.Make(s.databases()), text, reason})
	return !was && c.logger.Enabled(ctx, level)
}

func noteOnce(ctx context.Context, c *storeConfig, n notice, level slog.Level, args ...any) {
	if !c.logger.Enabled(ctx, level) {
		return
	}
	if _, was := noticed.LoadOrStore(n, true); !was {
		c.logger.Log(ctx, level, n.text.In(c.lang), args...)
	}
}

// databases is the pool that stands for the database and its clones: what is true of
// one is true of all.
func (s *Store) databases() *pgxpool.Pool {
	if s.of != nil {
		return s.of
	}
	if m := testdb.MakerOf(s.pool); m != nil {
		return m.Origin()
	}
	return s.pool
}

// routine is a line that tells what an operation did. One that is a step of another
// operation keeps it to itself; warnings and reasons it tells as any other.
func (c *storeConfig) routine(ctx context.Context, level slog.Level, text msg.Text, args ...any) {
	if !c.step {
		c.logger.Log(ctx, level, text.In(c.lang), args...)
	}
}

// Limits to the reasons in one line.
const (
	whyReasons = 3   // more are counted
	whyTables  = 3   // more are counted
	whyLength  = 160 // of one reason, in letters
)

// why sums up why tables were loaded: each reason with its tables.
func (r Restored) why(lang msg.Lang) string {
	var reasons []string
	tables := map[string][]string{}
	for _, w := range r.Ways {
		if w.Way != Reloaded {
			continue
		}
		if tables[w.Why] == nil {
			reasons = append(reasons, w.Why)
		}
		tables[w.Why] = append(tables[w.Why], w.Table)
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

// reasons counts the tables that were loaded by the reason.
func (r Restored) reasons() map[string]int {
	count := map[string]int{}
	for _, w := range r.Ways {
		if w.Way == Reloaded {
			count[shortened(w.Why)]++
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
