package migrations

import (
	"context"
	"database/sql"
	"io/fs"
	"testing"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"github.com/groundhogdb/groundhog/bulk"
	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/snapshot"
)

func TestMain(m *testing.M) {
	fixtures.Main(m, func(t testing.TB) {
		db := fixtures.Open(t, fixtures.WithMigrate(Goose, gooseFiles))
		snapshot.Ensure(t, "authors", func(t testing.TB) {
			bulk.Insert(t, db, "authors", []Author{{Name: "Ayako"}, {Name: "Banri"}})
		})
	})
}

// Author is a row of the table authors, for each of the libraries.
type Author struct {
	ID   int64  `db:"id" gorm:"primaryKey"`
	Name string `db:"name"`
}

func TestTools(t *testing.T) {
	t.Parallel()
	for name, tool := range map[string]struct {
		migrate func(context.Context, *pgxpool.Pool) error
		files   fs.FS

		version string
	}{
		"goose":          {Goose, gooseFiles, "SELECT max(version_id) FROM goose_db_version"},
		"golang-migrate": {Migrate, migrateFiles, "SELECT version FROM schema_migrations WHERE NOT dirty"},
		"tern":           {Tern, ternFiles, "SELECT version::bigint FROM schema_version"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := fixtures.Open(t, fixtures.WithMigrate(tool.migrate, tool.files))
			var version int64
			require.NoError(t, db.QueryRow(t.Context(), tool.version).Scan(&version))
			require.EqualValues(t, 2, version)
			authors := bulk.Insert(t, db, "authors", []Author{{Name: "Chie"}})
			require.NotZero(t, authors[0].ID)
			snapshot.Create(t, name, snapshot.Replace())
			_, err := db.Exec(t.Context(), "DELETE FROM authors")
			require.NoError(t, err)
			snapshot.Restore(t, name)
			var names []string
			require.NoError(t, db.QueryRow(t.Context(), "SELECT array_agg(name) FROM authors").Scan(&names))
			require.Equal(t, []string{"Chie"}, names)
			require.NoError(t, db.QueryRow(t.Context(), tool.version).Scan(&version), "the tool's table stays as it was")
		})
	}
}

// Any library gets to the database through its address. What they write is gone
// when the next test begins.
func TestLibraries(t *testing.T) {
	for name, add := range map[string]func(t *testing.T, url string){
		"database/sql": withSQL,
		"sqlx":         withSqlx,
		"gorm":         withGorm,
		"ent":          withEnt,
	} {
		t.Run(name, func(t *testing.T) {
			snapshot.Restore(t, "authors")
			add(t, fixtures.URL(t))
			var names []string
			require.NoError(t, fixtures.DB(t).QueryRow(t.Context(), "SELECT array_agg(name ORDER BY name) FROM authors").Scan(&names))
			require.Equal(t, []string{"Ayako", "Banri", name}, names)
		})
	}
}

func withSQL(t *testing.T, url string) {
	db, err := sql.Open("pgx", url)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	_, err = db.ExecContext(t.Context(), "INSERT INTO authors (name) VALUES ($1)", "database/sql")
	require.NoError(t, err)
}

func withSqlx(t *testing.T, url string) {
	db, err := sqlx.ConnectContext(t.Context(), "pgx", url)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	_, err = db.NamedExecContext(t.Context(), "INSERT INTO authors (name) VALUES (:name)", Author{Name: "sqlx"})
	require.NoError(t, err)
	var all []Author
	require.NoError(t, db.SelectContext(t.Context(), &all, "SELECT * FROM authors"))
	require.Len(t, all, 3)
}

func withGorm(t *testing.T, url string) {
	db, err := gorm.Open(postgres.Open(url))
	require.NoError(t, err)
	pool, err := db.DB()
	require.NoError(t, err)
	defer func() { require.NoError(t, pool.Close()) }()
	author := Author{Name: "gorm"}
	require.NoError(t, db.WithContext(t.Context()).Create(&author).Error)
	require.NotZero(t, author.ID)
}

// withEnt uses the driver under the client that ent generates, which begins with
// ent.NewClient(ent.Driver(driver)).
func withEnt(t *testing.T, url string) {
	db, err := sql.Open("pgx", url)
	require.NoError(t, err)
	driver := entsql.OpenDB("postgres", db)
	defer func() { require.NoError(t, driver.Close()) }()
	query, args := entsql.Dialect("postgres").Insert("authors").Columns("name").Values("ent").Query()
	require.NoError(t, driver.Exec(t.Context(), query, args, nil))
}
