package catalog

import (
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/groundhogdb/groundhog/internal/schema"
)

// facts are what the system catalogs say, by oids and as single queries tell it.
type facts struct {
	major int // the version of the server

	schemas        map[uint32]string
	extension      map[object]uint32 // the extension that an object belongs to
	extensionNames map[uint32]string
	configs        map[uint32]string // what extensions give pg_dump of the rows of relations that are the user's
	native         map[uint32]bool   // the extensions whose functions in C may write
	classes        map[uint32]*class
	types          map[uint32]*typeFact
	constraints    []*constraint
	triggers       []triggerFact
	users          []sequenceUser
	sequences      map[uint32]*Sequence
}

// readFacts asks nearly everything in one round trip, two on a new connection. The
// queries are simple and take no parameters, and what they tell is joined here: on a
// connection that knows none of them yet, planning joins of catalogs takes longer than
// reading these; on one that does, each has its plan.
//
// The oids of catalogs that stand in pg_depend are written as numbers. They never
// change, and to look the names up takes time.
func readFacts(ctx context.Context, q Querier) (*facts, error) {
	f := &facts{
		schemas: map[uint32]string{}, extension: map[object]uint32{}, extensionNames: map[uint32]string{}, configs: map[uint32]string{}, native: map[uint32]bool{},
		classes: map[uint32]*class{}, types: map[uint32]*typeFact{}, sequences: map[uint32]*Sequence{},
	}
	if c, ok := q.(interface{ Conn() *pgx.Conn }); ok {
		f.major = major(c.Conn())
	}
	var batch pgx.Batch
	for _, queue := range []func(*pgx.Batch){f.queueSchemas, f.queueExtensions, f.queueClasses, f.queueInherits, f.queueTypes, f.queueLabels, f.queueColumns,
		f.queueConstraints, f.queueTriggers, f.queueSequences, f.queueUsers} {
		queue(&batch)
	}
	return f, q.SendBatch(ctx, &batch).Close()
}

// each queues a query and has row called for each of its rows.
func each(b *pgx.Batch, sql string, scan []any, row func() error) {
	b.Queue(sql).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, scan, row)
		return err
	})
}

func (f *facts) queueSchemas(b *pgx.Batch) {
	var (
		oid  uint32
		name string
	)
	each(b, `SELECT oid, nspname FROM pg_catalog.pg_namespace`, []any{&oid, &name}, func() error {
		f.schemas[oid] = name
		return nil
	})
}

func (f *facts) queueExtensions(b *pgx.Batch) {
	var (
		member    object
		extension uint32
		text      *string
	)
	each(b, `SELECT classid, objid, refobjid, NULL::text FROM pg_catalog.pg_depend
		WHERE refclassid = 3079 /* pg_extension */ AND refobjid`+made+` AND deptype = 'e'
		UNION ALL SELECT 3079 /* pg_extension */, e.oid, CASE WHEN e.extname <> ALL (`+harmless+`) AND EXISTS (SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_proc p ON p.oid = d.objid
				WHERE d.refclassid = 3079 /* pg_extension */ AND d.refobjid = e.oid AND d.deptype = 'e' AND d.classid = 1255 /* pg_proc */ AND `+native+`) THEN 1 ELSE 0 END::pg_catalog.oid, e.extname
			FROM pg_catalog.pg_extension e WHERE e.oid`+made+`
		UNION ALL SELECT 0, c.relation, 0, coalesce(c.condition, '') FROM pg_catalog.pg_extension, unnest(extconfig, extcondition) c(relation, condition)`,
		[]any{&member.catalog, &member.oid, &extension, &text}, func() error {
			switch {
			case text == nil:
				f.extension[member] = extension
			case member.catalog == 0:
				f.configs[member.oid] = *text
			default:
				f.extensionNames[member.oid] = *text
				f.native[member.oid] = extension == 1
			}
			return nil
		})
}

