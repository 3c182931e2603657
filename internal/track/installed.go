package track

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/catalog"
)

// installed returns the version of what is in the database, 0 where there is nothing, and
// reports whether the role may change it: a schema of our name that is not ours is not
// touched. One that holds the notes of the origin alone is ours.
func installed(ctx context.Context, tx pgx.Tx) (v int, ours bool, err error) {
	var there bool
	err = tx.QueryRow(ctx, `SELECT c.oid IS NOT NULL, coalesce(pg_catalog.pg_has_role(coalesce(c.relowner, o.relowner), 'USAGE'), n.oid IS NULL)
		FROM (VALUES (1)) one LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = 'groundhog'
			LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = 'state' LEFT JOIN pg_catalog.pg_class o ON o.relnamespace = n.oid AND o.relname = 'origin'`).Scan(&there, &ours)
	if err != nil || !there || !ours {
		return 0, ours, err
	}
	v, err = versionOf(ctx, tx)
	return v, true, err
}

// versionOf returns the version of what is in the database, 0 after a crash. It fails
// where there is nothing.
func versionOf(ctx context.Context, q catalog.Querier) (v int, err error) {
	err = q.QueryRow(ctx, `SELECT coalesce(pg_catalog.max(version), 0) FROM groundhog.state`).Scan(&v)
	return v, err
}

// WhyUntrackable returns why BeginUntracked does not allow SetBaseline: ForeignSchema
// or LaterVersion.
func WhyUntrackable(ctx context.Context, tx pgx.Tx) (why Reason) {
	if _, ours, err := installed(ctx, tx); err == nil && !ours {
		return ForeignSchema
	}
	return LaterVersion
}

// HasEventTriggers reports whether event triggers see changes of the schema. It fails where
// the database is not tracked.
func HasEventTriggers(ctx context.Context, q catalog.Querier) (has bool, err error) {
	err = q.QueryRow(ctx, `SELECT event_triggers FROM groundhog.state`).Scan(&has)
	return has, err
}

// Ready reports whether what is there tracks the tables as they are now, so that writers
// take the WriterLock, and has room for their rows.
func Ready(ctx context.Context, tx pgx.Tx, serverID string) (ok bool, err error) {
	return isReady(ctx, tx, serverID, 0)
}

// isReady reports whether that is so of that many tables at least; see [Ready].
func isReady(ctx context.Context, tx pgx.Tx, serverID string, tables int) (ok bool, err error) {
	v, _, err := installed(ctx, tx)
	if err != nil || v != version {
		return false, err
	}
	err = tx.QueryRow(ctx, `SELECT coalesce(pg_catalog.bool_and(s.server_id = $1 AND s.self = s.tableoid AND (s.checked OR pg_catalog.current_setting('session_replication_role') = 'replica')
				AND CASE WHEN s.event_triggers THEN s.event_trigger_states = groundhog.event_trigger_states() ELSE s.schema_fingerprint = groundhog.schema_fingerprint() END), false)
			AND NOT EXISTS (SELECT FROM groundhog.schema_changes)
			AND (SELECT pg_catalog.count(DISTINCT rel) FROM groundhog.journals_of) >= $2
			AND NOT EXISTS (SELECT FROM groundhog.short k JOIN pg_catalog.pg_class c ON c.oid = k.rel
				WHERE CASE WHEN c.reltoastrelid <> 0 THEN pg_catalog.pg_relation_size(c.reltoastrelid) > 0 ELSE false END)
		FROM groundhog.state s`, serverID, tables).Scan(&ok)
	return ok, err
}

// Remove removes what tracks the tables as they were, but for the notes of the origin. It
// reports whether there was anything. SetBaseline would do it too, but waits for all who
// read the tables.
func Remove(ctx context.Context, tx pgx.Tx) (there bool, err error) {
	err = tx.QueryRow(ctx, `SELECT pg_catalog.to_regclass('groundhog.state') IS NOT NULL`).Scan(&there)
	if err != nil || !there {
		return false, err
	}
	return true, withoutEventTriggers(ctx, tx, render("remove", shared)+render("remove schema", shared))
}

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
