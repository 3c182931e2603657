package catalog

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Identity tells a database apart from all others, those of other servers too.
type Identity struct {
	System   string // the server's data folder; "0": see Known
	Database uint32
	Others   []uint32 // the databases of the server that are there, itself among them
}

func (i Identity) String() string { return fmt.Sprintf("%s-%d", i.System, i.Database) }

// Known reports whether the role may ask which server this is.
func (i Identity) Known() bool { return i.System != "0" }

// ReadIdentity asks a database who it is. The connection must not be in a
// transaction.
func ReadIdentity(ctx context.Context, conn *pgx.Conn) (Identity, error) {
	var i Identity
	ask := func(system string) error {
		return conn.QueryRow(ctx, `SELECT oid, ARRAY(SELECT oid FROM pg_catalog.pg_database), `+system+` FROM pg_catalog.pg_database
			WHERE datname = pg_catalog.current_database()`).Scan(&i.Database, &i.Others, &i.System)
	}
	err := ask(`(SELECT system_identifier::text FROM pg_catalog.pg_control_system())`)
	if LacksPrivilege(err) {
		err = ask(`'0'`)
	}
	if err != nil {
		return i, fmt.Errorf("ask which database this is: %w", err)
	}
	return i, nil
}

// LacksPrivilege reports whether an error says that the role lacks a privilege.
func LacksPrivilege(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "42501"
}
