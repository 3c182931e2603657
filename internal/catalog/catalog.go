// Package catalog asks PostgreSQL's system catalogs, for all packages. [Read] gives what
// a snapshot has to know of a database as package schema's model, with the facts of the
// live database; the other files answer one question each. Each query stands next to the
// code that scans its rows.
//
// It changes little: the state of sequences, settings of a transaction, what belongs to a
// database as a whole ([GiveTraits]), and sessions that hold locks, which it ends. What
// groundhog keeps in schema groundhog is package track's.
package catalog

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Querier is met by a connection and by a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// OwnSchema is where groundhog keeps what it needs inside a database. It is no
// part of any snapshot.
const OwnSchema = "groundhog"

// tracked is the condition on pg_class c and pg_namespace n for relations that
// belong to the user's data: of no system schema, no extension, no session.
const tracked = `n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', '` + OwnSchema + `')
	AND c.relpersistence <> 't'
	AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
		WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')`

// made is the condition on oids of what was made after initdb, from firstMade on:
// all others are the system's.
const (
	made      = ` >= 16384`
	firstMade = 16384
)

// notOwn is the condition on relations that groundhog did not make: there may be
// as many of its own, and to ask for the size of one is to wait for its lock. A schema
// of that name that has none of them is the user's.
const notOwn = `relnamespace <> ALL (ARRAY(SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname = '` + OwnSchema + `'
	AND EXISTS (SELECT FROM pg_catalog.pg_class o WHERE o.relnamespace = n.oid AND o.relname IN ('state', 'origin'))))`
