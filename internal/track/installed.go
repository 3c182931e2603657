package track

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/catalog"
)

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
