package catalog

import (
	"cmp"
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/schema"
)

// recordImage is the one operator of the system by which a foreign key may
// compare that is not called "=".
const recordImage = 3188

// operatorNames are the names of operators by which foreign keys compare, but for those
// that are the system's "=", as most are.
type operatorNames map[uint32]string

func readOperators(ctx context.Context, q Querier, constraints []*constraint) (operatorNames, error) {
	var others []uint32
	for _, k := range constraints {
		for _, oid := range k.operators {
			if oid >= firstMade || oid == recordImage || k.period {
				others = append(others, oid)
			}
		}
	}
	if len(others) == 0 {
		return nil, nil
	}
	rows, err := q.Query(ctx, `SELECT o.oid, pg_catalog.format('OPERATOR(%I.%s)', n.nspname, o.oprname)
		FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace WHERE o.oid = ANY($1)`, others)
	if err != nil {
		return nil, err
	}
	var (
		oid  uint32
		name string
		out  = operatorNames{}
	)
	_, err = pgx.ForEachRow(rows, []any{&oid, &name}, func() error { out[oid] = name; return nil })
	return out, err
}

// names returns them in the order of their oids in pg_constraint.
func (o operatorNames) names(oids []uint32) []string {
	names := make([]string, len(oids))
	for i, oid := range oids {
		names[i] = cmp.Or(o[oid], "OPERATOR(pg_catalog.=)")
	}
	return names
}

// addConstraints gives tables their keys and foreign keys, and domains their conditions.
// What a partition has from its parent is told by the parent alone.
func addConstraints(r *relations, o operatorNames) {
	for _, k := range r.constraints {
		rel := r.byOID[k.table]
		switch {
		case k.kind == "c":
			if t := r.types[k.domain]; t != nil {
				t.checks = append(t.checks, k.check)
			}
		case rel == nil: // outside
			if outer := r.outer[k.table]; outer != nil && k.kind == "f" {
				addForeignKey(r, outer, k, o)
			}
		case k.kind == "f" && !k.inherited:
			addForeignKey(r, rel, k, o)
		case k.kind != "f":
			one := candidateKey{Key: schema.Key{Primary: k.kind == "p", Columns: rel.names(k.columns)}, usable: true, deferrable: k.deferrable}
			for _, num := range k.columns {
				if col := rel.byNumber(num); col == nil || !col.NotNull {
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

func addForeignKey(r *relations, rel *relation, k *constraint, o operatorNames) {
	target := r.classes[k.target]
	if target == nil {
		return // made since the tables were read
	}
	ref, columns, refColumns := r.nameOf(target), rel.names(k.columns), target.names(k.refColumns)
	rel.table.ForeignKeys = append(rel.table.ForeignKeys, schema.ForeignKey{Columns: columns, References: ref, RefColumns: refColumns})
	known := cmp.Or(r.byOID[k.target], r.outer[k.target])
	if known == nil {
		return // no matter of ours
	}
	// A partition's own foreign key counts for the table that is loaded.
	rel.root.live.ForeignKeys = append(rel.root.live.ForeignKeys, ForeignKey{
		Name: k.name, Table: rel.table.Name, Columns: columns, References: known.root.table.Name, Target: ref,
		RefColumns: refColumns, Operators: o.names(k.operators),
		OnDelete: k.onDelete, Full: k.full, Period: k.period, Validated: k.validated, Deferrable: k.deferrable})
}
