package snapshot

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/snapfile"
	"github.com/groundhogdb/groundhog/internal/track"
)

// Outside is a relation of the database that is no part of a snapshot: it is neither
// saved nor changed by a restore.
type Outside struct {
	Name      string        // qualified: tiger.county
	Kind      string        // "table", "foreign table", "materialized view" or "sequence"
	Why       OutsideReason // why it is outside
	Extension string        // that it belongs to, if any
}

// OutsideReason says why a relation is no part of a snapshot.
type OutsideReason string

// The reasons.
const (
	// OutsideExtension: it belongs to an extension that does not name any of its rows as
	// the user's, with pg_extension_config_dump, as for pg_dump.
	OutsideExtension OutsideReason = catalog.OfExtension
	// OutsideSystem: the extension names rows of it, but it is in a schema of the system.
	OutsideSystem OutsideReason = catalog.OfSystem
	// OutsideCondition: what the extension names is no condition on single rows.
	OutsideCondition OutsideReason = catalog.Unreadable
	// OutsideRights: it is an extension's, and the role that made the snapshot does not own it.
	OutsideRights OutsideReason = catalog.NotOwned
	// OutsideForeign: it is a foreign table.
	OutsideForeign OutsideReason = catalog.Foreign
	// OutsideGroundhog: it is in a schema called groundhog.
	OutsideGroundhog OutsideReason = catalog.OfGroundhog
	// OutsideUnpopulated: it is a materialized view that was not populated.
	OutsideUnpopulated OutsideReason = catalog.Unpopulated
	// OutsideMigration: a known migration tool keeps its state in it.
	OutsideMigration OutsideReason = catalog.OfMigration
)

// String describes it for people, in the language that GROUNDHOG_LANG names.
func (o Outside) String() string {
	why := string(o.Why)
	if text, ok := msg.OutsideOf[why]; ok {
		why = text.In("", o.Extension)
	} else if text, ok := msg.OutsideWhy[why]; ok {
		why = text.In("")
	}
	return fmt.Sprintf("%s %s (%s)", o.Kind, o.Name, why)
}

