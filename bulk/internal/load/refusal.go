package load

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/bulk/internal/copyin"
	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/msg"
)

// refusal is a row that was refused, before all is found out about it: that
// takes another transaction.
type refusal struct {
	job   *copyJob // nil: not known
	row   int      // -1: not known
	value *copyin.ValueError
	pg    *pgconn.PgError
	facts *catalog.ConstraintFacts // nil: to be looked up
	key   []string                 // the values of facts.Columns; nil: in pg.Detail
}

func (r *refusal) Error() string { return r.Unwrap().Error() }

func (r *refusal) Unwrap() error {
	if r.value != nil {
		return r.value
	}
	return r.pg
}

// aboutRows returns an error of the server that is about what rows hold: what
// constraints, types and triggers say of them. It returns nil for what is about the
// connection, other transactions, the server, and, outside of any row or function,
// the table and the rights to it.
func aboutRows(err error) *pgconn.PgError {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || len(pg.Code) != 5 {
		return nil
	}
	switch pg.Code[:2] {
	case "08", "40", "53", "55", "57", "58", "XX":
		return nil
	case "0A", "25", "28", "42":
		if pg.Where == "" {
			return nil
		}
	}
	return pg
}

// copyFailed sorts an error of a COPY whose first row has the number base: that of a row
// is a refusal.
func copyFailed(lang msg.Lang, job *copyJob, base int, err error) error {
	var value *copyin.ValueError
	if errors.As(err, &value) {
		return &refusal{job: job, row: value.Row, value: value}
	}
	pg := aboutRows(err)
	if pg == nil {
		return failed(msg.BulkCopy.In(lang, job.table.String()), err)
	}
	r := &refusal{job: job, row: -1, pg: pg}
	if line, ok := copyLine(pg.Where, job.table.Name.Name); ok {
		r.row = base + line
	}
	return r
}

// refusedLater is a row that was refused after the jobs, by a check of the server's.
func refusedLater(jobs []*copyJob, pg *pgconn.PgError) *refusal {
	return &refusal{job: jobOf(jobs, pg), row: -1, pg: pg}
}

// jobOf finds the job that an error after the jobs is about.
func jobOf(jobs []*copyJob, pg *pgconn.PgError) *copyJob {
	var found *copyJob
	tables := map[*catalog.InsertTarget]bool{}
	for _, job := range jobs {
		tables[job.table] = true
		if job.table.Schema == pg.SchemaName && job.table.Name.Name == pg.TableName {
			found = job
		}
	}
	if found == nil && len(tables) == 1 { // the error names a partition
		found = jobs[len(jobs)-1]
	}
	return found
}
