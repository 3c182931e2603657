package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-testfixtures/testfixtures/v3"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/peterldowns/pgtestdb"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/snapshot"
)

// peer is a way to bring a database back to a state.
type peer struct {
	name string
	note string // how it stands for what it is called after
	most int    // rows, beyond which it takes minutes; 0: any number
	rows bool   // it brings back rows only
	open func(ctx context.Context, r *rig, source string) (way, error)
}

// way is a peer at work on a database of its own.
type way interface {
	create(ctx context.Context) error           // writes the state down
	restore(ctx context.Context) error          // until the first answer of the database
	exec(ctx context.Context, sql string) error // what a test does
	querier                                     // what it sees
	close(ctx context.Context) error
}

// keeper is a way that goes back to any one of several states.
type keeper interface {
	createOther(ctx context.Context) error
	restoreOther(ctx context.Context) error
}

const (
	us       = "groundhog"
	fileCopy = "template, FILE_COPY"
	testdb   = "pgtestdb"
	inTx     = "a transaction, as go-txdb"
)

// manyRows is beyond what is loaded in a hurry.
const manyRows = 200_000

var peers = []peer{
	{name: us, note: "a database that `fixtures` made. With more than some thousand changed rows, or another schema, it is replaced by a copy, which is made in the background where there is time", open: openGroundhog},
	{name: fileCopy, note: "DROP DATABASE, CREATE DATABASE … STRATEGY FILE_COPY, a new pool", open: byTemplate("STRATEGY FILE_COPY")},
	{name: "template, WAL_LOG", note: "the same with STRATEGY WAL_LOG", most: manyRows, open: byTemplate("STRATEGY WAL_LOG")},
	{name: "testcontainers-go", note: "the statements of its Restore on the same server; in a container it starts a psql for each of them", open: byTemplate("")},
	{name: "testcontainers-go, in a container", note: "v0.45.0's own Snapshot and Restore; server and disk are others than those of the other ways", most: manyRows, open: openContainer},
	{name: testdb, note: "v0.1.1, a new database for each test", open: openPgtestdb},
	{name: inTx, note: "BEGIN and ROLLBACK by hand on one connection, which the code under test must use and never commit", open: openTx},
	{name: "truncate and COPY", note: "by hand, with session_replication_role = replica", most: manyRows, rows: true, open: openCopy},
	{name: "pg_dump, pg_restore", note: "custom format, into a new database", most: 40_000, open: openDump},
	{name: "testfixtures", note: "v3.19.0, files named public.T.yml, else it loads everything each time", most: 40_000, rows: true, open: openTestfixtures},
	{name: "delete and INSERT", note: "the system that groundhog replaces: 500 rows a statement, foreign keys checked", most: 40_000, rows: true, open: openInserts},
}

// plain is a database with a pool, as most ways have.
type plain struct {
	*pgxpool.Pool
	rig  *rig
	name string
}

// copied makes a database from the source.
func copied(ctx context.Context, r *rig, source string) (*plain, error) {
	p := &plain{rig: r, name: r.name("copy")}
	if err := r.do(ctx, "CREATE DATABASE %s TEMPLATE %s STRATEGY FILE_COPY", p.name, source); err != nil {
		return nil, err
	}
	var err error
	p.Pool, err = r.open(ctx, p.name)
	return p, err
}

func (p *plain) exec(ctx context.Context, sql string) error {
	_, err := p.Pool.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
	return err
}

func (p *plain) close(ctx context.Context) error {
	p.Pool.Close()
	return p.rig.do(ctx, "DROP DATABASE %s WITH (FORCE)", p.name)
}

// groundhog.

type groundhog struct {
	*plain
	db    *fixtures.Database
	store *snapshot.Store
}

// openGroundhog loads the rows into a database that fixtures made, which alone may be
// replaced by a copy.
func openGroundhog(ctx context.Context, r *rig, source string) (way, error) {
	db, err := r.server.CreateDatabase(ctx, fixtures.WithSchema(fixtures.WelfareSchema))
	if err != nil {
		return nil, err
	}
	from, err := r.open(ctx, source)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	rows, err := copyOut(ctx, from)
	if err != nil {
		return nil, err
	}
	err = db.Pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error {
		if err := rows.copyIn(ctx, conn.Conn(), "BEGIN; SET LOCAL session_replication_role = replica"); err != nil {
			return err
		}
		_, err := conn.Exec(ctx, "VACUUM ANALYZE")
		return err
	})
	if err != nil {
		return nil, err
	}
	store, err := snapshot.NewStore(db.Pool, snapshot.WithDir(filepath.Join(r.dir, db.Name)), snapshot.WithProgress(false))
	return &groundhog{&plain{db.Pool, r, db.Name}, db, store}, err
}

