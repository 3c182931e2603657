package snapshot_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/snapshot"
)

// TestBulkDeletion: of a DELETE whose rows the journal did not copy, Changes tells all, and a restore
// loads the table.
func TestBulkDeletion(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	b := setup(t, fixtures.WithSchema(`CREATE TABLE big (id int PRIMARY KEY, v text); INSERT INTO big SELECT g, 'v' || g FROM generate_series(1, 5000) g;
		CREATE TABLE part (id int, v text) PARTITION BY HASH (id); CREATE TABLE part0 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 0);
		CREATE TABLE part1 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 1); INSERT INTO part SELECT g, 'p' || g FROM generate_series(1, 5000) g;
		CREATE TABLE rest AS SELECT g FROM generate_series(1, 20000) g`))
	_, err := b.store.Create(t.Context(), "a")
	require.NoError(t, err)
	const counted = `SELECT concat((SELECT count(*) || md5(string_agg(b::text, ',' ORDER BY id)) FROM big b), (SELECT count(*) || md5(string_agg(p::text, ',' ORDER BY id)) FROM part p))`
	var was, is string
	require.NoError(t, b.pool.QueryRow(t.Context(), counted).Scan(&was))
	for _, table := range []string{"big", "part"} {
		exec(t, b.pool, fmt.Sprintf(`DELETE FROM %s WHERE id > 2; UPDATE %[1]s SET v = 'x' WHERE id = 2; INSERT INTO %[1]s VALUES (6000, 'n')`, table))
		var entries int // of the journal
		require.NoError(t, b.pool.QueryRow(t.Context(), `SELECT sum((xpath('//c/text()', query_to_xml(format('SELECT count(*) AS c FROM %s', c.oid::regclass), false, true, '')))[1]::text::int)
			FROM pg_class c WHERE c.relname LIKE 'journal\_%'`).Scan(&entries))
		require.LessOrEqual(t, entries, 3, "the rows were not copied")
		set, err := b.store.Changes(t.Context())
		require.NoError(t, err)
		require.Len(t, set.Tables, 1)
		changes := set.Table(table)
		require.Empty(t, changes.Note)
		deleted := changes.Deleted()
		require.GreaterOrEqual(t, len(deleted), 4998)
		last, err := pgx.RowToMap(deleted[len(deleted)-1].Old)
		require.NoError(t, err)
		require.NotEmpty(t, last["v"])
		restored, err := b.store.Restore(t.Context(), "a")
		require.NoError(t, err)
		for _, m := range restored.Methods {
			if m.Table == "public."+table || m.Table == table {
				require.Equal(t, snapshot.Reloaded, m.Method)
				require.Contains(t, m.Why, "so many rows")
			} else {
				require.NotEqual(t, snapshot.Reloaded, m.Method, m.Table)
			}
		}
		require.NoError(t, b.pool.QueryRow(t.Context(), counted).Scan(&is))
		require.Equal(t, was, is)
	}
}
