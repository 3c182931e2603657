package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/progress"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/snapfile"
)

// saver writes what one transaction sees to a new file.
type saver struct {
	store      *Store
	cfg        *createConfig
	path, name string
	searchPath string // under which tables are read

	tx    pgx.Tx
	sel   *selection
	file  *snapfile.Writer
	meter *progress.Meter
	next  atomic.Int64 // in order
	// order is in which tables are read.
	order []int
	// forced are the tables that are read last; see mayUnhide.
	forced []int
	role   string
}

func (v *saver) save(ctx context.Context, conn *pgx.Conn, marker *marker) (info Info, err error) {
	defer marker.end(ctx)
	done := func() {}
	if marker == nil { // which keeps them out otherwise
		// A restore in between would set sequences back that the rows have gone past.
		if done, err = v.store.besideRestores(ctx, &v.cfg.storeConfig, conn); err != nil {
			return Info{}, err
		}
		defer done()
	}
	v.tx, err = catalog.Begin(ctx, conn, readOnly, readSettings)
	if err != nil {
		return Info{}, err
	}
	defer func() { v.tx.Rollback(ctx) }()
	readers := v.readers(ctx)
	defer readers.stop()
	powers, err := v.look(ctx)
	if err != nil {
		return Info{}, err
	}
	v.role = powers.Role
	if len(v.hidden()) > 0 {
		if err := v.mayUnhide(ctx, conn); err != nil {
			return Info{}, err
		}
	}
	if err := v.lock(ctx, marker); err != nil {
		return Info{}, err
	}
	sequences, err := catalog.Sequences(ctx, v.tx, v.sel.sequences())
	if err != nil {
		return Info{}, err
	}
	marker.mark(ctx, v.sel, powers, sequences)
	done()
	size, err := v.checkRoom()
	if err != nil {
		return Info{}, err
	}
	parts := make([]snapfile.Table, len(v.sel.Tables))
	for i, t := range v.sel.Tables {
		parts[i] = snapfile.Table{Name: t.Name, Columns: t.Columns}
		if t.Portable {
			parts[i].Format = snapfile.Binary
		}
		if t.Secured {
			v.forced = append(v.forced, i)
		} else {
			v.order = append(v.order, i)
		}
	}
	v.file, err = snapfile.Create(v.store.fs, v.path, parts)
	if err != nil {
		return Info{}, v.full(err)
	}
	defer func() {
		// After Commit there is nothing left to give up.
		if abort := v.file.Abort(); err != nil {
			err = v.full(errors.Join(err, abort))
		}
	}()
	v.meter = v.cfg.meter(msg.ProgressCreating.In(v.cfg.lang, v.name), v.estimatedRows())
	defer v.meter.Done()
	if err := v.read(ctx, readers, size); err != nil {
		return Info{}, err
	}
	m := snapfile.Manifest{Name: v.name, Description: v.cfg.description, CreatedAt: time.Now().UTC().Truncate(time.Microsecond),
		Server: powers.Server, Builder: v.cfg.builder, Fingerprint: v.sel.Schema.Fingerprint(), Scope: v.cfg.scoped(), Schema: v.sel.Schema, Sequences: sequences, Outside: v.sel.outside()}
	if v.sel.Migration != nil {
		m.Migration = &snapfile.Migration{Table: v.sel.Migration.Table.String(), Version: v.sel.Migration.Version}
	}
	if err := v.file.Commit(&m); err != nil {
		return Info{}, err
	}
	rows := map[schema.Name]int64{}
	for _, t := range m.Tables {
		rows[t.Name] = t.Rows
	}
	marker.name(ctx, v.file.Sum(), rows)
	v.tellOutside(ctx)
	info = infoOf(&m, v.path, v.file.Size())
	setBaseline(v.store.pool, &file{path: v.path, name: v.name, manifest: m, info: info, sum: v.file.Sum()})
	return info, nil
}

// look reads the catalog and chooses what is in scope. What the guard saw may be
// long ago.
func (v *saver) look(ctx context.Context) (catalog.Powers, error) {
	powers, err := v.cfg.guarded(ctx, v.tx)
	if err != nil {
		return powers, err
	}
	cat, err := catalog.Read(ctx, v.tx, v.cfg.lang)
	if err != nil {
		return powers, err
	}
	v.sel, err = within(cat, v.cfg.scoped(), true, v.cfg.lang)
	return powers, err
}

// keep is the statement that keeps the tables as they are until the end of the
// transaction: what a TRUNCATE or an ALTER TABLE does, all transactions see.
func (v *saver) keep(wait string) []string {
	if len(v.sel.Tables) == 0 {
		return nil
	}
	names := make([]string, len(v.sel.Tables))
	for i, t := range v.sel.Tables {
		names[i] = t.Only()
	}
	return []string{"LOCK TABLE " + strings.Join(names, ", ") + " IN ACCESS SHARE MODE" + wait}
}

