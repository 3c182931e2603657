package snapshot

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/snapfile"
)

// layout is what a load finds: the tables and sequences of the database that are in
// scope, what reacts to changes of them, and how they differ from those of the file.
type layout struct {
	*transaction
	cfg *settings

	sel         *selection
	types       map[schema.Name]map[string]string // of the columns that take values
	differences []string                          // between the file's schema and the database's
	saved       map[schema.Name]map[string]string // types of the file's columns, if there are differences
	views       []schema.Name                     // the materialised ones, those that others are made of first
	events      []catalog.Trigger                 // event triggers that would see what is done
	mayDisable  bool                              // the role may disable them
	published   published
}

// read reads the schema with names qualified, and puts the search path back for the
// functions that checks and generated columns may call.
func (l *layout) read(ctx context.Context, scope *snapfile.Scope, strict bool) error {
	if err := l.exec(ctx, "SET LOCAL search_path = pg_catalog"); err != nil {
		return err
	}
	cat, err := catalog.Read(ctx, l.tx, l.cfg.lang)
	if err != nil {
		return err
	}
	if l.sel, err = within(cat, scope, strict, l.cfg.lang); err != nil {
		return err
	}
	if l.published, err = readPublished(ctx, l.transaction, l.sel.Tables); err != nil {
		return err
	}
	if l.events, l.mayDisable, err = catalog.EventTriggers(ctx, l.tx); err != nil {
		return err
	}
	if l.views, err = catalog.MaterializedViews(ctx, l.tx); err != nil {
		return err
	}
	l.types = map[schema.Name]map[string]string{}
	for _, t := range l.sel.Schema.Tables {
		l.types[t.Name] = typesOf(t)
	}
	return l.exec(ctx, l.se.usersPath())
}

// typesOf returns the types of a table's columns that take values.
func typesOf(t schema.Table) map[string]string {
	types := map[string]string{}
	for _, c := range t.Columns {
		if c.Generated == "" {
			types[c.Name] = c.Type
		}
	}
	return types
}

// match reads the schema and compares it with that of a file.
func (l *layout) match(ctx context.Context, f *snapshotFile, cfg *restoreConfig) error {
	m := &f.manifest
	if err := l.read(ctx, m.Scope, false); err != nil {
		return err
	}
	if l.sel.Schema.Fingerprint() == m.Fingerprint {
		l.leaveOutside(ctx, f)
		return nil
	}
	l.remember(m)
	lang := l.cfg.lang
	var noPlace, noValue []string
	for _, d := range schema.Diff(m.Schema, l.sel.Schema, lang) {
		l.differences = append(l.differences, d.Text)
		switch d.Effect {
		case schema.NoPlace:
			noPlace = append(noPlace, d.Text)
		case schema.NoValue:
			noValue = append(noValue, d.Text)
		}
	}
	refuse := func(text msg.Text, differences []string) error {
		return errs.New(ErrSchemaMismatch, text.In(lang, f.name, "\n  "+strings.Join(differences, "\n  ")), nil)
	}
	if text := l.beforeExtensions(m); text != "" {
		l.differences = append(l.differences, text)
	}
	switch {
	case cfg.mismatch != Warn:
		return refuse(msg.SchemaMismatch, l.differences)
	case len(noValue) > 0:
		return refuse(msg.SchemaNoValue, noValue)
	case len(noPlace) > 0 && !cfg.skipMissing:
		return refuse(msg.SchemaNoPlace, noPlace)
	}
	l.cfg.logger.WarnContext(ctx, msg.SchemaDiffers.In(lang), "snapshot", f.name, "differences", strings.Join(l.differences, "; "))
	l.leaveOutside(ctx, f)
	return nil
}

// remember keeps the types of the file's columns.
func (l *layout) remember(m *snapfile.Manifest) {
	l.saved = map[schema.Name]map[string]string{}
	for _, t := range m.Schema.Tables {
		l.saved[t.Name] = typesOf(t)
	}
}

// fits reports whether the file's columns are the table's, so that its rows can be
// loaded as they are.
func (l *layout) fits(s loadStep) bool {
	if l.saved == nil || s.part == nil {
		return true
	}
	return !slices.ContainsFunc(s.part.Columns, func(c string) bool {
		return l.types[s.table.Name][c] != l.saved[s.table.Name][c]
	})
}

// narrow leaves all other tables alone.
func (l *layout) narrow(want func(schema.Name) bool) {
	rest := slices.DeleteFunc(slices.Clone(l.sel.Tables), func(t catalog.Table) bool { return want(t.Name) })
	l.sel.leaveUnchanged(rest)
	l.sel.others = slices.Concat(l.sel.others, rest)
	l.sel.Tables = slices.DeleteFunc(slices.Clone(l.sel.Tables), func(t catalog.Table) bool { return !want(t.Name) })
}

