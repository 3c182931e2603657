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
}

// rowsWrittenSQL tells what the transaction has written to the user's tables. TRUNCATE gives a
// table another file, but where the subtransaction itself has given it one before: so what event
// triggers see is executed in one of its own.
const rowsWrittenSQL = `SELECT coalesce(pg_catalog.sum(pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid) + pg_catalog.pg_stat_get_xact_tuples_updated(c.oid) + pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid)), 0)::text
	|| ' ' || coalesce(pg_catalog.sum(pg_catalog.pg_relation_filenode(c.oid)::bigint), 0)
	|| CASE WHEN pg_catalog.current_setting('track_counts')::boolean THEN '' ELSE ' ' || pg_catalog.clock_timestamp() END
	FROM pg_catalog.pg_class c WHERE c.relkind = 'r' AND c.relnamespace NOT IN (SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname ~ '^pg_' OR n.nspname IN ('information_schema', 'groundhog'))`

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
	return h, tx.QueryRow(ctx, rowsWrittenSQL).Scan(&h.before)
}

// unseen returns an error if an event trigger has written to a table of the user's since.
func (h hidden) unseen(ctx context.Context, tx pgx.Tx) error {
	if len(h.awake) == 0 {
		return nil
	}
	var now string
	err := tx.QueryRow(ctx, rowsWrittenSQL).Scan(&now)
	if err == nil && now != h.before {
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
