package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/schema"
)

// Migration is the version of the schema that a migration tool recorded.
type Migration struct {
	Table   schema.Name
	Version string
}

// migrationTable is a table in which a migration tool keeps its state: known by
// its name and a column that a table of that name for another purpose would
// hardly have. newest asks for the version; a table without one has none to tell.
type migrationTable struct{ column, newest string }

// migrationTables are those of the known tools, by name or by qualified name. A
// snapshot records the version and leaves the table alone.
var migrationTables = map[string]migrationTable{
	"schema_migrations":      {"version", `SELECT max(version)::text FROM %s`}, // golang-migrate, dbmate, Rails
	"goose_db_version":       {"version_id", `SELECT version_id::text FROM %s ORDER BY id DESC LIMIT 1`},
	"alembic_version":        {"version_num", `SELECT string_agg(version_num, ',' ORDER BY version_num) FROM %s`},
	"atlas_schema_revisions": {"executed_at", `SELECT max(version) FROM %s`},
	"flyway_schema_history":  {"installed_rank", `SELECT version FROM %s WHERE version IS NOT NULL ORDER BY installed_rank DESC LIMIT 1`},
	"schema_version":         {"version", `SELECT max(version)::text FROM %s`}, // tern
	"bun_migrations":         {"migrated_at", `SELECT max(name) FROM %s`},
	"bun_migration_locks":    {"table_name", ``},
	"sqitch.changes":         {"change_id", `SELECT change_id FROM %s ORDER BY committed_at DESC LIMIT 1`},
	"sqitch.dependencies":    {"change_id", ``},
	"sqitch.events":          {"change_id", ``},
	"sqitch.projects":        {"project", ``},
	"sqitch.releases":        {"installer_email", ``},
	"sqitch.tags":            {"tag_id", ``},
}

// takeMigrations takes the migration tables out of what was found, and asks the first
// that tells a version for it.
func takeMigrations(ctx context.Context, q Querier, r *relations) (found *Migration, err error) {
	keep := r.list[:0]
	for _, rel := range r.list {
		name := rel.table.Name
		known, ok := migrationTables[name.Name]
		ok = ok && !strings.Contains(name.Name, ".") // which is a schema's in the list
		if !ok {
			known, ok = migrationTables[name.String()]
		}
		ok = ok && slices.Contains(rel.live.Columns, known.column)
		if !ok {
			keep = append(keep, rel)
			continue
		}
		r.migrations[rel.oid] = true
		delete(r.byOID, rel.oid)
		r.addOuter(rel.class, OfMigration)
		if known.newest == "" || found != nil {
			continue
		}
		var version *string
		err := q.QueryRow(ctx, fmt.Sprintf(known.newest, Ident(name))).Scan(&version)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return nil, err
		}
		if version != nil {
			found = &Migration{Table: name, Version: *version}
		}
	}
	r.list = keep
	return found, nil
}
