package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/disk"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/snapfile"
)

// exporter writes what one transaction sees to a new file.
type exporter struct {
	tableReader
	create     *createConfig
	path, name string
}

func newExporter(d *database, cfg *createConfig, path, name, searchPath string) *exporter {
	return &exporter{tableReader: tableReader{db: d, cfg: &cfg.settings, searchPath: searchPath}, create: cfg, path: path, name: name}
}

// export makes the file of what is in scope, as one transaction on the connection sees
// it. The marker, if there is one, makes that the baseline.
func (e *exporter) export(ctx context.Context, conn *pgx.Conn, marker *baselineMarker) (Info, error) {
	defer marker.end(ctx)
	m, readers, err := e.begin(ctx, conn, marker)
	if err != nil {
		return Info{}, err
	}
	defer func() { e.tx.Rollback(ctx) }()
	defer readers.stop()
	size, err := e.checkRoom()
	if err != nil {
		return Info{}, err
	}
	if err := e.write(ctx, m, readers, size); err != nil {
		return Info{}, err
	}
	rows := map[schema.Name]int64{}
	for _, t := range m.Tables {
		rows[t.Name] = t.Rows
	}
	marker.name(ctx, e.file.Sum(), rows)
	e.tellOutside(ctx)
	info := infoOf(m, e.path, e.file.Size())
	e.db.setBaseline(&snapshotFile{path: e.path, name: e.name, manifest: *m, info: info, sum: e.file.Sum()})
	return info, nil
}

// begin begins the transaction, chooses what is in scope, keeps it as it is, and has it
// marked. It returns the manifest as far as it is known by then.
func (e *exporter) begin(ctx context.Context, conn *pgx.Conn, marker *baselineMarker) (_ *snapfile.Manifest, _ readers, err error) {
	if marker == nil { // which keeps them out otherwise
		// A restore in between would set sequences back that the rows have gone past.
		done, err := blockRestores(ctx, conn)
		if err != nil {
			return nil, readers{}, err
		}
		defer done()
	}
	if e.tx, err = catalog.Begin(ctx, conn, readOnly, readSettings); err != nil {
		return nil, readers{}, err
	}
	second := e.open(ctx)
	defer func() {
		if err != nil {
			second.stop()
			e.tx.Rollback(ctx)
		}
	}()
	privileges, err := e.readSchema(ctx)
	if err != nil {
		return nil, readers{}, err
	}
	e.role = privileges.Role
	if len(e.sel.secured()) > 0 {
		if err := e.beginAgain(ctx, conn); err != nil {
			return nil, readers{}, err
		}
	}
	if err := e.lock(ctx, marker); err != nil {
		return nil, readers{}, err
	}
	sequences, err := catalog.Sequences(ctx, e.tx, e.sel.sequences())
	if err != nil {
		return nil, readers{}, err
	}
	marker.markBaseline(ctx, e.sel, privileges, sequences)
	m := &snapfile.Manifest{Name: e.name, Description: e.create.description, Server: privileges.Server, Builder: e.create.builder,
		Fingerprint: e.sel.Schema.Fingerprint(), Scope: e.cfg.scoped(), Schema: e.sel.Schema, Sequences: sequences, Outside: e.sel.outside()}
	if e.sel.Migration != nil {
		m.Migration = &snapfile.Migration{Table: e.sel.Migration.Table.String(), Version: e.sel.Migration.Version}
	}
	return m, second, nil
}

// write writes the file, or leaves the folder as it was.
func (e *exporter) write(ctx context.Context, m *snapfile.Manifest, readers readers, size int64) (err error) {
	parts := make([]snapfile.Table, len(e.sel.Tables))
	for i, t := range e.sel.Tables {
		parts[i] = snapfile.Table{Name: t.Name, Columns: t.Columns}
		if t.Portable {
			parts[i].Format = snapfile.Binary
		}
	}
	if e.file, err = snapfile.Create(e.cfg.fs, e.path, parts); err != nil {
		return e.full(err)
	}
	defer func() {
		// After Commit there is nothing left to give up.
		if abort := e.file.Abort(); err != nil {
			err = e.full(errors.Join(err, abort))
		}
	}()
	e.meter = e.cfg.meter(msg.ProgressCreating.In(e.cfg.lang, e.name), e.estimatedRows())
	defer e.meter.Done()
	if err := e.read(ctx, readers, size); err != nil {
		return err
	}
	m.CreatedAt = time.Now().UTC().Truncate(time.Microsecond)
	return e.file.Commit(m)
}

