// Package track keeps a journal of what is written to a database since it was last
// at a baseline, and brings it back to that at a cost of what was written.
//
// # How it knows
//
// Let the horizon be the id of the transaction that last brought the database to
// its baseline, taken while nobody else was writing. A version of a row belongs to
// the baseline exactly when its xmin is not later than the horizon. So triggers
// save old versions of rows only where xmin says that they are the baseline's, at
// most one for each key, whatever the order in which nested statements fire them,
// and note the keys of new rows. To go back, the rows of these keys that are not
// the baseline's are deleted, and those that were saved are put in again.
//
// Five rules make that exact. Only rows that are newer than the horizon are
// deleted, whatever the journal says. A transaction whose id is older than the
// horizon, or whose snapshot is, makes its table be reloaded. Writers hold one
// shared advisory lock, the gate, until they end, and going back takes it
// exclusively: no writer is in flight meanwhile. Going back gives way in a
// deadlock, and is repeated. Names of generated functions' variables can't be
// confused with columns.
//
// DELETE is noted by statement, with all rows, since a trigger for each row takes
// ten times as long as the DELETE itself. There xmin can't be seen; but how many
// rows of a key came and went is known exactly, and so whether the baseline had
// one: see generator.undo.
//
// What can't be undone with certainty is told: TRUNCATE, a changed schema (by
// event triggers, or by a fingerprint of the catalog where the role may make
// none), a crash (all that is kept is unlogged, and comes back empty), another
// server, transaction ids near wraparound, large objects,
// subscriptions.
package track

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/schema"
)

// WriterLock is the advisory lock that writers share and that going back takes alone:
// "groundho".
const WriterLock int64 = 0x67726f756e64686f

// version is that of what is kept in the database. A later one replaces an earlier
// one, and an earlier one leaves a later one alone.
const version = 4

//go:embed schema.sql
var schemaSQL string

// ids of transactions from here on are not compared: xmin has only half their bits.
const wraparound = 1<<31 - 1<<20

func script(watch bool) string {
	return strings.NewReplacer("@watched@", strconv.FormatBool(watch), "@gate@", strconv.FormatInt(WriterLock, 10), "@wrap@", strconv.Itoa(wraparound), "@wait@", strconv.FormatInt(LockTimeout.Milliseconds(), 10)).Replace(schemaSQL)
}

// SessionSettings are those of a session that goes back or loads: triggers are silent, in
// a deadlock it is the victim, its errors are not in the server's log, where they
// would look like a test's, and plans look journals up by key, which have never
// been analysed, and start no workers, which takes longer than hundreds of sequences
// do. How values are written is the database's own: see catalog.DefaultOutputSettings.
const SessionSettings = `SET session_replication_role = replica; SET groundhog.off = on;
		SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_seqscan = off; SET jit = off; SET max_parallel_workers_per_gather = 0;
		SET lc_monetary = 'C'; SET array_nulls = on;
		SET default_transaction_isolation = 'read committed'; SET default_transaction_read_only = off; SET default_transaction_deferrable = off;
		SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET idle_session_timeout = 0; SET row_security = off;
		SELECT pg_catalog.set_config(name, value, false) FROM (VALUES ('deadlock_timeout', '20ms'), ('log_min_messages', 'fatal')) s(name, value)
			WHERE pg_catalog.has_parameter_privilege(name, 'SET')`

// ServerID names the server whose transaction ids a connection sees.
func ServerID(ctx context.Context, q catalog.Querier) (home string, err error) {
	err = q.QueryRow(ctx, `SELECT system_identifier::text || '/' || pg_catalog.current_setting('server_version_num')::integer / 10000 FROM pg_catalog.pg_control_system()`).Scan(&home)
	return home, err
}

// Outcome is what Restore or Undo did.
type Outcome struct {
	Unusable Reason // why nothing was done
	Tables   []Table
}

// Table is a table that was written to.
type Table struct {
	schema.Name
	Reload  Cause // why it must be loaded again; none: it was undone
	Changed int64 // rows that were removed or put in again
	Rows    int64 // in the baseline; only Written tells
}

// LockTimeout is how long a session that has the WriterLock waits for another lock.
// A session that holds that one and comes to wait for the WriterLock is in a deadlock
// with us, of which the server tells it after a second: before that we have given up,
// and try again.
const LockTimeout = 400 * time.Millisecond

