package catalog

import (
	"context"
	"fmt"
	"strings"

	"github.com/groundhogdb/groundhog/internal/schema"
)

// Sequence is a sequence and the integer columns that take their values from it.
type Sequence struct {
	schema.Name
	Down  bool // it counts down
	Start int64
	Users []Column

	Extension string // that it belongs to
}

// Column is a column of a table, of which Root is the loaded one.
type Column struct {
	Table, Root schema.Name
	Name        string
}

// Sequences reads the state of sequences. It is not part of a transaction's
// snapshot: a sequence tells its newest state.
func Sequences(ctx context.Context, q Querier, names []schema.Name) ([]schema.Sequence, error) {
	if len(names) == 0 {
		return nil, nil
	}
	var sql strings.Builder
	for i, name := range names {
		if i > 0 {
			sql.WriteString(" UNION ALL ")
		}
		fmt.Fprintf(&sql, "SELECT %d, last_value, is_called FROM %s", i, Ident(name))
	}
	out := make([]schema.Sequence, len(names))
	rows, err := q.Query(ctx, sql.String())
	if err != nil {
		return nil, fmt.Errorf("read the sequences: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var i int
		var s schema.Sequence
		if err := rows.Scan(&i, &s.LastValue, &s.IsCalled); err != nil {
			return nil, fmt.Errorf("read the sequences: %w", err)
		}
		s.Name = names[i]
		out[i] = s
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the sequences: %w", err)
	}
	return out, nil
}

// SetSequences gives sequences their states.
func SetSequences(ctx context.Context, q Querier, states []schema.Sequence) error {
	if len(states) == 0 {
		return nil
	}
	var schemas, names []string
	var values []int64
	var called []bool
	for _, s := range states {
		schemas, names = append(schemas, s.Schema), append(names, s.Name.Name)
		values, called = append(values, s.LastValue), append(called, s.IsCalled)
	}
	var n int
	err := q.QueryRow(ctx, `
		SELECT pg_catalog.count(pg_catalog.setval(pg_catalog.format('%I.%I', ($1::text[])[i], ($2::text[])[i])::pg_catalog.regclass, ($3::bigint[])[i], ($4::boolean[])[i]))
		FROM pg_catalog.generate_subscripts($1::text[], 1) AS i`,
		schemas, names, values, called).Scan(&n)
	if err != nil {
		return fmt.Errorf("set the sequences: %w", err)
	}
	return nil
}
