package track

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/schema"
)

// Alternative is what the caller can do in place of an undo: replace the database by a
// copy of its baseline.
type Alternative struct {
	// Likeness is what catalog.Likeness returned of the database at its baseline. Where
	// it is not that any more, nothing is undone: the outcome is DatabaseAltered, whatever
	// else is the case, but for a journal that a crash or another version left. Empty:
	// it is not compared.
	Likeness string
	// Most is how many rows may be undone. A row of the journal is one, a row to be loaded
	// is two. Where there are more, or the entries are very long, nothing is undone: the
	// outcome is Costly, and lists the tables with about as many rows as the journal has, or
	// with those of the baseline where they must be loaded. Below 0 there is no limit.
	Most int64
	// Reuse, if there is one, is that another client is to have the database as if it were new.
	Reuse *Reuse
}

// Reuse is what Restore does before it undoes anything, for a database that is to be used again.
// Where another session is connected to it, a transaction is prepared, or a replication slot is
// its, the outcome is InUse.
// Where anything was written that the journal does not watch, of what RecordFingerprint has
// noted, the outcome is Unwatched.
type Reuse struct {
	Application string  // the name of sessions that may be connected
	PIDs        []int32 // other sessions that may be
}

// Restore goes back to the baseline of the snapshot called token, in a transaction
// of its own and one round trip. It is all or nothing: with partly, nothing was done
// since tables must be loaded, the first of which is in the outcome; see Undo.
// A caller without an alternative gives nil.
func Restore(ctx context.Context, conn *pgx.Conn, token, serverID string, alt *Alternative) (out Outcome, partly bool, err error) {
	out, err = restore(ctx, conn, token, serverID, alt)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "GH001" {
		return Outcome{Tables: []Table{{Name: schema.Name{Schema: pg.SchemaName, Name: pg.TableName}, Reload: causeOf(pg.Detail)}}}, true, nil
	}
	if why := unusable(ctx, conn, err); why != "" {
		return Outcome{Unusable: why}, false, nil
	}
	return out, false, err
}

// unusable returns why what is kept in the database can't be used, if an error tells.
func unusable(ctx context.Context, q catalog.Querier, err error) (why Reason) {
	var pg *pgconn.PgError
	switch {
	case !errors.As(err, &pg):
	case pg.Code == "3F000": // invalid_schema_name
		return NoBaseline
	case pg.Code == "42501" && strings.Contains(pg.Message, "schema groundhog"): // insufficient_privilege
		return ForeignSchema
	case pg.Code == "42501" && strings.Contains(pg.Message, "session_replication_role"):
		return NoPrivileges // which the session had when it began
	case pg.Code == "42883" && strings.Contains(pg.Message, "groundhog.restore("): // undefined_function
		if v, err := versionOf(ctx, q); err == nil && v != version {
			return OtherVersion // which has it with other parameters
		}
		return NoBaseline
	case strings.HasPrefix(pg.Code, "42"): // syntax_error_or_access_rule_violation
		if v, err := versionOf(ctx, q); err == nil && v != version {
			return OtherVersion // which has other functions and columns
		}
		return Damaged
	}
	return ""
}

// Undo is Restore within the caller's transaction, but for the tables that must be
// loaded. When these are, FinishUndo ends it. Where foreign keys are checked and tables must be
// loaded, Undo does nothing yet: see UndoLoaded.
func Undo(ctx context.Context, tx pgx.Tx, token, serverID string) (Outcome, error) {
	return orRefused(query(ctx, tx, question{token: &token, serverID: serverID, partly: true}))
}

// Warm spares the next Restore of a new session, which has no plans and no cache of the
// catalog, most of the time that these take: 4 to 10 ms. It changes nothing. Where there is
// no journal, it does nothing.
func Warm(ctx context.Context, conn *pgx.Conn) error {
	_, err := query(ctx, conn, question{alternative: &Alternative{Likeness: "none"}})
	if unusable(ctx, conn, err) != "" {
		return nil
	}
	return err
}

// restore is Restore. Where constraints are checked and unique values are in each other's
// way, it is tried again with some of them out of it.
func restore(ctx context.Context, conn *pgx.Conn, token, serverID string, alt *Alternative) (out Outcome, err error) {
	q := question{token: &token, serverID: serverID, alternative: alt}
	out, err = query(ctx, conn, q)
	var pg *pgconn.PgError
	inTheWay := errors.As(err, &pg) && (pg.Code == "23505" || pg.Code == "23P01") // unique_violation, exclusion_violation
	if inTheWay && conn.PgConn().TxStatus() == 'I' {
		q.aside = true
		out, err = query(ctx, conn, q)
	}
	return orRefused(out, err)
}