// JournalReplaced reports whether an error says that the journal was replaced while the
// caller waited for the WriterLock. The caller may try again.
func JournalReplaced(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "XX000" && (strings.HasPrefix(pg.Message, "cache lookup failed") || strings.HasPrefix(pg.Message, "could not open relation with OID"))
}

// Restore goes back to the baseline of the snapshot called token, in a transaction
// of its own and one round trip. It is all or nothing: partly tells that nothing was
// done since tables must be loaded, the first of which is told; see Undo.
func Restore(ctx context.Context, conn *pgx.Conn, token, home string) (out Outcome, partly bool, err error) {
	out, err = restore(ctx, conn, token, home, false)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "GH001" {
		return Outcome{Tables: []Table{{Name: schema.Name{Schema: pg.SchemaName, Name: pg.TableName}, Reload: causeOf(pg.Detail)}}}, true, nil
	}
	if void := unusable(err); void != "" {
		return Outcome{Unusable: void}, false, nil
	}
	return out, false, err
}

// unusable says what an error tells of what is kept in the database, if it does.
func unusable(err error) (why Reason) {
	var pg *pgconn.PgError
	switch {
	case !errors.As(err, &pg):
	case pg.Code == "3F000" || pg.Code == "42883" && strings.Contains(pg.Message, "groundhog.restore("): // invalid_schema_name, undefined_function
		return NoBaseline
	case strings.HasPrefix(pg.Code, "42"): // syntax_error_or_access_rule_violation
		return Damaged
	}
	return ""
}

// Undo is Restore within the caller's transaction, but for the tables that must be
// loaded. When these are, FinishUndo ends it.
func Undo(ctx context.Context, tx pgx.Tx, token, home string) (Outcome, error) {
	return restore(ctx, tx, token, home, true)
}

func restore(ctx context.Context, q catalog.Querier, token, home string, partly bool) (out Outcome, err error) {
	rows, err := q.Query(ctx, `SELECT space, name, way, coalesce(why, ''), changed FROM groundhog.restore($1, $2, $3, $4)`, token, home, partly, version)
	if err != nil {
		return out, err
	}
	var t Table
	var way, why string
	_, err = pgx.ForEachRow(rows, []any{&t.Schema, &t.Name.Name, &way, &why, &t.Changed}, func() error {
		if way == "void" {
			out.Unusable = Reason(why)
			return nil
		}
		t.Reload = causeOf(why)
		out.Tables = append(out.Tables, t)
		return nil
	})
	return out, err
}

// FinishUndo ends what Undo began: the caller has loaded the tables that it named.
func FinishUndo(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `SELECT groundhog.settle()`)
	return err
}

// Baseline is what SetBaseline marks.
type Baseline struct {
	Token         string
	ServerID      string
	Tables        []schema.Name // that hold rows, or have partitions that do
	Rows          map[schema.Name]int64
	Sequences     []schema.Sequence
	EventTriggers bool // the role may make event triggers
	StaleViews    bool // materialised views may not show what the tables hold
	Reinstall     bool // what is there is not to be trusted: see Damaged

	// Untracked, if there is one, is told of each table that can't have a journal and
	// is loaded again, and why.
	Untracked func(Table)

	// Ready tells that the caller kept writers out by the gate alone: where that does not
	// watch all of the tables, nothing is marked.
	WriterLockOnly bool
	// Keys are the foreign keys between a table and one that is not tracked.
	OutsideKeys []OutsideKey
	// Rowwise tells that a statement may end before triggers for the statement fire:
	// functions in C can do that. Then those for rows tell of all.
	RowTriggersOnly bool
	// Native are the tables to which functions in C may write past all triggers.
	Native map[schema.Name]bool
	// Pokes wake extensions when their tables were brought back.
	CacheResets map[schema.Name]catalog.CacheReset
}

// ErrWraparound is an error of SetBaseline: ids of transactions are too many to be compared.
var ErrWraparound = errors.New("transaction ids are near wraparound")

// WhyUntrackable returns why BeginUntracked does not allow SetBaseline: ForeignSchema
// or LaterVersion.
func WhyUntrackable(ctx context.Context, tx pgx.Tx) (why Reason) {
	if _, ours, err := installed(ctx, tx); err == nil && !ours {
		return ForeignSchema
	}
	return LaterVersion
}

// HasEventTriggers reports whether event triggers see changes of the schema. It fails where the
// database is not tracked.
func HasEventTriggers(ctx context.Context, q catalog.Querier) (watched bool, err error) {
	err = q.QueryRow(ctx, `SELECT watched FROM groundhog.state`).Scan(&watched)
	return watched, err
}

