// Package track keeps a journal of what is written to a database since it was last
// at a baseline, and brings it back to that at a cost of what was written.
//
// # How it knows
//
// The baseline_xid is the id of the transaction that last brought the database to its
// baseline, taken while no other session was writing. A version of a row belongs to the
// baseline exactly when its xmin is not later. So triggers save old versions of rows
// only where xmin says that they are the baseline's, at most one for each key, whatever
// the order in which nested statements fire them, and note the keys of new rows. To go
// back, the rows of these keys that are not the baseline's are deleted, and those that
// were saved are put in again.
//
// Five rules make that exact. Only rows that are newer than the baseline_xid are
// deleted, whatever the journal says. A transaction whose id is older, or whose snapshot
// is, makes its table be reloaded. Writers share an advisory lock, the [WriterLock],
// until they end, and going back takes it exclusively: no writer is in flight meanwhile.
// Going back gives way in a deadlock, and is repeated. Names of generated functions'
// variables can't be confused with columns.
//
// DELETE is noted by statement, with all rows, since a trigger for each row takes
// ten times as long as the DELETE itself. There xmin can't be seen; but how many
// rows of a key came and went is known exactly, and so whether the baseline had
// one: see sql/undo.sql. A DELETE of so many rows that the table is loaded again is noted
// without them: see most_changes and note_emptying in sql/schema.sql.
//
// What can't be undone with certainty has a [Reason]: TRUNCATE, a changed schema (seen by
// event triggers, or by a fingerprint of the catalog where the role may make none), a
// crash (all that is kept is unlogged, and comes back empty), another server, transaction
// ids near wraparound, large objects, subscriptions.
//
// # Without the right to set session_replication_role
//
// Then foreign keys are checked and triggers fire while rows are put back (a checked undo).
// All tables are put back by one statement: see sql/checked.sql. The checks and actions of
// foreign keys come at its end, when the rows are as they were. What was written is counted
// afterwards; if it is more or less than was meant, nothing is committed. Rules and triggers of
// the user sleep meanwhile.
//
// # What is in the database
//
// All of it is in the schema groundhog, which this package alone writes: see
// sql/schema.sql for the tables and functions, sql/table.sql for the journal and the
// triggers of a table.
package track

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/internal/catalog"
)

// WriterLock is the advisory lock that writers share and that going back takes alone:
// "groundho".
const WriterLock int64 = 0x67726f756e64686f

// LockTimeout is how long a session that has the WriterLock waits for another lock.
// A session that holds that one and comes to wait for the WriterLock is in a deadlock
// with us, of which the server tells it after a second: before that we have given up,
// and try again.
const LockTimeout = 400 * time.Millisecond

// LimitLockWait returns a statement that sets how long a transaction that has the
// WriterLock waits for the next lock, at most so long. A role that can't have the server end
// its own session in a deadlock must not be waiting when another session, which waits for the
// WriterLock, looks for one: a second after that began to wait. So it waits only where none
// does yet.
func LimitLockWait(checked bool, most time.Duration) string {
	if !checked {
		return fmt.Sprintf("SET LOCAL lock_timeout = %d", most.Milliseconds())
	}
	return fmt.Sprintf(`SELECT pg_catalog.set_config('lock_timeout', (CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.locktype OPERATOR(pg_catalog.=) 'advisory' AND NOT l.granted
			AND l.classid OPERATOR(pg_catalog.=) %d::pg_catalog.oid AND l.objid OPERATOR(pg_catalog.=) %d::pg_catalog.oid
			AND l.database OPERATOR(pg_catalog.=) (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())) THEN 1
		ELSE greatest(1, least(%d, (SELECT s.setting::int OPERATOR(pg_catalog./) 2 FROM pg_catalog.pg_settings s WHERE s.name OPERATOR(pg_catalog.=) 'deadlock_timeout'))) END)::text, true)`,
		WriterLock>>32, WriterLock&(1<<32-1), most.Milliseconds())
}

// SessionSettings returns the settings of a session that goes back or loads. Triggers are
// silent, for a role that may see to that. In a deadlock it is the victim where the role may
// choose that, and else waits for no lock: see [LockTimeout]. Its errors are not in the
// server's log, where they would look like a test's. Plans look journals up by key, which
// have never been analysed, and start no workers, which takes longer than hundreds of
// sequences do. How values are written is the database's own: see
// catalog.DefaultOutputSettings.
func SessionSettings(checked bool) string {
	if checked {
		return sessionSettings
	}
	return "SET session_replication_role = replica; " + sessionSettings
}

const sessionSettings = `SET groundhog.disabled = on;
		SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_seqscan = off; SET jit = off; SET max_parallel_workers_per_gather = 0;
		SET lc_monetary = 'C'; SET array_nulls = on;
		SET default_transaction_isolation = 'read committed'; SET default_transaction_read_only = off; SET default_transaction_deferrable = off;
		SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET idle_session_timeout = 0; SET row_security = off;
		SELECT pg_catalog.set_config(name, value, false) FROM (VALUES ('deadlock_timeout', '20ms'), ('log_min_messages', 'fatal')) s(name, value)
			WHERE pg_catalog.has_parameter_privilege(name, 'SET')`

// ServerID names the server whose transaction ids a connection sees.
func ServerID(ctx context.Context, q catalog.Querier) (id string, err error) {
	err = q.QueryRow(ctx, `SELECT system_identifier::text || '/' || pg_catalog.current_setting('server_version_num')::integer / 10000 FROM pg_catalog.pg_control_system()`).Scan(&id)
	return id, err
}

// JournalReplaced reports whether an error says that the journal was replaced while the
// caller waited for the WriterLock. The caller may try again.
func JournalReplaced(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "XX000" && (strings.HasPrefix(pg.Message, "cache lookup failed") || strings.HasPrefix(pg.Message, "could not open relation with OID"))
}
