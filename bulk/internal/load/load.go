// Package load loads rows into tables through COPY, each call in one transaction. It
// knows nothing of what the rows are about: package bulk has the public functions and
// the rows of the welfare domain.
//
// A call is made by [Run], which begins a transaction, looks the tables up in the
// catalog, and hands a [Tx] to a function that loads rows into it with [Rows] or [Seq].
// Then it checks the foreign keys and commits. After a lost connection it does so again
// (see [Replay]); when the answer to a commit was lost, it finds out what became of it;
// when a row was refused, it finds out which one, and why (see [Violation] and [Misfit]).
//
// The files are layers, from the bottom up: the columns of a struct (columns.go), the
// rows of one COPY (copyjob.go) and what refused them (refusal.go), the checks of foreign
// keys (fastpath.go), the transaction (tx.go), loading into it (rows.go, seq.go), and the
// call (call.go) with what it does after a failure (lostcommit.go, diagnosis.go).
package load

import (
	"context"
	"log/slog"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/retry"
)

// DB begins transactions: a *pgxpool.Pool, a *pgxpool.Conn, a *pgx.Conn, or a pgx.Tx,
// whose transactions are savepoints.
type DB interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

// Config says how a call is made. Its zero value is usable, but for Errors.
type Config struct {
	Lang    msg.Lang
	Logger  *slog.Logger // nil: no log
	Silent  bool         // no progress is shown
	Retry   retry.Policy // its Attempts and Waits; the call fills in the rest
	Allowed []string     // databases that may be changed whatever their names say

	Errors Errors // of rows that were refused
}

// Spec says what a call is about.
type Spec struct {
	What   string   // for people
	Tables []string // that are loaded or asked, as SQL names them
	Rows   int      // how many in all; 0: not known
}
