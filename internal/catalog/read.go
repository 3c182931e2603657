package catalog

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
)

// Read reads the schema of the whole database, but for migration tables, which
// are told by their names and left alone. The transaction's search_path must be
// pg_catalog alone, so that every name in an expression comes out qualified.
//
// It asks nearly everything in one round trip, two on a new connection. The queries are
// simple and take no parameters, and what they tell is joined here: on a
// connection that knows none of them yet, planning joins of catalogs takes longer
// than reading these; on one that does, each has its plan.
func Read(ctx context.Context, q Querier, lang msg.Lang) (*Catalog, error) {
	r := reader{ctx: ctx, q: q, lang: lang, schemas: map[uint32]string{}, extension: map[object]uint32{}, extensionNames: map[uint32]string{}, configs: map[uint32]string{}, native: map[uint32]bool{}, classes: map[uint32]*class{},
		types: map[uint32]*typeOf{}, byOID: map[uint32]*relation{}, besides: map[uint32]*relation{}, sequences: map[uint32]*Sequence{}, left: map[uint32]bool{}, operators: map[uint32]string{}}
	var batch pgx.Batch
	for _, queue := range []func(*pgx.Batch){r.readSchemas, r.readExtensions, r.readClasses, r.readInherits, r.readTypes, r.readLabels, r.readColumns,
		r.readConstraints, r.readTriggers, r.readSequences, r.readUsers} {
		queue(&batch)
	}
	err := q.SendBatch(ctx, &batch).Close()
	if err == nil {
		err = r.build()
	}
	if err != nil {
		return nil, fmt.Errorf("read the catalog: %w", err)
	}
	return r.finish(), nil
}

// reader gathers what the single queries tell.
type reader struct {
	ctx  context.Context
	q    Querier
	lang msg.Lang

	schemas     map[uint32]string
	extension   map[object]uint32 // the extension that an object belongs to
	configs     map[uint32]string // what extensions give pg_dump of the rows of relations that are the user's
	classes     map[uint32]*class
	native      map[uint32]bool // the extensions whose functions in C may write
	types       map[uint32]*typeOf
	constraints []*constraint
	triggers    []trigger
	users       []user
	sequences   map[uint32]*Sequence
	operators   map[uint32]string

	extensionNames map[uint32]string

	list    []*relation // the tables of the schema
	byOID   map[uint32]*relation
	besides map[uint32]*relation // tables outside of it
	left    map[uint32]bool      // the migration tables that were left alone
	out     Catalog
}

// object names what belongs to an extension.
type object struct{ catalog, oid uint32 }

// class is a table, a sequence or a composite type, with what its row in
// pg_class tells.
type class struct {
	oid       uint32
	schema    uint32
	name      string
	kind      string
	partition bool
	ruled     bool // it has rules, or had some
	populated bool
	key       string
	bound     string
	parents   []uint32
	columns   []column
	live      Table // Rows, Bytes, Size, Owned, Secured, Forced
}

type column struct {
	schema.Column
	num  int16
	kind uint32 // its type
}

// column returns a column by its number.
func (c *class) column(num int16) *column {
	i, ok := slices.BinarySearchFunc(c.columns, num, func(a column, n int16) int { return cmp.Compare(a.num, n) })
	if !ok {
		return nil
	}
	return &c.columns[i]
}

func (c *class) names(nums []int16) []string {
	names := make([]string, 0, len(nums))
	for _, num := range nums {
		if col := c.column(num); col != nil {
			names = append(names, col.Name)
		}
	}
	return names
}

// typeOf is a type that the user made, or a domain.
type typeOf struct {
	oid, schema uint32
	name        string
	kind        string // pg_type.typtype
	base        uint32 // of a domain
	class       uint32 // of a composite type
	notNull     bool
	hasDefault  bool
	of          string // the base type of a domain, the subtype of a range
	labels      []string
	checks      []string
}

type constraint struct {
	table, domain, target   uint32
	name, kind              string
	deferrable              bool
	inherited, full, period bool
	validated               bool
	columns, refColumns     []int16
	operators               []uint32 // between them
	onDelete                string
	check                   string
}

type trigger struct {
	table, function, schema uint32 // schema: that of its function
	name, enabled           string
	kind, column            int16 // pg_trigger.tgtype, the first of tgattr
}

// user is a column that takes its values from a sequence.
type user struct {
	sequence, table uint32
	num             int16
	owns            bool
}

