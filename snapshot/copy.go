package snapshot

import (
	"context"
	"fmt"
	"io"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/progress"
	"github.com/groundhogdb/groundhog/internal/snapfile"
)

// copier puts rows of a file into relations.
type copier struct {
	*layout
	meter *progress.Meter
}

// copyIn loads the part of a table into the relation.
func (c *copier) copyIn(ctx context.Context, into string, s loadStep) error {
	if s.part == nil || s.part.Rows == 0 {
		return nil
	}
	list, format := identifiers(s.part.Columns), ""
	if list != "" {
		list = " (" + list + ")"
	}
	if s.part.Format == snapfile.Binary {
		format = " (FORMAT binary)"
	}
	tag, err := c.tx.Conn().PgConn().CopyFrom(ctx, &shareCounter{Reader: s.data(), meter: c.meter, rows: s.part.Rows, raw: s.part.Raw}, fmt.Sprintf("COPY %s%s FROM STDIN%s", into, list, format))
	if err != nil {
		return err
	}
	if got := tag.RowsAffected(); got != s.part.Rows {
		return c.rowsMissing(*s.part, got)
	}
	return nil
}

// inOwnDisplay makes rows and views as a session of the database's users would.
func (c *copier) inOwnDisplay(ctx context.Context, work func() error) error {
	if err := c.exec(ctx, catalog.DefaultOutputSettings()...); err != nil {
		return err
	}
	if err := work(); err != nil {
		return err
	}
	return c.exec(ctx, catalog.CopyOutputSettings()...)
}

// rowsMissing returns an error: the server took fewer rows than the snapshot has.
func (c *copier) rowsMissing(t snapfile.Table, got int64) error {
	return errs.New(ErrConflict, msg.RowsMissing.In(c.cfg.lang, t.Name.String(), msg.Count(t.Rows), msg.Count(got)), nil)
}

// shareCounter counts rows of a part that is being read by the share of its
// bytes.
type shareCounter struct {
	io.Reader
	meter      *progress.Meter
	rows, raw  int64 // of the part
	read, told int64
}

func (r *shareCounter) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.read += int64(n)
	now := int64(float64(r.rows) * float64(r.read) / float64(max(r.raw, 1)))
	r.meter.Add(int(now - r.told))
	r.told = now
	return n, err
}
