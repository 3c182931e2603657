package load

import (
	"context"
	"strconv"
	"time"

	"github.com/groundhogdb/groundhog/bulk/internal/copyin"
	"github.com/groundhogdb/groundhog/internal/catalog"
)

// search finds the first row of a job that is refused, by loading halves.
type search[T any] struct {
	tx      *Tx
	table   *catalog.InsertTarget
	columns []copyin.Column
	rows    []T
}

// run loads halves of the rows until one row is left: those before it are there then,
// as they were when it was refused. It returns -1 if it did not find it.
func (s *search[T]) run(ctx context.Context) int {
	p := s.tx.probe
	from, to := 0, len(s.rows)
	for !p.over() {
		mid := from + (to-from+1)/2
		err := s.try(ctx, s.rows[from:mid], time.Until(p.until))
		switch {
		case err == nil && mid == to, err != nil && !p.failedBy(err):
			return -1
		case err == nil:
			from = mid
		case mid-from == 1:
			return from
		default:
			to = mid
		}
	}
	return -1
}

// try loads rows in a savepoint, which stays when they are taken. The server ends
// it in time: a context that ends would take the caller's connection with it.
func (s *search[T]) try(ctx context.Context, rows []T, limit time.Duration) error {
	tx, err := s.tx.tx.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx)
	if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = "+strconv.FormatInt(max(limit.Milliseconds(), 1), 10)); err != nil {
		return err
	}
	if _, err := copyRows(ctx, s.tx, s.table, s.columns, rows); err != nil {
		return err
	}
	if s.table.Deferrable {
		if _, err := tx.Exec(ctx, "SET CONSTRAINTS ALL IMMEDIATE"); err != nil {
			return err
		}
	}
	return tx.Commit(ctx)
}