// relation is a table that a snapshot has to do with.
type relation struct {
	*class
	root  *relation // the partitioned table that it belongs to in the end, or itself
	table schema.Table
	keys  []key
	why   string // its rows are outside
}

// key is a candidate for the order of a table's rows.
type key struct {
	schema.Key
	usable     bool // of not-null columns
	deferrable bool
}

// made is the condition on oids of what was made after initdb, from firstMade on:
// all others are the system's.
const (
	made      = ` >= 16384`
	firstMade = 16384
)

// notOwn is the condition on relations that groundhog did not make: there may be
// as many of its own, and to ask for the size of one is to wait for its lock. A schema
// of that name that has none of them is the user's.
const notOwn = `relnamespace <> ALL (ARRAY(SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname = '` + OwnSchema + `'
	AND EXISTS (SELECT FROM pg_catalog.pg_class o WHERE o.relnamespace = n.oid AND o.relname IN ('state', 'origin'))))`

// each queues a query and has row called for each of its rows.
func each(b *pgx.Batch, sql string, scan []any, row func() error) {
	b.Queue(sql).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, scan, row)
		return err
	})
}

func (r *reader) readSchemas(b *pgx.Batch) {
	var (
		oid  uint32
		name string
	)
	each(b, `SELECT oid, nspname FROM pg_catalog.pg_namespace`, []any{&oid, &name}, func() error {
		r.schemas[oid] = name
		return nil
	})
}

// The oids of catalogs that stand in pg_depend. They never change, and to look
// the names up takes time.
const (
	classCatalog     = 1259   // pg_class
	functionCatalog  = 1255   // pg_proc
	typeCatalog      = 1247   // pg_type
	defaultCatalog   = `2604` // pg_attrdef
	functionClass    = `1255` // pg_proc
	relationCatalog  = `1259` // pg_class
	extensionCatalog = `3079` // pg_extension
)

func (r *reader) readExtensions(b *pgx.Batch) {
	var (
		member    object
		extension uint32
		text      *string
	)
	each(b, `SELECT classid, objid, refobjid, NULL::text FROM pg_catalog.pg_depend
		WHERE refclassid = `+extensionCatalog+` AND refobjid`+made+` AND deptype = 'e'
		UNION ALL SELECT `+extensionCatalog+`, e.oid, CASE WHEN e.extname <> ALL (`+harmless+`) AND EXISTS (SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_proc p ON p.oid = d.objid
				WHERE d.refclassid = `+extensionCatalog+` AND d.refobjid = e.oid AND d.deptype = 'e' AND d.classid = `+functionClass+` AND `+native+`) THEN 1 ELSE 0 END::pg_catalog.oid, e.extname
			FROM pg_catalog.pg_extension e WHERE e.oid`+made+`
		UNION ALL SELECT 0, c.relation, 0, coalesce(c.condition, '') FROM pg_catalog.pg_extension, unnest(extconfig, extcondition) c(relation, condition)`,
		[]any{&member.catalog, &member.oid, &extension, &text}, func() error {
			switch {
			case text == nil:
				r.extension[member] = extension
			case member.catalog == 0:
				r.configs[member.oid] = *text
			default:
				r.extensionNames[member.oid] = *text
				r.native[member.oid] = extension == 1
				r.out.Native = r.out.Native || extension == 1
			}
			return nil
		})
}

func (r *reader) readClasses(b *pgx.Batch) {
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
			r.classes[c.oid] = &one
			return nil
		})
}

func (r *reader) readInherits(b *pgx.Batch) {
	var child, parent uint32
	each(b, `SELECT inhrelid, inhparent FROM pg_catalog.pg_inherits WHERE inhrelid`+made+` ORDER BY inhrelid, inhseqno`, []any{&child, &parent}, func() error {
		if c := r.classes[child]; c != nil {
			c.parents = append(c.parents, parent)
		}
		return nil
	})
}

