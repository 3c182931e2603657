package track

import (
	"context"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/catalog"
)

// EventTriggerError is about an event trigger that wrote to a table when it saw our
// statements, and that the role may not disable.
type EventTriggerError struct{ Trigger string }

func (e *EventTriggerError) Error() string {
	return "the event trigger " + strconv.Quote(e.Trigger) + " writes to a table when the journal is made, and only a superuser may disable it"
}

// hidden are statements around others that no event trigger which fires shall see: what
// it wrote down would be part of the baseline. A role that may not disable them is told if
// they write.
type hidden struct {
	disable, enable string
	awake           []catalog.Trigger // that can't be disabled
	before          string            // what the transaction had written
	files           string            // of the tables
}

// rowsWrittenSQL tells what the transaction has written to the user's tables, which files they
// have, and whether the transaction has given another file to one of those in $1. TRUNCATE does
// that, unless the same subtransaction has done it before: so what event triggers see is
// executed in a subtransaction of its own. Other sessions may rewrite tables on which this one
// holds no lock.
const rowsWrittenSQL = `WITH t AS MATERIALIZED (
		SELECT c.oid, pg_catalog.pg_relation_filenode(c.oid) AS file FROM pg_catalog.pg_class c
		WHERE c.relkind = 'r' AND c.relnamespace NOT IN (SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname ~ '^pg_' OR n.nspname IN ('information_schema', 'groundhog'))
	), own AS MATERIALIZED (
		SELECT l.relation FROM pg_catalog.pg_locks l WHERE l.locktype = 'relation' AND l.pid = pg_catalog.pg_backend_pid() AND l.mode = 'AccessExclusiveLock'
			AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
	)
	SELECT coalesce(pg_catalog.sum(pg_catalog.pg_stat_get_xact_tuples_inserted(t.oid) + pg_catalog.pg_stat_get_xact_tuples_updated(t.oid) + pg_catalog.pg_stat_get_xact_tuples_deleted(t.oid)), 0)::text
			|| CASE WHEN pg_catalog.current_setting('track_counts')::boolean THEN '' ELSE ' ' || pg_catalog.clock_timestamp() END,
		coalesce(pg_catalog.jsonb_object_agg(t.oid, t.file), '{}')::text,
		coalesce(pg_catalog.bool_or(($1::text::pg_catalog.jsonb ->> t.oid::text)::pg_catalog.oid <> t.file AND t.oid IN (SELECT o.relation FROM own o)), false)
	FROM t`

// hideFromEventTriggers begins it.
func hideFromEventTriggers(ctx context.Context, tx pgx.Tx) (h hidden, err error) {
	triggers, may, err := catalog.EventTriggers(ctx, tx)
	if err != nil || len(triggers) == 0 {
		return h, err
	}
	if may {
		h.disable, h.enable = catalog.WithoutEventTriggers(triggers)
		return h, nil
	}
	h.awake = triggers
	return h, tx.QueryRow(ctx, rowsWrittenSQL, "{}").Scan(&h.before, &h.files, nil)
}

// unseen returns an error if an event trigger has written to a table of the user's since.
func (h hidden) unseen(ctx context.Context, tx pgx.Tx) error {
	if len(h.awake) == 0 {
		return nil
	}
	var now string
	var truncated bool
	err := tx.QueryRow(ctx, rowsWrittenSQL, h.files).Scan(&now, nil, &truncated)
	if err == nil && (now != h.before || truncated) {
		err = &EventTriggerError{Trigger: h.awake[0].Name}
	}
	return err
}

// withoutEventTriggers executes statements that no event trigger sees, or reacts to by
// writing.
func withoutEventTriggers(ctx context.Context, tx pgx.Tx, sql string) error {
	h, err := hideFromEventTriggers(ctx, tx)
	if err != nil {
		return err
	}
	if len(h.awake) > 0 {
		sql = "SAVEPOINT groundhog_hidden;\n" + sql + ";\nRELEASE SAVEPOINT groundhog_hidden"
	}
	if err := catalog.ExecScript(ctx, tx, h.disable+sql, h.enable); err != nil {
		return err
	}
	return h.unseen(ctx, tx)
}
