package testdb

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/msg"
)

// Maker makes databases like one that package fixtures made, and replaces that one by
// such a copy.
type Maker interface {
	// Origin is the pool of the database from which the copies stem. When it is closed,
	// no copy is wanted any more.
	Origin() *pgxpool.Pool

	// Make makes a database from a template that fill has filled. The template is made
	// once for each key, which stands for all that fill does, in all processes. fill
	// leaves no connection of its own behind.
	Make(ctx context.Context, key string, fill func(context.Context, *pgxpool.Pool) error) (Copy, error)

	// LastCrash is another text after each crash of the server; see catalog.LastCrash.
	LastCrash(ctx context.Context) (string, error)

	// Draft copies the database as it is. It returns an error wrapping [*OccupiedError] if
	// sessions of others are connected to the database. release closes connections of the
	// caller's; it is called again and again until none is left.
	Draft(ctx context.Context, release func()) (Draft, error)

	// MakeOf makes a database from the template that has the content. It returns nil if
	// there is none.
	MakeOf(ctx context.Context, content Content) (Copy, error)

	// Find finds the templates that processes share and that have the rows, the newest first.
	Find(ctx context.Context, rows string) ([]Template, error)

	// Traits is the digest of what belongs to the database as it is, and that CREATE DATABASE
	// does not copy; see catalog.DigestTraits.
	Traits(ctx context.Context) (string, error)

	// Forget drops the template that has the content. One that other processes can use stays,
	// unless all is true. It reports whether it is gone.
	Forget(content Content, all bool) (gone bool, err error)

	// Exchange replaces the database under its name and its pools. It returns an error
	// wrapping [*OccupiedError], and has done nothing, if sessions of others are connected.
	Exchange(ctx context.Context, with Exchange) error

	// Likeness is what the database is compared with that Exchange put there; see
	// [Copy].
	Likeness() string
}

// ErrNoTemplate is that the template from which a copy was to be made is gone: another
// process has made room.
var ErrNoTemplate = errors.New("there is no such template")

// Content is what a template holds.
type Content struct {
	Rows   string // the sum of the snapshot's file
	Schema string // the digest of all that the file does not hold; see catalog.Digest
	Traits string // the digest of the database's settings, rights, owner and comment
}

// Exchange is how a database is replaced.
type Exchange struct {
	// Ready takes the place of the database. Afterwards it stands for the former database.
	// If it is nil, the former database is dropped, and then a copy of the template that
	// has the content is made.
	Ready   Copy
	Content Content

	// Await returns Ready, if that is still being made, or why the database is not to be
	// replaced.
	Await func() (Copy, error)

	// Release closes connections of the caller's; it is called again and again until none
	// is left.
	Release func()

	// Terminate ends the sessions of others.
	Terminate bool

	// Patience is how long sessions are waited for that may end by themselves.
	Patience time.Duration
}

// Template is a database with the rows of a snapshot that [Maker.Find] found.
type Template interface {
	// Holds reports whether it has the content.
	Holds(content Content) bool

	// Make makes a database from it.
	Make(ctx context.Context) (Copy, error)
}

// Draft is a copy of a database, which may become a template.
type Draft interface {
	// Publish makes it the template of the rows. finish prepares it, checks it, and returns
	// the digest of its schema. On an error it is dropped.
	Publish(ctx context.Context, rows string, finish func(context.Context, *pgxpool.Pool) (schema string, err error)) (Content, error)

	// Took is how long the copy took.
	Took() time.Duration
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
	// it but groundhog itself, if clean; else it was dropped, or kept for a look at it.
	// t is nil for a program.
	//
	// undo, if there is one, brings the database to its baseline, and reports whether it is
	// sure that no session is connected but ours and groundhog's. If it is not, End waits
	// for sessions that end, and calls it once more. It is not called where t has failed.
	End(ctx context.Context, t testing.TB, undo func(ctx context.Context, ours []int32) (alone bool)) (clean bool, err error)

	// Written is about how many rows were written to the database since it was made.
	Written(ctx context.Context) (int64, error)

	Drop() error

	// Likeness is what catalog.Likeness says of the database as it was made.
	Likeness() string
}

// OccupiedError says what is in the way of copying or replacing a database.
type OccupiedError struct {
	Lang msg.Lang
	By   catalog.Occupants
}

func (e *OccupiedError) Error() string { return strings.Join(e.By.Describe(e.Lang), "\n") }
