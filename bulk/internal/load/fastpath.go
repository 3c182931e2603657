package load

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/msg"
)

// What loading with triggers off costs and saves, in microseconds, on the
// machine of the benchmarks: it decides which way is taken, and is far from
// deciding in most cases.
const (
	fastRows     = 300 // below it is not worth the statements
	triggerCost  = 3   // of one foreign key of one row
	pageScanCost = 5   // of one page of the table
	pageSize     = 8192
)

// fastPath loads rows with triggers off where what they would do can be done for all
// rows of a table at once: it decides, switches them, and checks the foreign keys at the
// end.
type fastPath struct {
	notice *notice
	lang   msg.Lang
	tx     pgx.Tx
	own    bool // the transaction is the call's own
	never  bool // every row is loaded in the ordinary way

	session catalog.Session
	tables  []uint32                      // of the call
	facts   map[uint32]*catalog.LoadFacts // of tables; nil: not read yet
	off     bool                          // triggers are off
}

// notice is the line in the log that says why rows are loaded in the ordinary way. A
// call writes it once.
type notice struct {
	logger *slog.Logger // nil: no log
	lang   msg.Lang
	told   bool
}

func (n *notice) noReplica(ctx context.Context, table string) {
	if n.told || n.logger == nil {
		return
	}
	n.told = true
	n.logger.InfoContext(ctx, msg.BulkNoReplica.In(n.lang), "table", table)
}

// chooseTriggerMode chooses the way in which rows are loaded into a table, and switches
// triggers off or on for it. It reports whether their foreign keys must be checked at the
// end.
func (f *fastPath) chooseTriggerMode(ctx context.Context, t *catalog.InsertTarget, rows int) (off bool, err error) {
	if off, err = f.worthwhile(ctx, t, rows); err != nil {
		return false, err
	}
	if off == f.off {
		return off, nil
	}
	role := f.session.Role
	if off {
		role = "replica"
	}
	if _, err := f.tx.Exec(ctx, catalog.SetReplicationRole(role)); err != nil {
		return false, failed(msg.BulkRole.In(f.lang), err)
	}
	f.off = off
	return off, nil
}

// worthwhile reports whether rows may be loaded into a table with triggers off, and that
// takes less time.
func (f *fastPath) worthwhile(ctx context.Context, t *catalog.InsertTarget, rows int) (bool, error) {
	if rows < fastRows || f.never || f.session.Role == "replica" || !f.session.Default {
		return false, nil
	}
	if f.facts == nil {
		var err error
		if f.facts, err = catalog.ReadLoadFacts(ctx, f.tx.Conn(), f.tables); err != nil {
			return false, failed(msg.BulkLook.In(f.lang), err)
		}
	}
	facts := f.facts[t.OID]
	if facts == nil || facts.Ordinary || len(facts.Checks) == 0 ||
		int64(rows)*int64(len(facts.Checks))*triggerCost < facts.Bytes/pageSize*pageScanCost {
		return false, nil
	}
	// What the caller's transaction may check at its end is none of our business now.
	if !f.own && slices.ContainsFunc(facts.Checks, func(c catalog.ForeignCheck) bool { return c.Deferrable }) {
		return false, nil
	}
	if !f.session.Replica {
		f.notice.noReplica(ctx, t.String())
		return false, nil
	}
	return true, nil
}

// finish checks the foreign keys of what was loaded with triggers off, puts the setting
// back, and has the server check what it would check at the commit: all of it in one
// round trip.
func (f *fastPath) finish(ctx context.Context, jobs []*copyJob) error {
	checks, err := f.pending(ctx, jobs)
	if err != nil {
		return err
	}
	sql := make([]string, 0, len(checks)+2)
	for _, c := range checks {
		sql = append(sql, c.sql)
	}
	if f.off {
		sql = append(sql, catalog.SetReplicationRole(f.session.Role))
	}
	if f.own && slices.ContainsFunc(jobs, func(j *copyJob) bool { return j.table.Deferrable }) {
		sql = append(sql, "SET CONSTRAINTS ALL IMMEDIATE")
	}
	if len(sql) == 0 {
		return nil
	}
	var broken *refusal
	results := f.tx.Conn().PgConn().Exec(ctx, strings.Join(sql, ";\n"))
	for i := 0; results.NextResult(); i++ {
		result := results.ResultReader().Read()
		if result.Err == nil && i < len(checks) && len(result.Rows) > 0 && broken == nil {
			broken = checks[i].broken(result.Rows[0])
		}
	}
	f.off = false
	if err := results.Close(); err != nil {
		if pg := aboutRows(err); pg != nil {
			return refusedLater(jobs, pg)
		}
		return failed(msg.BulkCheck.In(f.lang), err)
	}
	if broken != nil {
		return broken
	}
	return nil
}

// pending returns the checks that are still to be made, each once.
func (f *fastPath) pending(ctx context.Context, jobs []*copyJob) ([]pendingCheck, error) {
	last := map[uint32]*copyJob{}
	for _, j := range jobs {
		last[j.table.OID] = j
	}
	var checks []pendingCheck
	xid := uint32(f.session.XID) //nolint:gosec // its epoch is not part of a row's
	seen := map[uint32]bool{}
	for _, j := range jobs {
		if !j.fast || seen[j.table.OID] {
			continue
		}
		seen[j.table.OID] = true
		if !f.own && len(checks) == 0 {
			var err error
			if xid, err = catalog.CurrentXID(ctx, f.tx); err != nil {
				return nil, failed(msg.BulkCheck.In(f.lang), err)
			}
		}
		for _, c := range f.facts[j.table.OID].Checks {
			checks = append(checks, pendingCheck{ForeignCheck: c, job: last[j.table.OID], sql: checkSQL(c, xid)})
		}
	}
	return checks, nil
}

// pendingCheck is a foreign key that is checked at the end.
type pendingCheck struct {
	catalog.ForeignCheck
	job *copyJob // the last one of its table
	sql string
}

// broken returns the refusal of a row that breaks the foreign key, by the values of
// its columns. The server is spared the work of saying so.
func (c pendingCheck) broken(values [][]byte) *refusal {
	texts, mixed := make([]string, len(values)), false
	for i, v := range values {
		texts[i] = string(v)
		mixed = mixed || v == nil
	}
	detail := fmt.Sprintf("Key (%s)=(%s) is not present in table %q.", strings.Join(c.Columns, ", "), strings.Join(texts, ", "), c.Parent.Name)
	if mixed {
		detail, texts = "MATCH FULL does not allow mixing of null and nonnull key values.", nil
	}
	return &refusal{job: c.job, row: -1, key: texts,
		facts: &catalog.ConstraintFacts{Columns: c.Columns, References: c.Parent.String()},
		pg: &pgconn.PgError{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "23503", Detail: detail,
			Message:    fmt.Sprintf("insert or update on table %q violates foreign key constraint %q", c.Child.Name, c.Constraint),
			SchemaName: c.Child.Schema, TableName: c.Child.Name, ConstraintName: c.Constraint}}
}
