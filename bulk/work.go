package bulk

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/guard"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/progress"
	"github.com/groundhogdb/groundhog/internal/retry"
)

// work is one call: what it keeps over its attempts, and what belongs to the
// attempt that is made now.
type work struct {
	ctx  context.Context
	db   DB
	set  settings
	spec spec

	left   int   // attempts
	kept   []any // by once
	pulled int   // rows that a sequence yielded at most
	meter  *progress.Meter
	probe  *probe // not nil while a refused row is looked for
	said   bool   // that the role may not switch triggers off

	tx      pgx.Tx
	tables  map[string]*catalog.InsertTarget
	types   encodeTypes
	session catalog.Session
	facts   map[uint32]*catalog.LoadFacts
	replica bool    // triggers are off
	loads   []*load // in order
	at      int     // in kept
}

// spec says what a call is about.
type spec struct {
	what   string   // for people
	tables []string // that are loaded
	rows   int      // how many in all; 0: not known
}

// load is one COPY.
type load struct {
	table   *catalog.InsertTarget
	columns []column
	rows    rows // nil: not kept
	fast    bool // its foreign keys are still to be checked
}

// rollbackTime bounds a rollback, and looking around after a failure, which must
// also work when the call's own context has ended.
const rollbackTime = 10 * time.Second

// run calls do in a transaction of db, or a savepoint of it, after the database
// was found to be one that may be changed. Unless do and the commit succeed,
// nothing stays; also when do panics or ends its goroutine. After a connection
// fault the whole is done again, where there is a pool that gives another
// connection; do must then do the same again: see once.
func run(ctx context.Context, db DB, set settings, spec spec, do func(*work) error) error {
	w := &work{ctx: ctx, db: db, set: set, spec: spec}
	w.meter = progress.Start(progress.Work{What: spec.what, Total: int64(spec.rows), Lang: set.lang, Logger: set.logger, Off: set.silent})
	defer w.meter.Done()
	policy := set.policy(spec.what)
	if _, ok := db.(*pgxpool.Pool); !ok {
		policy.Attempts = 1
	}
	w.left = policy.Attempts
	return errs.Tell(policy.Do(ctx, func(context.Context) error {
		w.left--
		w.meter.Restart()
		err := w.attempt(do)
		var r *refusal
		if errors.As(err, &r) {
			return w.explain(r, do)
		}
		return err
	}))
}

// again reports whether the call will be made again after the error.
func (w *work) again(err error) bool { return w.left > 0 && retry.Retryable(w.ctx, err) }

// own reports whether the transaction is the call's own. In any other it is a
// savepoint, as far as is known.
func (w *work) own() bool {
	switch w.db.(type) {
	case *pgxpool.Pool, *pgx.Conn, *pgxpool.Conn:
		return true
	}
	return false
}

// encodings are what a server may take texts for that are UTF-8.
var encodings = []string{"UTF8", "UNICODE", "SQL_ASCII"}

// attempt makes the transaction once.
func (w *work) attempt(do func(*work) error) error {
	var conn *pgx.Conn
	switch db := w.db.(type) {
	case *pgx.Conn:
		conn = db
	case *pgxpool.Conn:
		if conn = connOf(db); conn == nil {
			return w.set.refuse(msg.BulkReleased)
		}
	}
	if conn != nil && !conn.IsClosed() && conn.PgConn().TxStatus() != 'I' {
		return w.set.refuse(msg.BulkConnInTx)
	}
	tx, err := w.db.Begin(w.ctx)
	if err != nil {
		return errs.New(errs.Class(err), msg.BulkBegin.In(w.set.lang), err)
	}
	if tx == nil {
		return w.set.refuse(msg.BulkNoTx)
	}
	over := false
	defer func() {
		if !over {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), rollbackTime)
			defer cancel()
			_ = tx.Rollback(ctx) // when it fails, pgx closes the connection, which rolls back too
		}
	}()
	w.tx, w.facts, w.replica, w.loads, w.at = tx, nil, false, nil, 0
	if encoding := tx.Conn().PgConn().ParameterStatus("client_encoding"); !slices.Contains(encodings, encoding) {
		return w.set.refuse(msg.BulkEncoding, encoding)
	}
	if err := w.look(w.spec.tables); err != nil {
		return err
	}
	if err := do(w); err != nil {
		return err
	}
	if err := w.finish(); err != nil {
		return err
	}
	err = tx.Commit(w.ctx)
	over = true
	if err != nil {
		return w.commitFailed(err)
	}
	return nil
}

