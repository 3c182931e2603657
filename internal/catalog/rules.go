package catalog

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// addTriggers gives tables their triggers, but for ours.
func addTriggers(r *relations) {
	for _, t := range r.triggers {
		if rel := r.byOID[t.table]; rel != nil && r.schemas[t.schema] != OwnSchema {
			one := Trigger{Table: rel.table.Name, Name: t.name, Enabled: t.enabled, kind: t.kind}
			if extension := r.extension[object{classCatalog, t.table}]; extension != 0 && extension == r.extension[object{functionCatalog, t.function}] {
				one.Extension = true
			}
			if col := rel.byNumber(t.column); col != nil {
				one.column = col.Name
			}
			rel.root.live.Triggers = append(rel.root.live.Triggers, one)
		}
	}
}

// addRules reads the rewrite rules that would change what an UPDATE, an INSERT or a
// DELETE does, where there may be any.
func addRules(ctx context.Context, q Querier, r *relations) error {
	var ruled []uint32
	for _, rel := range r.list {
		if rel.ruled {
			ruled = append(ruled, rel.oid)
		}
	}
	if len(ruled) == 0 {
		return nil
	}
	rows, err := q.Query(ctx, `
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