// lock keeps the tables, and sees that nobody truncated one after the transaction
// chose the moment that it sees. Who has a lock on one may be waiting for the marker:
// then it is tried again without.
func (v *saver) lock(ctx context.Context, marker *marker) error {
	sql := v.keep("")
	if marker != nil {
		set := func(wait time.Duration) []string {
			return []string{fmt.Sprintf("SET LOCAL lock_timeout = %d", wait.Milliseconds())}
		}
		sql = slices.Concat(set(markWait), sql, set(lockWait))
	}
	if err := execAll(ctx, v.tx, sql); err != nil {
		return err
	}
	oids := make([]string, len(v.sel.Tables))
	for i, t := range v.sel.Tables {
		oids[i] = catalog.Ident(t.Name)
	}
	var truncated bool
	err := v.tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM unnest($1::text[]) t
			CROSS JOIN LATERAL (SELECT t::pg_catalog.regclass UNION SELECT p.relid FROM pg_catalog.pg_partition_tree(t::pg_catalog.regclass) p) r(oid)
			JOIN pg_catalog.pg_class c ON c.oid = r.oid
		WHERE c.relfilenode IS DISTINCT FROM coalesce(pg_catalog.pg_relation_filenode(c.oid), 0))`, oids).Scan(&truncated)
	if err == nil && truncated {
		err = errTruncated
	}
	return err
}

// hidden lists the tables of which row level security hides rows from us.
func (v *saver) hidden() (tables []catalog.Table) {
	for _, t := range v.sel.Tables {
		if t.Secured {
			tables = append(tables, t)
		}
	}
	return tables
}

// mayUnhide begins the transaction again as one that may alter tables. Those that are
// altered are read last, and come last in the file; see [storeConfig.unhide].
func (v *saver) mayUnhide(ctx context.Context, conn *pgx.Conn) error {
	if err := v.cfg.mayUnhide(v.hidden(), v.role); err != nil {
		return err
	}
	if err := v.tx.Rollback(ctx); err != nil {
		return err
	}
	tx, err := catalog.Begin(ctx, conn, "REPEATABLE READ, READ WRITE", readSettings)
	if err != nil {
		return err
	}
	v.tx = tx
	slices.SortStableFunc(v.sel.Tables, func(a, b catalog.Table) int {
		switch {
		case a.Secured == b.Secured:
			return 0
		case b.Secured:
			return -1
		}
		return 1
	})
	return nil
}

// estimatedRows is how many rows there are as the planner knows it; 0 when it
// does not.
func (v *saver) estimatedRows() (rows int64) {
	for _, t := range v.sel.Tables {
		if v.sel.where[t.Name] != "" && !v.sel.scoped { // a few rows of an extension's table
			continue
		}
		if t.Rows < 0 && t.Bytes > 0 || v.sel.where[t.Name] != "" {
			return 0
		}
		rows += max(t.Rows, 0)
	}
	return rows
}

// checkRoom compares what the file may need with what is free where it goes, and
// returns the size of the tables. The estimate is low: a file can need more, and
// then runs out of room on the way, but it is not refused where it would fit.
func (v *saver) checkRoom() (size int64, err error) {
	var need int64
	for _, t := range v.sel.Tables {
		size += t.Size
		if v.sel.where[t.Name] == "" {
			// Values out of line are mostly compressed already; other rows shrink to
			// a tenth.
			need += t.Bytes/16 + (t.Size-t.Bytes)/2
		}
	}
	free, known := freeRoom(v.cfg.dir)
	if known && need > free {
		return 0, errs.New(ErrDiskSpace, msg.DiskTooSmall.In(v.cfg.lang, v.cfg.dir, need, free), nil)
	}
	return size, nil
}

// full says with figures that the room ran out on the way.
func (v *saver) full(err error) error {
	var pg *pgconn.PgError
	if err == nil || errors.As(err, &pg) || !errs.IsClass(err, ErrDiskSpace) {
		return err
	}
	var written int64
	if v.file != nil {
		written = v.file.Size()
	}
	free, _ := freeRoom(v.cfg.dir)
	return errs.New(ErrDiskSpace, msg.DiskRanOut.In(v.cfg.lang, v.cfg.dir, written, free), err)
}

// tellOutside says what holds rows that the snapshot does not have.
func (v *saver) tellOutside(ctx context.Context) {
	var names []string
	for _, o := range v.sel.Outside {
		if o.Rows {
			names = append(names, o.Name.String())
		}
	}
	if len(names) > 0 {
		v.cfg.logger.InfoContext(ctx, msg.OutsideHolds.In(v.cfg.lang), "snapshot", v.name, "outside", firstOf(names))
	}
}
