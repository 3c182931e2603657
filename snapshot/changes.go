package snapshot

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"weak"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/groundhogdb/groundhog/internal/bubble"
	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/testdb"
	"github.com/groundhogdb/groundhog/internal/track"
)

// ChangeSet is what was changed in a database since it was last as a snapshot has
// it, net of what cancels out: a row that was inserted and deleted again is in no
// one, and neither is one that was updated back.
type ChangeSet struct {
	Snapshot string         // the name of it; none: another process restored it
	Tables   []TableChanges // those that were changed, by name
}

// TableChanges is what was changed in one table.
type TableChanges struct {
	Table string      // qualified: public.offices; parts that hold a dot are quoted
	Rows  []RowChange // in the order of the primary key

	// Note tells what can't be told row by row, or that the table itself is not the
	// snapshot's any more. Before and After count the rows where Rows does not tell
	// of them.
	Note          string
	Before, After int64

	name                       schema.Name
	inserted, updated, deleted int64 // also of those beyond a limit
}

// Op is what happened to a row.
type Op string

// The operations.
const (
	Insert Op = "insert"
	Update Op = "update"
	Delete Op = "delete"
)

// RowChange is what became of one row. Rows are told by the primary key: one that
// got another key was deleted and inserted. Where a table has none, no row is
// updated.
type RowChange struct {
	Op      Op
	Old     Row      // of [Update] and [Delete]
	New     Row      // of [Insert] and [Update]
	Columns []string // that differ, of [Update]
	key     []string
}

// Row is a row as the server told it. It is a [pgx.CollectableRow], so all that
// reads rows reads it too:
//
//	office, err := pgx.RowToStructByName[Office](change.New)
//
// The struct needs a field for each column of the table. For a few columns there is
// [Row.Get], for all of them without a struct pgx.RowToMap.
//
// Values of types that pgx does not know, such as enums, are strings. The zero Row
// has no columns.
type Row struct {
	fields []pgconn.FieldDescription
	values [][]byte // as text; nil: null
}

var _ pgx.CollectableRow = Row{}

// typeMaps are pgx's, each for one goroutine at a time.
var typeMaps = sync.Pool{New: func() any { return catalog.NewTextTypes() }}

// FieldDescriptions describes the columns.
func (r Row) FieldDescriptions() []pgconn.FieldDescription { return r.fields }

// RawValues returns the values as PostgreSQL writes them as text. They must not be
// changed.
func (r Row) RawValues() [][]byte { return r.values }

// Scan reads the values into the variables that dest points to, as [pgx.Rows] does.
func (r Row) Scan(dest ...any) error {
	m := typeMaps.Get().(*pgtype.Map)
	defer typeMaps.Put(m)
	if len(dest) == 1 {
		if scanner, ok := dest[0].(pgx.RowScanner); ok {
			return scanner.ScanRow(rowAlone{r, m})
		}
	}
	return pgx.ScanRow(m, r.fields, r.values, dest...)
}