func (f *facts) queueClasses(b *pgx.Batch) {
	var c class
	each(b, `
		SELECT oid, relnamespace, relname, relkind::text, relispartition,
			CASE WHEN relkind = 'p' THEN coalesce(pg_catalog.pg_get_partkeydef(oid), '') ELSE '' END,
			CASE WHEN relispartition THEN coalesce(pg_catalog.pg_get_expr(relpartbound, oid), '') ELSE '' END,
			reltuples::bigint, CASE WHEN relkind IN ('r', 'm') THEN coalesce(pg_catalog.pg_relation_size(oid), 0) ELSE 0 END,
			CASE WHEN reltoastrelid <> 0 THEN coalesce(pg_catalog.pg_relation_size(reltoastrelid), 0) ELSE 0 END,
			relhasrules, pg_catalog.pg_has_role(relowner, 'USAGE'), relrowsecurity AND pg_catalog.row_security_active(oid), relforcerowsecurity, relispopulated
		FROM pg_catalog.pg_class WHERE oid`+made+` AND relkind IN ('r', 'p', 'f', 'S', 'c', 'm') AND relpersistence <> 't' AND `+notOwn,
		[]any{&c.oid, &c.schema, &c.name, &c.kind, &c.partition, &c.key, &c.bound, &c.live.Rows, &c.live.Bytes, &c.live.Size,
			&c.ruled, &c.live.Owned, &c.live.Secured, &c.live.Forced, &c.populated}, func() error {
			one := c
			one.live.Size += one.live.Bytes
			f.classes[c.oid] = &one
			return nil
		})
}

func (f *facts) queueInherits(b *pgx.Batch) {
	var child, parent uint32
	each(b, `SELECT inhrelid, inhparent FROM pg_catalog.pg_inherits WHERE inhrelid`+made+` ORDER BY inhrelid, inhseqno`, []any{&child, &parent}, func() error {
		if c := f.classes[child]; c != nil {
			c.parents = append(c.parents, parent)
		}
		return nil
	})
}

func (f *facts) queueTypes(b *pgx.Batch) {
	var t typeFact
	each(b, `
		SELECT oid, typnamespace, typname, typtype::text, typbasetype, typrelid, typnotnull, typdefault IS NOT NULL,
			CASE typtype WHEN 'd' THEN pg_catalog.format_type(typbasetype, typtypmod)
				WHEN 'r' THEN coalesce((SELECT pg_catalog.format_type(g.rngsubtype, NULL) FROM pg_catalog.pg_range g WHERE g.rngtypid = t.oid), '') ELSE '' END
		FROM pg_catalog.pg_type t WHERE typtype IN ('e', 'd', 'c', 'r') AND oid`+made+` OR typtype = 'd' OR typdefault IS NOT NULL`,
		[]any{&t.oid, &t.schema, &t.name, &t.kind, &t.base, &t.class, &t.notNull, &t.hasDefault, &t.of}, func() error {
			one := t
			f.types[t.oid] = &one
			return nil
		})
}

func (f *facts) queueLabels(b *pgx.Batch) {
	var (
		oid   uint32
		label string
	)
	each(b, `SELECT enumtypid, enumlabel FROM pg_catalog.pg_enum ORDER BY enumtypid, enumsortorder`, []any{&oid, &label}, func() error {
		if t := f.types[oid]; t != nil {
			t.labels = append(t.labels, label)
		}
		return nil
	})
}

func (f *facts) queueColumns(b *pgx.Batch) {
	var (
		oid                       uint32
		c                         classColumn
		identity, generated, expr string
	)
	each(b, `
		SELECT attrelid, attnum, attname, atttypid, pg_catalog.format_type(atttypid, atttypmod), attnotnull, attidentity::text, attgenerated::text, atthasdef,
			CASE WHEN attgenerated <> '' THEN coalesce((SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid) FROM pg_catalog.pg_attrdef d
				WHERE d.adrelid = attrelid AND d.adnum = attnum), '') ELSE '' END
		FROM pg_catalog.pg_attribute
		WHERE attrelid IN (SELECT oid FROM pg_catalog.pg_class WHERE oid`+made+` AND relkind IN ('r', 'p', 'c') AND `+notOwn+`) AND attnum > 0 AND NOT attisdropped
		ORDER BY attrelid, attnum`,
		[]any{&oid, &c.num, &c.Name, &c.kind, &c.Type, &c.NotNull, &identity, &generated, &c.Default, &expr}, func() error {
			one := c
			one.Identity = map[string]string{"a": "always", "d": "by default"}[identity]
			if word := map[string]string{"s": "stored", "v": "virtual"}[generated]; word != "" {
				one.Generated = word + " (" + expr + ")"
			}
			if t := f.types[c.kind]; t != nil && t.hasDefault {
				one.Default = true
			}
			one.Default = one.Default && generated == ""
			if class := f.classes[oid]; class != nil {
				class.columns = append(class.columns, one)
			}
			return nil
		})
}