func outsideOf(saved []snapfile.Outside) (out []Outside) {
	for _, o := range saved {
		out = append(out, Outside{Name: o.Name.String(), Kind: o.Kind, Why: OutsideReason(o.Why), Extension: o.Extension})
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

// outsideNames is how many names a line of the log has.
const outsideNames = 20

// tellOutside says what holds rows that the snapshot does not have.
func (v *saver) tellOutside(ctx context.Context) {
	var names []string
	for _, o := range v.sel.Outside {
		if o.Rows {
			names = append(names, o.Name.String())
		}
	}
	if len(names) > 0 {
		v.cfg.logger.InfoContext(ctx, msg.OutsideHolds.In(v.cfg.lang), "snapshot", v.name, "outside", firstOf(names))
	}
}

func firstOf(names []string) string {
	if n := len(names); n > outsideNames {
		return strings.Join(names[:outsideNames], ", ") + fmt.Sprintf(", … (%d)", n)
	}
	return strings.Join(names, ", ")
}

// wholeOf is the selection of a whole database: all rows, but for those that are an
// extension's.
func wholeOf(cat *catalog.Catalog) *selection {
	own := *cat
	out := &selection{Catalog: &own, where: map[schema.Name]string{}, partly: map[schema.Name]bool{}, others: slices.Concat(cat.Beside, cat.Others)}
	for _, t := range cat.Tables {
		if t.Condition != "" {
			out.where[t.Name], out.partly[t.Name] = t.Condition, true
		}
	}
	return out
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

// sequences are those whose state is saved.
func (s *selection) sequences() (names []schema.Name) {
	for _, q := range s.Sequences {
		names = append(names, q.Name)
	}
	return names
}

// asIs notes tables that are left alone since they are as the snapshot has them.
func (s *selection) asIs(tables []catalog.Table) {
	s.asis = map[schema.Name]bool{}
	for _, t := range tables {
		s.asis[t.Name] = true
	}
}

// baseline is what is to be tracked: all tables whose rows are part of the snapshot.
func (s *selection) baseline() track.Baseline {
	b := track.Baseline{Pokes: map[schema.Name]catalog.Poke{}, Native: map[schema.Name]bool{}, Rowwise: s.Native}
	in, only := map[schema.Name]bool{}, map[schema.Name]string{}
	for _, t := range slices.Concat(s.Tables, s.others) {
		only[t.Name] = t.Only()
	}
	for _, t := range s.Tables {
		in[t.Name] = true
		if t.Native {
			b.Native[t.Name] = true
		}
		if p := t.Poke(); len(p.Statements) > 0 {
			b.Pokes[t.Name] = p
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
				b.Keys = append(b.Keys, track.Key{ForeignKey: fk, Child: cmp.Or(only[fk.Table], catalog.Ident(fk.Table)), Target: cmp.Or(only[fk.Target], catalog.Ident(fk.Target))})
			}
		}
	}
	return b
}

// leaveOutside leaves tables of extensions alone of which the file has no rows: the
// role that made it did not own them, or the extension was not there. And it says
// which rows of the file have no place, since this role does not own the table.
func (l *loader) leaveOutside(m *snapfile.Manifest, name string) {
	has, states := map[schema.Name]bool{}, map[schema.Name]bool{}
	var left []string
	for _, t := range m.Tables {
		has[t.Name] = true
		if t.Rows > 0 && slices.ContainsFunc(l.sel.Beside, func(b catalog.Table) bool { return b.Name == t.Name }) {
			left = append(left, t.Name.String())
		}
	}
	if len(left) > 0 {
		l.cfg.logger.InfoContext(l.ctx, msg.OutsideNow.In(l.cfg.lang), "snapshot", name, "role", l.powers.Role, "outside", firstOf(left))
	}
	for _, s := range m.Sequences {
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

// beforeExtensions says that a file was made before the rows of extensions' tables were
// part of one, where that makes a difference.
func (l *loader) beforeExtensions(m *snapfile.Manifest) string {
	if m.Version >= snapfile.Extensions {
		return ""
	}
	for _, t := range slices.Concat(l.sel.Tables, l.sel.Beside) {
		if _, saved := l.saved[t.Name]; t.Extension != "" && !saved {
			return msg.BeforeExtensions.In(l.cfg.lang, msg.Count(snapfile.Extensions))
		}
	}
	return ""
}

// leadsOutside reports whether a foreign key whose rows point nowhere does so since a table,
// or rows of an extension's, are no part of the snapshot. Else the scope is to blame.
func (l *loader) leadsOutside(fk catalog.ForeignKey) bool {
	return !l.sel.scoped || slices.ContainsFunc(l.sel.Outside, func(o catalog.Outside) bool { return o.Name == fk.Table || o.Name == fk.Target })
}

// wakeExtensions makes extensions' own triggers for statements fire on their tables,
// since what they keep in memory of these is not what is there any more. before
// everything is replaced they may write where they want; afterwards, what they
// wrote into the snapshot's tables is taken back, but for sequences.
func (l *loader) wakeExtensions(afterwards bool) (woken bool, err error) {
	var parts, relations []string
	for _, t := range l.sel.Tables {
		relations = append(relations, quoteLiteral(catalog.Ident(t.Name))+"::pg_catalog.regclass")
		p := t.Poke()
		if len(p.Statements) == 0 || len(p.Off) > 0 && !l.powers.Replica && !afterwards {
			continue // or event triggers, which see ALTER TABLE, might write too
		}
		parts = append(parts, fmt.Sprintf(`
			BEGIN
				was := %[2]s;
				%[1]s
				%[3]s
				%[5]s
				IF %[4]t AND %[2]s <> was THEN
					RAISE EXCEPTION USING ERRCODE = 'GH002';
				END IF;
			EXCEPTION
				WHEN deadlock_detected OR lock_not_available OR serialization_failure THEN
					RAISE;
				WHEN OTHERS THEN
					NULL;
			END;`, statements(p.Off), writes, l.loudly(p.Statements), afterwards, statements(p.On)))
	}
	if len(parts) == 0 {
		return false, nil
	}
	body := fmt.Sprintf(`
		DECLARE
			was numeric;
			tables pg_catalog.oid[] := ARRAY(SELECT t.relid FROM pg_catalog.unnest(ARRAY[%s]) r(root) CROSS JOIN LATERAL (
				SELECT r.root::pg_catalog.oid UNION SELECT p.relid::pg_catalog.oid FROM pg_catalog.pg_partition_tree(r.root) p) t(relid));
		BEGIN
			IF %t AND NOT pg_catalog.current_setting('track_counts')::boolean THEN
				RETURN; -- nothing would tell what was written
			END IF;%s
		END`, strings.Join(relations, ", "), afterwards, strings.Join(parts, ""))
	_, err = l.tx.Exec(l.ctx, "DO "+quoteLiteral(body), pgx.QueryExecModeSimpleProtocol)
	return true, err
}

// writes counts the rows that the transaction wrote.
const writes = `(SELECT pg_catalog.sum(pg_catalog.pg_stat_get_xact_tuples_inserted(t) + pg_catalog.pg_stat_get_xact_tuples_updated(t) + pg_catalog.pg_stat_get_xact_tuples_deleted(t)) FROM pg_catalog.unnest(tables) t)`

// loudly has triggers fire as in a session of the database's users.
func (l *loader) loudly(sql []string) string {
	if !l.powers.Replica {
		return statements(sql)
	}
	return "SET LOCAL session_replication_role = origin; " + statements(sql) + " SET LOCAL session_replication_role = replica;"
}

func statements(sql []string) string {
	if len(sql) == 0 {
		return ""
	}
	return strings.Join(sql, "; ") + ";"
}
