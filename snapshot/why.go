package snapshot

import (
	"strings"

	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/track"
)

// Reasons to load all tables that package track does not know.
const (
	whyScope  = "scope"
	whyPowers = "powers"
	whyMost   = "most"
)

func whyReloaded(why string, lang msg.Lang) string {
	if said, ok := strings.CutPrefix(why, track.Refused); ok {
		return msg.WhyRefused.In(lang, schema.Line(said))
	}
	text, ok := msg.WhyReloaded[why]
	if !ok {
		return why
	}
	return text.In(lang)
}

func whyUntracked(why string, lang msg.Lang) string {
	if text, ok := msg.WhyUntracked[why]; ok {
		return text.In(lang)
	}
	return whyReloaded(why, lang)
}