// queueConstraints asks for keys, foreign keys and the conditions of domains.
func (f *facts) queueConstraints(b *pgx.Batch) {
	var k constraint
	period := "false"
	if f.major >= 18 {
		period = "conperiod"
	}
	each(b, `
		SELECT conrelid, contypid, confrelid, conname, contype::text, condeferrable, conparentid <> 0, conkey, confkey,
			conpfeqop, confdeltype::text, confmatchtype = 'f', convalidated, `+period+`,
			CASE contype WHEN 'c' THEN pg_catalog.pg_get_constraintdef(oid) ELSE '' END
		FROM pg_catalog.pg_constraint
		WHERE contype IN ('p', 'u', 'f') AND conrelid`+made+` OR contype = 'c' AND contypid`+made+`
		ORDER BY contype <> 'p', conrelid, conname COLLATE "C"`,
		[]any{&k.table, &k.domain, &k.target, &k.name, &k.kind, &k.deferrable, &k.inherited, &k.columns, &k.refColumns,
			&k.operators, &k.onDelete, &k.full, &k.validated, &k.period, &k.check}, func() error {
			one := k
			one.columns, one.refColumns, one.operators = slices.Clone(k.columns), slices.Clone(k.refColumns), slices.Clone(k.operators)
			f.constraints = append(f.constraints, &one)
			return nil
		})
}

func (f *facts) queueTriggers(b *pgx.Batch) {
	var t triggerFact
	each(b, `
		SELECT tgrelid, tgname, tgenabled::text, tgfoid, coalesce((SELECT p.pronamespace FROM pg_catalog.pg_proc p WHERE p.oid = tgfoid), 0)::pg_catalog.oid,
			tgtype, coalesce(tgattr[0], 0)
		FROM pg_catalog.pg_trigger WHERE tgrelid`+made+` AND NOT tgisinternal ORDER BY tgrelid, tgname COLLATE "C"`,
		[]any{&t.table, &t.name, &t.enabled, &t.function, &t.schema, &t.kind, &t.column}, func() error {
			f.triggers = append(f.triggers, t)
			return nil
		})
}

func (f *facts) queueSequences(b *pgx.Batch) {
	var (
		oid uint32
		s   Sequence
	)
	each(b, `SELECT seqrelid, seqincrement < 0, seqstart FROM pg_catalog.pg_sequence`, []any{&oid, &s.Down, &s.Start}, func() error {
		one := s
		f.sequences[oid] = &one
		return nil
	})
}

// queueUsers asks which columns own sequences, and which have one in their
// default.
func (f *facts) queueUsers(b *pgx.Batch) {
	var u sequenceUser
	each(b, `
		SELECT objid, refobjid, refobjsubid::int2, true FROM pg_catalog.pg_depend
		WHERE classid = 1259 /* pg_class */ AND objid IN (SELECT seqrelid FROM pg_catalog.pg_sequence)
			AND refclassid = 1259 /* pg_class */ AND refobjsubid > 0 AND deptype IN ('a', 'i')
		UNION ALL
		SELECT d.refobjid, f.adrelid, f.adnum, false FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_attrdef f ON f.oid = d.objid
		WHERE d.classid = 2604 /* pg_attrdef */ AND d.refclassid = 1259 /* pg_class */ AND d.refobjsubid = 0`,
		[]any{&u.sequence, &u.table, &u.num, &u.owns}, func() error {
			f.users = append(f.users, u)
			return nil
		})
}

// anyNative reports whether functions of an extension may write before triggers for the
// statement fire, or past them.
func (f *facts) anyNative() bool {
	for _, native := range f.native {
		if native {
			return true
		}
	}
	return false
}