func (r *reader) readTypes(b *pgx.Batch) {
	var t typeOf
	each(b, `
		SELECT oid, typnamespace, typname, typtype::text, typbasetype, typrelid, typnotnull, typdefault IS NOT NULL,
			CASE typtype WHEN 'd' THEN pg_catalog.format_type(typbasetype, typtypmod)
				WHEN 'r' THEN coalesce((SELECT pg_catalog.format_type(g.rngsubtype, NULL) FROM pg_catalog.pg_range g WHERE g.rngtypid = t.oid), '') ELSE '' END
		FROM pg_catalog.pg_type t WHERE typtype IN ('e', 'd', 'c', 'r') AND oid`+made+` OR typtype = 'd' OR typdefault IS NOT NULL`,
		[]any{&t.oid, &t.schema, &t.name, &t.kind, &t.base, &t.class, &t.notNull, &t.hasDefault, &t.of}, func() error {
			one := t
			r.types[t.oid] = &one
			return nil
		})
}

func (r *reader) readLabels(b *pgx.Batch) {
	var (
		oid   uint32
		label string
	)
	each(b, `SELECT enumtypid, enumlabel FROM pg_catalog.pg_enum ORDER BY enumtypid, enumsortorder`, []any{&oid, &label}, func() error {
		if t := r.types[oid]; t != nil {
			t.labels = append(t.labels, label)
		}
		return nil
	})
}

func (r *reader) readColumns(b *pgx.Batch) {
	var (
		oid                       uint32
		c                         column
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
			if t := r.types[c.kind]; t != nil && t.hasDefault {
				one.Default = true
			}
			one.Default = one.Default && generated == ""
			if class := r.classes[oid]; class != nil {
				class.columns = append(class.columns, one)
			}
			return nil
		})
}

// readConstraints reads keys, foreign keys and the conditions of domains.
func (r *reader) readConstraints(b *pgx.Batch) {
	var k constraint
	period := "false"
	if c, ok := r.q.(interface{ Conn() *pgx.Conn }); ok && major(c.Conn()) >= 18 {
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
			r.constraints = append(r.constraints, &one)
			return nil
		})
}

func (r *reader) readTriggers(b *pgx.Batch) {
	var t trigger
	each(b, `
		SELECT tgrelid, tgname, tgenabled::text, tgfoid, coalesce((SELECT p.pronamespace FROM pg_catalog.pg_proc p WHERE p.oid = tgfoid), 0)::pg_catalog.oid,
			tgtype, coalesce(tgattr[0], 0)
		FROM pg_catalog.pg_trigger WHERE tgrelid`+made+` AND NOT tgisinternal ORDER BY tgrelid, tgname COLLATE "C"`,
		[]any{&t.table, &t.name, &t.enabled, &t.function, &t.schema, &t.kind, &t.column}, func() error {
			r.triggers = append(r.triggers, t)
			return nil
		})
}

func (r *reader) readSequences(b *pgx.Batch) {
	var (
		oid uint32
		s   Sequence
	)
	each(b, `SELECT seqrelid, seqincrement < 0, seqstart FROM pg_catalog.pg_sequence`, []any{&oid, &s.Down, &s.Start}, func() error {
		one := s
		r.sequences[oid] = &one
		return nil
	})
}

// readUsers reads which columns own sequences, and which have one in their
// default.
func (r *reader) readUsers(b *pgx.Batch) {
	var u user
	each(b, `
		SELECT objid, refobjid, refobjsubid::int2, true FROM pg_catalog.pg_depend
		WHERE classid = `+relationCatalog+` AND objid IN (SELECT seqrelid FROM pg_catalog.pg_sequence)
			AND refclassid = `+relationCatalog+` AND refobjsubid > 0 AND deptype IN ('a', 'i')
		UNION ALL
		SELECT d.refobjid, f.adrelid, f.adnum, false FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_attrdef f ON f.oid = d.objid
		WHERE d.classid = `+defaultCatalog+` AND d.refclassid = `+relationCatalog+` AND d.refobjsubid = 0`,
		[]any{&u.sequence, &u.table, &u.num, &u.owns}, func() error {
			r.users = append(r.users, u)
			return nil
		})
}

// tracked reports whether an object belongs to the user's data: to no system
// schema and to no extension. It is the same as the condition tracked.
func (r *reader) tracked(catalog, oid, schema uint32) bool {
	name, ok := r.schemas[schema]
	_, member := r.extension[object{catalog, oid}]
	return ok && !strings.HasPrefix(name, "pg_") && name != "information_schema" && name != OwnSchema && !member
}

// trackedClass tells the same of a relation, where what an extension names as the
// user's is that too.
func (r *reader) trackedClass(c *class) bool { return r.whyOutside(c) == "" }

func (r *reader) nameOf(c *class) schema.Name {
	return schema.Name{Schema: r.schemas[c.schema], Name: c.name}
}

