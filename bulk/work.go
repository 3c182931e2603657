package bulk

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/guard"
	"github.com/groundhogdb/groundhog/internal/msg"
)

// work is one call: a transaction, and what is known in it.
type work struct {
	ctx    context.Context
	tx     pgx.Tx
	set    settings
	tables map[string]*catalog.InsertTarget
	types  encodeTypes
}

// rollbackTime bounds a rollback, which must also work when the call's own
// context has ended.
const rollbackTime = 10 * time.Second

// run calls do in a transaction of db, or a savepoint of it, after the database
// was found to be one that may be changed. Tables are those that do will load.
// Unless do and the commit succeed, nothing stays; also when do panics or ends
// its goroutine.
func run(ctx context.Context, db DB, set settings, tables []string, do func(*work) error) error {
	tx, err := db.Begin(ctx)
	if err != nil {
		return errs.New(errs.Class(err), msg.BulkBegin.In(set.lang), err)
	}
	committed := false
	defer func() {
		if !committed {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTime)
			defer cancel()
			_ = tx.Rollback(ctx) // when it fails, pgx closes the connection, which rolls back too
		}
	}()
	w := &work{ctx: ctx, tx: tx, set: set}
	if err := w.look(tables); err != nil {
		return err
	}
	if err := do(w); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return w.commitFailed(err)
	}
	committed = true
	return nil
}

// look checks the name of the database, and finds the tables and their types.
func (w *work) look(names []string) error {
	var database string
	var targets []catalog.InsertTarget
	var batch pgx.Batch
	batch.Queue("SELECT pg_catalog.current_database()").QueryRow(func(row pgx.Row) error { return row.Scan(&database) })
	catalog.QueueInsertTargets(&batch, names, func(t []catalog.InsertTarget) { targets = t })
	err := w.tx.SendBatch(w.ctx, &batch).Close()
	if database != "" {
		if unsafe := guard.Check(database, w.set.allowed, w.set.lang); unsafe != nil {
			return unsafe
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

// commitFailed tells a commit that the server refused, so that nothing is
// stored, from one whose answer was lost.
func (w *work) commitFailed(err error) error {
	var pg *pgconn.PgError
	if errors.Is(err, pgx.ErrTxCommitRollback) || errors.As(err, &pg) && !errors.Is(errs.Class(err), errs.ErrConnection) {
		return w.failed(msg.BulkCommit.In(w.set.lang), err)
	}
	return errs.New(errs.ErrCommitUnknown, msg.BulkCommitLost.In(w.set.lang), err)
}
