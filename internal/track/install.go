package track

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/internal/catalog"
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
}

// installer makes what tracks a database.
type installer struct {
	ctx       context.Context
	tx        pgx.Tx
	b         Baseline
	relations []catalog.TrackedTable
	families  []*family
	views     string
	off, on   string // event triggers
}

// install makes everything again. All of it is one script. A table that has no
// journal for a reason that is not known beforehand makes that fail: then it is found,
// and the others are tracked anyway.
func install(ctx context.Context, tx pgx.Tx, b Baseline) error {
	in := installer{ctx: ctx, tx: tx, b: b}
	if err := in.read(); err != nil {
		return err
	}
	err := in.exec("SAVEPOINT groundhog_install;\n", in.off, in.head(), in.tables(in.families), in.tail(), in.on, "RELEASE SAVEPOINT groundhog_install")
	if ofTable(err) {
		err = in.stepwise()
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

func (in *installer) exec(sql ...string) error { return exec(in.ctx, in.tx, strings.Join(sql, "")) }

// read reads what there is to track.
func (in *installer) read() (err error) {
	if in.relations, err = relationsOf(in.ctx, in.tx, in.b.Tables); err != nil {
		return err
	}
	views, err := catalog.MaterializedViews(in.ctx, in.tx)
	if err != nil {
		return err
	}
	var sql strings.Builder
	for i, v := range views {
		name := literal(catalog.Ident(v))
		fmt.Fprintf(&sql, "INSERT INTO groundhog.views VALUES (%d, %s::pg_catalog.regclass, %s);\n", i, name, name)
	}
	in.views = sql.String()
	if in.off, in.on, err = hush(in.ctx, in.tx); err != nil {
		return err
	}
	in.group()
	unkeyed, err := published(in.ctx, in.tx, in.families)
	for _, f := range in.families {
		f.unkeyed = unkeyed[f.root.OID]
	}
	return err
}

// group finds the families, and those of which it is known that they have no journal.
func (in *installer) group() {
	byOID := map[uint32]*family{}
	for i := range in.relations {
		r := &in.relations[i]
		f := byOID[r.Root]
		if f == nil { // roots come first
			f = &family{root: r}
			if r.Root != r.OID { // whose root, the statements that name it, and so what these do, are not seen
				f.level, f.why, r.Root = unnoticed, LonePartition.Because(), r.OID
			}
			byOID[r.Root] = f
			in.families = append(in.families, f)
		}
		f.members = append(f.members, r)
		// A partition's own trigger fires on what is put in by the root.
		f.root.AlwaysTrigger, f.root.Secured = f.root.AlwaysTrigger || r.AlwaysTrigger, f.root.Secured || r.Secured
	}
	for _, f := range in.families {
		g := generator{TrackedTable: *f.root, root: f.root}
		if f.level == journaled && len(g.columns(all))+1 > mostColumns { // and the kind of entry
			f.level, f.why = noticed, TooManyColumns.Because()
		}
	}
}

// mostColumns is how many a table may have.
const mostColumns = 1600

// head is the part of the script that is the same whatever the tables are.
func (in *installer) head() string { return remove + script(in.b.EventTriggers) }

// tables is the part that makes journals and triggers.
func (in *installer) tables(families []*family) string {
	var sql strings.Builder
	for _, f := range families {
		fmt.Fprintf(&sql, "INSERT INTO groundhog.owners VALUES (%d, %s, %s, 0, %s, %t);\n", f.root.OID, literal(f.root.Schema), literal(f.root.Name.Name), f.always(), f.level == unnoticed)
		for _, r := range f.members {
			g := generator{TrackedTable: *r, root: f.root, sql: &sql, unkeyed: f.unkeyed, rowwise: in.b.RowTriggersOnly, outside: in.b.keysOf(*r, in.relations)}
			g.generate(f.level)
			if r.OID == r.Root {
				in.b.wake(&sql, *r)
			}
			if !in.b.EventTriggers {
				fmt.Fprintf(&sql, "INSERT INTO groundhog.shapes VALUES (%d, groundhog.shape(%[1]d));\n", r.OID)
			}
			for owner := range owners(*r, in.relations) {
				fmt.Fprintf(&sql, "INSERT INTO groundhog.tree VALUES (%d, %d);\n", r.OID, owner)
			}
		}
	}
	return sql.String()
}

// always says why a table is never undone, as SQL.
func (f *family) always() string {
	switch {
	case f.level != journaled:
		return literal(f.why.String())
	case f.root.AlwaysTrigger:
		return literal(string(AlwaysTrigger))
	case f.root.Secured:
		return literal(string(RowSecurity))
	case f.unkeyed != nil && !f.unkeyed.switched:
		return literal(string(Published))
	}
	return "NULL"
}

// tail is the rest of the script.
func (in *installer) tail() string {
	var sql strings.Builder
	sql.WriteString(in.views)
	if in.b.EventTriggers {
		sql.WriteString(watchers)
	}
	in.b.rewound(&sql)
	in.b.unseen(&sql, in.relations)
	fmt.Fprintf(&sql, "INSERT INTO groundhog.state SELECT %d, 0, NULL, '', 'groundhog.state'::pg_catalog.regclass, %t;\n", version, in.b.EventTriggers)
	return sql.String()
}

// watchers makes the event triggers, under names that nobody else's has.
const watchers = `DO $$
DECLARE
	w record;
	name text;
BEGIN
	FOR w IN SELECT * FROM (VALUES ('groundhog_changed', 'ddl_command_end'), ('groundhog_dropped', 'sql_drop')) w(name, event) LOOP
		name := w.name;
		WHILE EXISTS (SELECT FROM pg_catalog.pg_event_trigger e WHERE e.evtname = name) LOOP
			name := pg_catalog.concat(name, '_');
		END LOOP;
		EXECUTE pg_catalog.format('CREATE EVENT TRIGGER %I ON %s EXECUTE FUNCTION groundhog.watch()', name, w.event);
		EXECUTE pg_catalog.format('ALTER EVENT TRIGGER %I ENABLE ALWAYS', name);
	END LOOP;
END $$;
`

// stepwise is install after the script failed, in parts.
func (in *installer) stepwise() error {
	if err := in.exec("ROLLBACK TO SAVEPOINT groundhog_install;\n", in.off, in.head()); err != nil {
		return err
	}
	if err := in.halve(in.families); err != nil {
		return err
	}
	return in.exec(in.tail(), in.on, "RELEASE SAVEPOINT groundhog_install")
}

// halve makes what tracks some tables. Where that fails, it does so for halves of them,
// until it knows which one it is that less can be done for.
func (in *installer) halve(families []*family) error {
	err := in.exec("SAVEPOINT groundhog_tables;\n", in.tables(families), "RELEASE SAVEPOINT groundhog_tables")
	if !ofTable(err) {
		return err
	}
	if err := in.exec("ROLLBACK TO SAVEPOINT groundhog_tables; RELEASE SAVEPOINT groundhog_tables"); err != nil {
		return err
	}
	if n := len(families); n > 1 {
		if err := in.halve(families[:n/2]); err != nil {
			return err
		}
		return in.halve(families[n/2:])
	}
	f := families[0]
	if f.level == unnoticed {
		return err
	}
	var pg *pgconn.PgError
	errors.As(err, &pg)
	f.level, f.why = f.level+1, Cause{Refused, pg.Message}
	return in.halve(families)
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

// hush returns statements around others of which no event trigger shall tell that fires
// in replica role too: what it wrote down would be part of the baseline.
func hush(ctx context.Context, tx pgx.Tx) (off, on string, err error) {
	triggers, may, err := catalog.EventTriggers(ctx, tx)
	if err == nil && len(triggers) > 0 && !may {
		err = &EventTriggerError{Trigger: triggers[0].Name}
	}
	off, on = catalog.WithoutEventTriggers(triggers)
	return off, on, err
}

// withoutEventTriggers executes statements of which no event trigger tells.
func withoutEventTriggers(ctx context.Context, tx pgx.Tx, sql string) error {
	off, on, err := hush(ctx, tx)
	if err != nil {
		return err
	}
	return exec(ctx, tx, off+sql+";\n"+on)
}

// owners returns the tables whose journals may tell of a statement that names r.
func owners(r catalog.TrackedTable, all []catalog.TrackedTable) map[uint32]bool {
	seen := map[uint32]bool{r.OID: true}
	out := map[uint32]bool{r.Root: true}
	for again := true; again; {
		again = false
		for _, c := range all {
			for _, p := range c.Parents {
				if seen[p] && !seen[c.OID] {
					seen[c.OID], out[c.Root], again = true, true, true
				}
			}
		}
	}
	return out
}
