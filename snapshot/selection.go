package snapshot

import (
	"cmp"
	"slices"
	"strings"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/snapfile"
	"github.com/groundhogdb/groundhog/internal/track"
)

// selection is a catalog reduced to a scope.
type selection struct {
	*catalog.Catalog
	scoped    bool                   // it is not the whole database
	where     map[schema.Name]string // the condition on the rows in scope; none: all rows
	partly    map[schema.Name]bool   // the file may hold some of the table's rows only
	others    []catalog.Table        // those that are left alone
	unchanged map[schema.Name]bool   // of these, those that are as the snapshot has them
}

// wholeOf is the selection of a whole database: all rows, but for those that are an
// extension's.
func wholeOf(cat *catalog.Catalog) *selection {
	own := *cat
	out := &selection{Catalog: &own, where: map[schema.Name]string{}, partly: map[schema.Name]bool{}, others: slices.Concat(cat.RowsOutside, cat.Others)}
	for _, t := range cat.Tables {
		if t.Condition != "" {
			out.where[t.Name], out.partly[t.Name] = t.Condition, true
		}
	}
	return out
}

// outside lists for a file what is outside.
func (s *selection) outside() (out []snapfile.Outside) {
	for _, o := range s.Outside {
		out = append(out, snapfile.Outside{Name: o.Name, Kind: o.Kind, Why: o.Why, Extension: o.Extension})
	}
	return out
}

// sequences are those whose state is saved.
func (s *selection) sequences() (names []schema.Name) {
	for _, q := range s.Sequences {
		names = append(names, q.Name)
	}
	return names
}

// leaveUnchanged notes tables that are left alone since they are as the snapshot has them.
func (s *selection) leaveUnchanged(tables []catalog.Table) {
	s.unchanged = map[schema.Name]bool{}
	for _, t := range tables {
		s.unchanged[t.Name] = true
	}
}

// baseline is what is to be tracked: all tables whose rows are part of the snapshot.
func (s *selection) baseline() track.Baseline {
	b := track.Baseline{CacheResets: map[schema.Name]catalog.CacheReset{}, Native: map[schema.Name]bool{}, RowTriggersOnly: s.Native}
	in, only := map[schema.Name]bool{}, map[schema.Name]string{}
	for _, t := range slices.Concat(s.Tables, s.others) {
		only[t.Name] = t.Only()
	}
	for _, t := range s.Tables {
		in[t.Name] = true
		if t.Native {
			b.Native[t.Name] = true
		}
		if p := t.CacheReset(); len(p.Statements) > 0 {
			b.CacheResets[t.Name] = p
		}
	}
	root := rootsOf(s.Schema)
	for _, t := range s.Schema.Tables {
		if in[root(t.Name)] {
			b.Tables = append(b.Tables, t.Name)
		}
	}
	for _, t := range slices.Concat(s.Tables, s.others) {
		for _, fk := range t.ForeignKeys {
			if in[t.Name] != in[fk.References] && fk.Validated {
				b.OutsideKeys = append(b.OutsideKeys, track.OutsideKey{ForeignKey: fk, Child: cmp.Or(only[fk.Table], catalog.Ident(fk.Table)), Target: cmp.Or(only[fk.Target], catalog.Ident(fk.Target))})
			}
		}
	}
	return b
}

// lockSQL is the statement that keeps the tables as they are until the end of the
// transaction: what a TRUNCATE or an ALTER TABLE does, all transactions see.
func (s *selection) lockSQL(wait string) []string {
	if len(s.Tables) == 0 {
		return nil
	}
	names := make([]string, len(s.Tables))
	for i, t := range s.Tables {
		names[i] = t.Only()
	}
	return []string{"LOCK TABLE " + strings.Join(names, ", ") + " IN ACCESS SHARE MODE" + wait}
}

// secured lists the tables of which row level security hides rows from us.
func (s *selection) secured() (tables []catalog.Table) {
	for _, t := range s.Tables {
		if t.Secured {
			tables = append(tables, t)
		}
	}
	return tables
}

// rootsOf returns what tells of a table the one whose partition it is in the end.
func rootsOf(s schema.Schema) func(schema.Name) schema.Name {
	parent := map[schema.Name]*schema.Name{}
	for _, t := range s.Tables {
		parent[t.Name] = t.PartitionOf
	}
	return func(n schema.Name) schema.Name {
		for parent[n] != nil {
			n = *parent[n]
		}
		return n
	}
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