// leaveOutside leaves tables of extensions alone of which the file has no rows: the
// role that made it did not own them, or the extension was not there. And it says
// which rows of the file have no place, since this role does not own the table.
func (l *layout) leaveOutside(ctx context.Context, f *snapshotFile) {
	has, states := map[schema.Name]bool{}, map[schema.Name]bool{}
	var left []string
	for _, t := range f.manifest.Tables {
		has[t.Name] = true
		if t.Rows > 0 && slices.ContainsFunc(l.sel.RowsOutside, func(b catalog.Table) bool { return b.Name == t.Name }) {
			left = append(left, t.Name.String())
		}
	}
	if len(left) > 0 {
		l.cfg.logger.InfoContext(ctx, msg.OutsideNow.In(l.cfg.lang), "snapshot", f.name, "role", l.privileges.Role, "outside", firstOf(left))
	}
	for _, s := range f.manifest.Sequences {
		states[s.Name] = true
	}
	alone := func(t catalog.Table) bool { return t.Extension != "" && !has[t.Name] }
	for _, t := range l.sel.Tables {
		if alone(t) {
			l.sel.others = append(l.sel.others, t)
		}
	}
	l.sel.Tables = slices.DeleteFunc(slices.Clone(l.sel.Tables), alone)
	l.sel.Sequences = slices.DeleteFunc(slices.Clone(l.sel.Sequences), func(s catalog.Sequence) bool { return s.Extension != "" && !states[s.Name] })
}

// beforeExtensions returns a text if a file was made before the rows of extensions' tables
// were part of one, where that makes a difference.
func (l *layout) beforeExtensions(m *snapfile.Manifest) string {
	if m.Version >= snapfile.Extensions {
		return ""
	}
	for _, t := range slices.Concat(l.sel.Tables, l.sel.RowsOutside) {
		if _, saved := l.saved[t.Name]; t.Extension != "" && !saved {
			return msg.BeforeExtensions.In(l.cfg.lang, msg.Count(snapfile.Extensions))
		}
	}
	return ""
}

// leadsOutside reports whether a foreign key whose rows point nowhere does so since a table,
// or rows of an extension's, are no part of the snapshot. Else the scope is to blame.
func (l *layout) leadsOutside(fk catalog.ForeignKey) bool {
	return !l.sel.scoped || slices.ContainsFunc(l.sel.Outside, func(o catalog.Outside) bool { return o.Name == fk.Table || o.Name == fk.Target })
}

// mayChange refuses what the role may not do, before anything is tried.
func (l *layout) mayChange(ctx context.Context) error {
	for _, t := range l.sel.Tables {
		if t.Owned {
			continue
		}
		owner, err := catalog.OwnerNotInherited(ctx, l.tx, t.Name)
		switch {
		case err != nil:
			return err
		case owner != "":
			return errs.New(ErrPermission, msg.NotInheriting.In(l.cfg.lang, l.privileges.Role, owner, t.Name.String()), nil)
		}
		return errs.New(ErrPermission, msg.NotOwner.In(l.cfg.lang, l.privileges.Role, t.Name.String()), nil)
	}
	return nil
}

// lockTables waits for writers in flight, whose rows would else appear after the
// restore, and keeps new ones out. Readers are let through. Tables out of scope
// that share a foreign key with one in scope are locked too, so that what was
// checked holds until the end.
func (l *layout) lockTables(ctx context.Context) error {
	in := map[schema.Name]bool{}
	var names []string
	for _, t := range l.sel.Tables {
		in[t.Name] = true
		names = append(names, t.Only())
	}
	if len(names) == 0 {
		return nil
	}
	neighbours := map[schema.Name]bool{}
	for _, t := range slices.Concat(l.sel.Tables, l.sel.others) {
		for _, fk := range t.ForeignKeys {
			if in[t.Name] || in[fk.References] {
				neighbours[t.Name], neighbours[fk.References] = true, true
			}
		}
	}
	var others []string
	for _, t := range l.sel.others {
		if neighbours[t.Name] && t.Owned { // others may not lock it
			others = append(others, t.Only())
		}
	}
	sql := []string{"LOCK TABLE " + strings.Join(names, ", ") + " IN EXCLUSIVE MODE"}
	if len(others) > 0 {
		sql = append(sql, "LOCK TABLE "+strings.Join(others, ", ")+" IN SHARE MODE")
	}
	return l.exec(ctx, sql...)
}

// dropRedundantScopes finds the tables that hold no row but those in scope. They can be
// emptied as a whole, which takes half the time.
func (l *layout) dropRedundantScopes(ctx context.Context) error {
	var tables []schema.Name
	var sql []string
	for _, t := range l.sel.Tables {
		if where := l.sel.where[t.Name]; where != "" {
			tables = append(tables, t.Name)
			sql = append(sql, fmt.Sprintf("EXISTS (SELECT FROM %s WHERE NOT (%s))", t.Only(), where))
		}
	}
	if len(tables) == 0 {
		return nil
	}
	var others []bool
	err := l.underReadPaths(ctx, func() error { // as when the rows were saved
		return l.tx.QueryRow(ctx, "SELECT ARRAY["+strings.Join(sql, ", ")+"]").Scan(&others)
	})
	if err != nil {
		return err
	}
	for i, name := range tables {
		if !others[i] {
			delete(l.sel.where, name)
		}
	}
	return nil
}

// only quotes a table for a statement on its own rows; a partitioned one has none
// but those of its partitions.
func (l *layout) only(n schema.Name) string {
	for _, t := range slices.Concat(l.sel.Tables, l.sel.others) {
		if t.Name == n {
			return t.Only()
		}
	}
	return catalog.Ident(n) // a partition
}
