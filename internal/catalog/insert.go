package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/groundhogdb/groundhog/internal/schema"
)

// InsertTarget is what has to be known of a table to load rows into it.
type InsertTarget struct {
	schema.Name
	OID     uint32 // 0: there is no such table
	Kind    string // pg_class.relkind
	Columns []InsertColumn

	// BeforeRow tells that a trigger may fill columns in before a row is
	// stored, so nothing can be said of columns that are missing.
	BeforeRow bool
	// Deferrable tells that a constraint may be checked only at the commit.
	Deferrable bool
	// RowSecurity tells that policies apply to the role, which COPY can't heed.
	RowSecurity bool
}

// InsertColumn is a column of an InsertTarget, in the table's own order.
type InsertColumn struct {
	Name      string
	Type      string // as SQL writes it
	TypeOID   uint32
	NotNull   bool
	Default   string // the expression that the server evaluates, or ""
	Sequence  uint32 // whose next value is the default, or 0
	Identity  bool
	Generated bool
	Key       bool // part of the primary key
}

// Server reports whether the server makes the column's value by itself.
func (c InsertColumn) Server() bool { return c.Default != "" || c.Identity || c.Generated }

// Loadable reports whether COPY can write to a relation of this kind.
func (t InsertTarget) Loadable() bool {
	switch t.Kind {
	case "r", "p", "f": // an ordinary, a partitioned, a foreign table
		return true
	}
	return false
}

// Names lists the columns.
func (t InsertTarget) Names() []string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
	}
	return names
}

// QueueInsertTargets asks, as part of a batch, for the tables with the names,
// which are looked up as SQL would: a name may be qualified, and its parts
// quoted; a name that is a table's own letter by letter needs no quotes. The
// targets are passed to use in the order of the names.
func QueueInsertTargets(b *pgx.Batch, names []string, use func([]InsertTarget)) {
	b.Queue(insertTargetsSQL, names).Query(func(rows pgx.Rows) error {
		var (
			at      int
			t       InsertTarget
			c       InsertColumn
			targets = make([]InsertTarget, len(names))
		)
		_, err := pgx.ForEachRow(rows, []any{&at, &t.OID, &t.Schema, &t.Name.Name, &t.Kind, &t.BeforeRow, &t.Deferrable, &t.RowSecurity,
			&c.Name, &c.Type, &c.TypeOID, &c.NotNull, &c.Default, &c.Sequence, &c.Identity, &c.Generated, &c.Key}, func() error {
			target := &targets[at-1]
			if target.OID == 0 {
				*target = t
			}
			if c.Name != "" {
				target.Columns = append(target.Columns, c)
			}
			return nil
		})
		use(targets)
		return err
	})
}

const insertTargetsSQL = `
	WITH s AS MATERIALIZED (SELECT s.at, s.name, c.oid, n.nspname, c.relname, c.relkind,
		EXISTS (SELECT FROM pg_catalog.pg_trigger g
			WHERE (g.tgrelid = c.oid OR c.relkind = 'p' AND g.tgrelid IN (SELECT p.relid FROM pg_catalog.pg_partition_tree(c.oid) p))
				AND NOT g.tgisinternal AND g.tgenabled <> 'D' AND g.tgtype & 7 = 7) AS before,
		EXISTS (SELECT FROM pg_catalog.pg_trigger g
			WHERE (g.tgrelid = c.oid OR c.relkind = 'p' AND g.tgrelid IN (SELECT p.relid FROM pg_catalog.pg_partition_tree(c.oid) p))
				AND g.tgdeferrable AND g.tgenabled <> 'D') AS deferrable,
		coalesce(pg_catalog.row_security_active(c.oid), false) AS secured
		FROM pg_catalog.unnest($1::text[]) WITH ORDINALITY s(name, at)
			CROSS JOIN LATERAL (SELECT coalesce(pg_catalog.to_regclass(pg_catalog.quote_ident(s.name)), pg_catalog.to_regclass(s.name))::pg_catalog.oid) r(oid)
			LEFT JOIN pg_catalog.pg_class c ON c.oid = r.oid
			LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace)
	SELECT s.at, coalesce(s.oid, 0), coalesce(s.nspname, ''), coalesce(s.relname, s.name), coalesce(s.relkind::text, ''), s.before, s.deferrable, s.secured,
		coalesce(a.attname, ''), coalesce(pg_catalog.format_type(a.atttypid, a.atttypmod), ''), coalesce(a.atttypid, 0),
		coalesce(a.attnotnull OR t.typnotnull, false), coalesce(x.expr, ''),
		coalesce(
			CASE WHEN a.attidentity <> '' THEN (SELECT d.objid FROM pg_catalog.pg_depend d
				WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype = 'i'
					AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = s.oid AND d.refobjsubid = a.attnum)
			WHEN x.expr ~ '^nextval\(E?''([^'']|'''')*''::regclass\)$' THEN (SELECT d.refobjid FROM pg_catalog.pg_depend d
				WHERE d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.objid = x.oid
					AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> s.oid LIMIT 1)
			END, 0),
		coalesce(a.attidentity <> '', false), coalesce(a.attgenerated <> '', false),
		EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = s.oid AND k.contype = 'p' AND a.attnum = ANY(k.conkey))
	FROM s
		LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = s.oid AND a.attnum > 0 AND NOT a.attisdropped
		LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
		LEFT JOIN LATERAL (
			SELECT coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid), CASE WHEN t.typtype = 'd' THEN pg_catalog.pg_get_expr(t.typdefaultbin, 0) END), d.oid
			FROM (SELECT) one LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = s.oid AND d.adnum = a.attnum
			WHERE a.attgenerated = '') x(expr, oid) ON true
	ORDER BY s.at, a.attnum`

