package snapshot

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/option"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/snapfile"
)

// checkedScope returns a scope in the one order in which scopes are compared. What
// can't be meant is a fault.
func checkedScope(s snapfile.Scope, faults *option.Faults) snapfile.Scope {
	if s.Rows != "" && strings.TrimSpace(s.Rows) == "" {
		faults.Add(msg.ScopeEmpty, "Rows")
	}
	for i, r := range s.RowsOf {
		if strings.TrimSpace(r.Table) == "" || strings.TrimSpace(r.Predicate) == "" {
			faults.Add(msg.ScopeEmpty, "RowsOf")
		} else if slices.ContainsFunc(s.RowsOf[:i], func(o snapfile.RowsOf) bool { return o.Table == r.Table }) {
			faults.Add(msg.ScopeTwice, r.Table)
		}
	}
	check := func(option string, patterns []string) {
		for _, p := range patterns {
			if strings.TrimSpace(p) == "" {
				faults.Add(msg.ScopeEmpty, option)
			} else if _, err := path.Match(p, ""); err != nil {
				faults.AddCause(err, msg.ScopePattern, option, p)
			}
		}
	}
	check("Tables", s.Tables)
	check("Exclude", s.Exclude)
	s.Tables, s.Exclude, s.RowsOf = slices.Clone(s.Tables), slices.Clone(s.Exclude), slices.Clone(s.RowsOf)
	slices.Sort(s.Tables)
	slices.Sort(s.Exclude)
	slices.SortFunc(s.RowsOf, func(a, b snapfile.RowsOf) int { return cmp.Compare(a.Table, b.Table) })
	return s
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
		return matchesName(pattern, n.Name)
	case strings.Contains(pattern, `"`):
		return matchesName(pattern, n.String())
	}
	return matchesName(pattern, n.Plain())
}

// matchesName reports whether a name matches a pattern of [path.Match]. A slash is a
// letter like others in a name, but not to path.Match. A bad pattern was refused.
func matchesName(pattern, name string) bool {
	ok, _ := path.Match(strings.ReplaceAll(pattern, "/", "\x00"), strings.ReplaceAll(name, "/", "\x00"))
	return ok
}

func matchesAny(patterns []string, n schema.Name) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, n) })
}
