package suite

import (
	"bytes"
	"context"
	"database/sql"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/peterldowns/pgtestdb"

	"github.com/groundhogdb/groundhog/fixtures"
)

type commandTag = pgconn.CommandTag

// tables are those of the welfare schema, parents first.
var tables = []string{"staffs", "offices", "office_staffs", "welfare_recipients", "office_welfare_recipients", "support_plan_cycles"}

type pool struct{ *pgxpool.Pool }

type transaction struct{ pgx.Tx }

// seeded fills pgtestdb's template with what the source has.
type seeded struct{}

func (seeded) Hash() (string, error) { return source, nil }

func (seeded) Migrate(ctx context.Context, db *sql.DB, _ pgtestdb.Config) error {
	config := admin.Config().ConnConfig
	config.Database = source
	from, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close(context.WithoutCancel(ctx)) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return conn.Raw(func(c any) error {
		to := c.(*stdlib.Conn).Conn()
		if _, err := to.Exec(ctx, fixtures.WelfareSchema, pgx.QueryExecModeSimpleProtocol); err != nil {
			return err
		}
		for _, table := range tables {
			var rows bytes.Buffer
			if _, err := from.PgConn().CopyTo(ctx, &rows, "COPY "+table+" TO STDOUT"); err != nil {
				return err
			}
			if _, err := to.PgConn().CopyFrom(ctx, &rows, "COPY "+table+" FROM STDIN"); err != nil {
				return err
			}
		}
		_, err := to.Exec(ctx, "ANALYZE")
		return err
	})
}
