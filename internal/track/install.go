package track

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/schema"
)

// How much of a table can be tracked, the most first.
const (
	journaled = iota // its rows are noted
	noticed          // that it is written to is noted: then it is loaded
	unnoticed        // nothing is noted: it is always loaded
)

// family is a table that has a journal, with its partitions.
type family struct {
	root    *catalog.TrackedTable
	members []*catalog.TrackedTable
	unkeyed *unkeyed // rows can't be deleted as the table is published; else nil
	level   int
	why     Cause // why it is not journaled
	checked catalog.CheckedFacts
}

// short reports whether what is noted of the family fits on pages.
func (f *family) short() bool {
	long := func(t *catalog.TrackedTable) bool { return t.Long }
	n := len(columnsOf(f.root))
	return f.level == journaled && n > 0 && n < wideFrom && !slices.ContainsFunc(f.members, long)
}

// always says why a table is never undone, as SQL. checked: foreign keys would be checked.
func (f *family) always(checked bool) string {
	why := f.why
	switch {
	case f.level != journaled:
	case checked && f.checked.Alike: // whose fingerprint would be another afterwards
		why = AlwaysTrigger.Because()
	case !checked && f.root.AlwaysTrigger:
		why = AlwaysTrigger.Because()
	case f.root.Secured:
		why = RowSecurity.Because()
	case f.unkeyed != nil && !f.unkeyed.Switchable:
		why = Published.Because()
	}
	if why.IsZero() {
		return "NULL"
	}
	return catalog.Literal(why.String())
}

// installer makes what tracks a database.
type installer struct {
	tx       pgx.Tx
	b        Baseline
	tables   []catalog.TrackedTable
	families []*family
	views    []schema.Name

	children map[uint32][]*catalog.TrackedTable // by the oids of their parents
	roots    map[schema.Name]uint32             // by the names of all tables

	hidden hidden // from event triggers
}

// install makes everything again. All of it is one script. A table that has no
// journal for a reason that is not known beforehand makes that fail: then it is found,
// and the others are tracked anyway.
func install(ctx context.Context, tx pgx.Tx, b Baseline) error {
	in := installer{tx: tx, b: b}
	if err := in.read(ctx); err != nil {
		return err
	}
	err := in.exec(ctx, "SAVEPOINT groundhog_install;\n", in.hidden.disable, in.head(), in.body(in.families), in.tail(), in.hidden.enable, "RELEASE SAVEPOINT groundhog_install")
	if ofTable(err) {
		err = in.stepwise(ctx)
	}
	if err == nil {
		err = in.hidden.unseen(ctx, tx)
	}
	if err != nil || b.Untracked == nil {
		return err
	}
	for _, f := range in.families {
		if f.level != journaled {
			b.Untracked(Table{Name: f.root.Name, Reload: f.why})
		}
	}
	return nil
}

func (in *installer) exec(ctx context.Context, sql ...string) error {
	return catalog.ExecScript(ctx, in.tx, strings.Join(sql, ""))
}

// read reads what there is to track.
func (in *installer) read(ctx context.Context) (err error) {
	if _, err := in.tx.Exec(ctx, "SET LOCAL search_path = pg_catalog"); err != nil {
		return err
	}
	if in.tables, err = catalog.TrackedTables(ctx, in.tx, in.b.Tables); err != nil {
		return err
	}
	if in.views, err = catalog.MaterializedViews(ctx, in.tx); err != nil {
		return err
	}
	if in.hidden, err = hideFromEventTriggers(ctx, in.tx); err != nil {
		return err
	}
	in.group()
	var names []schema.Name
	commands := []string{"DELETE"}
	if in.b.Checked {
		commands = append(commands, "UPDATE")
	}
	for _, f := range in.families {
		// Where foreign keys are checked, tables that must be loaded are loaded as others are undone.
		if r := f.root; in.b.Checked || f.level == journaled && !r.AlwaysTrigger && !r.Secured {
			names = append(names, r.Name)
		}
	}
	unkeyed, err := published(ctx, in.tx, names, commands)
	for _, f := range in.families {
		f.unkeyed = unkeyed[f.root.Name]
	}
	if err != nil || !in.b.Checked {
		return err
	}
	oids := make([]uint32, len(in.tables))
	for i, t := range in.tables {
		oids[i] = t.OID
	}
	facts, err := catalog.ReadCheckedFacts(ctx, in.tx, oids)
	for _, f := range in.families {
		f.checked = joinFacts(f.members, facts)
	}
	return err
}

// group finds the families, and those of which it is known that they have no journal.
func (in *installer) group() {
	byOID := map[uint32]*family{}
	in.children, in.roots = map[uint32][]*catalog.TrackedTable{}, map[schema.Name]uint32{}
	for i := range in.tables {
		t := &in.tables[i]
		f := byOID[t.Root]
		if f == nil { // roots come first
			f = &family{root: t}
			if t.Root != t.OID { // whose root, the statements that name it, and so what these do, are not seen
				f.level, f.why, t.Root = unnoticed, LonePartition.Because(), t.OID
			}
			byOID[t.Root] = f
			in.families = append(in.families, f)
		}
		f.members = append(f.members, t)
		// A partition's own trigger fires on what is put in by the root.
		f.root.AlwaysTrigger, f.root.Secured = f.root.AlwaysTrigger || t.AlwaysTrigger, f.root.Secured || t.Secured
		in.roots[t.Name] = t.Root
		for _, parent := range t.Parents {
			in.children[parent] = append(in.children[parent], t)
		}
	}
	for _, f := range in.families {
		if f.level == journaled && len(columnsOf(f.root))+1 > mostColumns { // and the kind of entry
			f.level, f.why = noticed, TooManyColumns.Because()
		}
	}
}