// readSchema reads the catalog and chooses what is in scope. What the guard saw may be
// long ago.
func (e *exporter) readSchema(ctx context.Context) (catalog.Privileges, error) {
	privileges, err := e.cfg.guarded(ctx, e.tx)
	if err != nil {
		return privileges, err
	}
	cat, err := catalog.Read(ctx, e.tx, e.cfg.lang)
	if err != nil {
		return privileges, err
	}
	e.sel, err = within(cat, e.cfg.scoped(), true, e.cfg.lang)
	return privileges, err
}

// lock keeps the tables, and checks that no session truncated one after the transaction
// chose the moment that it sees. A session with a lock on one may be waiting for the marker:
// then it is tried again without.
func (e *exporter) lock(ctx context.Context, marker *baselineMarker) error {
	sql := e.sel.lockSQL("")
	if marker != nil {
		set := func(wait time.Duration) []string {
			return []string{fmt.Sprintf("SET LOCAL lock_timeout = %d", wait.Milliseconds())}
		}
		sql = slices.Concat(set(markWait), sql, set(lockWait))
	}
	if err := catalog.ExecScript(ctx, e.tx, sql...); err != nil {
		return err
	}
	oids := make([]string, len(e.sel.Tables))
	for i, t := range e.sel.Tables {
		oids[i] = catalog.Ident(t.Name)
	}
	var truncated bool
	err := e.tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM unnest($1::text[]) t
			CROSS JOIN LATERAL (SELECT t::pg_catalog.regclass UNION SELECT p.relid FROM pg_catalog.pg_partition_tree(t::pg_catalog.regclass) p) r(oid)
			JOIN pg_catalog.pg_class c ON c.oid = r.oid
		WHERE c.relfilenode IS DISTINCT FROM coalesce(pg_catalog.pg_relation_filenode(c.oid), 0))`, oids).Scan(&truncated)
	if err == nil && truncated {
		err = errTruncated
	}
	return err
}

// beginAgain begins the transaction again as one that may alter tables. Those that are
// altered are read last, and come last in the file; see [liftRowSecurity].
func (e *exporter) beginAgain(ctx context.Context, conn *pgx.Conn) error {
	if err := mayLiftRowSecurity(e.cfg, e.sel.secured(), e.role); err != nil {
		return err
	}
	if err := e.tx.Rollback(ctx); err != nil {
		return err
	}
	tx, err := catalog.Begin(ctx, conn, "REPEATABLE READ, READ WRITE", readSettings)
	if err != nil {
		return err
	}
	e.tx = tx
	slices.SortStableFunc(e.sel.Tables, func(a, b catalog.Table) int {
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
func (e *exporter) estimatedRows() (rows int64) {
	for _, t := range e.sel.Tables {
		if e.sel.where[t.Name] != "" && !e.sel.scoped { // a few rows of an extension's table
			continue
		}
		if t.Rows < 0 && t.Bytes > 0 || e.sel.where[t.Name] != "" {
			return 0
		}
		rows += max(t.Rows, 0)
	}
	return rows
}

// checkRoom compares what the file may need with what is free where it goes, and
// returns the size of the tables. The estimate is low: a file can need more, and
// then runs out of room on the way, but it is not refused where it would fit.
func (e *exporter) checkRoom() (size int64, err error) {
	var need int64
	for _, t := range e.sel.Tables {
		size += t.Size
		if e.sel.where[t.Name] == "" {
			// Values out of line are mostly compressed already; other rows shrink to
			// a tenth.
			need += t.Bytes/16 + (t.Size-t.Bytes)/2
		}
	}
	free, known := disk.Free(e.cfg.dir)
	if known && need > free {
		return 0, errs.New(ErrDiskSpace, msg.DiskTooSmall.In(e.cfg.lang, e.cfg.dir, msg.Count(need), msg.Count(free)), nil)
	}
	return size, nil
}

// full says with figures that the room ran out on the way.
func (e *exporter) full(err error) error {
	var pg *pgconn.PgError
	if err == nil || errors.As(err, &pg) || !errs.IsClass(err, ErrDiskSpace) {
		return err
	}
	var written int64
	if e.file != nil {
		written = e.file.Size()
	}
	free, _ := disk.Free(e.cfg.dir)
	return errs.New(ErrDiskSpace, msg.DiskRanOut.In(e.cfg.lang, e.cfg.dir, msg.Count(written), msg.Count(free)), err)
}

// tellOutside says what holds rows that the snapshot does not have.
func (e *exporter) tellOutside(ctx context.Context) {
	var names []string
	for _, o := range e.sel.Outside {
		if o.Rows {
			names = append(names, o.Name.String())
		}
	}
	if len(names) > 0 {
		e.cfg.logger.InfoContext(ctx, msg.OutsideHolds.In(e.cfg.lang), "snapshot", e.name, "outside", firstOf(names))
	}
}
