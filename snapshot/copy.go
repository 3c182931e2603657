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

// copyIn loads the part of a table into the relation.
func (l *loader) copyIn(ctx context.Context, into string, s step) error {
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
	tag, err := l.tx.Conn().PgConn().CopyFrom(ctx, &shareCounter{Reader: s.data(), meter: l.meter, rows: s.part.Rows, raw: s.part.Raw}, fmt.Sprintf("COPY %s%s FROM STDIN%s", into, list, format))
	if err != nil {
		return err
	}
	if got := tag.RowsAffected(); got != s.part.Rows {
		return l.rowsMissing(*s.part, got)
	}
	return nil
}

// inOwnDisplay makes rows and views as a session of the database's users would.
func (l *loader) inOwnDisplay(ctx context.Context, work func() error) error {
	if err := execAll(ctx, l.tx, catalog.DisplayOwn()); err != nil {
		return err
	}
	if err := work(); err != nil {
		return err
	}
	return execAll(ctx, l.tx, catalog.DisplayCopy())
}

// rowsMissing says that the server took fewer rows than the snapshot has.
func (l *loader) rowsMissing(t snapfile.Table, got int64) error {
	return errs.New(nil, msg.RowsMissing.In(l.cfg.lang, t.Name.String(), t.Rows, got), nil)
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