// build joins what was read.
func (r *reader) build() error {
	for _, step := range []func() error{r.relations, r.migration, r.rules, r.readOperators} {
		if err := step(); err != nil {
			return err
		}
	}
	r.keysOf()
	r.triggersOf()
	r.typesOf()
	r.sequencesOf()
	return nil
}

// relations lists the tables in the order of their names.
func (r *reader) relations() error {
	for _, c := range r.classes {
		if c.kind == "S" || c.kind == "c" {
			continue
		}
		if why := r.whyOutside(c); why == unseen || why == "" && c.kind == "m" {
			continue
		} else if why != "" {
			r.beside(c, why)
			continue
		}
		name := r.nameOf(c)
		if c.kind == "f" {
			return errs.New(errs.ErrUnsupported, msg.ForeignPartition.In(r.lang, name.String()), nil)
		}
		rel := &relation{class: c, table: schema.Table{Name: name, Kind: schema.Ordinary, PartitionKey: c.key, Bound: c.bound}}
		rel.live.Name, rel.live.Partitioned = name, c.kind == "p"
		if rel.live.Partitioned {
			rel.table.Kind = schema.Partitioned
		}
		rel.live.Portable = true
		r.configure(rel)
		for _, col := range c.columns {
			rel.table.Columns = append(rel.table.Columns, col.Column)
			if col.Generated == "" && col.Identity != "always" {
				rel.live.Settable = append(rel.live.Settable, col.Name)
			}
			if col.Generated == "" {
				rel.live.Columns = append(rel.live.Columns, col.Name)
				rel.live.Portable = rel.live.Portable && r.portable(col.kind)
			}
		}
		rel.live.Portable = rel.live.Portable && len(rel.live.Columns) > 0
		r.list = append(r.list, rel)
		r.byOID[c.oid] = rel
	}
	slices.SortFunc(r.list, func(a, b *relation) int { return a.table.Compare(b.table.Name) })
	for _, rel := range r.list {
		rel.root = r.byOID[r.rootOf(rel.class).oid]
	}
	return nil
}

// rootOf returns the table that holds all partitions of which c is one, or c. A
// partition of an extension's table stands alone.
func (r *reader) rootOf(c *class) *class {
	for c.partition && len(c.parents) > 0 {
		parent := r.classes[c.parents[0]]
		if parent == nil || !r.trackedClass(parent) {
			break
		}
		c = parent
	}
	return c
}

