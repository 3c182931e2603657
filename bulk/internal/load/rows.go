package load

import "context"

// Rows loads rows into a table of the call, and returns how many the server stored.
// Values that the server makes are written into the rows.
func Rows[T any](ctx context.Context, tx *Tx, table string, rows []T) (int64, error) {
	values, err := newServerValues[T](tx, table)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	columns, err := values.prepare(ctx, rows, true)
	if err != nil {
		return 0, err
	}
	job := &copyJob{table: values.table, columns: columns, rows: keptSlice[T]{tx.types, rows}}
	tx.jobs = append(tx.jobs, job)
	if p := tx.probe; p != nil && (len(tx.jobs) == p.job || p.over()) {
		if len(tx.jobs) == p.job {
			p.row = (&search[T]{tx, values.table, columns, rows}).run(ctx)
		}
		return 0, errProbed
	}
	if job.fast, err = tx.fast.chooseTriggerMode(ctx, values.table, len(rows)); err != nil {
		return 0, err
	}
	n, err := copyRows(ctx, tx, values.table, columns, rows)
	if err != nil {
		return 0, copyFailed(tx.lang, job, 0, err)
	}
	return n, nil
}