func (g *groundhog) close(context.Context) error { return g.db.Close() }

func (g *groundhog) create(ctx context.Context) error      { return g.createAs(ctx, "lab") }
func (g *groundhog) createOther(ctx context.Context) error { return g.createAs(ctx, "other") }

func (g *groundhog) createAs(ctx context.Context, name string) error {
	_, err := g.store.Create(ctx, name, snapshot.Replace())
	return err
}

func (g *groundhog) restore(ctx context.Context) error      { return g.restoreTo(ctx, "lab") }
func (g *groundhog) restoreOther(ctx context.Context) error { return g.restoreTo(ctx, "other") }

func (g *groundhog) restoreTo(ctx context.Context, name string) error {
	if _, err := g.store.Restore(ctx, name); err != nil {
		return err
	}
	return g.Ping(ctx)
}

// Templates by hand, and as testcontainers-go has them.

type templated struct {
	*plain
	strategy    string
	kept, other string
}

func byTemplate(strategy string) func(context.Context, *rig, string) (way, error) {
	return func(ctx context.Context, r *rig, source string) (way, error) {
		p, err := copied(ctx, r, source)
		return &templated{p, strategy, r.name("kept"), r.name("other")}, err
	}
}

func (t *templated) create(ctx context.Context) error      { return t.createAs(ctx, t.kept) }
func (t *templated) createOther(ctx context.Context) error { return t.createAs(ctx, t.other) }

func (t *templated) createAs(ctx context.Context, name string) error {
	t.Pool.Close()
	err := errors.Join(t.rig.do(ctx, "DROP DATABASE IF EXISTS %s", name),
		t.rig.do(ctx, "CREATE DATABASE %s TEMPLATE %s "+t.strategy, name, t.name))
	if err == nil {
		t.Pool, err = t.rig.open(ctx, t.name)
	}
	return err
}

func (t *templated) restore(ctx context.Context) error      { return t.restoreTo(ctx, t.kept) }
func (t *templated) restoreOther(ctx context.Context) error { return t.restoreTo(ctx, t.other) }

func (t *templated) restoreTo(ctx context.Context, name string) (err error) {
	t.Pool.Close()
	if err = t.rig.do(ctx, "DROP DATABASE %s WITH (FORCE)", t.name); err == nil {
		err = t.rig.do(ctx, "CREATE DATABASE %s TEMPLATE %s "+t.strategy, t.name, name)
	}
	if err == nil {
		t.Pool, err = t.rig.open(ctx, t.name)
	}
	return err
}

func (t *templated) close(ctx context.Context) error {
	return errors.Join(t.plain.close(ctx), t.rig.do(ctx, "DROP DATABASE IF EXISTS %s", t.kept), t.rig.do(ctx, "DROP DATABASE IF EXISTS %s", t.other))
}

// pgtestdb.

type pgtested struct {
	*pgxpool.Pool
	rig    *rig
	source string
	test   *ended
}

func openPgtestdb(ctx context.Context, r *rig, source string) (way, error) {
	p := &pgtested{rig: r, source: source}
	return p, p.restore(ctx)
}

func (p *pgtested) create(context.Context) error { return errNotMeant }

// restore ends one test and begins the next.
func (p *pgtested) restore(ctx context.Context) error {
	if p.test != nil {
		p.Pool.Close()
		p.test.end()
	}
	p.test = &ended{}
	config := p.rig.admin.Config().ConnConfig
	made := pgtestdb.Custom(p.test, pgtestdb.Config{
		DriverName: "pgx", User: config.User, Password: config.Password, Port: fmt.Sprint(config.Port), Database: config.Database,
		Options: "host=" + config.Host + "&sslmode=disable",
	}, migrator{ctx, p.rig, p.source})
	if p.test.err != nil {
		return p.test.err
	}
	var err error
	if p.Pool, err = pgxpool.New(ctx, made.URL()); err == nil {
		err = p.Pool.Ping(ctx)
	}
	return err
}

func (p *pgtested) exec(ctx context.Context, sql string) error {
	_, err := p.Pool.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
	return err
}

func (p *pgtested) close(context.Context) error {
	p.Pool.Close()
	p.test.end()
	return p.test.err
}

// migrator fills pgtestdb's template with what the source has.
type migrator struct {
	ctx    context.Context
	rig    *rig
	source string
}

func (m migrator) Hash() (string, error) { return m.source, nil }