// portable reports whether COPY's binary form of a type means the same on every
// server.
func (r *reader) portable(oid uint32) bool {
	if t := r.types[oid]; t != nil {
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

// keysOf gives tables their keys and foreign keys, and domains their conditions.
// What a partition has from its parent is told by the parent alone.
func (r *reader) keysOf() {
	for _, k := range r.constraints {
		rel := r.byOID[k.table]
		switch {
		case k.kind == "c":
			if t := r.types[k.domain]; t != nil {
				t.checks = append(t.checks, k.check)
			}
		case rel == nil: // outside
			if besides := r.besides[k.table]; besides != nil && k.kind == "f" {
				r.foreignKey(besides, k)
			}
		case k.kind == "f" && !k.inherited:
			r.foreignKey(rel, k)
		case k.kind != "f":
			one := key{Key: schema.Key{Primary: k.kind == "p", Columns: rel.names(k.columns)}, usable: true, deferrable: k.deferrable}
			for _, num := range k.columns {
				if col := rel.column(num); col == nil || !col.NotNull {
					one.usable = false
				}
			}
			rel.keys = append(rel.keys, one)
			if !k.inherited {
				rel.table.Keys = append(rel.table.Keys, one.Key)
			}
		}
	}
}

func (r *reader) foreignKey(rel *relation, k *constraint) {
	target := r.classes[k.target]
	if target == nil {
		return // made since the tables were read
	}
	ref, columns, refColumns := r.nameOf(target), rel.names(k.columns), target.names(k.refColumns)
	rel.table.ForeignKeys = append(rel.table.ForeignKeys, schema.ForeignKey{Columns: columns, References: ref, RefColumns: refColumns})
	known := cmp.Or(r.byOID[k.target], r.besides[k.target])
	if known == nil {
		return // no matter of ours
	}
	// A partition's own foreign key counts for the table that is loaded.
	rel.root.live.ForeignKeys = append(rel.root.live.ForeignKeys, ForeignKey{
		Name: k.name, Table: rel.table.Name, Columns: columns, References: known.root.table.Name, Target: ref,
		RefColumns: refColumns, Operators: r.namesOf(k.operators),
		OnDelete: k.onDelete, Full: k.full, Period: k.period, Validated: k.validated, Deferrable: k.deferrable})
}

// recordImage is the one operator of the system by which a foreign key may
// compare that is not called "=".
const recordImage = 3188

// readOperators reads the names of the operators by which foreign keys compare,
// but for those that are the system's "=", as most are.
func (r *reader) readOperators() error {
	var others []uint32
	for _, k := range r.constraints {
		for _, oid := range k.operators {
			if oid >= firstMade || oid == recordImage || k.period {
				others = append(others, oid)
			}
		}
	}
	if len(others) == 0 {
		return nil
	}
	rows, err := r.q.Query(r.ctx, `SELECT o.oid, pg_catalog.format('OPERATOR(%I.%s)', n.nspname, o.oprname)
		FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace WHERE o.oid = ANY($1)`, others)
	if err != nil {
		return err
	}
	var (
		oid  uint32
		name string
	)
	_, err = pgx.ForEachRow(rows, []any{&oid, &name}, func() error { r.operators[oid] = name; return nil })
	return err
}

func (r *reader) namesOf(operators []uint32) []string {
	names := make([]string, len(operators))
	for i, oid := range operators {
		names[i] = cmp.Or(r.operators[oid], "OPERATOR(pg_catalog.=)")
	}
	return names
}

func (r *reader) triggersOf() {
	for _, t := range r.triggers {
		if rel := r.byOID[t.table]; rel != nil && r.schemas[t.schema] != OwnSchema {
			one := Trigger{Table: rel.table.Name, Name: t.name, Enabled: t.enabled, kind: t.kind}
			if extension := r.extension[object{classCatalog, t.table}]; extension != 0 && extension == r.extension[object{functionCatalog, t.function}] {
				one.Extension = true
			}
			if col := rel.column(t.column); col != nil {
				one.column = col.Name
			}
			rel.root.live.Triggers = append(rel.root.live.Triggers, one)
		}
	}
}

// rules reads the rewrite rules that would change what an UPDATE, an INSERT or a
// DELETE does, where there may be any.
func (r *reader) rules() error {
	var ruled []uint32
	for _, rel := range r.list {
		if rel.ruled {
			ruled = append(ruled, rel.oid)
		}
	}
	if len(ruled) == 0 {
		return nil
	}
	rows, err := r.q.Query(r.ctx, `
		SELECT ev_class, rulename, ev_enabled::text FROM pg_catalog.pg_rewrite
		WHERE ev_class = ANY($1) AND ev_type IN ('2', '3', '4') ORDER BY ev_class, rulename COLLATE "C"`, ruled)
	if err != nil {
		return err
	}
	var (
		oid  uint32
		rule Trigger
	)
	_, err = pgx.ForEachRow(rows, []any{&oid, &rule.Name, &rule.Enabled}, func() error {
		rel := r.byOID[oid]
		rule.Table = rel.table.Name
		rel.root.live.Rules = append(rel.root.live.Rules, rule)
		return nil
	})
	return err
}

// typesOf lists the user's own types; a type that a table or an extension brings
// with it is told by that.
func (r *reader) typesOf() {
	kinds := map[string]string{"e": "enum", "d": "domain", "c": "composite", "r": "range"}
	for _, t := range r.types {
		kind := kinds[t.kind]
		if kind == "" || !r.tracked(typeCatalog, t.oid, t.schema) {
			continue
		}
		definition := []string{}
		switch kind {
		case "enum":
			definition = append(definition, t.labels...)
		case "domain":
			definition = append(definition, t.of)
			if t.notNull {
				definition = append(definition, "not null")
			}
			slices.Sort(t.checks)
			definition = append(definition, t.checks...)
		case "composite":
			c := r.classes[t.class]
			if c == nil || c.kind != "c" {
				continue
			}
			for _, col := range c.columns {
				definition = append(definition, col.Name+" "+col.Type)
			}
		case "range":
			definition = append(definition, t.of)
		}
		r.out.Schema.Types = append(r.out.Schema.Types, schema.Type{Name: schema.Name{Schema: r.schemas[t.schema], Name: t.name}, Kind: kind, Definition: definition})
	}
}

// sequencesOf lists all sequences but those of migration tables and of extensions. What
// an extension names as the user's, or has in a table that it names, is that.
func (r *reader) sequencesOf() {
	left, named, unowned := map[uint32]bool{}, map[uint32]bool{}, map[uint32]string{}
	slices.SortFunc(r.users, func(a, b user) int { return cmp.Or(cmp.Compare(a.table, b.table), cmp.Compare(a.num, b.num)) })
	for _, u := range r.users {
		s, rel := r.sequences[u.sequence], r.byOID[u.table]
		if u.owns && r.left[u.table] {
			left[u.sequence] = true
		}
		if s == nil || rel == nil {
			continue
		}
		if rel.live.Extension != "" {
			named[u.sequence] = true
		}
		if rel.why != "" {
			unowned[u.sequence] = rel.why
			continue
		}
		col := rel.column(u.num)
		if col == nil || !slices.Contains([]uint32{pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID}, col.kind) {
			continue
		}
		one := Column{Table: rel.table.Name, Root: rel.root.table.Name, Name: col.Name}
		if !slices.Contains(s.Users, one) { // it may own the sequence and have it in its default
			s.Users = append(s.Users, one)
		}
	}
	for oid, s := range r.sequences {
		c := r.classes[oid]
		if c == nil {
			continue
		}
		why := r.whyOutside(c)
		switch {
		case why == OfExtension && named[oid]:
			why = ""
		case why == "" && left[oid]:
			why = OfMigration
		}
		if why != "" {
			if why != unseen {
				r.outside(c, why)
			}
			continue
		}
		s.Name, s.Extension = r.nameOf(c), r.extensionOf(c)
		r.out.Schema.Sequences = append(r.out.Schema.Sequences, s.Name)
		if s.Extension != "" && (unowned[oid] != "" || !c.live.Owned) {
			r.outside(c, cmp.Or(unowned[oid], NotOwned))
			continue
		}
		r.out.Sequences = append(r.out.Sequences, *s)
	}
	slices.SortFunc(r.out.Sequences, func(a, b Sequence) int { return a.Compare(b.Name) })
	slices.SortFunc(r.out.Schema.Sequences, schema.Name.Compare)
}

// finish joins what the queries told, and puts the tables in load order.
func (r *reader) finish() *Catalog {
	slices.SortFunc(r.out.Outside, func(a, b Outside) int { return a.Compare(b.Name) })
	byName := map[schema.Name]*relation{}
	references := map[schema.Name][]schema.Name{}
	var names []schema.Name
	for _, rel := range r.list {
		for _, oid := range rel.parents {
			parent, ok := r.byOID[oid]
			switch {
			case !ok: // outside
			case rel.root != rel:
				rel.table.PartitionOf = &parent.table.Name
			default:
				rel.table.Inherits = append(rel.table.Inherits, parent.table.Name)
			}
		}
		r.out.Schema.Tables = append(r.out.Schema.Tables, rel.table)
		if root := rel.root; root != rel {
			root.live.Bytes += rel.live.Bytes
			root.live.Size += rel.live.Size
			root.live.Rows = max(root.live.Rows, 0) + max(rel.live.Rows, 0)
			root.live.Owned = root.live.Owned && rel.live.Owned
			continue
		}
		if rel.why != "" {
			r.out.RowsOutside = append(r.out.RowsOutside, rel.live)
			continue
		}
		byName[rel.table.Name] = rel
		names = append(names, rel.table.Name)
	}
	r.others(byName)
	for _, name := range names {
		rel := byName[name]
		if k := rel.bestKey(); k != nil {
			rel.live.OrderBy, rel.live.Key, rel.live.Deferrable = k.Columns, true, k.deferrable
		}
		for _, fk := range rel.live.ForeignKeys {
			references[name] = append(references[name], fk.References)
		}
	}
	order, cycle := schema.LoadOrder(names, references)
	for _, name := range order {
		t := byName[name].live
		t.Cycle = cycle[name]
		r.out.Tables = append(r.out.Tables, t)
	}
	r.out.Schema = r.out.Schema.Canonical()
	return &r.out
}

// bestKey returns the primary key, else a unique key that allows no null: an
// order in which no two rows are equal.
func (rel *relation) bestKey() *key {
	for i, k := range rel.keys { // primary keys come first
		if k.usable {
			return &rel.keys[i]
		}
	}
	return nil
}
