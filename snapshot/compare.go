package snapshot

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/snapfile"
	"github.com/groundhogdb/groundhog/internal/track"
)

// compareDatabase finds what was changed in the database.
func compareDatabase(ctx context.Context, d *database, cfg *changesConfig) (ChangeSet, error) {
	var set ChangeSet
	err := operation{db: d, cfg: &cfg.settings}.read(ctx, func(se *session) error {
		err := reading(ctx, d, se.conn, func(searchPath string) (err error) {
			c := comparer{db: d, cfg: cfg, se: se, base: d.baselineFile(), searchPath: searchPath}
			set, err = c.compare(ctx)
			return err
		})
		return blame(ctx, d, &cfg.settings, err)
	})
	return set, cfg.explain(err, msg.CantTellChanges)
}

// comparer finds what was changed, over one session.
type comparer struct {
	db   *database
	cfg  *changesConfig
	se   *session
	base *snapshotFile // nil: unknown
	tx   pgx.Tx
	set  ChangeSet

	searchPath string // under which tables are read
}

func (c *comparer) compare(ctx context.Context) (ChangeSet, error) {
	// A restore that runs would empty journals under our eyes, whatever we see.
	done, err := blockRestores(ctx, c.se.conn)
	if err != nil {
		return ChangeSet{}, err
	}
	defer done()
	// One moment for all tables and their journals. Its temporary tables go with it.
	if c.tx, err = c.se.conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}); err != nil {
		return ChangeSet{}, err
	}
	defer c.tx.Rollback(ctx)
	if err := catalog.SetLocal(ctx, c.tx, compareSettings); err != nil {
		return ChangeSet{}, err
	}
	var token *string
	if c.base != nil {
		c.set.Snapshot, token = c.base.name, &c.base.sum
	}
	out := track.Outcome{Unusable: track.NoPrivileges}
	if c.se.tracks {
		if out, err = track.Written(ctx, c.tx, token, c.se.serverID); err != nil {
			return ChangeSet{}, err
		}
	}
	switch {
	case out.Unusable == "":
		err = c.byJournal(ctx, out.Tables)
	case c.base == nil:
		err = errs.New(ErrNotFound, msg.NoBaseline.In(c.cfg.lang, out.Unusable.Because().Text(c.cfg.lang)), nil)
	default:
		c.db.notices.note(ctx, c.cfg.logger, c.cfg.lang, slog.LevelInfo, msg.ChangesByFile, string(out.Unusable), "snapshot", c.base.name, "why", out.Unusable.Because().Text(c.cfg.lang))
		err = c.byFile(ctx, nil, out.Unusable.Because())
	}
	slices.SortFunc(c.set.Tables, func(a, b TableChanges) int { return strings.Compare(a.Table, b.Table) })
	return c.set, err
}

// byJournal tells of the tables that were written to.
func (c *comparer) byJournal(ctx context.Context, written []track.Table) error {
	var names []schema.Name
	for _, t := range written {
		names = append(names, t.Name)
	}
	if len(names) == 0 {
		return nil
	}
	relations, err := c.relations(ctx, names)
	if err != nil {
		return err
	}
	rest := map[schema.Name]track.Table{}
	for _, t := range written {
		if !t.Reload.IsZero() {
			rest[t.Name] = t
			continue
		}
		r := relations[t.Name]
		var columns []string
		for _, a := range r.Columns {
			if a.Generated != "v" {
				columns = append(columns, a.Name)
			}
		}
		ok, err := c.add(ctx, TableChanges{}, track.Comparison{Table: r, Columns: columns})
		if err != nil {
			return err
		}
		if !ok {
			t.Reload = track.Undecided.Because()
			rest[t.Name] = t
		}
	}
	if len(rest) == 0 {
		return nil
	}
	return c.byFile(ctx, rest, track.Cause{})
}

func (c *comparer) relations(ctx context.Context, names []schema.Name) (map[schema.Name]catalog.TrackedTable, error) {
	found, err := catalog.TrackedTables(ctx, c.tx, names)
	out := map[schema.Name]catalog.TrackedTable{}
	for _, r := range found {
		out[r.Name] = r
	}
	return out, err
}

