package track

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/catalog"
)

// RecordOrigin notes in a database that its origin of that name is kept in a file.
// Where the role may not, it does nothing. The notes are a view: that outlives a crash,
// and no publication has it.
func RecordOrigin(ctx context.Context, conn *pgx.Conn, name, file string) error {
	tx, err := catalog.Begin(ctx, conn, "READ COMMITTED, READ WRITE", map[string]string{"lock_timeout": "5s"})
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx)
	if err := recordOrigin(ctx, tx, name, file); catalog.LacksPrivilege(err) {
		return nil
	} else if err != nil {
		return err
	}
	return tx.Commit(ctx)
}

func recordOrigin(ctx context.Context, tx pgx.Tx, name, file string) error {
	// The lock is for those who would note something at the same time.
	if _, err := tx.Exec(ctx, `SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('groundhog.origin', 0)), pg_catalog.set_config('groundhog.disabled', 'on', true),
		CASE WHEN pg_catalog.has_parameter_privilege('session_replication_role', 'SET') THEN pg_catalog.set_config('session_replication_role', 'replica', true) END`); err != nil {
		return err
	}
	var view struct {
		Noted, IsTable bool // earlier versions made it a table
		Values         string
	}
	err := tx.QueryRow(ctx, `SELECT coalesce(pg_catalog.bool_or(true), false), coalesce(pg_catalog.bool_or(c.relkind = 'r'), false)
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'groundhog' AND c.relname = 'origin'`).Scan(&view.Noted, &view.IsTable)
	if err != nil {
		return err
	}
	if err = tx.QueryRow(ctx, render("origin values", view), name, file).Scan(&view.Values); err != nil {
		return err
	}
	triggers, may, err := catalog.EventTriggers(ctx, tx)
	if err != nil {
		return err
	}
	if !may { // they see it
		triggers = nil
	}
	disable, enable := catalog.WithoutEventTriggers(triggers)
	return catalog.ExecScript(ctx, tx, disable+render("origin", view)+enable)
}

// OriginState is what a database notes about its origin.
type OriginState int

// The states.
const (
	OriginUnknown      OriginState = iota // nothing is noted
	OriginRecorded                        // RecordOrigin noted it
	OriginUnrecordable                    // the role may note nothing
)

// ReadOrigin reports whether RecordOrigin noted the origin of that name, and its file. A
// copy of a database has the notes too, so the name must be one of this very
// database.
func ReadOrigin(ctx context.Context, conn *pgx.Conn, name string) (state OriginState, file string, err error) {
	var there, may bool
	err = conn.QueryRow(ctx, `SELECT pg_catalog.to_regclass('groundhog.origin') IS NOT NULL,
		coalesce(pg_catalog.has_schema_privilege(pg_catalog.to_regnamespace('groundhog'), 'CREATE'),
			pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'))`).Scan(&there, &may)
	if err == nil && there {
		err = conn.QueryRow(ctx, `SELECT coalesce((SELECT file FROM groundhog.origin WHERE name = $1), ''),
			$2 AND (SELECT pg_catalog.pg_has_role(c.relowner, 'USAGE') FROM pg_catalog.pg_class c WHERE c.oid = 'groundhog.origin'::pg_catalog.regclass)`, name, may).Scan(&file, &may)
	}
	switch {
	case catalog.LacksPrivilege(err), err == nil && file == "" && !may:
		return OriginUnrecordable, "", nil
	case err == nil && file != "":
		return OriginRecorded, file, nil
	}
	return OriginUnknown, "", err
}
