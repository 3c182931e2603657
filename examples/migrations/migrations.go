// Package migrations shows how a suite takes its schema from a migration tool,
// and how it uses its database through another library than pgx. It is a module
// of its own, so that nobody else downloads these tools.
package migrations

import (
	"context"
	"embed"
	"errors"
	"io/fs"

	"github.com/golang-migrate/migrate/v4"
	migratepgx "github.com/golang-migrate/migrate/v4/database/pgx/v5"
	"github.com/golang-migrate/migrate/v4/source/iofs"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	tern "github.com/jackc/tern/v2/migrate"
	"github.com/pressly/goose/v3"
)

// A project has one of these folders. They make the same schema.
var (
	//go:embed testdata/goose/*.sql
	gooseFiles embed.FS
	//go:embed testdata/migrate/*.sql
	migrateFiles embed.FS
	//go:embed testdata/tern/*.sql
	ternFiles embed.FS
)

// Goose applies the migrations of github.com/pressly/goose.
func Goose(ctx context.Context, db *pgxpool.Pool) error {
	files, err := fs.Sub(gooseFiles, "testdata/goose")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, stdlib.OpenDBFromPool(db), files)
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return errors.Join(err, provider.Close())
}

// Migrate applies the migrations of github.com/golang-migrate/migrate.
func Migrate(_ context.Context, db *pgxpool.Pool) error {
	source, err := iofs.New(migrateFiles, "testdata/migrate")
	if err != nil {
		return err
	}
	target, err := migratepgx.WithInstance(stdlib.OpenDBFromPool(db), &migratepgx.Config{})
	if err != nil {
		return err
	}
	m, err := migrate.NewWithInstance("iofs", source, "pgx5", target)
	if err != nil {
		return err
	}
	err = m.Up()
	if errors.Is(err, migrate.ErrNoChange) {
		err = nil
	}
	sourceErr, targetErr := m.Close()
	return errors.Join(err, sourceErr, targetErr)
}

// Tern applies the migrations of github.com/jackc/tern.
func Tern(ctx context.Context, db *pgxpool.Pool) error {
	files, err := fs.Sub(ternFiles, "testdata/tern")
	if err != nil {
		return err
	}
	conn, err := db.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	migrator, err := tern.NewMigrator(ctx, conn.Conn(), "public.schema_version")
	if err != nil {
		return err
	}
	if err := migrator.LoadMigrations(files); err != nil {
		return err
	}
	return migrator.Migrate(ctx)
}