// add compares a table and adds what it finds to a note. It reports whether that is
// certain.
func (c *comparer) add(ctx context.Context, t TableChanges, what track.Comparison) (ok bool, err error) {
	name := what.Table.Name
	all := len(what.Columns)
	what.Columns = slices.DeleteFunc(what.Columns, func(column string) bool { return ignores(c.cfg.ignored, name, column) })
	if all > 0 && len(what.Columns) == 0 {
		return true, nil
	}
	what.Limit = c.cfg.limit
	if c.searchPath != catalogOnly {
		if err := c.setPath(ctx); err != nil {
			return false, err
		}
		if what.Qualify, err = catalog.HoldsNames(ctx, c.tx, name); err != nil {
			return false, err
		}
	}
	found, err := track.Compare(ctx, c.tx, what)
	if err != nil || found.Undecided {
		return false, ofTable(name, err)
	}
	t.Table, t.name = name.String(), name
	t.inserted, t.updated, t.deleted = found.Inserted, found.Updated, found.Deleted
	var key []string
	for _, a := range what.Table.Columns {
		if a.Equal != "" && slices.Contains(what.Columns, a.Name) {
			key = append(key, a.Name)
		}
	}
	for _, p := range found.Pairs {
		t.Rows = append(t.Rows, changeOf(p, found.Fields, key))
	}
	if len(t.Rows) > 0 || t.Note != "" {
		c.set.Tables = append(c.set.Tables, t)
	}
	return true, nil
}

// setPath gives the transaction the search path under which tables are read.
func (c *comparer) setPath(ctx context.Context) error {
	_, err := c.tx.Exec(ctx, localPath(c.searchPath))
	return err
}

func changeOf(p track.Pair, fields []pgconn.FieldDescription, key []string) RowChange {
	change := RowChange{Op: Update, key: key}
	if p.Old != nil {
		change.Old = Row{fields: fields, values: p.Old}
	} else {
		change.Op = Insert
	}
	if p.New != nil {
		change.New = Row{fields: fields, values: p.New}
	} else {
		change.Op = Delete
	}
	if change.Op != Update {
		return change
	}
	for i, f := range fields {
		if (p.Old[i] == nil) != (p.New[i] == nil) || !bytes.Equal(p.Old[i], p.New[i]) {
			change.Columns = append(change.Columns, f.Name)
		}
	}
	return change
}

// byFile compares tables with the snapshot's file: those that are given, else all of
// them, for a reason.
func (c *comparer) byFile(ctx context.Context, only map[schema.Name]track.Table, why track.Cause) error {
	if c.base == nil || c.cfg.most > 0 && c.base.info.Rows > c.cfg.most {
		return c.count(ctx, only, why)
	}
	sum := c.base.sum
	if err := c.base.open(&c.cfg.settings); err != nil {
		return err
	}
	defer c.base.close()
	if c.base.sum != sum {
		return errs.New(ErrNotFound, msg.NoBaseline.In(c.cfg.lang, msg.FileReplaced.In(c.cfg.lang, c.base.path)), nil)
	}
	m := &c.base.manifest
	l := newLoader(&transaction{db: c.db, se: c.se, tx: c.tx, privileges: c.se.privileges}, &c.cfg.settings)
	if err := l.read(ctx, m.Scope, false); err != nil {
		return err
	}
	l.remember(m)
	if err := catalog.SetLocal(ctx, c.tx, writeSettings); err != nil {
		return err
	}
	l.meter = c.cfg.meter(msg.ProgressComparing.In(c.cfg.lang, c.base.name), c.base.info.Rows)
	defer l.meter.Done()
	if err := c.liveTables(ctx, l, only); err != nil {
		return err
	}
	if only == nil {
		c.tellDropped(l, m)
	}
	return nil
}

// liveTables compares the tables that are there with the file: those that are given, else
// all of them. Those that hide rows come last, since they are altered.
func (c *comparer) liveTables(ctx context.Context, l *loader, only map[schema.Name]track.Table) error {
	var names []schema.Name
	for _, t := range l.sel.Tables {
		names = append(names, t.Name)
	}
	if err := l.exec(ctx, "SET LOCAL search_path = pg_catalog"); err != nil {
		return err
	}
	relations, err := c.relations(ctx, names)
	if err != nil {
		return err
	}
	r := l.reactions
	if r.undisabled, _, err = catalog.EventTriggers(ctx, c.tx); err == nil && len(r.undisabled) > 0 {
		r.before, err = catalog.XactWrites(ctx, c.tx, names, c.cfg.lang)
	}
	if err != nil {
		return err
	}
	plan := planner{l.layout}.plan(c.base.reader)
	plan = slices.Concat(slices.DeleteFunc(slices.Clone(plan), func(s loadStep) bool { return s.table.Secured }), slices.DeleteFunc(plan, func(s loadStep) bool { return !s.table.Secured }))
	for n, s := range plan {
		name := s.table.Name
		if _, ok := only[name]; only != nil && !ok {
			continue
		}
		if s.how != byMerge {
			s.where = ""
		}
		if s.table.Secured {
			if err := liftRowSecurity(ctx, &c.cfg.settings, c.tx, []catalog.Table{s.table}, c.se.privileges.Role); err != nil {
				return err
			}
		}
		if err := c.withFile(ctx, l, n, s, relations[name]); err != nil {
			return err
		}
	}
	return nil
}

