package catalog

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
)

// SharesSessions reports whether the connection leads to a pooler that gives the
// session behind it to others between transactions. Self is what [WhoAmI] said on
// it; where that is no reason for suspicion nothing is asked. Else it is proven,
// with another connection of the same configuration: a pooler in session mode
// shares nothing.
func SharesSessions(ctx context.Context, conn *pgx.Conn, self Self) (bool, error) {
	if self.PID == conn.PgConn().PID() {
		return false, nil // there is no pooler
	}
	other, err := pgx.ConnectConfig(ctx, conn.Config())
	if err != nil {
		return false, err
	}
	defer func() { _ = other.Close(context.WithoutCancel(ctx)) }()
	// Whichever session the pooler hands out next, the last one that was
	// returned or the one that rests longest: two transactions of one connection
	// in two sessions, or two connections in one, are the proof. Other clients of
	// the pooler may get in the way, but hardly each time.
	for range 3 {
		before := self.PID
		self, err = WhoAmI(ctx, conn)
		if err != nil || self.PID != before {
			return err == nil, err
		}
		tx, err := other.Begin(ctx)
		if err != nil {
			return ctx.Err() == nil, ctx.Err() // one that knows no transactions
		}
		theirs, err := WhoAmI(ctx, tx)
		_ = tx.Rollback(ctx)
		if err != nil || theirs.PID == self.PID {
			return err == nil, err
		}
	}
	return false, nil
}

// CheckSession returns who the session is. It returns an error wrapping
// [errs.ErrInvalidArgument], in the language, if the session can't be worked with: the
// server is a standby, or a pooler shares the session with others. The address is for the
// text.
func CheckSession(ctx context.Context, conn *pgx.Conn, address string, lang msg.Lang) (Self, error) {
	self, err := WhoAmI(ctx, conn)
	if err == nil && self.Standby {
		err = errs.New(errs.ErrInvalidArgument, msg.AddressStandby.In(lang, self.Database), nil)
	}
	if err != nil {
		return self, err
	}
	shares, err := SharesSessions(ctx, conn, self)
	if shares {
		err = errs.New(errs.ErrInvalidArgument, msg.AddressPooled.In(lang, address), nil)
	}
	return self, err
}
