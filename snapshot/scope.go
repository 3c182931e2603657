package snapshot

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/snapfile"
)

// ScopeOption says which rows a snapshot is about. All others are neither saved
// nor changed by a restore. The scope is kept in the file, so [Restore] needs no
// such option. Given to [NewStore], it holds for all calls; those of a call are
// added to it.
//
// A row whose key is in the snapshot belongs to it, whatever its flag says by the
// time of the restore, and is put back. Foreign keys between rows in the scope
// and others are checked before the restore is committed; those that would point
// nowhere make it fail. Sequences go to the saved value, or past the highest
// value that the other rows use.
type ScopeOption interface {
	StoreOption
	CreateOption
	EnsureOption
	CleanOption
}

type scopeOption func(*snapfile.Scope)

func (o scopeOption) store(c *storeConfig)   { o(&c.scope) }
func (o scopeOption) create(c *createConfig) { o(&c.scope) }
func (o scopeOption) ensure(c *ensureConfig) { o(&c.scope) }
func (o scopeOption) clean(c *cleanConfig)   { o(&c.scope) }

// Rows limits a snapshot to the rows whose boolean column is true. Tables without
// that column are left alone, unless [RowsOf] names them.
func Rows(column string) ScopeOption {
	return scopeOption(func(s *snapfile.Scope) { s.Rows = cmp.Or(column, " ") })
}

// RowsOf limits a snapshot to the rows of a table for which predicate, a boolean
// SQL expression on its columns, is true. The search path is empty while it is
// evaluated: a function or another table in it must be qualified. Names inside the
// bodies of its functions resolve as in the database's own sessions. It must not
// come from anybody but the author of the tests. table is written as in
// [Tables], without wildcards.
func RowsOf(table, predicate string) ScopeOption {
	return scopeOption(func(s *snapfile.Scope) {
		s.RowsOf = append(slices.Clone(s.RowsOf), snapfile.RowsOf{Table: table, Predicate: predicate})
	})
}

// Tables limits a snapshot to the tables that match one of the patterns, which
// are those of [path.Match]. A pattern with a dot is matched against the
// qualified name ("app.*"), one without against the name in any schema
// ("office*"). Where a part of the name holds a dot or a quote itself, the pattern may
// have it in double quotes, as Info and Changes do (`"v1.0".users`). The partitions of a table go with it. A table that one of them
// references must be among them, and each pattern must match a table.
func Tables(patterns ...string) ScopeOption {
	return scopeOption(func(s *snapfile.Scope) { s.Tables = slices.Concat(s.Tables, orBlank(patterns)) })
}

// Exclude leaves the tables that match one of the patterns out of a snapshot; see
// [Tables]. A table that another one references can't be excluded without that.
func Exclude(patterns ...string) ScopeOption {
	return scopeOption(func(s *snapfile.Scope) { s.Exclude = slices.Concat(s.Exclude, orBlank(patterns)) })
}

// orBlank makes a missing argument one that checkScope refuses.
func orBlank(patterns []string) []string {
	if len(patterns) == 0 {
		return []string{""}
	}
	return patterns
}

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

// scoped returns the scope, or nil when it is the whole database.
func (c *storeConfig) scoped() *snapfile.Scope {
	if s := c.scope; s.Rows == "" && len(s.RowsOf)+len(s.Tables)+len(s.Exclude) == 0 {
		return nil
	}
	return &c.scope
}

func sameScope(a, b *snapfile.Scope) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Rows == b.Rows && slices.Equal(a.RowsOf, b.RowsOf) && slices.Equal(a.Tables, b.Tables) && slices.Equal(a.Exclude, b.Exclude)
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

// selection is a catalog reduced to a scope.
type selection struct {
	*catalog.Catalog
	scoped bool                   // it is not the whole database
	where  map[schema.Name]string // the condition on the rows in scope; none: all rows
	partly map[schema.Name]bool   // the file may hold some of the table's rows only
	others []catalog.Table        // those that are left alone
	asis   map[schema.Name]bool   // of these, those that are as the snapshot has them
}

// within reduces a catalog to a scope; nil is the whole. With strict a scope that
// names what is not there is refused; without, the scope is an earlier one, and
// what has changed since is a difference between schemas.
func within(cat *catalog.Catalog, s *snapfile.Scope, strict bool, lang msg.Lang) (*selection, error) {
	if s == nil {
		return wholeOf(cat), nil
	}
	chooser := chooser{cat: cat, scope: s, strict: strict, lang: lang, kept: map[schema.Name]bool{}, dropped: map[schema.Name]bool{}, where: map[schema.Name]string{}}
	for _, step := range []func() error{chooser.patterns, chooser.rows, chooser.references} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return chooser.reduce(), nil
}

type chooser struct {
	cat     *catalog.Catalog
	scope   *snapfile.Scope
	strict  bool
	lang    msg.Lang
	kept    map[schema.Name]bool
	dropped map[schema.Name]bool // by a pattern
	where   map[schema.Name]string
}

// tables are all that a pattern may name.
func (c *chooser) tables() []catalog.Table { return slices.Concat(c.cat.Tables, c.cat.RowsOutside) }

