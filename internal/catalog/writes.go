package catalog

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
)

// Writes counts the rows that this transaction has written to a table.
type Writes struct{ Inserted, Updated, Deleted int64 }

// Since returns what was written after an earlier count.
func (w Writes) Since(earlier Writes) Writes {
	return Writes{w.Inserted - earlier.Inserted, w.Updated - earlier.Updated, w.Deleted - earlier.Deleted}
}

// XactWrites counts what this transaction has written to tables, with their
// partitions. Only differences between two calls mean something: the server may count
// earlier transactions of the session too. It is an error where the server does not
// count (track_counts).
func XactWrites(ctx context.Context, q Querier, tables []schema.Name, lang msg.Lang) (map[schema.Name]Writes, error) {
	idents := make([]string, len(tables))
	for i, t := range tables {
		idents[i] = Ident(t)
	}
	rows, err := q.Query(ctx, `
		SELECT t.i, pg_catalog.current_setting('track_counts')::boolean, pg_catalog.sum(pg_catalog.pg_stat_get_xact_tuples_inserted(r.oid))::bigint,
			pg_catalog.sum(pg_catalog.pg_stat_get_xact_tuples_updated(r.oid))::bigint, pg_catalog.sum(pg_catalog.pg_stat_get_xact_tuples_deleted(r.oid))::bigint
		FROM unnest($1::text[]) WITH ORDINALITY t(name, i)
			CROSS JOIN LATERAL (SELECT t.name::pg_catalog.regclass::pg_catalog.oid UNION SELECT p.relid::pg_catalog.oid FROM pg_catalog.pg_partition_tree(t.name::pg_catalog.regclass) p) r(oid)
		GROUP BY t.i`, idents)
	if err != nil {
		return nil, fmt.Errorf("count the transaction's writes: %w", err)
	}
	out := map[schema.Name]Writes{}
	var (
		i      int
		counts bool
		w      Writes
	)
	_, err = pgx.ForEachRow(rows, []any{&i, &counts, &w.Inserted, &w.Updated, &w.Deleted}, func() error {
		if !counts {
			return errs.New(errs.ErrUnsupported, msg.NotCounted.In(lang), nil)
		}
		out[tables[i-1]] = w
		return nil
	})
	return out, err
}
