package snapshot

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/progress"
	"github.com/groundhogdb/groundhog/internal/snapfile"
)

// A second connection is worth its cost from this size of the tables on; up to
// the other one the largest tables are read first, since what has to wait for
// its place in the file fits in memory.
const (
	secondFrom   = 2 << 20
	largestUntil = 16 << 20
)

// tableReader reads the tables in scope into a file, as one transaction sees them.
type tableReader struct {
	db         *database
	cfg        *settings
	searchPath string // under which tables are read
	role       string

	tx     pgx.Tx
	sel    *selection
	file   *snapfile.Writer
	meter  *progress.Meter
	order  []int        // in which tables are read
	next   atomic.Int64 // in order
	forced []int        // the tables that are read last; see beginAgain
}

// readers are the connections that tables are read over: that of the first
// transaction, and a second one that is opened while that one reads the catalog.
type readers struct {
	group *errgroup.Group
	ctx   context.Context
	tell  func(id string) // gives the second the snapshot to read; "": there is nothing to do
}

func (r *tableReader) open(ctx context.Context) readers {
	group, ctx := errgroup.WithContext(ctx)
	id := make(chan string, 1)
	var once sync.Once
	group.Go(func() error { return r.second(ctx, id) })
	return readers{group: group, ctx: ctx, tell: func(s string) { once.Do(func() { id <- s }) }}
}

func (r readers) stop() {
	r.tell("")
	_ = r.group.Wait() // its error was returned by read, or there is another one
}

// read copies all tables into the file, over both connections when there is
// enough to read and the server had a second one to spare.
func (r *tableReader) read(ctx context.Context, over readers, size int64) error {
	for i, t := range r.sel.Tables {
		if t.Secured {
			r.forced = append(r.forced, i)
		} else {
			r.order = append(r.order, i)
		}
	}
	if size <= largestUntil {
		slices.SortStableFunc(r.order, func(a, b int) int { return cmp.Compare(r.sel.Tables[b].Size, r.sel.Tables[a].Size) })
	}
	if size >= secondFrom && len(r.forced) == 0 && len(r.order) > 1 {
		var id string
		if err := r.tx.QueryRow(over.ctx, "SELECT pg_catalog.pg_export_snapshot()", pgx.QueryExecModeSimpleProtocol).Scan(&id); err != nil {
			return err
		}
		over.tell(id)
	}
	over.group.Go(func() error { return r.tables(over.ctx, r.tx.Conn()) })
	over.tell("")
	if err := over.group.Wait(); err != nil || len(r.forced) == 0 {
		return err
	}
	if err := liftRowSecurity(ctx, r.cfg, r.tx, r.sel.secured(), r.role); err != nil {
		return err
	}
	for _, i := range r.forced {
		if err := r.table(ctx, r.tx.Conn(), i); err != nil {
			return err
		}
	}
	return nil
}

// second reads tables over a connection of its own that sees the same state.
// Without one the first does all the work.
func (r *tableReader) second(ctx context.Context, ids <-chan string) error {
	began := false
	err := r.db.withConn(ctx, func(conn *pgx.Conn) error {
		tx, err := catalog.Begin(ctx, conn, readOnly, readSettings)
		if err != nil {
			return err
		}
		defer tx.Rollback(ctx)
		id := <-ids
		if id == "" {
			return nil
		}
		// Whoever waits for a table that the first has would be waited for here.
		if err := catalog.ExecScript(ctx, tx, append([]string{"SET TRANSACTION SNAPSHOT " + catalog.Literal(id)}, r.sel.lockSQL(" NOWAIT")...)...); err != nil {
			return err
		}
		began = true
		return r.tables(ctx, conn)
	})
	if !began && ctx.Err() == nil && err != nil {
		r.db.notices.note(ctx, r.cfg.logger, r.cfg.lang, slog.LevelInfo, msg.OneConnection, err.Error(), "error", errs.Text(err))
		return nil
	}
	return err
}

// tables copies one table after the other until there is none left.
func (r *tableReader) tables(ctx context.Context, conn *pgx.Conn) error {
	for {
		n := int(r.next.Add(1)) - 1
		if n >= len(r.order) {
			return nil
		}
		if err := r.table(ctx, conn, r.order[n]); err != nil {
			return err
		}
	}
}

func (r *tableReader) table(ctx context.Context, conn *pgx.Conn, i int) error {
	t := r.sel.Tables[i]
	part, err := r.file.Part(i)
	if err != nil {
		return err
	}
	where, err := r.condition(ctx, conn, t)
	var tag pgconn.CommandTag
	if err == nil {
		tag, err = conn.PgConn().CopyTo(ctx, rowCounter{part, r.meter}, copyOut(t, where))
	}
	if closed := part.Close(tag.RowsAffected()); err == nil {
		err = closed
	}
	return ofTable(t.Name, err)
}

// condition returns the condition on the rows of a table, and gives the transaction
// the search path under which it is read. Where that is not pg_catalog alone, and a
// value may depend on it, the condition puts pg_catalog in place when the statement is
// planned and no row has been read: all values come out qualified.
func (r *tableReader) condition(ctx context.Context, conn *pgx.Conn, t catalog.Table) (where string, err error) {
	where = r.sel.where[t.Name]
	if r.searchPath == catalogOnly {
		return where, nil
	}
	if err := conn.PgConn().Exec(ctx, localPath(r.searchPath)).Close(); err != nil || t.Portable {
		return where, err
	}
	holds, err := catalog.HoldsNames(ctx, conn, t.Name)
	if err != nil || !holds {
		return where, err
	}
	return joinConditions(where, qualifying), nil
}

// qualifying is a condition that is true for all rows. The server evaluates it once,
// before it reads any.
const qualifying = `(SELECT pg_catalog.set_config('search_path', '` + catalogOnly + `', true)) IS NOT NULL`

// copyOut is the statement that reads a table's own rows in the order of its
// key. Without a key they are ordered by their whole text: rows of equal text
// are the same row to a snapshot.
func copyOut(t catalog.Table, where string) string {
	order := identifiers(t.OrderBy)
	if order == "" && len(t.Columns) > 0 {
		order = "ROW(" + identifiers(t.Columns) + `)::pg_catalog.text COLLATE pg_catalog."C"`
	}
	if order != "" {
		order = " ORDER BY " + order
	}
	if where != "" {
		where = " WHERE " + where
	}
	format := ""
	if t.Portable {
		format = " (FORMAT binary)"
	}
	return fmt.Sprintf("COPY (SELECT %s FROM %s%s%s) TO STDOUT%s", identifiers(t.Columns), t.Only(), where, order, format)
}

// rowCounter counts rows that COPY hands out, each in a call of its own.
type rowCounter struct {
	io.Writer
	meter *progress.Meter
}

func (w rowCounter) Write(p []byte) (int, error) {
	w.meter.Add(1)
	return w.Writer.Write(p)
}
