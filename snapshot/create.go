package snapshot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"

	"github.com/groundhogdb/groundhog/internal/bubble"
	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/disk"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/progress"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/snapfile"
)

// Create writes the snapshot called name: all rows of all tables and the state
// of all sequences, as one transaction sees them, or what a [ScopeOption] names.
// Writers wait for some milliseconds at most, while it is marked what the snapshot sees,
// so that the first [Store.Restore] has nothing to load.
//
// On error the folder is as it was. A name that differs from that of another
// snapshot in its case only is [ErrInvalidName], since some file systems know no
// cases. An existing snapshot is [ErrExists], unless
// [Replace] is given; then it stands until the new one is whole. Too little room
// in the folder is [ErrDiskSpace], with what is needed and what is free, and is
// looked for before a byte is written. A table that somebody has for himself for
// more than 5 s is [ErrLocked], with who that is. When the connection is lost, the tables
// are read again from the start into a new file, three times in all, with waits of
// 2 s and 4 s; then it is [ErrConnection]. On success the file is durable.
//
// The cost is that of reading every table once, over two connections when there
// are some megabytes to read; memory does not grow with the rows, but a value of
// hundreds of megabytes is held in memory once.
//
// Of an extension's tables the rows are saved that it names as the user's, with
// pg_extension_config_dump, as pg_dump does; a role that does not own the extension's
// tables leaves them out. Left out are also system schemas, temporary tables, foreign
// tables, views, what else belongs to an extension, and a schema called groundhog; the
// tables of known migration tools are left alone, and the version that they tell is
// kept in [Info]. [Info] lists what is outside, and the log says once what of it holds
// rows. A database with large objects is refused, and so is a role from which
// row level security hides rows.
func (s *Store) Create(ctx context.Context, name string, opts ...CreateOption) (Info, error) {
	if err := s.made(); err != nil {
		return Info{}, err
	}
	if bubble.In() {
		return bubble.Do(ctx, func(ctx context.Context) (Info, error) { return s.Create(ctx, name, opts...) })
	}
	cfg := createConfig{storeConfig: s.storeConfig}
	if err := apply(&cfg.storeConfig, opts, func(o CreateOption) { o.create(&cfg) }); err != nil {
		return Info{}, err
	}
	path, err := cfg.path(name)
	if err != nil {
		return Info{}, err
	}
	return s.write(ctx, &cfg, path, name, func() (unlock func(), err error) {
		if err := cfg.distinct(name); err != nil {
			return nil, err
		}
		unlock, err = cfg.lock(ctx, path, name)
		if err != nil || cfg.replace {
			return unlock, err
		}
		ok, err := cfg.exists(path, name)
		if ok {
			err = errs.New(ErrExists, msg.SnapshotExists.In(cfg.lang, name, path), nil)
		}
		if err != nil {
			unlock()
		}
		return unlock, err
	})
}

// write makes the file at path. Once the database is known to be one for tests,
// it calls lock, so that nobody else writes the file until what that returns is
// called.
func (s *Store) write(ctx context.Context, cfg *createConfig, path, name string, lock func() (unlock func(), err error)) (Info, error) {
	began := time.Now()
	var info Info
	err := cfg.repeat(ctx, name, func() error {
		return s.withConn(ctx, func(conn *pgx.Conn) error {
			if _, err := cfg.guarded(ctx, conn); err != nil {
				return err
			}
			unlock, err := lock()
			if err != nil {
				return err
			}
			defer unlock()
			cfg.sweep()
			cfg.routine(ctx, slog.LevelDebug, msg.SnapshotCreating, "snapshot", name, "path", path)
			err = s.reading(ctx, conn, func(searchPath string) (err error) {
				v := saver{store: s, cfg: cfg, path: path, name: name, searchPath: searchPath}
				info, err = v.save(ctx, conn, s.newMarker(ctx, cfg))
				if errs.IsClass(err, ErrLocked) {
					// Who has the lock may be waiting for the marker.
					v = saver{store: s, cfg: cfg, path: path, name: name, searchPath: searchPath}
					info, err = v.save(ctx, conn, nil)
				}
				return err
			})
			return s.locked(ctx, &cfg.storeConfig, s.blame(ctx, &cfg.storeConfig, err))
		})
	})
	if err != nil {
		return Info{}, cfg.explain(err, msg.CantCreate, name)
	}
	cfg.routine(ctx, slog.LevelInfo, msg.SnapshotCreated, "snapshot", name, "rows", info.Rows, "bytes", info.Bytes,
		"tables", len(info.Tables), "took", time.Since(began).Round(time.Millisecond))
	return info, nil
}

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

// readOnly is what a snapshot is read in: one state of the database, for which
// nobody has to wait.
const readOnly = "REPEATABLE READ, READ ONLY"

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

// errTruncated tells that a table was emptied under the eyes of a transaction.
var errTruncated = errors.New("a table was truncated while the snapshot began")

// readSettings are those under which tables are read.
var readSettings = func() map[string]string {
	out := maps.Clone(catalog.CopySettings)
	out["search_path"] = "pg_catalog" // every name in a value comes out qualified
	out["jit"] = "off"
	out["lock_timeout"] = fmt.Sprint(lockWait.Milliseconds())
	return out
}()

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