func (m migrator) Migrate(ctx context.Context, db *sql.DB, _ pgtestdb.Config) error {
	from, err := m.rig.open(ctx, m.source)
	if err != nil {
		return err
	}
	defer from.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return conn.Raw(func(c any) error {
		to := c.(*stdlib.Conn).Conn()
		if _, err := to.Exec(ctx, schemaSQL(), pgx.QueryExecModeSimpleProtocol); err != nil {
			return err
		}
		bytes, err := copyOut(ctx, from)
		if err != nil {
			return err
		}
		if err := bytes.copyIn(ctx, to, "BEGIN"); err != nil {
			return err
		}
		_, err = to.Exec(ctx, "ANALYZE")
		return err
	})
}

// ended is what pgtestdb wants of a test.
type ended struct {
	cleanups []func()
	err      error
}

func (e *ended) Cleanup(f func())    { e.cleanups = append(e.cleanups, f) }
func (e *ended) Failed() bool        { return false }
func (e *ended) Helper()             {}
func (e *ended) Logf(string, ...any) {}
func (e *ended) Fatalf(format string, args ...any) {
	e.err = fmt.Errorf(strings.ReplaceAll(format, "%w", "%v"), args...)
}

func (e *ended) end() {
	for _, f := range slices.Backward(e.cleanups) {
		f()
	}
}

// A transaction.

type transaction struct {
	*plain
	tx pgx.Tx
}

func openTx(ctx context.Context, r *rig, source string) (way, error) {
	p, err := copied(ctx, r, source)
	if err != nil {
		return nil, err
	}
	t := &transaction{plain: p}
	t.tx, err = p.Begin(ctx)
	return t, err
}

func (t *transaction) create(context.Context) error { return errNotMeant }

func (t *transaction) restore(ctx context.Context) error {
	err := t.tx.Rollback(ctx)
	if err == nil {
		t.tx, err = t.Pool.Begin(ctx)
	}
	return err
}

func (t *transaction) exec(ctx context.Context, sql string) error {
	_, err := t.tx.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
	return err
}

func (t *transaction) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return t.tx.Query(ctx, sql, args...)
}

func (t *transaction) close(ctx context.Context) error {
	return errors.Join(t.tx.Rollback(ctx), t.plain.close(ctx))
}

// errNotMeant tells that a way has no such work.
var errNotMeant = errors.New("it has no such thing")

// TRUNCATE and COPY.

type reloaded struct {
	*plain
	rows copies
}

// copies are the bytes of COPY for each table.
type copies map[string][]byte

func copyOut(ctx context.Context, db *pgxpool.Pool) (copies, error) {
	out := copies{}
	err := db.AcquireFunc(ctx, func(conn *pgxpool.Conn) error {
		for _, table := range tables {
			var b bytes.Buffer
			if _, err := conn.Conn().PgConn().CopyTo(ctx, &b, "COPY (SELECT * FROM "+table+" ORDER BY id) TO STDOUT (FORMAT binary)"); err != nil {
				return err
			}
			out[table] = b.Bytes()
		}
		return nil
	})
	return out, err
}

func (c copies) copyIn(ctx context.Context, conn *pgx.Conn, begin string) error {
	pg := conn.PgConn()
	if err := pg.Exec(ctx, begin).Close(); err != nil {
		return err
	}
	for _, table := range tables {
		if _, err := pg.CopyFrom(ctx, bytes.NewReader(c[table]), "COPY "+table+" FROM STDIN (FORMAT binary)"); err != nil {
			return errors.Join(err, pg.Exec(ctx, "ROLLBACK").Close())
		}
	}
	return pg.Exec(ctx, "COMMIT").Close()
}

func openCopy(ctx context.Context, r *rig, source string) (way, error) {
	p, err := copied(ctx, r, source)
	return &reloaded{plain: p}, err
}

func (l *reloaded) create(ctx context.Context) (err error) {
	l.rows, err = copyOut(ctx, l.Pool)
	return err
}

func (l *reloaded) restore(ctx context.Context) error {
	return l.Pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error {
		return l.rows.copyIn(ctx, conn.Conn(), "BEGIN; SET LOCAL session_replication_role = replica; TRUNCATE "+strings.Join(tables, ", "))
	})
}

// pg_dump.

type dumped struct {
	*plain
	file string
}

func openDump(ctx context.Context, r *rig, source string) (way, error) {
	if programs("pg_dump") == "" || programs("pg_restore") == "" {
		return nil, errors.New("pg_dump and pg_restore are not installed")
	}
	p, err := copied(ctx, r, source)
	if err != nil {
		return nil, err
	}
	return &dumped{p, filepath.Join(r.dir, p.name+".dump")}, nil
}

