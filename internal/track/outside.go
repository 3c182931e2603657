package track

import (
	"fmt"
	"strings"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/schema"
)

// Tables that are not tracked stay as tests leave them, so a foreign key between one of
// them and a tracked one may point nowhere when that is back at its baseline. And an
// extension that keeps in memory what its table holds must hear of what is undone.

// Key is a foreign key between a tracked table and one that is not. Child and Target are
// quoted, as those of a statement on their own rows.
type OutsideKey struct {
	catalog.ForeignKey
	Child, Target string
}

// keysOf returns the foreign keys between a root, with its partitions, and tables that
// are not tracked.
func (b Baseline) keysOf(root catalog.TrackedTable, all []catalog.TrackedTable) (keys []OutsideKey) {
	if len(b.OutsideKeys) == 0 {
		return nil
	}
	in := map[schema.Name]bool{}
	for _, r := range all {
		if r.Root == root.OID {
			in[r.Name] = true
		}
	}
	for _, fk := range b.OutsideKeys {
		if in[fk.Table] || in[fk.ForeignKey.Target] {
			keys = append(keys, fk)
		}
	}
	return keys
}

// checks writes what looks, when the table was put back, for rows that reference none:
// of the rows that were put in where another table may lack theirs, of the other table
// where rows were removed.
func (g *generator) checks() string {
	var out strings.Builder
	for _, fk := range g.outside {
		child := fk.Child
		if fk.Table == g.Name {
			child = fmt.Sprintf("(SELECT %s FROM %s j WHERE j.kind = '%s')",
				each(g.columns(all), ", ", func(c column) string { return c.out("j."+c.entry) + " AS " + c.ident }), g.journal(), kindOld)
		}
		fmt.Fprintf(&out, `
	IF EXISTS (SELECT FROM %s c WHERE %s) THEN
		RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation', MESSAGE = %s;
	END IF;`, child, fk.Dangling(fk.Target),
			literal(fmt.Sprintf("rows of %s would reference rows of %s that are not there (%s)", fk.Table, fk.ForeignKey.Target, fk.Name)))
	}
	return out.String()
}

// wake notes how the extension of a table is woken: before the table is undone, while
// what its triggers write is noted like a test's and undone too, and once more
// when everything is as it was.
func (b Baseline) wake(sql *strings.Builder, r catalog.TrackedTable) {
	p, ok := b.CacheResets[r.Name]
	if !ok {
		return
	}
	script := func(off string) string {
		const quiet = "SET LOCAL session_replication_role = replica; SET LOCAL groundhog.off = on;"
		loud := "SET LOCAL session_replication_role = origin; SET LOCAL groundhog.off = " + off + ";"
		parts := []string{loud}
		if len(p.DisableTriggers) > 0 { // an event trigger may see that
			parts = []string{quiet, strings.Join(p.DisableTriggers, "; ") + ";", loud}
		}
		parts = append(parts, strings.Join(p.Statements, "; ")+";", quiet)
		if len(p.EnableTriggers) > 0 {
			parts = append(parts, strings.Join(p.EnableTriggers, "; ")+";")
		}
		return strings.Join(parts, " ")
	}
	fmt.Fprintf(sql, "INSERT INTO groundhog.wakes VALUES (%d, %s, %s);\n", r.OID, literal(script("off")), literal(script("on")))
}

// rewound notes which sequences of extensions are part of the baseline.
func (b Baseline) rewound(sql *strings.Builder) {
	var names []string
	for _, s := range b.Sequences {
		names = append(names, literal(catalog.Ident(s.Name))+"::pg_catalog.regclass::pg_catalog.oid")
	}
	if len(names) > 0 {
		fmt.Fprintf(sql, "INSERT INTO groundhog.rewound SELECT DISTINCT d.objid FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype = 'e' AND d.objid = ANY (ARRAY[%s]);\n",
			strings.Join(names, ", "))
	}
}

// unseen writes the functions that find which tables are not as in the baseline,
// although no trigger fired: functions in C may write to them by other ways than
// statements, or end a statement before its triggers. A table is as it was when it
// has as many rows, and none that is newer than the horizon, but for those that own, the
// transaction that goes back, has put in.
func (b Baseline) unseen(sql *strings.Builder, relations []catalog.TrackedTable) {
	var look, count strings.Builder
	for _, r := range relations {
		if !b.Native[r.Name] || r.OID != r.Root {
			continue
		}
		g := generator{TrackedTable: r, root: &r}
		fmt.Fprintf(sql, "INSERT INTO groundhog.native VALUES (%d);\n", r.OID)
		fmt.Fprintf(&look, `
	IF NOT coalesce((SELECT pg_catalog.count(*) OPERATOR(pg_catalog.=) (SELECT n.total FROM groundhog.native n WHERE n.owner OPERATOR(pg_catalog.=) %[1]d)
			AND pg_catalog.count(*) FILTER (WHERE %[2]s AND (unseen.own IS NULL OR NOT t.xmin OPERATOR(pg_catalog.=) unseen.own)) OPERATOR(pg_catalog.=) 0
			FROM %[3]s t), false) THEN
		RETURN NEXT %[1]d;
	END IF;`, r.OID, g.newer("unseen.horizon"), g.only())
		fmt.Fprintf(&count, `
	UPDATE groundhog.native n SET total = (SELECT pg_catalog.count(*) FROM %s t) WHERE n.owner OPERATOR(pg_catalog.=) %d;`, g.only(), r.OID)
	}
	if look.Len() == 0 {
		return
	}
	function := func(signature, body string) {
		fmt.Fprintf(sql, "CREATE OR REPLACE FUNCTION groundhog.%s LANGUAGE plpgsql AS %s;\n", signature, literal("#variable_conflict use_column\nBEGIN"+body+"\nEND"))
	}
	function("unseen(horizon xid, own xid) RETURNS SETOF oid", look.String())
	function("tally() RETURNS void", count.String())
}