// connOf returns the connection that a pool lent; nil: it was given back, which
// pgxpool has no way to ask for but a panic.
func connOf(lent *pgxpool.Conn) (conn *pgx.Conn) {
	defer func() {
		if recover() != nil {
			conn = nil
		}
	}()
	return lent.Conn()
}

// once makes a value the first time that a call gets here, and returns the same
// one when the transaction is done again.
func once[T any](w *work, makeIt func() (T, error)) (T, error) {
	if w.at < len(w.kept) {
		w.at++
		return w.kept[w.at-1].(T), nil
	}
	v, err := makeIt()
	if err == nil {
		w.kept = append(w.kept, v)
		w.at++
	}
	return v, err
}

// same returns what the database was asked for. When the transaction is done
// again and somebody changed it meanwhile, the rows that were made of it don't
// fit any more.
func same[T any](w *work, now T) (T, error) {
	before, _ := once(w, func() (T, error) { return now, nil })
	if !reflect.DeepEqual(before, now) {
		return now, errs.New(errs.ErrLocked, msg.BulkMoved.In(w.set.lang), nil)
	}
	return now, nil
}

// look checks the name of the database, and finds the tables and their types.
func (w *work) look(names []string) error {
	var targets []catalog.InsertTarget
	var batch pgx.Batch
	w.session = catalog.Session{}
	catalog.QueueSession(&batch, w.own(), func(s catalog.Session) { w.session = s })
	catalog.QueueInsertTargets(&batch, names, func(t []catalog.InsertTarget) { targets = t })
	err := w.tx.SendBatch(w.ctx, &batch).Close()
	if w.session.Database != "" {
		if unsafe := guard.Check(w.session.Database, w.set.allowed, w.set.lang); unsafe != nil {
			return unsafe
		}
		if w.session.Standby {
			return w.set.refuse(msg.AddressStandby, w.session.Database)
		}
	}
	if err != nil {
		return w.lookFailed(names, err)
	}
	w.tables = make(map[string]*catalog.InsertTarget, len(names))
	for i, name := range names {
		if targets[i].OID == 0 {
			return w.noSuchTable(name)
		}
		if !targets[i].Loadable() {
			return w.set.refuse(msg.BulkNotATable, targets[i].String())
		}
		if targets[i].RowSecurity {
			return w.set.refuse(msg.BulkRowSecurity, targets[i].String())
		}
		w.tables[name] = &targets[i]
	}
	if w.types, err = typesOf(w.ctx, w.tx.Conn(), targets); err != nil {
		return w.failed(msg.BulkLook.In(w.set.lang), err)
	}
	return nil
}

// failed wraps an error that the server or the connection gave.
func (w *work) failed(text string, err error) error {
	return errs.New(errs.Class(err), text, err)
}

// What loading with triggers off costs and saves, in microseconds, on the
// machine of the benchmarks: it decides which way is taken, and is far from
// deciding in most cases.
const (
	fastRows     = 300 // below it is not worth the statements
	triggerCost  = 3   // of one foreign key of one row
	pageScanCost = 5   // of one page of the table
	pageSize     = 8192
)

// enter chooses the way in which rows are loaded into a table: with its triggers
// off, when what they would do can be done for all rows at once, or the
// ordinary one.
func (w *work) enter(t *catalog.InsertTarget, rows int) (fast bool, err error) {
	if fast, err = w.mayBeFast(t, rows); err != nil {
		return false, err
	}
	if fast == w.replica {
		return fast, nil
	}
	role := w.session.Role
	if fast {
		role = "replica"
	}
	if _, err := w.tx.Exec(w.ctx, catalog.SetReplicationRole(role)); err != nil {
		return false, w.failed(msg.BulkRole.In(w.set.lang), err)
	}
	w.replica = fast
	return fast, nil
}