// BeginUntracked begins a change that goes past the journal, in the caller's
// transaction: until SetBaseline the database is no baseline. Where another role or a
// later version tracks it, the journal stays on, and SetBaseline must not be called:
// mark is false.
func BeginUntracked(ctx context.Context, tx pgx.Tx) (mark bool, err error) {
	v, ours, err := installed(ctx, tx)
	switch {
	case err != nil:
		return false, err
	case !ours || v > version:
		_, err = tx.Exec(ctx, `SET LOCAL groundhog.off = off`)
		return false, err
	case v == version:
		_, err = tx.Exec(ctx, `UPDATE groundhog.state SET token = NULL`)
	case v > 0: // a publication may have what an earlier version kept
		_, err = tx.Exec(ctx, `TRUNCATE groundhog.state`)
	}
	return true, err
}

// SetBaseline makes what is in the database the baseline, and makes what tracking needs
// where it is not there, in the caller's transaction, which must have kept out all
// writers since before its first change, and called BeginUntracked.
func SetBaseline(ctx context.Context, tx pgx.Tx, b Baseline) error {
	xid, err := currentXID(ctx, tx)
	if err != nil {
		return err
	}
	if xid >= wraparound {
		return ErrWraparound
	}
	ready, err := isReady(ctx, tx, b.ServerID, len(b.Tables))
	if err != nil {
		return err
	}
	if b.WriterLockOnly && !ready {
		return errNotReady
	}
	if !ready || b.Reinstall {
		if err := install(ctx, tx, b); err != nil {
			return err
		}
	}
	if err := withoutEventTriggers(ctx, tx, sequencesMoved(b.Sequences)); err != nil {
		return err
	}
	spaces, names, rows := columns(b.Rows)
	_, err = tx.Exec(ctx, `SELECT groundhog.mark($1, $2, $3, $4, $5, $6)`, b.Token, b.ServerID, spaces, names, rows, b.StaleViews)
	return err
}

// RenameBaseline gives the baseline that was marked as token another name, and tells how
// many rows it has. Where it is not the baseline any more, it does nothing.
func RenameBaseline(ctx context.Context, conn *pgx.Conn, token, to string, count map[schema.Name]int64) error {
	spaces, names, rows := columns(count)
	_, err := conn.Exec(ctx, `SELECT groundhog.rename($1, $2, $3, $4, $5)`, token, to, spaces, names, rows)
	return err
}

func columns(count map[schema.Name]int64) (spaces, names []string, rows []int64) {
	for name, n := range count {
		spaces, names, rows = append(spaces, name.Schema), append(names, name.Name), append(rows, n)
	}
	return spaces, names, rows
}

func currentXID(ctx context.Context, tx pgx.Tx) (xid int64, err error) {
	err = tx.QueryRow(ctx, `SELECT pg_catalog.pg_current_xact_id()::text::bigint`).Scan(&xid)
	return xid, err
}

// installed tells the version of what is in the database, 0 where there is nothing,
// and whether the role may change it: a schema of our name that somebody else made
// is not touched. One in which only package catalog keeps something is ours.
func installed(ctx context.Context, tx pgx.Tx) (v int, ours bool, err error) {
	var there bool
	err = tx.QueryRow(ctx, `SELECT c.oid IS NOT NULL, coalesce(pg_catalog.pg_has_role(coalesce(c.relowner, o.relowner), 'USAGE'), n.oid IS NULL)
		FROM (VALUES (1)) one LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = 'groundhog'
			LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = 'state' LEFT JOIN pg_catalog.pg_class o ON o.relnamespace = n.oid AND o.relname = 'origin'`).Scan(&there, &ours)
	if err != nil || !there || !ours {
		return 0, ours, err
	}
	err = tx.QueryRow(ctx, `SELECT coalesce(pg_catalog.max(version), 0) FROM groundhog.state`).Scan(&v)
	return v, true, err
}

// errNotReady tells that tables are not tracked that should be: those of extensions
// are tracked by their owners only.
var errNotReady = errors.New("not all tables are tracked")

// Ready reports whether what is there tracks the tables as they are now, so that
// writers heed the gate.
func Ready(ctx context.Context, tx pgx.Tx, home string) (ok bool, err error) {
	return isReady(ctx, tx, home, 0)
}

