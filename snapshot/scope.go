package snapshot

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/snapfile"
)

// checkScope refuses a scope that can't be meant, and puts it in the one order in
// which scopes are compared.
func (c *storeConfig) checkScope() error {
	s := &c.scope
	if s.Rows != "" && strings.TrimSpace(s.Rows) == "" {
		return errs.New(ErrInvalidArgument, msg.ScopeEmpty.In(c.lang, "Rows"), nil)
	}
	for i, r := range s.RowsOf {
		if strings.TrimSpace(r.Table) == "" || strings.TrimSpace(r.Predicate) == "" {
			return errs.New(ErrInvalidArgument, msg.ScopeEmpty.In(c.lang, "RowsOf"), nil)
		}
		if slices.ContainsFunc(s.RowsOf[:i], func(o snapfile.RowsOf) bool { return o.Table == r.Table }) {
			return errs.New(ErrInvalidArgument, msg.ScopeTwice.In(c.lang, r.Table), nil)
		}
	}
	for option, patterns := range map[string][]string{"Tables": s.Tables, "Exclude": s.Exclude} {
		for _, p := range patterns {
			if strings.TrimSpace(p) == "" {
				return errs.New(ErrInvalidArgument, msg.ScopeEmpty.In(c.lang, option), nil)
			}
			if _, err := path.Match(p, ""); err != nil {
				return errs.New(ErrInvalidArgument, msg.ScopePattern.In(c.lang, option, p), err)
			}
		}
	}
	s.Tables, s.Exclude, s.RowsOf = slices.Clone(s.Tables), slices.Clone(s.Exclude), slices.Clone(s.RowsOf)
	slices.Sort(s.Tables)
	slices.Sort(s.Exclude)
	slices.SortFunc(s.RowsOf, func(a, b snapfile.RowsOf) int { return cmp.Compare(a.Table, b.Table) })
	return nil
}

func sameScope(a, b *snapfile.Scope) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Rows == b.Rows && slices.Equal(a.RowsOf, b.RowsOf) && slices.Equal(a.Tables, b.Tables) && slices.Equal(a.Exclude, b.Exclude)
}

// scopeText writes a scope as the options that make it.
func scopeText(s *snapfile.Scope) string {
	if s == nil {
		return ""
	}
	var out []string
	if s.Rows != "" {
		out = append(out, fmt.Sprintf("Rows(%q)", s.Rows))
	}
	for _, r := range s.RowsOf {
		out = append(out, fmt.Sprintf("RowsOf(%q, %q)", r.Table, r.Predicate))
	}
	list := func(option string, patterns []string) {
		if len(patterns) > 0 {
			out = append(out, fmt.Sprintf("%s(%q)", option, patterns))
		}
	}
	list("Tables", s.Tables)
	list("Exclude", s.Exclude)
	return strings.Join(out, ", ")
}

func matches(pattern string, n schema.Name) bool {
	switch {
	case n.Is(pattern):
		return true
	case !strings.Contains(pattern, "."):
		return like(pattern, n.Name)
	case strings.Contains(pattern, `"`):
		return like(pattern, n.String())
	}
	return like(pattern, n.Plain())
}

// like is [path.Match], to which a slash is no letter like others, for names, to which
// it is. A bad pattern was refused.
func like(pattern, name string) bool {
	ok, _ := path.Match(strings.ReplaceAll(pattern, "/", "\x00"), strings.ReplaceAll(name, "/", "\x00"))
	return ok
}

func matchesAny(patterns []string, n schema.Name) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, n) })
}