// orRefused makes an outcome of an error by which the server, or a function of ours, refused
// what an undo did. Other errors stay.
func orRefused(out Outcome, err error) (Outcome, error) {
	var pg *pgconn.PgError
	switch {
	case !errors.As(err, &pg):
	case pg.Code == "GH003":
		return Outcome{Unusable: Reason(pg.Detail)}, nil
	case notPutBack(err):
		return Outcome{Unusable: Constraint, Server: pg.Message}, nil
	}
	return out, err
}

// notPutBack reports whether the server refused rows that an undo wrote, or what an undo
// did to triggers: a constraint, an expression of one, of an index or of a generated column, a
// publication, or an event trigger. Functions of the user's may raise any code. Errors of
// connections, locks, what the server runs out of and what is missing are none of these.
func notPutBack(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || len(pg.Code) != 5 {
		return false
	}
	switch pg.Code[:2] {
	case "08", "25", "3F", "40", "53", "57", "58", "F0", "GH", "XX":
		return false
	case "42":
		// The condition of a publication has columns that are not in the replica identity. A trigger
		// reads a table of which row level security hides rows.
		return pg.Code == "42P10" || pg.Code == "42501" && strings.Contains(pg.Message, "row-level security")
	case "55":
		return pg.Code == "55000" || pg.Code == "55006" // a row without a replica identity, a table that a trigger truncates
	}
	return true
}

// question is what groundhog.restore is called with.
type question struct {
	token       *string
	serverID    string
	partly      bool
	aside       bool
	alternative *Alternative
}

// query calls groundhog.restore.
func query(ctx context.Context, q catalog.Querier, ask question) (out Outcome, err error) {
	alt := ask.alternative
	var likeness *string
	var most *int64
	var application *string
	var ours []int32
	if alt != nil {
		most = &alt.Most
		if alt.Reuse != nil {
			application, ours = &alt.Reuse.Application, append([]int32{}, alt.Reuse.PIDs...)
		}
		if alt.Likeness != "" {
			likeness = &alt.Likeness
		}
	}
	rows, err := q.Query(ctx, `SELECT space, name, way, coalesce(why, ''), changed FROM groundhog.restore($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		ask.token, ask.serverID, ask.partly, version, likeness, most, ask.aside, application, ours)
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

// Source is a table that has the rows of the baseline of another.
type Source struct {
	Table schema.Name
	From  string // quoted
}

// UndoLoaded undoes, after Undo where foreign keys are checked, all tables that were written to
// together: those that must be loaded from their sources, whose columns are called as theirs. It
// returns how many rows it changed in each. FinishUndo ends it.
func UndoLoaded(ctx context.Context, tx pgx.Tx, sources []Source) (out Outcome, err error) {
	var spaces, names, from []string
	for _, s := range sources {
		spaces, names, from = append(spaces, s.Table.Schema), append(names, s.Table.Name), append(from, s.From)
	}
	rows, err := tx.Query(ctx, `SELECT space, name, changed FROM groundhog.undo_loaded($1, $2, $3)`, spaces, names, from)
	if err != nil {
		return out, err
	}
	var t Table
	_, err = pgx.ForEachRow(rows, []any{&t.Schema, &t.Name.Name, &t.Changed}, func() error {
		out.Tables = append(out.Tables, t)
		return nil
	})
	out, err = orRefused(out, err)
	var pg *pgconn.PgError
	switch {
	case !errors.As(err, &pg):
	case pg.Code == "42501": // insufficient_privilege
		return Outcome{Unusable: Constraint, Server: pg.Message}, nil
	case strings.HasPrefix(pg.Code, "42"): // syntax_error_or_access_rule_violation
		return Outcome{Unusable: Damaged}, nil
	}
	return out, err
}

// FinishUndo ends what Undo began: the caller has loaded the tables that it named. With a reason,
// an event trigger or the server does not let that be done, and the transaction must end.
func FinishUndo(ctx context.Context, tx pgx.Tx) (Reason, error) {
	_, err := tx.Exec(ctx, `SELECT groundhog.finish_undo()`)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "GH003" {
		return Reason(pg.Detail), nil
	}
	return "", err
}