// Values returns the values as Go's.
func (r Row) Values() ([]any, error) {
	out := make([]any, len(r.fields))
	for i := range r.fields {
		var err error
		if out[i], err = r.value(i); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (r Row) value(i int) (any, error) {
	if r.values[i] == nil {
		return nil, nil
	}
	m := typeMaps.Get().(*pgtype.Map)
	defer typeMaps.Put(m)
	if t, ok := m.TypeForOID(r.fields[i].DataTypeOID); ok {
		return t.Codec.DecodeValue(m, t.OID, pgtype.TextFormatCode, r.values[i])
	}
	return string(r.values[i]), nil
}

// rowAlone is the rows that pgx's scanners want.
type rowAlone struct {
	Row
	types *pgtype.Map
}

func (r rowAlone) TypeMap() *pgtype.Map        { return r.types } // of pgx.Rows from 5.11 on
func (rowAlone) Next() bool                    { return false }
func (rowAlone) Close()                        {}
func (rowAlone) Err() error                    { return nil }
func (rowAlone) Conn() *pgx.Conn               { return nil }
func (rowAlone) CommandTag() pgconn.CommandTag { return pgconn.CommandTag{} }

// Columns returns the names of the columns, in the order of the table.
func (r Row) Columns() []string {
	out := make([]string, len(r.fields))
	for i, f := range r.fields {
		out[i] = f.Name
	}
	return out
}

// Get returns the value of a column; nil is null. A column that the row has not is
// [ErrInvalidArgument].
func (r Row) Get(column string) (any, error) {
	for i, f := range r.fields {
		if f.Name == column {
			return r.value(i)
		}
	}
	return nil, errs.New(ErrInvalidArgument, msg.NoSuchColumn.In("", column, strings.Join(r.Columns(), ", ")), nil)
}

// Empty tells that nothing was changed.
func (c ChangeSet) Empty() bool { return len(c.Tables) == 0 }

// Table returns what was changed in a table, named with or without its schema.
// One that was not changed has no rows. Where two tables may be meant, as by "a.b.c"
// where a schema is called "a.b", it takes a name in which that is quoted, as in
// [TableChanges].
func (c ChangeSet) Table(name string) TableChanges {
	for _, meant := range []func(TableChanges) bool{
		func(t TableChanges) bool { return t.Table == name },
		func(t TableChanges) bool { return t.name.Is(name) },
		func(t TableChanges) bool { return t.name.Name == name || schema.Told(t.name.Name) == name },
	} {
		if i := slices.IndexFunc(c.Tables, meant); i >= 0 {
			return c.Tables[i]
		}
	}
	return TableChanges{Table: name}
}

// Inserted returns the rows that were inserted.
func (t TableChanges) Inserted() []RowChange { return t.only(Insert) }

// Updated returns the rows that were updated.
func (t TableChanges) Updated() []RowChange { return t.only(Update) }

// Deleted returns the rows that were deleted.
func (t TableChanges) Deleted() []RowChange { return t.only(Delete) }

func (t TableChanges) only(op Op) (out []RowChange) {
	for _, r := range t.Rows {
		if r.Op == op {
			out = append(out, r)
		}
	}
	return out
}

// ChangesOption is an option of [Changes], [RequireUnchanged], [RequireChanges] and
// [Store.Changes].
type ChangesOption interface{ changes(*changesConfig) }

type changesConfig struct {
	storeConfig
	ignored []string
	limit   int   // pairs of a table; 0: all
	most    int64 // rows of a file that is compared; 0: any
}

func (o storeOption) changes(c *changesConfig) { o(&c.storeConfig) }

type changesOption func(*changesConfig)

func (o changesOption) changes(c *changesConfig) { o(c) }

// Ignoring leaves columns out of [Changes], such as those with the time of a write:
// "updated_at" in all tables, "offices.updated_at" in one, also with the schema
// before it. Each part is a pattern of [path.Match]. A table of which all columns are
// ignored ("audit_log.*") is left out.
func Ignoring(columns ...string) ChangesOption {
	return changesOption(func(c *changesConfig) { c.ignored = slices.Concat(c.ignored, columns) })
}

func (c *changesConfig) checkIgnored() error {
	for _, p := range c.ignored {
		if _, err := path.Match(p, ""); err != nil || strings.TrimSpace(p) == "" {
			return errs.New(ErrInvalidArgument, msg.ScopePattern.In(c.lang, "Ignoring", p), err)
		}
	}
	return nil
}

func (c *changesConfig) ignores(table schema.Name, column string) bool {
	told := schema.Told(column)
	names := []string{column, table.Name + "." + column, table.Plain() + "." + column, told, schema.Told(table.Name) + "." + told, table.String() + "." + told}
	whole := []string{table.Schema, table.Name, column}
	return slices.ContainsFunc(c.ignored, func(p string) bool {
		if slices.Contains(names, p) { // also with dots in it
			return true
		}
		parts := strings.Split(p, ".")
		if len(parts) > len(whole) {
			return false
		}
		for i, subject := range whole[len(whole)-len(parts):] {
			if !like(parts[i], subject) {
				return false
			}
		}
		return true
	})
}

// Changes tells what was changed in t's database since t, or whoever came before,
// last brought it to a snapshot; see [Store.Changes]. It fails t on an error.
func Changes(t testing.TB, opts ...ChangesOption) ChangeSet {
	t.Helper()
	s, _ := storeOf(t)
	set, err := s.Changes(contextOf(t), opts...)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// RequireUnchanged fails t, with what was changed, unless t's database is as it was
// after its last restore; see [Changes]. Sequences that moved are no change.
func RequireUnchanged(t testing.TB, opts ...ChangesOption) {
	t.Helper()
	s, _ := storeOf(t)
	set, err := s.Changes(contextOf(t), append(slices.Clone(opts), shown)...)
	switch {
	case err != nil:
		t.Fatal(err)
	case !set.Empty():
		toldHere(t)
		t.Fatal(msg.NotUnchanged.In("", set.Snapshot, "\n"+set.text(shownRows, true)))
	}
}

// RequireChanges fails t, with both and how they differ, unless exactly what want
// says was changed. want is what [ChangeSet.Text] writes, so the easiest way to
// it is to copy it from the failure of an empty one, which tells up to 200 lines. How much space there is between
// words does not matter, nor do indentation and the order of tables and rows, and a
// long line may go on in the next one. Values are in quotes only where they would be
// misread without, as empty ones: name=山田 太郎, note="". Keys from sequences are the same in each run after a restore; what is not,
// such as times, is left out by [Ignoring].
//
//	snapshot.RequireChanges(t, `
//		public.offices +1 ~1
//		  + id=101  name=北
//		  ~ id=3  name: 東 → 西
//	`, snapshot.Ignoring("updated_at"))
func RequireChanges(t testing.TB, want string, opts ...ChangesOption) {
	t.Helper()
	set := Changes(t, opts...)
	got := set.Text()
	text := lineDiff(want, got)
	if text == "" {
		return
	}
	toldHere(t)
	if strings.Count(got, "\n") > copiedLines {
		got = set.text(shownRows, false)
	}
	if strings.TrimSpace(want) == "" {
		t.Fatal(msg.NoChangesWanted.In("", got))
	}
	t.Fatal(msg.OtherChanges.In("", text, got))
}

// toldHere keeps the log of t's changes from telling the same once more.
func toldHere(t testing.TB) {
	_, db := storeOf(t)
	key := logged{db, t.Name()}
	if _, ok := logging.Load(key); ok { // what nobody takes away again would silence the test's next run
		logging.Store(key, func() {})
	}
}

// copiedLines is up to how many lines a failure tells all, to be copied.
const copiedLines = 200

// shownRows is how many changed rows a failing test shows.
const shownRows = 20

var shown = changesOption(func(c *changesConfig) { c.limit = shownRows })

// Changes tells what was changed in the database since it was last brought to a
// snapshot by this process, or created of it, by whomever it was changed; without
// either, since what the journal knows; without a journal too it is [ErrNotFound].
// What is not committed is not seen. Nothing is locked, and nothing is changed.
//
// The journal tells at a cost of what was changed; see [Store.Restore]. Where it
// can't, as after TRUNCATE or a change of the schema, or without the rights for a
// journal, the table is compared with the snapshot's file, at a cost of what it
// holds. All changed rows are held in memory. Generated columns that are not stored
// are left out, and where a file is compared all of them.
func (s *Store) Changes(ctx context.Context, opts ...ChangesOption) (ChangeSet, error) {
	if err := s.made(); err != nil {
		return ChangeSet{}, err
	}
	if bubble.In() {
		return bubble.Do(ctx, func(ctx context.Context) (ChangeSet, error) { return s.Changes(ctx, opts...) })
	}
	cfg := changesConfig{storeConfig: s.storeConfig}
	err := apply(&cfg.storeConfig, opts, func(o ChangesOption) { o.changes(&cfg) })
	if err == nil {
		err = cfg.checkIgnored()
	}
	if err != nil {
		return ChangeSet{}, err
	}
	var set ChangeSet
	err = cfg.repeat(ctx, "", func() error {
		return s.inSession(ctx, &cfg.storeConfig, func(se *session) (err error) {
			err = s.reading(ctx, se.conn, func(searchPath string) (err error) {
				c := comparer{ctx: ctx, store: s, cfg: &cfg, se: se, base: baselineOf(s.pool), searchPath: searchPath}
				set, err = c.compare()
				return err
			})
			return s.locked(ctx, &cfg.storeConfig, s.blame(ctx, &cfg.storeConfig, err))
		})
	})
	return set, cfg.explain(err, msg.CantTellChanges)
}

// baselines are the files that this process last brought databases to, by pool.
var baselines sync.Map // of weak.Pointer[pgxpool.Pool] to *file

func setBaseline(pool *pgxpool.Pool, f *file) {
	known := *f
	known.reader = nil
	baselines.Store(weak.Make(pool), &known)
}

func baselineOf(pool *pgxpool.Pool) *file {
	if f, ok := baselines.Load(weak.Make(pool)); ok {
		known := *f.(*file)
		return &known
	}
	return nil
}

func forgetBaseline(pool *pgxpool.Pool) { baselines.Delete(weak.Make(pool)) }

// comparer finds what was changed, over one session.
type comparer struct {
	ctx   context.Context
	store *Store
	cfg   *changesConfig
	se    *session
	base  *file // nil: unknown
	tx    pgx.Tx
	set   ChangeSet

	searchPath string // under which tables are read
}

func (c *comparer) compare() (ChangeSet, error) {
	// A restore that runs would empty journals under our eyes, whatever we see.
	done, err := c.store.besideRestores(c.ctx, &c.cfg.storeConfig, c.se.conn)
	if err != nil {
		return ChangeSet{}, err
	}
	defer done()
	// One moment for all tables and their journals. Its temporary tables go with it.
	if c.tx, err = c.se.conn.BeginTx(c.ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}); err != nil {
		return ChangeSet{}, err
	}
	defer c.tx.Rollback(c.ctx)
	settings := map[string]string{"search_path": "pg_catalog"}
	for name, value := range catalog.CopySettings {
		settings[name] = value
	}
	if err := catalog.SetLocal(c.ctx, c.tx, settings); err != nil {
		return ChangeSet{}, err
	}
	var token *string
	if c.base != nil {
		c.set.Snapshot, token = c.base.name, &c.base.sum
	}
	out := track.Outcome{Unusable: track.NoPrivileges}
	if c.se.tracks {
		if out, err = track.Written(c.ctx, c.tx, token, c.se.home); err != nil {
			return ChangeSet{}, err
		}
	}
	switch {
	case out.Unusable == "":
		err = c.byJournal(out.Tables)
	case c.base == nil:
		err = errs.New(ErrNotFound, msg.NoBaseline.In(c.cfg.lang, out.Unusable.Because().Text(c.cfg.lang)), nil)
	default:
		c.store.note(c.ctx, &c.cfg.storeConfig, slog.LevelInfo, msg.ChangesByFile, string(out.Unusable), "snapshot", c.base.name, "why", out.Unusable.Because().Text(c.cfg.lang))
		err = c.byFile(nil, out.Unusable.Because())
	}
	slices.SortFunc(c.set.Tables, func(a, b TableChanges) int { return strings.Compare(a.Table, b.Table) })
	return c.set, err
}

// byJournal tells of the tables that were written to.
func (c *comparer) byJournal(written []track.Table) error {
	var names []schema.Name
	for _, t := range written {
		names = append(names, t.Name)
	}
	if len(names) == 0 {
		return nil
	}
	relations, err := c.relations(names)
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
		ok, err := c.add(TableChanges{}, track.Comparison{Table: r, Columns: columns})
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
	return c.byFile(rest, track.Cause{})
}

func (c *comparer) relations(names []schema.Name) (map[schema.Name]catalog.TrackedTable, error) {
	found, err := catalog.TrackedTables(c.ctx, c.tx, names)
	out := map[schema.Name]catalog.TrackedTable{}
	for _, r := range found {
		out[r.Name] = r
	}
	return out, err
}

// add compares a table and adds what it finds to a note.
func (c *comparer) add(t TableChanges, what track.Comparison) (ok bool, err error) {
	name := what.Table.Name
	all := len(what.Columns)
	what.Columns = slices.DeleteFunc(what.Columns, func(column string) bool { return c.cfg.ignores(name, column) })
	if all > 0 && len(what.Columns) == 0 {
		return true, nil
	}
	what.Limit = c.cfg.limit
	if c.searchPath != catalogOnly {
		if err := c.setPath(); err != nil {
			return false, err
		}
		if what.Qualify, err = catalog.HoldsNames(c.ctx, c.tx, name); err != nil {
			return false, err
		}
	}
	found, err := track.Compare(c.ctx, c.tx, what)
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
func (c *comparer) setPath() error {
	_, err := c.tx.Exec(c.ctx, localPath(c.searchPath))
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
func (c *comparer) byFile(only map[schema.Name]track.Table, why track.Cause) error {
	if c.base == nil || c.cfg.most > 0 && c.base.info.Rows > c.cfg.most {
		return c.count(only, why)
	}
	sum := c.base.sum
	if err := c.base.open(&c.cfg.storeConfig); err != nil {
		return err
	}
	defer c.base.close()
	if c.base.sum != sum {
		return errs.New(ErrNotFound, msg.NoBaseline.In(c.cfg.lang, msg.FileReplaced.In(c.cfg.lang, c.base.path)), nil)
	}
	m := &c.base.manifest
	l := merger{&loader{ctx: c.ctx, store: c.store, se: c.se, tx: c.tx, powers: c.se.powers, cfg: &restoreConfig{storeConfig: c.cfg.storeConfig}}}
	if err := l.readCatalog(m.Scope, false); err != nil {
		return err
	}
	l.remember(m)
	if err := catalog.SetLocal(c.ctx, c.tx, writeSettings); err != nil {
		return err
	}
	l.meter = c.cfg.meter(msg.ProgressComparing.In(c.cfg.lang, c.base.name), c.base.info.Rows)
	defer l.meter.Done()
	var names []schema.Name
	live := map[schema.Name]bool{}
	for _, t := range l.sel.Tables {
		live[t.Name] = true
		names = append(names, t.Name)
	}
	if err := l.exec("SET LOCAL search_path = pg_catalog"); err != nil {
		return err
	}
	relations, err := c.relations(names)
	if err != nil {
		return err
	}
	if l.loud, _, err = catalog.EventTriggers(c.ctx, c.tx); err == nil && len(l.loud) > 0 {
		l.before, err = catalog.XactWrites(c.ctx, c.tx, names)
	}
	if err != nil {
		return err
	}
	plan := l.plan(c.base.reader)
	plan = slices.Concat(slices.DeleteFunc(slices.Clone(plan), func(s step) bool { return s.table.Secured }), slices.DeleteFunc(plan, func(s step) bool { return !s.table.Secured }))
	for n, s := range plan {
		name := s.table.Name
		if _, ok := only[name]; only != nil && !ok {
			continue
		}
		if s.how != byMerge {
			s.where = ""
		}
		if s.table.Secured {
			if err := c.cfg.unhide(c.ctx, c.tx, []catalog.Table{s.table}, c.se.powers.Role); err != nil {
				return err
			}
		}
		if err := c.withFile(l, n, s, relations[name]); err != nil {
			return err
		}
	}
	for _, t := range m.Tables {
		saved := l.saved[t.Name]
		ignored := len(saved) > 0
		for column := range saved {
			ignored = ignored && c.cfg.ignores(t.Name, column)
		}
		if !live[t.Name] && only == nil && !ignored {
			c.set.Tables = append(c.set.Tables, TableChanges{Table: t.Name.String(), name: t.Name, Note: msg.TableDropped.In(c.cfg.lang), Before: t.Rows})
		}
	}
	return nil
}

// withFile compares a table with its part of the file.
func (c *comparer) withFile(l merger, n int, s step, r catalog.TrackedTable) error {
	if err := c.setPath(); err != nil {
		return err
	}
	if err := l.stage(n, s); err != nil {
		return ofTable(s.table.Name, err)
	}
	s, err := l.ofOthers(s)
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
	_, err = c.add(t, track.Comparison{Table: r, Columns: columns, With: staged(n), Where: s.where})
	return err
}

// count tells of tables by the number of their rows.
func (c *comparer) count(only map[schema.Name]track.Table, why track.Cause) error {
	if only == nil {
		c.set.Tables = append(c.set.Tables, TableChanges{Note: why.Text(c.cfg.lang)})
		return nil
	}
	for _, w := range only {
		t := TableChanges{Table: w.Name.String(), name: w.Name, Note: w.Reload.Text(c.cfg.lang), Before: w.Rows}
		if err := c.setPath(); err != nil {
			return err
		}
		if err := c.tx.QueryRow(c.ctx, "SELECT pg_catalog.count(*) FROM "+catalog.Ident(w.Name)).Scan(&t.After); err != nil {
			return ofTable(w.Name, err)
		}
		c.set.Tables = append(c.set.Tables, t)
	}
	return nil
}

// EnvLogChanges names the environment variable that, when it is 0, keeps the changes
// of failed tests out of their logs.
const EnvLogChanges = "GROUNDHOG_LOG_CHANGES"

// logging are the tests that log what they changed when they fail, once.
var logging sync.Map // of logged to func()

type logged struct {
	db   *testdb.Database
	test string
}

// compareAtMost is how many rows a file may have that is compared for a log.
const compareAtMost = 200_000

// logChanges logs what t changed when t fails: before a restore takes it away, else
// at the end of t. restored is to be called when the database was brought back.
func (s *Store) logChanges(t testing.TB, db *testdb.Database, on bool) (restored func()) {
	if set := os.Getenv(EnvLogChanges); t.Name() == testdb.MainName || !on || set == "0" || set == "off" {
		return func() {}
	}
	key := logged{db, t.Name()}
	if tell, ok := logging.Load(key); ok {
		if t.Failed() {
			tell.(func())()
		}
		return func() {}
	}
	return func() {
		if t.Failed() {
			return
		}
		logging.Store(key, sync.OnceFunc(func() { s.tellChanges(t) }))
		t.Cleanup(func() {
			if tell, ok := logging.LoadAndDelete(key); ok && t.Failed() {
				tell.(func())()
			}
		})
	}
}

func (s *Store) tellChanges(t testing.TB) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), lockWait)
	defer cancel()
	set, err := s.Changes(ctx, shown, changesOption(func(c *changesConfig) { c.most = compareAtMost }))
	switch {
	case err != nil:
		t.Log(err)
	case set.Empty():
		t.Log(msg.TestChangedNothing.In("", set.Snapshot))
	default:
		t.Log(msg.TestChanged.In("", set.Snapshot, EnvLogChanges, set.text(shownRows, true)))
	}
}
