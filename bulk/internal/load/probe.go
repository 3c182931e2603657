package load

import (
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/internal/errs"
)

// findTime bounds the search for a row by loading halves.
const findTime = 5 * time.Second

// probe is such a search: the call is made once more, up to the job that failed.
type probe struct {
	until time.Time
	job   int // its position among the jobs, from 1
	pg    *pgconn.PgError
	row   int // what was found, or -1
}

// over reports whether there is no time left.
func (p *probe) over() bool { return !time.Now().Before(p.until) }

// failedBy reports whether an error is the one that is looked for.
func (p *probe) failedBy(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == p.pg.Code && pg.ConstraintName == p.pg.ConstraintName && !errs.IsClass(err, errs.ErrConnection)
}

// errProbed ends the attempt of a probe.
var errProbed = errors.New("the row was looked for")
