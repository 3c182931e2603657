package track

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/schema"
)

// ErrWraparound is an error of SetBaseline: ids of transactions are too many to be compared.
var ErrWraparound = errors.New("transaction ids are near wraparound")

// errNotReady is about tables that are not tracked and should be: those of extensions are
// tracked by their owners only.
var errNotReady = errors.New("not all tables are tracked")

// BeginUntracked begins a change that goes past the journal, in the caller's
// transaction: until SetBaseline the database is no baseline. Where another role or a
// later version tracks it, the journal stays on, and SetBaseline must not be called.
// BeginUntracked reports whether it may be.
func BeginUntracked(ctx context.Context, tx pgx.Tx) (mark bool, err error) {
	v, ours, err := installed(ctx, tx)
	switch {
	case err != nil:
		return false, err
	case !ours || v > version:
		_, err = tx.Exec(ctx, `SET LOCAL groundhog.disabled = off`)
		return false, err
	case v == version:
		_, err = tx.Exec(ctx, `UPDATE groundhog.state SET token = NULL`)
	case v > 0: // a publication may have what an earlier version kept
		_, err = tx.Exec(ctx, `TRUNCATE groundhog.state; SET LOCAL groundhog.off = on`) // disables triggers up to version 3
	}
	return true, err
}

// SetBaseline makes what is in the database the baseline, and makes what tracking needs
// where it is not there, in the caller's transaction, which must have kept out all
// writers since before its first change, and called BeginUntracked.
func SetBaseline(ctx context.Context, tx pgx.Tx, b Baseline) error {
	xid, err := currentXID(ctx, tx)
	if err != nil {
		return err
	}
	if xid >= wraparound {
		return ErrWraparound
	}
	ready, err := isReady(ctx, tx, b.ServerID, len(b.Tables))
	if err != nil {
		return err
	}
	if b.WriterLockOnly && !ready {
		return errNotReady
	}
	if !ready || b.Reinstall {
		if err := install(ctx, tx, b); err != nil {
			return err
		}
	}
	if err := withoutEventTriggers(ctx, tx, sequencesMoved(b.Sequences)); err != nil {
		return err
	}
	spaces, names, rows := counted(b.Rows)
	_, err = tx.Exec(ctx, `SELECT groundhog.set_baseline($1, $2, $3, $4, $5, $6)`, b.Token, b.ServerID, spaces, names, rows, b.StaleViews)
	return err
}

// RenameBaseline gives the baseline that was set as token another name, and notes how
// many rows it has. Where it is not the baseline any more, it does nothing.
func RenameBaseline(ctx context.Context, conn *pgx.Conn, token, to string, count map[schema.Name]int64) error {
	spaces, names, rows := counted(count)
	_, err := conn.Exec(ctx, `SELECT groundhog.rename_baseline($1, $2, $3, $4, $5)`, token, to, spaces, names, rows)
	return err
}

func counted(count map[schema.Name]int64) (spaces, names []string, rows []int64) {
	for name, n := range count {
		spaces, names, rows = append(spaces, name.Schema), append(names, name.Name), append(rows, n)
	}
	return spaces, names, rows
}

func currentXID(ctx context.Context, tx pgx.Tx) (xid int64, err error) {
	err = tx.QueryRow(ctx, `SELECT pg_catalog.pg_current_xact_id()::text::bigint`).Scan(&xid)
	return xid, err
}

// sequencesMoved returns the statement that makes the function which finds the sequences
// that are not as in the baseline.
func sequencesMoved(states []schema.Sequence) string {
	var data struct{ Called, Fresh []schema.Sequence }
	for _, s := range states {
		if s.IsCalled {
			data.Called = append(data.Called, s)
		} else {
			data.Fresh = append(data.Fresh, s)
		}
	}
	return render("sequences", data)
}