func (c *chooser) names() string {
	var names []string
	for _, t := range c.tables() {
		names = append(names, t.Name.String())
	}
	return cmp.Or(strings.Join(names, ", "), "-")
}

func (c *chooser) patterns() error {
	for _, p := range slices.Concat(c.scope.Tables, c.scope.Exclude) {
		found := slices.ContainsFunc(c.tables(), func(t catalog.Table) bool { return matches(p, t.Name) })
		if !found && c.strict {
			return errs.New(ErrInvalidArgument, msg.ScopeNoTable.In(c.lang, p, c.names()), nil)
		}
	}
	for _, t := range c.tables() {
		if len(c.scope.Tables) > 0 && !matchesAny(c.scope.Tables, t.Name) || matchesAny(c.scope.Exclude, t.Name) {
			c.dropped[t.Name] = true
		} else {
			c.kept[t.Name] = true
			if t.Condition != "" {
				c.where[t.Name] = t.Condition
			}
		}
	}
	return nil
}

func (c *chooser) rows() error {
	for _, r := range c.scope.RowsOf {
		var found []schema.Name
		for _, t := range c.tables() {
			if c.kept[t.Name] && (t.Name.Is(r.Table) || r.Table == t.Name.Name) {
				found = append(found, t.Name)
			}
		}
		if len(found) == 0 && c.strict {
			return errs.New(ErrInvalidArgument, msg.ScopeNoTable.In(c.lang, r.Table, c.names()), nil)
		}
		for _, name := range found {
			c.where[name] = "(" + r.Predicate + "\n) IS TRUE" // the newline ends a comment in it
		}
	}
	if c.scope.Rows == "" {
		return nil
	}
	named := func(n schema.Name) bool {
		return slices.ContainsFunc(c.scope.RowsOf, func(r snapfile.RowsOf) bool { return r.Table == n.String() || r.Table == n.Name })
	}
	flagged := 0
	for _, t := range c.cat.Schema.Tables {
		if !c.kept[t.Name] || named(t.Name) {
			continue
		}
		i := slices.IndexFunc(t.Columns, func(col schema.Column) bool { return col.Name == c.scope.Rows })
		switch {
		case i < 0:
			delete(c.kept, t.Name)
			delete(c.where, t.Name)
		case t.Columns[i].Type != "boolean":
			return errs.New(ErrInvalidArgument, msg.ScopeNotBoolean.In(c.lang, t.Name.String(), t.Columns[i].Name, t.Columns[i].Type), nil)
		default:
			flagged++
			where := identifiers([]string{c.scope.Rows}) + " IS TRUE"
			if c.where[t.Name] != "" {
				where += " AND " + c.where[t.Name]
			}
			c.where[t.Name] = where
		}
	}
	if flagged == 0 && c.strict {
		return errs.New(ErrInvalidArgument, msg.ScopeNoColumn.In(c.lang, c.scope.Rows, c.names()), nil)
	}
	return nil
}

// references refuses to leave out a table that one in the scope references: the
// snapshot alone could not bring that one back. An extension's table has rows that are
// no test's, and is checked when all is loaded.
func (c *chooser) references() error {
	if !c.strict {
		return nil
	}
	extension := map[schema.Name]bool{}
	for _, t := range c.tables() {
		extension[t.Name] = t.Extension != ""
	}
	for _, t := range c.cat.Tables {
		for _, fk := range t.ForeignKeys {
			if c.kept[t.Name] && c.dropped[fk.References] && !extension[fk.References] {
				return errs.New(ErrInvalidArgument, msg.ScopeReferenced.In(c.lang, fk.References.String(), t.Name.String(), fk.Name), nil)
			}
		}
	}
	return nil
}

func (c *chooser) reduce() *selection {
	out := &selection{Catalog: &catalog.Catalog{Migration: c.cat.Migration, Outside: c.cat.Outside}, scoped: true, where: c.where, partly: map[schema.Name]bool{}}
	for name := range c.where {
		out.partly[name] = true
	}
	for _, t := range c.cat.Tables {
		if c.kept[t.Name] {
			out.Tables = append(out.Tables, t)
		} else {
			out.others = append(out.others, t)
		}
	}
	for _, t := range c.cat.RowsOutside {
		if c.kept[t.Name] {
			out.RowsOutside = append(out.RowsOutside, t)
		}
	}
	out.others = slices.Concat(out.others, c.cat.RowsOutside, c.cat.Others)
	root := rootsOf(c.cat.Schema)
	for _, t := range c.cat.Schema.Tables {
		if c.kept[root(t.Name)] {
			out.Schema.Tables = append(out.Schema.Tables, t)
		}
	}
	out.Schema.Types = c.cat.Schema.Types
	for _, s := range c.cat.Sequences {
		used := slices.ContainsFunc(s.Users, func(u catalog.Column) bool { return c.kept[u.Root] })
		if used || len(s.Users) == 0 && len(c.scope.Tables) == 0 && c.scope.Rows == "" {
			out.Sequences = append(out.Sequences, s)
			out.Schema.Sequences = append(out.Schema.Sequences, s.Name)
		}
	}
	return out
}
