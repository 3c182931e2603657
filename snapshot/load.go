package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/progress"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/snapfile"
)

// loader replaces the content of a database, or what is in scope of it, inside
// one transaction.
type loader struct {
	ctx    context.Context
	store  *Store
	se     *session
	tx     pgx.Tx
	powers catalog.Privileges
	cfg    *restoreConfig
	meter  *progress.Meter

	sel         *selection
	types       map[schema.Name]map[string]string // of the columns that take values
	differences []string                          // between the file's schema and the database's
	saved       map[schema.Name]map[string]string // types of the file's columns, if there are differences
	views       []schema.Name                     // the materialised ones, those that others are made of first
	events      []catalog.Trigger                 // event triggers that would see what is done
	mayDisable  bool                              // the role may disable them
	loud        []catalog.Trigger                 // those that can't be disabled; see disturbed.go
	before      map[schema.Name]catalog.Writes    // the first statement that they see
	published   published
}

// readCatalog reads the schema with names qualified, and puts the search path
// back for the functions that checks and generated columns may call.
func (l *loader) readCatalog(scope *snapfile.Scope, strict bool) error {
	if err := l.exec("SET LOCAL search_path = pg_catalog"); err != nil {
		return err
	}
	cat, err := catalog.Read(l.ctx, l.tx, l.cfg.lang)
	if err != nil {
		return err
	}
	if l.sel, err = within(cat, scope, strict, l.cfg.lang); err != nil {
		return err
	}
	if err := l.readPublished(); err != nil {
		return err
	}
	if l.events, l.mayDisable, err = catalog.EventTriggers(l.ctx, l.tx); err != nil {
		return err
	}
	if l.views, err = catalog.MaterializedViews(l.ctx, l.tx); err != nil {
		return err
	}
	l.types = map[schema.Name]map[string]string{}
	for _, t := range l.sel.Schema.Tables {
		l.types[t.Name] = typesOf(t)
	}
	return l.exec(l.se.usersPath())
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

// how is the way in which a table's rows are replaced.
type how int

const (
	// byTruncate: TRUNCATE, COPY. Costs new files for the table and each index.
	byTruncate how = iota
	// byDelete: DELETE, COPY. Costs a mark on each row, and space that the load
	// does not reuse.
	byDelete
	// byMerge: only the rows in scope, through a temporary table.
	byMerge
)

// step is what is done to one table.
type step struct {
	table catalog.Table
	part  *snapfile.Table // nil: the table stays empty
	data  func() io.Reader
	how   how
	where string // the rows in scope; none: all

	after *written // what the transaction had written to it by then; see disturbed.go
}

// truncateFrom is the size of a table's heap from which TRUNCATE beats DELETE.
const truncateFrom = 256 << 10

// plan decides for each table, in load order, how its rows are replaced by those
// in the file; without a file, by none. This is the one place where the way is
// chosen.
func (l *loader) plan(r *snapfile.Reader) []step {
	truncate := l.truncatable()
	parts := map[schema.Name]int{}
	if r != nil {
		for i, t := range r.Manifest.Tables {
			parts[t.Name] = i
		}
	}
	steps := make([]step, len(l.sel.Tables))
	for n, t := range l.sel.Tables {
		s := step{table: t, where: l.sel.where[t.Name]}
		switch {
		case s.where != "":
			s.how = byMerge
		case truncate[t.Name]:
			s.how = byTruncate
		case l.powers.Replica:
			s.how = byDelete
		default: // a DELETE would cascade to rows that are not in scope
			s.how, s.where = byMerge, "true"
		}
		if i, ok := parts[t.Name]; ok {
			s.part = &r.Manifest.Tables[i]
			s.data = func() io.Reader { return r.Table(i) }
		}
		steps[n] = s
	}
	return steps
}

// truncatable tells the tables to truncate. TRUNCATE wants every table that
// references a truncated one to be truncated with it, even in replica role; so
// one that other rows reference can't be, and one that only small tables
// reference takes them along.
func (l *loader) truncatable() map[schema.Name]bool {
	can, want := map[schema.Name]bool{}, map[schema.Name]bool{}
	for _, t := range l.sel.Tables {
		can[t.Name] = l.sel.where[t.Name] == "" && !l.deaf(t)
	}
	// to carries what holds for a table over to those that it references, or the
	// other way round, until nothing changes.
	settle := func(visit func(from, to schema.Name) (changed bool)) {
		for again := true; again; {
			again = false
			for _, t := range slices.Concat(l.sel.Tables, l.sel.others) {
				for _, fk := range t.ForeignKeys {
					again = visit(t.Name, fk.References) || again
				}
			}
		}
	}
	settle(func(from, to schema.Name) bool {
		changed := can[to] && !can[from]
		if changed {
			can[to] = false
		}
		return changed
	})
	for _, t := range l.sel.Tables {
		want[t.Name] = can[t.Name] && (!l.powers.Replica || t.Bytes >= truncateFrom || l.published.refused[t.Name] != "")
	}
	settle(func(from, to schema.Name) bool {
		changed := want[to] && !want[from]
		if changed {
			want[from] = true
		}
		return changed
	})
	return want
}

// replace replaces what is in scope by the rows of the file, without one by none,
// and sets every sequence to what states tell of it, else to its start. Nobody
// else writes meanwhile. It returns what was done to each table.
func (l *loader) replace(r *snapfile.Reader, states []schema.Sequence) (plan []step, err error) {
	if _, err := l.wakeExtensions(false); err != nil {
		return nil, err
	}
	plan, err = l.replaceRows(r, func() error {
		if len(l.loud) > 0 { // they may yet take values
			return nil
		}
		return l.sequences(states, true)
	}, func() error { return l.refresh(l.views) })
	if err != nil {
		return nil, err
	}
	woken, err := l.wakeExtensions(true)
	if err == nil && (woken || len(l.loud) > 0) {
		err = l.sequences(states, len(l.loud) == 0)
	}
	return plan, err
}

// replaceRows replaces the rows alone, then does what else is to be done before
// triggers wake up again.
func (l *loader) replaceRows(r *snapfile.Reader, then ...func() error) (plan []step, err error) {
	if err := l.mayChange(); err != nil {
		return nil, err
	}
	if !l.powers.Replica {
		l.store.note(l.ctx, &l.cfg.storeConfig, slog.LevelInfo, msg.NotSuperuser, l.powers.Role, "role", l.powers.Role)
	}
	if err := l.lockTables(); err != nil {
		return nil, err
	}
	if l.powers.Replica {
		if err := l.exec("SET LOCAL session_replication_role = replica"); err != nil {
			return nil, err
		}
	}
	wake, err := l.silence()
	if err != nil {
		return nil, err
	}
	if err := l.widen(); err != nil {
		return nil, err
	}
	checked, err := l.deferForeignKeys()
	if err != nil {
		return nil, err
	}
	plan, back, err := l.planPublished(r)
	if err != nil {
		return nil, err
	}
	steps := slices.Concat([]func() error{func() error { return l.reload(plan) }, checked, l.checkForeignKeys(r), back}, then, []func() error{wake, func() error { return l.putRight(plan) }})
	for _, do := range steps {
		if err := do(); err != nil {
			return nil, err
		}
	}
	return plan, nil
}

// widen finds the tables that hold no row but those in scope. They can be emptied
// as a whole, which takes half the time.
func (l *loader) widen() error {
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
	err := l.underReadPaths(func() error { // as when the rows were saved
		return l.tx.QueryRow(l.ctx, "SELECT ARRAY["+strings.Join(sql, ", ")+"]").Scan(&others)
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

// reload replaces the rows of the tables of a plan inside a transaction in which
// triggers are silent. It may be a single table, by DELETE: TRUNCATE would want
// those that reference it too.
func (l *loader) reload(plan []step) error {
	m := merger{l}
	if err := m.remove(plan); err != nil {
		return err
	}
	var truncate, sql []string
	for _, s := range plan {
		switch s.how {
		case byTruncate:
			truncate = append(truncate, s.table.Only())
		case byDelete:
			sql = append(sql, "DELETE FROM "+s.table.Only())
		case byMerge: // done
		}
	}
	if len(truncate) > 0 {
		sql = append(sql, "TRUNCATE TABLE "+strings.Join(truncate, ", "))
	}
	if err := execAll(l.ctx, l.tx, sql); err != nil {
		return err
	}
	return l.inOwnDisplay(func() error {
		for i, s := range plan {
			var err error
			if s.how == byMerge || !l.fits(s) {
				err = m.insert(i, s)
			} else {
				err = l.copyIn(catalog.Ident(s.table.Name), s)
			}
			if err != nil {
				return ofTable(s.table.Name, err)
			}
			if err := l.note(&plan[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// inOwnDisplay makes rows and views as a session of the database's users would.
func (l *loader) inOwnDisplay(work func() error) error {
	if err := execAll(l.ctx, l.tx, catalog.DefaultOutputSettings()); err != nil {
		return err
	}
	if err := work(); err != nil {
		return err
	}
	return execAll(l.ctx, l.tx, catalog.CopyOutputSettings())
}

// copyIn loads the part of a table into the relation.
func (l *loader) copyIn(into string, s step) error {
	if s.part == nil || s.part.Rows == 0 {
		return nil
	}
	list, format := identifiers(s.part.Columns), ""
	if list != "" {
		list = " (" + list + ")"
	}
	if s.part.Format == snapfile.Binary {
		format = " (FORMAT binary)"
	}
	tag, err := l.tx.Conn().PgConn().CopyFrom(l.ctx, &shareCounter{Reader: s.data(), meter: l.meter, rows: s.part.Rows, raw: s.part.Raw}, fmt.Sprintf("COPY %s%s FROM STDIN%s", into, list, format))
	if err != nil {
		return err
	}
	if got := tag.RowsAffected(); got != s.part.Rows {
		return l.rowsMissing(*s.part, got)
	}
	return nil
}

// lockTables waits for writers in flight, whose rows would else appear after the
// restore, and keeps new ones out. Readers are let through. Tables out of scope
// that share a foreign key with one in scope are locked too, so that what was
// checked holds until the end.
func (l *loader) lockTables() error {
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
	return execAll(l.ctx, l.tx, sql)
}

// silence switches off what would react to our statements, or hide rows from
// them: user triggers, rules, event triggers, row level security that is forced
// on the owner. It returns what gives each its state again. In replica role only
// those marked ALWAYS or REPLICA are awake.
func (l *loader) silence() (wake func() error, err error) {
	var off, on []string
	alter := func(prefix, kind string, t catalog.Trigger) {
		state := map[string]string{"O": "ENABLE", "A": "ENABLE ALWAYS", "R": "ENABLE REPLICA"}[t.Enabled]
		awake := t.Enabled == "A" || (t.Enabled == "R") == l.powers.Replica
		if state == "" || !awake {
			return
		}
		name := pgx.Identifier{t.Name}.Sanitize()
		if kind == "" { // an event trigger
			off, on = append(off, prefix+name+" DISABLE"), append(on, prefix+name+" "+state)
			return
		}
		off = append(off, fmt.Sprintf("%sDISABLE %s %s", prefix, kind, name))
		on = append(on, fmt.Sprintf("%s%s %s %s", prefix, state, kind, name))
	}
	events := l.events
	if !l.mayDisable {
		events, l.loud = nil, l.events
	}
	for _, t := range events {
		alter("ALTER EVENT TRIGGER ", "", t)
	}
	for _, t := range l.sel.Tables {
		if t.Secured && t.Forced {
			off = append(off, "ALTER TABLE "+t.Only()+" NO FORCE ROW LEVEL SECURITY")
			on = append(on, "ALTER TABLE "+t.Only()+" FORCE ROW LEVEL SECURITY")
		}
		for _, trigger := range t.Triggers {
			alter("ALTER TABLE ONLY "+catalog.Ident(trigger.Table)+" ", "TRIGGER", trigger)
		}
		for _, rule := range t.Rules {
			alter("ALTER TABLE "+catalog.Ident(rule.Table)+" ", "RULE", rule)
		}
	}
	slices.Reverse(on) // event triggers last, so that they don't see the others come back
	return func() error { return execAll(l.ctx, l.tx, on) }, execAll(l.ctx, l.tx, off)
}

// sequences sets those sequences whose state is another one. setval alone would
// outlive a rollback; after ALTER SEQUENCE … RESTART, which gives the sequence a
// new file, it works on that file and is undone with it. Where event triggers would
// see that, renew is false, and this is the last of the transaction.
func (l *loader) sequences(states []schema.Sequence, renew bool) error {
	now, err := catalog.Sequences(l.ctx, l.tx, l.sel.sequences())
	if err != nil {
		return err
	}
	want := map[schema.Name]schema.Sequence{}
	for _, s := range l.sel.Sequences {
		want[s.Name] = schema.Sequence{Name: s.Name, LastValue: s.Start}
	}
	for _, s := range states {
		if _, live := want[s.Name]; live {
			want[s.Name] = s
		}
	}
	for _, s := range l.sel.Sequences {
		if want[s.Name], err = l.pastOthers(s, want[s.Name]); err != nil {
			return err
		}
	}
	var restart []string
	var set []schema.Sequence
	for _, s := range now {
		if want[s.Name] != s {
			if renew {
				restart = append(restart, "ALTER SEQUENCE "+catalog.Ident(s.Name)+" RESTART")
			}
			set = append(set, want[s.Name])
		}
	}
	if err := execAll(l.ctx, l.tx, restart); err != nil {
		return err
	}
	return catalog.SetSequences(l.ctx, l.tx, set)
}

// pastOthers moves the state of a sequence past what rows out of scope use of it.
func (l *loader) pastOthers(s catalog.Sequence, state schema.Sequence) (schema.Sequence, error) {
	whole := map[schema.Name]bool{}
	for _, t := range l.sel.Tables {
		whole[t.Name] = l.sel.where[t.Name] == ""
	}
	best, compare := "max", ">"
	if s.Down {
		best, compare = "min", "<"
	}
	for _, u := range s.Users {
		if whole[u.Root] {
			continue
		}
		var used *int64
		column := pgx.Identifier{u.Name}.Sanitize()
		err := l.tx.QueryRow(l.ctx, fmt.Sprintf("SELECT pg_catalog.%s(%s)::pg_catalog.int8 FROM %s WHERE %[2]s OPERATOR(pg_catalog.%[4]s) $1 OR %[2]s OPERATOR(pg_catalog.=) $1 AND NOT $2",
			best, column, catalog.Ident(u.Table), compare), state.LastValue, state.IsCalled).Scan(&used)
		if err != nil {
			return state, ofTable(u.Table, fmt.Errorf("%s: %w", s.Name, err))
		}
		if used != nil {
			state.LastValue, state.IsCalled = *used, true
		}
	}
	return state, nil
}

// refresh makes the materialised views anew.
func (l *loader) refresh(views []schema.Name) error {
	return l.inOwnDisplay(func() error { return execAll(l.ctx, l.tx, refreshes(views)) })
}

func refreshes(views []schema.Name) (sql []string) {
	for _, v := range views {
		sql = append(sql, "REFRESH MATERIALIZED VIEW "+catalog.Ident(v))
	}
	return sql
}

// refreshViews does what a restore would, so that tests find the same in the views
// whether the snapshot was just built or was there.
func (s *Store) refreshViews(ctx context.Context) error {
	return s.withConn(ctx, func(conn *pgx.Conn) error {
		return s.resolving(ctx, &s.storeConfig, &session{conn: conn}, func() error {
			return pgx.BeginTxFunc(ctx, conn, writing, func(tx pgx.Tx) error {
				views, err := catalog.MaterializedViews(ctx, tx)
				if err != nil {
					return err
				}
				return execAll(ctx, tx, refreshes(views))
			})
		})
	})
}

// savepoint runs work in a savepoint, which is left in any case: rows that are written
// in one have the id of a later transaction than the one that is marked as the baseline.
func (l *loader) savepoint(work func() error) error {
	if err := l.exec("SAVEPOINT groundhog_work"); err != nil {
		return err
	}
	if err := work(); err != nil {
		return errors.Join(err, execAll(l.ctx, l.tx, []string{"ROLLBACK TO SAVEPOINT groundhog_work", "RELEASE SAVEPOINT groundhog_work"}))
	}
	return l.exec("RELEASE SAVEPOINT groundhog_work")
}

func (l *loader) exec(sql string) error {
	_, err := l.tx.Exec(l.ctx, sql)
	return err
}

// waysOf tells what a plan does, and why.
func waysOf(plan []step, why string, lang msg.Lang) []TableWay {
	ways := make([]TableWay, 0, len(plan))
	for _, s := range plan {
		w := TableWay{Table: s.table.Name.String(), Way: Reloaded, Why: why}
		switch {
		case s.how == byMerge && s.table.Extension != "":
			w.Why = msg.WhyExtension.In(lang)
		case s.how == byMerge:
			w.Why = msg.WhyScope.In(lang)
		}
		if s.part != nil {
			w.Rows = s.part.Rows
		}
		ways = append(ways, w)
	}
	return ways
}