// tellDropped tells of the tables of the file that are not there any more.
func (c *comparer) tellDropped(l *loader, m *snapfile.Manifest) {
	live := map[schema.Name]bool{}
	for _, t := range l.sel.Tables {
		live[t.Name] = true
	}
	for _, t := range m.Tables {
		saved := l.saved[t.Name]
		ignored := len(saved) > 0
		for column := range saved {
			ignored = ignored && ignores(c.cfg.ignored, t.Name, column)
		}
		if !live[t.Name] && !ignored {
			c.set.Tables = append(c.set.Tables, TableChanges{Table: t.Name.String(), name: t.Name, Note: msg.TableDropped.In(c.cfg.lang), Before: t.Rows})
		}
	}
}

// withFile compares a table with its part of the file.
func (c *comparer) withFile(ctx context.Context, l *loader, n int, s loadStep, r catalog.TrackedTable) error {
	if err := c.setPath(ctx); err != nil {
		return err
	}
	if err := (merger{l.copier}).stage(ctx, n, s); err != nil {
		return ofTable(s.table.Name, err)
	}
	s, err := l.reactions.ofOthers(ctx, s)
	if err != nil {
		return err
	}
	var t TableChanges
	types, saved := l.types[s.table.Name], l.saved[s.table.Name]
	switch {
	case saved == nil:
		t.Note, saved = msg.TableNew.In(c.cfg.lang), types
	case !maps.Equal(types, saved):
		t.Note = msg.TableAltered.In(c.cfg.lang)
	}
	var columns []string
	for _, a := range r.Columns {
		if types[a.Name] != "" && types[a.Name] == saved[a.Name] {
			columns = append(columns, a.Name)
		}
	}
	keyless := slices.ContainsFunc(r.Columns, func(a catalog.TrackedColumn) bool { return a.Equal != "" && !slices.Contains(columns, a.Name) })
	for i := range r.Columns {
		if keyless { // since the file does not have all of the key
			r.Columns[i].Equal = ""
		}
	}
	_, err = c.add(ctx, t, track.Comparison{Table: r, Columns: columns, With: staged(n), Where: s.where})
	return err
}

// count tells of tables by the number of their rows.
func (c *comparer) count(ctx context.Context, only map[schema.Name]track.Table, why track.Cause) error {
	if only == nil {
		c.set.Tables = append(c.set.Tables, TableChanges{Note: why.Text(c.cfg.lang)})
		return nil
	}
	for _, w := range only {
		t := TableChanges{Table: w.Name.String(), name: w.Name, Note: w.Reload.Text(c.cfg.lang), Before: w.Rows}
		if err := c.setPath(ctx); err != nil {
			return err
		}
		if err := c.tx.QueryRow(ctx, "SELECT pg_catalog.count(*) FROM "+catalog.Ident(w.Name)).Scan(&t.After); err != nil {
			return ofTable(w.Name, err)
		}
		c.set.Tables = append(c.set.Tables, t)
	}
	return nil
}

// ignores reports whether one of the patterns leaves a column out; see [Ignoring].
func ignores(patterns []string, table schema.Name, column string) bool {
	told := schema.Told(column)
	names := []string{column, table.Name + "." + column, table.Plain() + "." + column, told, schema.Told(table.Name) + "." + told, table.String() + "." + told}
	whole := []string{table.Schema, table.Name, column}
	return slices.ContainsFunc(patterns, func(p string) bool {
		if slices.Contains(names, p) { // also with dots in it
			return true
		}
		parts := strings.Split(p, ".")
		if len(parts) > len(whole) {
			return false
		}
		for i, subject := range whole[len(whole)-len(parts):] {
			if !matchesName(parts[i], subject) {
				return false
			}
		}
		return true
	})
}
