package testdb

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Maker makes more databases with the schema of one that fixtures made, its origin.
type Maker interface {
	// Origin is the pool of the origin. When it is closed, no copy is wanted any more.
	Origin() *pgxpool.Pool

	// Make makes a database from a template that fill has filled. The template is made
	// once for each key, which stands for all that fill does, in all processes. fill
	// leaves no connection of its own behind.
	Make(ctx context.Context, key string, fill func(context.Context, *pgxpool.Pool) error) (Copy, error)
}

// Copy is a database that a Maker made.
type Copy interface {
	// Lend opens a pool that leads to the database, for a test or for a program, whose
	// name is empty. It does not connect yet. The pool is made inside the bubble that
	// ctx came from, if any.
	Lend(ctx context.Context, test string) (*Database, error)

	// Set makes what was lent the database of t until t ends.
	Set(t testing.TB, db *Database)

	// End closes the pool. The database is left as it is, and nobody is connected to
	// it, if clean; else it was dropped, or kept for a look at it. t is nil for a
	// program.
	End(ctx context.Context, t testing.TB) (clean bool, err error)

	Drop() error

	// Likeness is what catalog.IsPristine compares the database with.
	Likeness() string
}
