package track

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

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
	if err := recordOrigin(ctx, tx, name, file); notAllowed(err) {
		return nil
	} else if err != nil {
		return err
	}
	return tx.Commit(ctx)
}

func recordOrigin(ctx context.Context, tx pgx.Tx, name, file string) error {
	// The lock is for those who would note something at the same time.
	var kind string
	if _, err := tx.Exec(ctx, `SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('`+catalog.OwnSchema+`.origin', 0)), pg_catalog.set_config('`+catalog.OwnSchema+`.off', 'on', true),
		CASE WHEN pg_catalog.has_parameter_privilege('session_replication_role', 'SET') THEN pg_catalog.set_config('session_replication_role', 'replica', true) END`); err != nil {
		return err
	}
	err := tx.QueryRow(ctx, `SELECT coalesce((SELECT c.relkind::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = '`+catalog.OwnSchema+`' AND c.relname = 'origin'), '')`).Scan(&kind)
	if err != nil {
		return err
	}
	others, clear := "", ""
	if kind != "" {
		others = ` UNION ALL SELECT o.name, o.file, o.kept FROM ` + catalog.OwnSchema + `.origin o WHERE o.name <> $1`
	}
	if kind == "r" { // as earlier versions kept them
		clear = "DROP TABLE " + catalog.OwnSchema + ".origin;"
	}
	var values string
	err = tx.QueryRow(ctx, `SELECT pg_catalog.string_agg(pg_catalog.format('(%L::text, %L::text, %L::timestamptz)', o.name, o.file, o.kept), ', ')
		FROM (SELECT $1::text AS name, $2::text AS file, pg_catalog.now() AS kept`+others+`) o`, name, file).Scan(&values)
	if err != nil {
		return err
	}
	triggers, may, err := catalog.EventTriggers(ctx, tx)
	if err != nil {
		return err
	}
	if !may { // they see it
		triggers = nil
	}
	off, on := catalog.WithoutEventTriggers(triggers)
	return tx.Conn().PgConn().Exec(ctx, off+clear+`CREATE SCHEMA IF NOT EXISTS `+catalog.OwnSchema+`;
		CREATE OR REPLACE VIEW `+catalog.OwnSchema+`.origin (name, file, kept) AS VALUES `+values+";\n"+on).Close()
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
	err = conn.QueryRow(ctx, `SELECT pg_catalog.to_regclass('`+catalog.OwnSchema+`.origin') IS NOT NULL,
		coalesce(pg_catalog.has_schema_privilege(pg_catalog.to_regnamespace('`+catalog.OwnSchema+`'), 'CREATE'),
			pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'))`).Scan(&there, &may)
	if err == nil && there {
		err = conn.QueryRow(ctx, `SELECT coalesce((SELECT file FROM `+catalog.OwnSchema+`.origin WHERE name = $1), ''),
			$2 AND (SELECT pg_catalog.pg_has_role(c.relowner, 'USAGE') FROM pg_catalog.pg_class c WHERE c.oid = '`+catalog.OwnSchema+`.origin'::pg_catalog.regclass)`, name, may).Scan(&file, &may)
	}
	switch {
	case notAllowed(err), err == nil && file == "" && !may:
		return OriginUnrecordable, "", nil
	case err == nil && file != "":
		return OriginRecorded, file, nil
	}
	return OriginUnknown, "", err
}

// notAllowed reports whether the role lacks a privilege.
func notAllowed(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "42501" // insufficient_privilege
}
