package load

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/bulk/internal/copyin"
	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/guard"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/progress"
	"github.com/groundhogdb/groundhog/internal/retry"
)

// Tx is the transaction of one attempt of a call, with what was looked up for it and what
// was loaded in it. It belongs to one goroutine at a time; see [Meanwhile].
type Tx struct {
	tx    pgx.Tx
	own   bool // not a savepoint
	lang  msg.Lang
	meter *progress.Meter
	last  bool   // no attempt follows
	probe *probe // not nil while a refused row is looked for

	session catalog.Session
	tables  map[string]*catalog.InsertTarget // by the names that the call gives them
	types   copyin.Types
	fast    fastPath
	jobs    []*copyJob // in order
}

// encodings are what a server may take texts for that are UTF-8.
var encodings = []string{"UTF8", "UNICODE", "SQL_ASCII"}

// prepare checks that the database is one that may be changed, and looks up the tables
// and their types.
func (t *Tx) prepare(ctx context.Context, names, allowed []string, notice *notice) error {
	if encoding := t.tx.Conn().PgConn().ParameterStatus("client_encoding"); !slices.Contains(encodings, encoding) {
		return refuse(t.lang, msg.BulkEncoding, encoding)
	}
	var targets []catalog.InsertTarget
	var batch pgx.Batch
	catalog.QueueSession(&batch, t.own, func(s catalog.Session) { t.session = s })
	catalog.QueueInsertTargets(&batch, names, func(found []catalog.InsertTarget) { targets = found })
	err := t.tx.SendBatch(ctx, &batch).Close()
	if t.session.Database != "" {
		if unsafe := guard.Check(t.session.Database, allowed, t.lang); unsafe != nil {
			return unsafe
		}
		if t.session.Standby {
			return refuse(t.lang, msg.AddressStandby, t.session.Database)
		}
	}
	if err != nil {
		return t.lookupFailed(names, err)
	}
	t.tables = make(map[string]*catalog.InsertTarget, len(names))
	oids := make([]uint32, len(names))
	for i, name := range names {
		target := &targets[i]
		switch {
		case target.OID == 0:
			return t.noSuchTable(ctx, name)
		case !target.Loadable():
			return refuse(t.lang, msg.BulkNotATable, target.String())
		case target.RowSecurity:
			return refuse(t.lang, msg.BulkRowSecurity, target.String())
		}
		t.tables[name], oids[i] = target, target.OID
	}
	if t.types, err = copyin.TypesOf(ctx, t.tx.Conn(), targets); err != nil {
		return failed(msg.BulkLook.In(t.lang), err)
	}
	t.fast = fastPath{notice: notice, lang: t.lang, tx: t.tx, own: t.own, never: t.probe != nil, session: t.session, tables: oids}
	return nil
}

// lookupFailed wraps an error of the look at the catalog. The server refuses a
// name that no table can have.
func (t *Tx) lookupFailed(names []string, err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && slices.Contains([]string{"42601", "42602", "0A000", "22021", "22023"}, pg.Code) {
		return errs.New(errs.ErrInvalidArgument, msg.BulkTableName.In(t.lang, strconv.Quote(strings.Join(names, ", "))), err)
	}
	return failed(msg.BulkLook.In(t.lang), err)
}

// tablesShown bounds the list of tables in an error; among tablesRead the nearest
// spelling is looked for.
const (
	tablesShown = 40
	tablesRead  = 10_000
)

// noSuchTable says which tables there are.
func (t *Tx) noSuchTable(ctx context.Context, name string) error {
	tables, err := catalog.TableNames(ctx, t.tx, tablesRead)
	if err != nil {
		return failed(msg.BulkLook.In(t.lang), err)
	}
	meant := didYouMean(t.lang, name, tables)
	if len(tables) > tablesShown {
		tables = append(tables[:tablesShown], "…")
	}
	if len(tables) == 0 {
		return refuse(t.lang, msg.BulkNoTables, name)
	}
	return refuse(t.lang, msg.BulkNoTable, name, meant, strings.Join(tables, ", "))
}

// Query asks something in the transaction.
func (t *Tx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return t.tx.Query(ctx, sql, args...)
}

// Table returns a table of the call, by the name that the call gives it.
func (t *Tx) Table(name string) *catalog.InsertTarget { return t.tables[name] }

// Database returns the name of the database.
func (t *Tx) Database() string { return t.session.Database }

// repeats reports whether the call will be made again after the error.
func (t *Tx) repeats(ctx context.Context, err error) bool {
	return !t.last && retry.Retryable(ctx, err)
}

// begin starts the COPY of a job.
func (t *Tx) begin(ctx context.Context, table *catalog.InsertTarget, columns []copyin.Column) *copyin.Stream {
	return copyin.Begin(ctx, t.tx.Conn().PgConn(), t.types, table.Name, columns, t.meter)
}

// rollbackTime bounds a rollback, and looking around after a failure, which must
// also work when the call's own context has ended.
const rollbackTime = 10 * time.Second

// rollback ends the transaction. When it fails, pgx closes the connection, which ends it
// too.
func (t *Tx) rollback(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTime)
	defer cancel()
	_ = t.tx.Rollback(ctx)
}
