package snapshot

import (
	"context"
	"log/slog"
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