// isReady tells the same, and whether that many tables are tracked.
func isReady(ctx context.Context, tx pgx.Tx, home string, tables int) (ok bool, err error) {
	v, _, err := installed(ctx, tx)
	if err != nil || v != version {
		return false, err
	}
	err = tx.QueryRow(ctx, `SELECT coalesce(pg_catalog.bool_and(s.home = $1 AND s.self = s.tableoid AND CASE WHEN s.watched THEN s.watchers = groundhog.watchers() ELSE s.schema = groundhog.fingerprint() END), false)
			AND NOT EXISTS (SELECT FROM groundhog.moved)
			AND (SELECT pg_catalog.count(DISTINCT rel) FROM groundhog.tree) >= $2
		FROM groundhog.state s`, home, tables).Scan(&ok)
	return ok, err
}

// EventTriggerError is about an event trigger that would react to our statements, and that the
// role may not disable.
type EventTriggerError struct{ Trigger string }

func (e *EventTriggerError) Error() string {
	return "the event trigger " + strconv.Quote(e.Trigger) + " fires in replica role, and only a superuser may disable it"
}

func relationsOf(ctx context.Context, tx pgx.Tx, names []schema.Name) ([]catalog.TrackedTable, error) {
	if _, err := tx.Exec(ctx, "SET LOCAL search_path = pg_catalog"); err != nil {
		return nil, err
	}
	return catalog.TrackedTables(ctx, tx, names)
}

// sequencesMoved writes the function that finds the sequences that are not as in
// the baseline. Their values are part of it: there is no faster way to ask hundreds.
// A function of the server reads one in a third of the time that a scan of it takes,
// but tells nothing of one that was not called.
func sequencesMoved(states []schema.Sequence) string {
	var called, parts []string
	for _, s := range states {
		name := catalog.Ident(s.Name)
		if s.IsCalled {
			called = append(called, fmt.Sprintf("(%s::pg_catalog.regclass::pg_catalog.oid, %d::bigint)", literal(name), s.LastValue))
			continue
		}
		parts = append(parts, fmt.Sprintf("SELECT %s::pg_catalog.regclass::pg_catalog.oid, %d::bigint, false FROM %s WHERE last_value <> %[2]d OR is_called", literal(name), s.LastValue, name))
	}
	if len(called) > 0 {
		parts = append(parts, "SELECT v.seq, v.value, true FROM (VALUES "+strings.Join(called, ", ")+") v(seq, value) WHERE pg_catalog.pg_sequence_last_value(v.seq) IS DISTINCT FROM v.value")
	}
	body := ""
	if len(parts) > 0 {
		body = "RETURN QUERY " + strings.Join(parts, "\nUNION ALL ") + ";"
	}
	return `CREATE OR REPLACE FUNCTION groundhog.sequences_moved() RETURNS TABLE (seq oid, value bigint, called boolean) LANGUAGE plpgsql AS ` + quoted(`
#variable_conflict use_column
BEGIN
	`+body+`
END `)
}

// remove removes what tracks, and lets be what package catalog keeps beside it.
const remove = `DO $groundhog$
DECLARE
	d text;
BEGIN
	FOR d IN SELECT pg_catalog.format('DROP FUNCTION %s CASCADE', p.oid::pg_catalog.regprocedure) FROM pg_catalog.pg_proc p
			WHERE p.pronamespace = pg_catalog.to_regnamespace('groundhog')
		UNION ALL SELECT pg_catalog.format('DROP %s %s CASCADE', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::pg_catalog.regclass) FROM pg_catalog.pg_class c
			WHERE c.relnamespace = pg_catalog.to_regnamespace('groundhog') AND c.relkind IN ('r', 'S') AND c.relname <> 'origin' LOOP
		EXECUTE d;
	END LOOP;
END $groundhog$;
`

// Drop removes the schema and everything in it from the database.
func Drop(ctx context.Context, tx pgx.Tx) error {
	if _, ours, err := installed(ctx, tx); err != nil || !ours {
		return err
	}
	var there bool // or an event trigger would see a change of the schema that is none
	err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'groundhog')`).Scan(&there)
	if err != nil || !there {
		return err
	}
	return withoutEventTriggers(ctx, tx, "DROP SCHEMA groundhog CASCADE")
}

func exec(ctx context.Context, tx pgx.Tx, sql string) error {
	return tx.Conn().PgConn().Exec(ctx, sql).Close()
}
