package load

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
)

// source is where a call gets its transactions.
type source struct {
	db   DB
	lang msg.Lang
}

// own reports whether the transactions are the call's own. Any others are savepoints, as
// far as is known.
func (s source) own() bool {
	switch s.db.(type) {
	case *pgxpool.Pool, *pgx.Conn, *pgxpool.Conn:
		return true
	}
	return false
}

// again reports whether there is another connection after one was lost.
func (s source) again() bool {
	_, ok := s.db.(*pgxpool.Pool)
	return ok
}

// host is where the server is; empty where that is not known.
func (s source) host() string {
	var conn *pgx.Conn
	switch db := s.db.(type) {
	case *pgxpool.Pool:
		return db.Config().ConnConfig.Host
	case *pgx.Conn:
		conn = db
	case *pgxpool.Conn:
		conn = connOf(db)
	case pgx.Tx:
		conn = db.Conn()
	}
	if conn == nil {
		return ""
	}
	return conn.Config().Host
}

// begin begins the transaction of an attempt.
func (s source) begin(ctx context.Context) (pgx.Tx, error) {
	var conn *pgx.Conn
	switch db := s.db.(type) {
	case *pgx.Conn:
		conn = db
	case *pgxpool.Conn:
		if conn = connOf(db); conn == nil {
			return nil, refuse(s.lang, msg.BulkReleased)
		}
	}
	if conn != nil && !conn.IsClosed() && conn.PgConn().TxStatus() != 'I' {
		return nil, refuse(s.lang, msg.BulkConnInTx)
	}
	tx, err := s.db.Begin(ctx)
	if err != nil {
		return nil, errs.New(errs.Class(err), msg.BulkBegin.In(s.lang), err)
	}
	if tx == nil {
		return nil, refuse(s.lang, msg.BulkNoTx)
	}
	return tx, nil
}

// connOf returns the connection that a pool lent, or nil if it was given back. pgxpool
// keeps that to itself: there is no method to ask, and all of them panic then. A call
// that is given such a connection must not end the process of the tests.
func connOf(lent *pgxpool.Conn) (conn *pgx.Conn) {
	defer func() {
		if recover() != nil {
			conn = nil
		}
	}()
	return lent.Conn()
}

// inTx asks something in another transaction, or in a savepoint of the caller's.
func (s source) inTx(ctx context.Context, ask func(pgx.Tx) error) error {
	tx, err := s.db.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx)
	return ask(tx)
}

// onOtherConn asks something in a transaction on another connection than that of lost.
func (s source) onOtherConn(ctx context.Context, lost pgx.Tx, ask func(pgx.Tx) error) error {
	if s.again() {
		return s.inTx(ctx, ask)
	}
	conn, err := pgx.ConnectConfig(ctx, lost.Conn().Config())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return source{db: conn, lang: s.lang}.inTx(ctx, ask)
}
