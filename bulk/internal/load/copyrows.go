package load

import (
	"context"
	"reflect"

	"github.com/groundhogdb/groundhog/bulk/internal/copyin"
	"github.com/groundhogdb/groundhog/internal/catalog"
)

// copyRows sends rows through one COPY, and returns how many the server stored.
func copyRows[T any](ctx context.Context, tx *Tx, table *catalog.InsertTarget, columns []copyin.Column, rows []T) (int64, error) {
	s := tx.begin(ctx, table, columns)
	defer s.Abandon() // after a panic, and when the goroutine ends
	for i := range rows {
		// ValueOf gets a copy of the row, whose fields need none of their own.
		if err := s.Row(reflect.ValueOf(rows[i]), i); err != nil {
			return s.End(err)
		}
	}
	return s.End(nil)
}