// A second connection is worth its cost from this size of the tables on; up to
// the other one the largest tables are read first, since what has to wait for
// its place in the file fits in memory.
const (
	secondFrom   = 2 << 20
	largestUntil = 16 << 20
)

// readers are the connections that tables are read over: that of the first
// transaction, and a second one that is opened while that one reads the catalog.
type readers struct {
	group *errgroup.Group
	ctx   context.Context
	tell  func(id string) // gives the second the snapshot to read; "": there is nothing to do
}

func (v *saver) readers(ctx context.Context) readers {
	group, ctx := errgroup.WithContext(ctx)
	id := make(chan string, 1)
	var once sync.Once
	group.Go(func() error { return v.second(ctx, id) })
	return readers{group: group, ctx: ctx, tell: func(s string) { once.Do(func() { id <- s }) }}
}

func (r readers) stop() {
	r.tell("")
	_ = r.group.Wait() // its error was returned by read, or there is another one
}

// read copies all tables into the file, over both connections when there is
// enough to read and the server had a second one to spare.
func (v *saver) read(ctx context.Context, r readers, size int64) error {
	if size <= largestUntil {
		slices.SortStableFunc(v.order, func(a, b int) int { return cmp.Compare(v.sel.Tables[b].Size, v.sel.Tables[a].Size) })
	}
	if size >= secondFrom && len(v.forced) == 0 && len(v.order) > 1 {
		var id string
		if err := v.tx.QueryRow(r.ctx, "SELECT pg_catalog.pg_export_snapshot()", pgx.QueryExecModeSimpleProtocol).Scan(&id); err != nil {
			return err
		}
		r.tell(id)
	}
	r.group.Go(func() error { return v.tables(r.ctx, v.tx.Conn()) })
	r.tell("")
	if err := r.group.Wait(); err != nil || len(v.forced) == 0 {
		return err
	}
	if err := v.cfg.unhide(ctx, v.tx, v.hidden(), v.role); err != nil {
		return err
	}
	for _, i := range v.forced {
		if err := v.table(ctx, v.tx.Conn(), i); err != nil {
			return err
		}
	}
	return nil
}

// second reads tables over a connection of its own that sees the same state.
// Without one the first does all the work.
func (v *saver) second(ctx context.Context, ids <-chan string) error {
	began := false
	err := v.store.withConn(ctx, func(conn *pgx.Conn) error {
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
		if err := execAll(ctx, tx, append([]string{"SET TRANSACTION SNAPSHOT " + quoteLiteral(id)}, v.keep(" NOWAIT")...)); err != nil {
			return err
		}
		began = true
		return v.tables(ctx, conn)
	})
	if !began && ctx.Err() == nil && err != nil {
		v.store.note(ctx, &v.cfg.storeConfig, slog.LevelInfo, msg.OneConnection, err.Error(), "error", errs.Text(err))
		return nil
	}
	return err
}

// tables copies one table after the other until there is none left.
func (v *saver) tables(ctx context.Context, conn *pgx.Conn) error {
	for {
		n := int(v.next.Add(1)) - 1
		if n >= len(v.order) {
			return nil
		}
		if err := v.table(ctx, conn, v.order[n]); err != nil {
			return err
		}
	}
}

func (v *saver) table(ctx context.Context, conn *pgx.Conn, i int) error {
	t := v.sel.Tables[i]
	part, err := v.file.Part(i)
	if err != nil {
		return err
	}
	where, err := v.condition(ctx, conn, t)
	var tag pgconn.CommandTag
	if err == nil {
		tag, err = conn.PgConn().CopyTo(ctx, rowCounter{part, v.meter}, copyOut(t, where))
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
func (v *saver) condition(ctx context.Context, conn *pgx.Conn, t catalog.Table) (where string, err error) {
	where = v.sel.where[t.Name]
	if v.searchPath == catalogOnly {
		return where, nil
	}
	if err := conn.PgConn().Exec(ctx, localPath(v.searchPath)).Close(); err != nil || t.Portable {
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

func joinConditions(a, b string) string {
	if a == "" {
		return b
	}
	return "(" + a + ") AND " + b
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
	free, known := disk.Free(v.cfg.dir)
	if known && need > free {
		return 0, errs.New(ErrDiskSpace, msg.DiskTooSmall.In(v.cfg.lang, v.cfg.dir, msg.Count(need), msg.Count(free)), nil)
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
	free, _ := disk.Free(v.cfg.dir)
	return errs.New(ErrDiskSpace, msg.DiskRanOut.In(v.cfg.lang, v.cfg.dir, msg.Count(written), msg.Count(free)), err)
}

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

func identifiers(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = pgx.Identifier{name}.Sanitize()
	}
	return strings.Join(quoted, ", ")
}

// quoteLiteral quotes a text of the server's for a statement that takes no
// parameters.
func quoteLiteral(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// execAll sends all statements in one round trip.
func execAll(ctx context.Context, tx pgx.Tx, sql []string) error {
	if len(sql) == 0 {
		return nil
	}
	return tx.Conn().PgConn().Exec(ctx, strings.Join(sql, ";\n")).Close()
}
