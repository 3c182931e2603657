package snapshot_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
)

// byHand is a database that is replaced as people do it without groundhog: DROP DATABASE,
// CREATE DATABASE from a template by FILE_COPY, a new pool, and the first query. The
// connection for the statements stays open. It is on the same server as the database that
// it is a copy of, with the same rows and the same pool settings, and without a journal.
type byHand struct {
	admin     *pgx.Conn
	config    *pgxpool.Config // leads to the database
	pool      *pgxpool.Pool
	name      string
	templates []string
}

// newByHand copies the database of a pool. groundhog must not have tracked it yet: then
// the copies are as others have them, and no session of groundhog is in the way.
func newByHand(b *testing.B, pool *pgxpool.Pool) *byHand {
	b.Helper()
	h := &byHand{config: pool.Config()}
	source := h.config.ConnConfig.Database
	h.name, h.templates = source+"_hand", []string{source + "_kept0"}
	h.config.ConnConfig.Database = h.name
	h.connect(b)
	b.Cleanup(h.end)
	pool.Reset()
	h.copy(b, h.templates[0], source)
	h.copy(b, h.name, h.templates[0])
	h.open(b)
	return h
}

// connect opens the connection for the statements.
func (h *byHand) connect(t testing.TB) {
	t.Helper()
	admin := h.config.ConnConfig.Copy()
	admin.Database = "postgres"
	conn, err := pgx.ConnectConfig(t.Context(), admin)
	require.NoError(t, err)
	h.admin = conn
}

func (h *byHand) end() {
	if h.admin.IsClosed() {
		return
	}
	ctx := context.Background()
	if h.pool != nil {
		h.pool.Close()
	}
	for _, name := range append(h.templates, h.name) {
		_, _ = h.admin.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)")
	}
	_ = h.admin.Close(ctx)
}

// do sends a statement with the names of databases.
func (h *byHand) do(t testing.TB, sql string, names ...string) {
	t.Helper()
	quoted := make([]any, len(names))
	for i, name := range names {
		quoted[i] = pgx.Identifier{name}.Sanitize()
	}
	_, err := h.admin.Exec(t.Context(), fmt.Sprintf(sql, quoted...))
	require.NoError(t, err, sql)
}

func (h *byHand) copy(t testing.TB, to, from string) {
	t.Helper()
	h.do(t, "CREATE DATABASE %s TEMPLATE %s STRATEGY FILE_COPY", to, from)
}

func (h *byHand) open(t testing.TB) {
	t.Helper()
	pool, err := pgxpool.NewWithConfig(t.Context(), h.config)
	require.NoError(t, err)
	h.pool = pool
}

// keep makes one more template, of the database as it is.
func (h *byHand) keep(b *testing.B) {
	b.Helper()
	h.pool.Close()
	next := fmt.Sprintf("%s_kept%d", h.name, len(h.templates))
	h.copy(b, next, h.name)
	h.templates = append(h.templates, next)
	h.open(b)
}

// restore puts a copy of a template in the place of the database, and asks it.
func (h *byHand) restore(t testing.TB, template int) {
	t.Helper()
	h.pool.Close()
	h.do(t, "DROP DATABASE %s WITH (FORCE)", h.name)
	h.copy(t, h.name, h.templates[template])
	h.open(t)
	firstAnswer(t, h.pool)
}

// clone makes one more database, asks it, and drops it. since is called after the answer.
func (h *byHand) clone(t testing.TB, since func()) {
	t.Helper()
	of := *h
	of.name += "_clone"
	of.config = h.config.Copy()
	of.config.ConnConfig.Database = of.name
	of.copy(t, of.name, h.templates[0])
	of.open(t)
	firstAnswer(t, of.pool)
	since()
	of.pool.Close()
	of.do(t, "DROP DATABASE %s WITH (FORCE)", of.name)
}

// checkpoint leaves no work to the next copy, which waits until all that is in memory is
// on the disk: so each way pays for what itself changed since, and for nothing else.
func (h *byHand) checkpoint(b *testing.B) {
	b.Helper()
	h.do(b, "CHECKPOINT")
}

// firstAnswer is until a test has what it asks first.
func firstAnswer(t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	var rows int
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT count(*) FROM offices").Scan(&rows))
	require.NotZero(t, rows)
}

// moreTables is the welfare schema with so many tables in all. Each one more has a key, a
// foreign key and a row, and the first so many of them an index.
func moreTables(tables, indexed int) string {
	schema := fixtures.WelfareSchema
	for i := range tables - len(benchTables) {
		schema += fmt.Sprintf("; CREATE TABLE more_%d (id serial PRIMARY KEY, staff_id uuid REFERENCES staffs, v text); INSERT INTO more_%[1]d (v) VALUES ('v')", i)
		if i < indexed {
			schema += fmt.Sprintf("; CREATE INDEX ON more_%d (v)", i)
		}
	}
	return schema
}
