package snapshot

import (
	"context"
	"log/slog"
	"sync"

	"github.com/groundhogdb/groundhog/internal/msg"
)

// notices are the reasons that were told for which something of a database takes
// longer, or is left out.
type notices struct {
	mu   sync.Mutex
	told map[notice]bool
}

type notice struct {
	text   msg.Text
	reason string // in no language
}

// note tells a reason once. One that no logger shows is told to the next.
func (n *notices) note(ctx context.Context, logger *slog.Logger, lang msg.Lang, level slog.Level, text msg.Text, reason string, args ...any) {
	if n.untold(ctx, logger, level, text, reason) && n.first(notice{text, reason}) {
		logger.Log(ctx, level, text.In(lang), args...)
	}
}

// untold reports whether note would tell it.
func (n *notices) untold(ctx context.Context, logger *slog.Logger, level slog.Level, text msg.Text, reason string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.told[notice{text, reason}] && logger.Enabled(ctx, level)
}

func (n *notices) first(one notice) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.told == nil {
		n.told = map[notice]bool{}
	}
	was := n.told[one]
	n.told[one] = true
	return !was
}