// mostColumns is how many a table may have.
const mostColumns = 1600

// head is the part of the script that is the same whatever the tables are.
func (in *installer) head() string {
	return render("remove", shared) + render("schema", struct {
		*constants
		EventTriggers, Checked bool
	}{shared, in.b.EventTriggers, in.b.Checked})
}

// body is the part that makes journals and triggers.
func (in *installer) body(families []*family) string {
	var sql strings.Builder
	for _, f := range families {
		data := struct {
			Root      *catalog.TrackedTable
			Always    string
			Unnoticed bool
			Awake     bool
			Members   []*table
		}{Root: f.root, Always: f.always(in.b.Checked), Unnoticed: f.level == unnoticed, Awake: len(f.checked.Sleep) > 0 || f.unkeyed != nil}
		for _, t := range f.members {
			data.Members = append(data.Members, in.member(f, t))
		}
		sql.WriteString(render("family", data))
	}
	return sql.String()
}

// member returns what templates see of a table of the family.
func (in *installer) member(f *family, t *catalog.TrackedTable) *table {
	out := newTable(t, f.root, in.b.RowTriggersOnly)
	out.Journaled, out.Noticed, out.Short = f.level == journaled, f.level != unnoticed, f.short()
	out.EventTriggers, out.Unkeyed, out.Owners = in.b.EventTriggers, f.unkeyed, in.owners(t)
	out.Checked = in.b.Checked
	if t == f.root && out.Checked {
		facts := f.checked
		if f.unkeyed != nil {
			facts.Sleep, facts.Wake = append(facts.Sleep, f.unkeyed.Switch...), append(facts.Wake, f.unkeyed.SwitchBack...)
		}
		out.CheckedPart = newCheckedPart(out, facts)
	}
	if t == f.root {
		out.Outside = outsideKeysOf(t, in.b.OutsideKeys, in.roots)
		if reset, ok := in.b.CacheResets[t.Name]; ok {
			out.CacheReset = cacheResetOf(reset)
		}
	}
	return out
}

// owners returns the roots whose journals may tell of a statement that names t.
func (in *installer) owners(t *catalog.TrackedTable) []uint32 {
	seen, out := map[uint32]bool{t.OID: true}, []uint32{t.Root}
	for next := []*catalog.TrackedTable{t}; len(next) > 0; next = next[1:] {
		for _, c := range in.children[next[0].OID] {
			if seen[c.OID] {
				continue
			}
			seen[c.OID], next = true, append(next, c)
			if !slices.Contains(out, c.Root) {
				out = append(out, c.Root)
			}
		}
	}
	return out
}

// tail is the rest of the script.
func (in *installer) tail() string {
	var native []*table
	for i := range in.tables {
		if t := &in.tables[i]; in.b.Native[t.Name] && t.OID == t.Root {
			one := newTable(t, t, false)
			one.BaselineXID = "unseen_writes.baseline_xid"
			native = append(native, one)
		}
	}
	var neighbours []string // whose rows may change as tracked ones do
	for _, fk := range in.b.OutsideKeys {
		if _, tracked := in.roots[fk.Table]; in.b.Checked && !tracked {
			neighbours = append(neighbours, catalog.Ident(fk.Table))
		}
	}
	return render("rest", struct {
		*constants
		EventTriggers, Checked bool
		Views                  []schema.Name
		Sequences              []schema.Sequence
		Native                 []*table
		Neighbours             []string
	}{shared, in.b.EventTriggers, in.b.Checked, in.views, in.b.Sequences, native, neighbours})
}

// stepwise is install after the script failed, in parts.
func (in *installer) stepwise(ctx context.Context) error {
	if err := in.exec(ctx, "ROLLBACK TO SAVEPOINT groundhog_install;\n", in.hidden.disable, in.head()); err != nil {
		return err
	}
	if err := in.halve(ctx, in.families); err != nil {
		return err
	}
	return in.exec(ctx, in.tail(), in.hidden.enable, "RELEASE SAVEPOINT groundhog_install")
}

// halve makes what tracks some tables. Where that fails, it does so for halves of them,
// until it knows which one it is that less can be done for.
func (in *installer) halve(ctx context.Context, families []*family) error {
	err := in.exec(ctx, "SAVEPOINT groundhog_tables;\n", in.body(families), "RELEASE SAVEPOINT groundhog_tables")
	if !ofTable(err) {
		return err
	}
	if err := in.exec(ctx, "ROLLBACK TO SAVEPOINT groundhog_tables; RELEASE SAVEPOINT groundhog_tables"); err != nil {
		return err
	}
	if n := len(families); n > 1 {
		if err := in.halve(ctx, families[:n/2]); err != nil {
			return err
		}
		return in.halve(ctx, families[n/2:])
	}
	f := families[0]
	if f.level == unnoticed {
		return err
	}
	var pg *pgconn.PgError
	errors.As(err, &pg)
	f.level, f.why = f.level+1, Cause{Refused, pg.Message}
	return in.halve(ctx, families)
}

// ofTable reports whether the server's error may come from one of the tables: not from
// the connection, other sessions, or what the server has run out of.
func ofTable(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || len(pg.Code) != 5 {
		return false
	}
	return !slices.Contains([]string{"08", "40", "53", "57", "58", "XX"}, pg.Code[:2]) && !slices.Contains([]string{"55P03", "55006"}, pg.Code) // lock_not_available, object_in_use
}