func (w *work) mayBeFast(t *catalog.InsertTarget, rows int) (bool, error) {
	if rows < fastRows || w.probe != nil || w.session.Role == "replica" || !w.session.Default {
		return false, nil
	}
	if w.facts == nil {
		var oids []uint32
		for _, t := range w.tables {
			oids = append(oids, t.OID)
		}
		var err error
		if w.facts, err = catalog.ReadLoadFacts(w.ctx, w.tx.Conn(), oids); err != nil {
			return false, w.failed(msg.BulkLook.In(w.set.lang), err)
		}
	}
	facts := w.facts[t.OID]
	if facts == nil || facts.Ordinary || len(facts.Checks) == 0 ||
		int64(rows)*int64(len(facts.Checks))*triggerCost < facts.Bytes/pageSize*pageScanCost {
		return false, nil
	}
	// What the caller's transaction may check at its end is none of our business now.
	if !w.own() && slices.ContainsFunc(facts.Checks, func(c catalog.ForeignCheck) bool { return c.Deferrable }) {
		return false, nil
	}
	if !w.session.Replica {
		if !w.said && w.set.logger != nil {
			w.said = true
			w.set.logger.InfoContext(w.ctx, msg.BulkNoReplica.In(w.set.lang), "table", t.String())
		}
		return false, nil
	}
	return true, nil
}

// finish puts the settings back, checks the foreign keys of what was loaded with
// triggers off, and has the server check what it would check at the commit.
func (w *work) finish() error {
	var sql []string
	var checks []check
	seen := map[uint32]bool{}
	xid := uint32(w.session.XID) //nolint:gosec // its epoch is not part of a row's
	for _, one := range w.loads {
		if !one.fast || seen[one.table.OID] {
			continue
		}
		seen[one.table.OID] = true
		if !w.own() && len(checks) == 0 {
			var err error
			if xid, err = catalog.CurrentXID(w.ctx, w.tx); err != nil {
				return w.failed(msg.BulkCheck.In(w.set.lang), err)
			}
		}
		for _, c := range w.facts[one.table.OID].Checks {
			checks = append(checks, check{c, one.table})
			sql = append(sql, checkSQL(c, xid))
		}
	}
	if w.replica {
		sql = append(sql, catalog.SetReplicationRole(w.session.Role))
	}
	deferrable := slices.ContainsFunc(w.loads, func(one *load) bool { return one.table.Deferrable })
	if w.own() && deferrable {
		sql = append(sql, "SET CONSTRAINTS ALL IMMEDIATE")
	}
	if len(sql) == 0 {
		return nil
	}
	return w.finishWith(sql, checks)
}

// check is a foreign key to be checked, and the table that was loaded.
type check struct {
	catalog.ForeignCheck
	table *catalog.InsertTarget
}

// finishWith sends the statements at once. Those of the checks come first.
func (w *work) finishWith(sql []string, checks []check) error {
	var broken *refusal
	results := w.tx.Conn().PgConn().Exec(w.ctx, strings.Join(sql, ";\n"))
	for i := 0; results.NextResult(); i++ {
		result := results.ResultReader().Read()
		if result.Err == nil && i < len(checks) && len(result.Rows) > 0 && broken == nil {
			broken = w.violation(checks[i], result.Rows[0])
		}
	}
	w.replica = false
	if err := results.Close(); err != nil {
		if pg := aboutRows(err); pg != nil {
			return &refusal{pg: pg, load: w.loadOf(pg), row: -1}
		}
		return w.failed(msg.BulkCheck.In(w.set.lang), err)
	}
	if broken != nil {
		return broken
	}
	return nil
}

// commitFailed tells a commit that the server refused, so that nothing is
// stored, from one whose answer was lost.
func (w *work) commitFailed(err error) error {
	if pg := aboutRows(err); pg != nil {
		return &refusal{pg: pg, load: w.loadOf(pg), row: -1}
	}
	var pg *pgconn.PgError
	answered := errors.As(err, &pg) && !errs.IsClass(err, errs.ErrConnection)
	if answered || errors.Is(err, pgx.ErrTxCommitRollback) || !w.own() {
		return w.failed(msg.BulkCommit.In(w.set.lang), err)
	}
	return w.resolve(err)
}