// TableNames lists the tables of all schemas but the system's, as people write
// them, those that the search_path finds first.
func TableNames(ctx context.Context, q Querier, limit int) ([]string, error) {
	rows, err := q.Query(ctx, `
		SELECT CASE WHEN visible THEN name ELSE pg_catalog.quote_ident(nspname) || '.' || name END FROM (
			SELECT n.nspname, pg_catalog.quote_ident(c.relname) AS name, pg_catalog.pg_table_is_visible(c.oid) AS visible
			FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
			WHERE c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition AND `+tracked+`) t
		ORDER BY NOT visible, 1 LIMIT $1`, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// drawExpr returns the expression by which a value of the column is made:
// what the server does for a row that leaves it out.
func (c InsertColumn) drawExpr() string {
	if c.Identity {
		return fmt.Sprintf("pg_catalog.nextval(%d::pg_catalog.oid::pg_catalog.regclass)", c.Sequence)
	}
	return c.Default
}

// Draw makes n values of the column's default and hands each to scan, which
// has to take it with rows.Scan.
func (c InsertColumn) Draw(ctx context.Context, q Querier, n int, scan func(pgx.Rows) error) error {
	rows, err := q.Query(ctx, "SELECT "+c.drawExpr()+" FROM pg_catalog.generate_series(1, $1::int)", n)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Advance sets the column's sequence so that its next value is above used. A
// sequence that counts down, ends below used, or that the role may not set
// stays as it is.
func (c InsertColumn) Advance(ctx context.Context, q Querier, used int64) error {
	var name schema.Name
	err := q.QueryRow(ctx, `
		SELECT n.nspname, c.relname FROM pg_catalog.pg_class c
			JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
			JOIN pg_catalog.pg_sequence s ON s.seqrelid = c.oid
		WHERE c.oid = $1 AND s.seqincrement > 0 AND $2 BETWEEN s.seqmin AND s.seqmax
			AND pg_catalog.has_sequence_privilege(c.oid, 'SELECT') AND pg_catalog.has_sequence_privilege(c.oid, 'UPDATE')`,
		c.Sequence, used).Scan(&name.Schema, &name.Name)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	rows, err := q.Query(ctx, "SELECT pg_catalog.setval($1::oid::regclass, $2) FROM "+Ident(name)+
		" WHERE last_value < $2 OR last_value = $2 AND NOT is_called", c.Sequence, used)
	if err != nil {
		return err
	}
	rows.Close()
	return rows.Err()
}

// EncodeTypes are types that can be written, with all that they are made of.
type EncodeTypes struct {
	Codecs *pgtype.Map
	Unable map[uint32]bool // base types of extensions for which pgx has no codec

	// Alterable tells that ALTER TYPE may change how some of them are written.
	Alterable bool
}

// ReadEncodeTypes reads types. What the connection knows is taken from there. The
// connection's own map stays as it is: a type that is registered is read in
// another format from then on, and whoever owns the connection did not ask
// for that.
func ReadEncodeTypes(ctx context.Context, conn *pgx.Conn, oids []uint32) (EncodeTypes, error) {
	r := registrar{known: conn.TypeMap(), types: pgtype.NewMap(), byOID: map[uint32]pgType{},
		done: map[uint32]*pgtype.Type{}, unable: map[uint32]bool{}}
	r.types.TryWrapEncodePlanFuncs = encodeFuncs(r.known.TryWrapEncodePlanFuncs)
	r.types.TryWrapScanPlanFuncs = r.known.TryWrapScanPlanFuncs
	for need := oids; len(need) > 0; {
		parts, err := r.read(ctx, conn, need)
		if err != nil {
			return EncodeTypes{}, err
		}
		need = parts
	}
	for _, oid := range oids {
		r.register(oid)
	}
	out := EncodeTypes{Codecs: r.types, Unable: r.unable}
	for _, t := range r.byOID {
		out.Alterable = out.Alterable || t.kind == "c"
	}
	return out, nil
}

// read asks for types, and returns those that they are made of and that are
// still to be asked for. That is a query for each level, which is cheap: a
// recursive one is planned badly.
func (r *registrar) read(ctx context.Context, conn *pgx.Conn, oids []uint32) (parts []uint32, err error) {
	rows, err := conn.Query(ctx, `
		SELECT t.oid, t.typname, pg_catalog.format_type(t.oid, NULL), t.typtype::text, t.typcategory = 'A' AND t.typelem <> 0, t.typdelim::text,
			CASE t.typtype
				WHEN 'd' THEN t.typbasetype
				WHEN 'b' THEN CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE 0 END
				WHEN 'r' THEN (SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid)
				WHEN 'm' THEN (SELECT r.rngtypid FROM pg_catalog.pg_range r WHERE r.rngmultitypid = t.oid)
				ELSE 0 END,
			ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
				WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum),
			ARRAY(SELECT a.atttypid FROM pg_catalog.pg_attribute a
				WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)
		FROM pg_catalog.pg_type t WHERE t.oid = ANY($1)`, oids)
	if err != nil {
		return nil, err
	}
	var t pgType
	_, err = pgx.ForEachRow(rows, []any{&t.oid, &t.name, &t.label, &t.kind, &t.array, &t.delimiter, &t.of, &t.fields, &t.fieldTypes}, func() error {
		r.byOID[t.oid] = t
		parts = append(append(parts, t.of), t.fieldTypes...)
		t.fields, t.fieldTypes = nil, nil
		return nil
	})
	return slices.DeleteFunc(parts, func(oid uint32) bool {
		_, have := r.byOID[oid]
		return oid == 0 || have
	}), err
}

type pgType struct {
	oid         uint32
	name, label string // label: as SQL writes it
	kind        string // pg_type.typtype
	array       bool
	delimiter   string
	of          uint32 // base type of a domain, element of an array, subtype of a range, range of a multirange
	fields      []string
	fieldTypes  []uint32
}

// registrar registers types, what they are made of first.
type registrar struct {
	known  *pgtype.Map // the connection's
	types  *pgtype.Map // ours
	byOID  map[uint32]pgType
	done   map[uint32]*pgtype.Type
	unable map[uint32]bool
}

func (r *registrar) register(oid uint32) *pgtype.Type {
	if done, ok := r.done[oid]; ok {
		return done
	}
	t, ok := r.byOID[oid]
	if !ok { // a type that was dropped meanwhile, or none
		r.unable[oid] = true
		return nil
	}
	codec := r.codec(t)
	if known, ok := r.known.TypeForOID(oid); ok {
		codec = known.Codec
	} else if standard, ok := r.types.TypeForOID(oid); ok {
		codec = standard.Codec
	}
	if commas, ok := codec.(*pgtype.ArrayCodec); ok && t.array {
		codec = arrayOf(commas.ElementType, t.delimiter[0])
	}
	if codec == nil {
		r.unable[oid] = true
		return nil
	}
	out := &pgtype.Type{Name: t.label, OID: oid, Codec: codec}
	r.types.RegisterType(out)
	r.done[oid] = out
	return out
}

// extensionCodecs are the codecs for base types of contrib extensions, which
// have no fixed oid.
var extensionCodecs = map[string]pgtype.Codec{
	"citext": pgtype.TextCodec{},
	"hstore": pgtype.HstoreCodec{},
	"ltree":  pgtype.LtreeCodec{},
	"lquery": pgtype.LtreeCodec{},
}

func (r *registrar) codec(t pgType) pgtype.Codec {
	switch {
	case t.kind == "e":
		return &pgtype.EnumCodec{}
	case t.kind == "c":
		return r.composite(t)
	case t.kind == "b" && !t.array:
		return extensionCodecs[t.name]
	}
	of := r.register(t.of)
	if of == nil {
		return nil
	}
	switch t.kind {
	case "b":
		return arrayOf(of, t.delimiter[0])
	case "d":
		return of.Codec
	case "r":
		return &pgtype.RangeCodec{ElementType: of}
	case "m":
		return &pgtype.MultirangeCodec{ElementType: of}
	}
	return nil
}

func (r *registrar) composite(t pgType) pgtype.Codec {
	fields := make([]pgtype.CompositeCodecField, len(t.fields))
	for i, name := range t.fields {
		field := r.register(t.fieldTypes[i])
		if field == nil {
			return nil
		}
		fields[i] = pgtype.CompositeCodecField{Name: name, Type: field}
	}
	return &pgtype.CompositeCodec{Fields: fields}
}