// ofUser reports whether an object belongs to the user's data: to no system
// schema and to no extension. It is the same as the condition tracked.
func (f *facts) ofUser(catalog, oid, schema uint32) bool {
	name, ok := f.schemas[schema]
	_, member := f.extension[object{catalog, oid}]
	return ok && !strings.HasPrefix(name, "pg_") && name != "information_schema" && name != OwnSchema && !member
}

// trackedClass reports whether a relation belongs to the user's data, of which what an
// extension names as the user's is a part too.
func (f *facts) trackedClass(c *class) bool { return f.whyOutside(c) == "" }

func (f *facts) nameOf(c *class) schema.Name {
	return schema.Name{Schema: f.schemas[c.schema], Name: c.name}
}

func (f *facts) extensionOf(c *class) string {
	return f.extensionNames[f.extension[object{classCatalog, c.oid}]]
}

// unseen is why of what is no matter of snapshots at all.
const unseen = "unseen"

// whyOutside says why a relation is no part of a snapshot, or "".
func (f *facts) whyOutside(c *class) string {
	name, ok := f.schemas[c.schema]
	configured := f.configured(c)
	_, member := f.extension[object{classCatalog, c.oid}]
	switch {
	case !ok || strings.HasPrefix(name, "pg_") || name == "information_schema":
		if ok && configured {
			return OfSystem
		}
		return unseen
	case name == OwnSchema:
		return OfGroundhog
	case member && !configured:
		return OfExtension
	case c.kind == "m" && (member || !c.populated):
		return map[bool]string{true: OfExtension, false: Unpopulated}[member]
	case c.kind == "f" && !c.partition:
		return Foreign
	}
	return ""
}

// configured reports whether an extension names rows of the relation as the user's, or of
// the table whose partition it is.
func (f *facts) configured(c *class) bool {
	for c != nil {
		if _, ok := f.configs[c.oid]; ok {
			return true
		}
		if !c.partition || len(c.parents) == 0 {
			return false
		}
		c = f.classes[c.parents[0]]
	}
	return false
}

// rootOf returns the table that holds all partitions of which c is one, or c. A
// partition of an extension's table stands alone.
func (f *facts) rootOf(c *class) *class {
	for c.partition && len(c.parents) > 0 {
		parent := f.classes[c.parents[0]]
		if parent == nil || !f.trackedClass(parent) {
			break
		}
		c = parent
	}
	return c
}

// portable reports whether COPY's binary form of a type means the same on every
// server.
func (f *facts) portable(oid uint32) bool {
	if t := f.types[oid]; t != nil {
		return t.kind == "e" || t.kind == "d" && slices.Contains(portableTypes, t.base)
	}
	return slices.Contains(portableTypes, oid)
}

// portableTypes are the built-in types whose binary form has been the same in all
// versions and holds nothing that means another thing in another database, as
// regclass and its kin do. So are enums: their binary form is the label.
var portableTypes = []uint32{
	pgtype.BoolOID, pgtype.ByteaOID, pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.TextOID, pgtype.JSONOID, pgtype.JSONBOID,
	pgtype.Float4OID, pgtype.Float8OID, pgtype.BPCharOID, pgtype.VarcharOID, pgtype.DateOID, pgtype.TimeOID, pgtype.TimestampOID,
	pgtype.TimestamptzOID, pgtype.IntervalOID, pgtype.NumericOID, pgtype.UUIDOID,
	pgtype.BoolArrayOID, pgtype.ByteaArrayOID, pgtype.Int2ArrayOID, pgtype.Int4ArrayOID, pgtype.Int8ArrayOID, pgtype.TextArrayOID, pgtype.JSONArrayOID,
	pgtype.JSONBArrayOID, pgtype.Float4ArrayOID, pgtype.Float8ArrayOID, pgtype.BPCharArrayOID, pgtype.VarcharArrayOID, pgtype.DateArrayOID,
	pgtype.TimeArrayOID, pgtype.TimestampArrayOID, pgtype.TimestamptzArrayOID, pgtype.IntervalArrayOID, pgtype.NumericArrayOID, pgtype.UUIDArrayOID,
}
