package catalog

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/schema"
)

// MaterializedViews lists the user's materialised views that are populated, what
// they are made of first.
func MaterializedViews(ctx context.Context, q Querier) ([]schema.Name, error) {
	rows, err := q.Query(ctx, `
		SELECT n.nspname, c.relname, c.relkind = 'm' AND c.relispopulated, coalesce(fn.nspname, ''), coalesce(f.relname, '')
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
			LEFT JOIN (pg_catalog.pg_rewrite w
				JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = w.oid
					AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> w.ev_class
				JOIN pg_catalog.pg_class f ON f.oid = d.refobjid AND f.relkind IN ('v', 'm')
				JOIN pg_catalog.pg_namespace fn ON fn.oid = f.relnamespace) ON w.ev_class = c.oid
		WHERE c.relkind IN ('v', 'm') AND EXISTS (SELECT FROM pg_catalog.pg_class m WHERE m.relkind = 'm') AND `+tracked)
	if err != nil {
		return nil, fmt.Errorf("list the materialised views: %w", err)
	}
	var (
		name, from schema.Name
		populated  bool
		refresh    = map[schema.Name]bool{}
		made       = map[schema.Name][]schema.Name{}
	)
	_, err = pgx.ForEachRow(rows, []any{&name.Schema, &name.Name, &populated, &from.Schema, &from.Name}, func() error {
		refresh[name] = populated
		made[name] = append(made[name], from)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the materialised views: %w", err)
	}
	order, _ := schema.LoadOrder(slices.Collect(maps.Keys(refresh)), made)
	return slices.DeleteFunc(order, func(n schema.Name) bool { return !refresh[n] }), nil
}
