package snapshot

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/testdb"
)

// withConn runs f over a connection of its own: a test may have taken all those
// of the pool, and settings that we change must not stay on one that it uses.
func (s *Store) withConn(ctx context.Context, f func(*pgx.Conn) error) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	return f(conn)
}

func (s *Store) connect(ctx context.Context) (*pgx.Conn, error) {
	config := s.pool.Config()
	cc := config.ConnConfig
	if config.BeforeConnect != nil {
		if err := config.BeforeConnect(ctx, cc); err != nil {
			return nil, err
		}
	}
	cc.RuntimeParams["application_name"] = testdb.Application
	conn, err := pgx.ConnectConfig(ctx, cc)
	if err != nil {
		return nil, err
	}
	// Roles and databases may have a limit that is meant for those who use them, and
	// habits in which pgx won't talk. A parameter of the connection's start would be
	// refused by poolers.
	if _, err := conn.Exec(ctx, "SET statement_timeout = 0; SET client_encoding = 'UTF8'; SET standard_conforming_strings = on", pgx.QueryExecModeSimpleProtocol); err != nil {
		closeConn(conn)
		return nil, err
	}
	return conn, nil
}

// closeConn does not use the context of the call: the server must hear of the end
// even after a cancelled one.
func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn.Close(ctx)
}