func (d *dumped) run(ctx context.Context, program string, args ...string) error {
	config := d.rig.admin.Config().ConnConfig
	args = append(args, "--host="+config.Host, "--port="+fmt.Sprint(config.Port), "--username="+config.User, "--dbname="+d.name)
	out, err := exec.CommandContext(ctx, programs(program), args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, out)
	}
	return nil
}

func (d *dumped) create(ctx context.Context) error {
	return d.run(ctx, "pg_dump", "--format=custom", "--file="+d.file)
}

func (d *dumped) restore(ctx context.Context) error {
	d.Pool.Close()
	err := d.rig.do(ctx, "DROP DATABASE %s WITH (FORCE)", d.name)
	if err == nil {
		err = d.rig.do(ctx, "CREATE DATABASE %s TEMPLATE template0", d.name)
	}
	if err == nil {
		err = errors.Join(runRestore(ctx, d))
	}
	if err == nil {
		d.Pool, err = d.rig.open(ctx, d.name)
	}
	return err
}

func runRestore(ctx context.Context, d *dumped) error { return d.run(ctx, "pg_restore", d.file) }

func (d *dumped) close(ctx context.Context) error {
	return errors.Join(d.plain.close(ctx), os.RemoveAll(d.file))
}

// testfixtures.

type yaml struct {
	*plain
	db     *sql.DB
	dir    string
	loader *testfixtures.Loader
}

func openTestfixtures(ctx context.Context, r *rig, source string) (way, error) {
	p, err := copied(ctx, r, source)
	if err != nil {
		return nil, err
	}
	y := &yaml{plain: p, db: stdlib.OpenDBFromPool(p.Pool), dir: filepath.Join(r.dir, p.name+"-yaml")}
	return y, os.MkdirAll(y.dir, 0o755)
}

func (y *yaml) create(context.Context) error {
	dumper, err := testfixtures.NewDumper(testfixtures.DumpDatabase(y.db), testfixtures.DumpDialect("postgres"),
		testfixtures.DumpDirectory(y.dir), testfixtures.DumpTables(tables...))
	if err != nil {
		return err
	}
	if err := dumper.Dump(); err != nil {
		return err
	}
	for _, table := range tables {
		if err := os.Rename(filepath.Join(y.dir, table+".yml"), filepath.Join(y.dir, "public."+table+".yml")); err != nil {
			return err
		}
	}
	y.loader = nil
	return nil
}

func (y *yaml) restore(context.Context) (err error) {
	if y.loader == nil {
		if y.loader, err = testfixtures.New(testfixtures.Database(y.db), testfixtures.Dialect("postgres"), testfixtures.Directory(y.dir)); err != nil {
			return err
		}
	}
	return y.loader.Load()
}

func (y *yaml) close(ctx context.Context) error {
	return errors.Join(y.db.Close(), y.plain.close(ctx), os.RemoveAll(y.dir))
}

// DELETE and INSERT.

type inserted struct {
	*plain
	statements []string
}

func openInserts(ctx context.Context, r *rig, source string) (way, error) {
	p, err := copied(ctx, r, source)
	return &inserted{plain: p}, err
}

func (i *inserted) create(ctx context.Context) (err error) {
	i.statements, err = insertsOf(ctx, i.Pool)
	return err
}

func (i *inserted) restore(ctx context.Context) error {
	return pgx.BeginFunc(ctx, i.Pool, func(tx pgx.Tx) error {
		for _, table := range slices.Backward(tables) {
			if _, err := tx.Exec(ctx, "DELETE FROM "+table); err != nil {
				return err
			}
		}
		for _, sql := range i.statements {
			if _, err := tx.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol); err != nil {
				return err
			}
		}
		return nil
	})
}

// insertsOf writes all rows as statements of 500 rows each.
func insertsOf(ctx context.Context, db *pgxpool.Pool) (statements []string, err error) {
	const batch = 500
	for _, table := range tables {
		rows, err := db.Query(ctx, `SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`, table)
		if err != nil {
			return nil, err
		}
		columns, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return nil, err
		}
		values := make([]string, len(columns))
		for i, c := range columns {
			values[i] = "quote_nullable(" + c + ")"
		}
		rows, err = db.Query(ctx, "SELECT '(' || "+strings.Join(values, " || ',' || ")+" || ')' FROM "+table+" ORDER BY id")
		if err != nil {
			return nil, err
		}
		all, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return nil, err
		}
		for part := range slices.Chunk(all, batch) {
			statements = append(statements, "INSERT INTO "+table+" ("+strings.Join(columns, ", ")+") VALUES "+strings.Join(part, ", "))
		}
	}
	return statements, nil
}
