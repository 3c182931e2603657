//go:build unix

package snapshot_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/snapshot"
)

// subscribed is a database of a server with wal_level = logical, at a snapshot called
// "a", and another one that subscribes to it.
type subscribed struct {
	bundle
	other *pgxpool.Pool
}

func subscribe(t *testing.T, schema string) subscribed {
	t.Helper()
	origin := onServer(t, ownServer(t), schema)
	origin.pool.Close()
	url := fault.Logical(t, origin.url)
	open := func(url string) *pgxpool.Pool {
		config, err := pgxpool.ParseConfig(url)
		require.NoError(t, err)
		config.MaxConns = 2
		pool, err := pgxpool.NewWithConfig(t.Context(), config)
		require.NoError(t, err)
		t.Cleanup(pool.Close)
		return pool
	}
	s := subscribed{bundle: bundle{dir: filepath.Join(t.TempDir(), "own")}}
	config, err := pgx.ParseConfig(url)
	require.NoError(t, err)
	admin, err := pgx.Connect(t.Context(), strings.Replace(url, "dbname="+config.Database, "dbname=postgres", 1))
	require.NoError(t, err)
	_, err = admin.Exec(t.Context(), "CREATE DATABASE test_subscriber TEMPLATE "+pgx.Identifier{config.Database}.Sanitize())
	require.NoError(t, err)
	require.NoError(t, admin.Close(t.Context()))
	s.pool, s.other = open(url), open(strings.Replace(url, "dbname="+config.Database, "dbname=test_subscriber", 1))
	s.store, err = snapshot.NewStore(s.pool, snapshot.WithDir(s.dir))
	require.NoError(t, err)

	exec(t, s.other, "DROP SCHEMA IF EXISTS groundhog CASCADE")
	for _, publication := range strings.Fields(strings.Trim(text(t, s.other, `SELECT string_agg(pubname, ' ') FROM pg_publication`), `()"`)) {
		exec(t, s.other, "DROP PUBLICATION "+publication)
	}
	exec(t, s.pool, "SELECT pg_create_logical_replication_slot('s', 'pgoutput')")
	exec(t, s.other, `CREATE SUBSCRIPTION s CONNECTION '`+url+`' PUBLICATION p WITH (create_slot = false, slot_name = 's', copy_data = false)`)
	require.NoError(t, s.store.Untrack(t.Context())) // the copy is one of a server that crashed
	_, err = s.store.Create(t.Context(), "a")
	require.NoError(t, err)
	return s
}

// rowsOf returns the rows of the tables that are published, as they are published.
func rowsOf(t testing.TB, publisher, pool *pgxpool.Pool) map[string]string {
	t.Helper()
	rows, err := publisher.Query(t.Context(), `SELECT DISTINCT schemaname, tablename, attnames::text[], coalesce(rowfilter, 'true') FROM pg_publication_tables`)
	require.NoError(t, err)
	out := map[string]string{}
	var (
		schema, table, filter string
		columns               []string
	)
	_, err = pgx.ForEachRow(rows, []any{&schema, &table, &columns, &filter}, func() error {
		for i := range columns {
			columns[i] = pgx.Identifier{columns[i]}.Sanitize()
		}
		only := "ONLY "
		name := pgx.Identifier{schema, table}.Sanitize()
		if text(t, pool, `SELECT FROM pg_partitioned_table WHERE partrelid = '`+name+`'::regclass`) != "" {
			only = ""
		}
		out[name] = text(t, pool, fmt.Sprintf(`SELECT count(*), md5(string_agg(ROW(%s)::text, '|' ORDER BY ROW(%[1]s)::text)) FROM %s%s WHERE %s`, strings.Join(columns, ", "), only, name, filter))
		return nil
	})
	require.NoError(t, err)
	require.NotEmpty(t, out)
	return out
}

// equal waits until the subscriber has what the publisher has.
func (s subscribed) equal(t *testing.T, after string) {
	t.Helper()
	want := rowsOf(t, s.pool, s.pool)
	var got map[string]string
	for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(10 * time.Millisecond) {
		if got = rowsOf(t, s.pool, s.other); fmt.Sprint(got) == fmt.Sprint(want) {
			require.Equal(t, "(0)", text(t, s.other, `SELECT apply_error_count FROM pg_stat_subscription_stats`), after)
			return
		}
	}
	require.Equal(t, want, got, after)
}

// TestSubscribersFollow: a real subscription hears of each way back, so that its tables
// are the publisher's again, and nothing that is ours breaks it.
func TestSubscribersFollow(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	for name, c := range map[string]struct {
		publication string
		changes     []string
	}{
		"all tables":           {`CREATE PUBLICATION p FOR ALL TABLES`, []string{inserts, updates, keyed}},
		"all tables, via root": {`CREATE PUBLICATION p FOR ALL TABLES WITH (publish_via_partition_root = true)`, []string{inserts, updates, keyed}},
		"without TRUNCATE":     {`CREATE PUBLICATION p FOR ALL TABLES WITH (publish = 'insert, update, delete')`, []string{inserts, updates, keyed}},
		"filters": {`CREATE PUBLICATION p FOR TABLE stock WHERE (v > 0), log WHERE (n > 2), nothing WHERE (v > 1), part WHERE (v > 'a'), heap WHERE (r > 1) WITH (publish_via_partition_root = true)`,
			[]string{inserts, updates}},
		"columns": {`CREATE PUBLICATION p FOR TABLE log (line), "Unique" ("B b"), indexed (a, b), heap (v) WITH (publish_via_partition_root = true)`, []string{inserts, updates}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := subscribe(t, publishable+c.publication)
			before := state(t, s.pool)
			change := func() {
				for _, sql := range c.changes {
					exec(t, s.pool, sql)
				}
				s.equal(t, "what a test does")
			}
			restore := func(after string) []snapshot.Method {
				t.Helper()
				restored, err := s.store.Restore(t.Context(), "a")
				require.NoError(t, err, after)
				require.Equal(t, before, state(t, s.pool), after)
				s.equal(t, after)
				return waysIn(restored)
			}
			restore("nothing")
			for range 2 {
				change()
				ways := restore("an undo")
				require.Equal(t, name == "columns", slices.Contains(ways, snapshot.Reloaded), ways)
			}
			// Tables of more than truncateFrom are truncated by a load.
			exec(t, s.pool, `INSERT INTO log SELECT repeat('x', 2000), g FROM generate_series(100, 400) g`)
			s.equal(t, "many rows")
			require.NoError(t, s.store.Untrack(t.Context()))
			restore("a load")
			require.NoError(t, s.store.Untrack(t.Context()))
			change()
			restore("a load")
			if !strings.Contains(c.publication, "publish = ") {
				exec(t, s.pool, `TRUNCATE log, heap`)
				s.equal(t, "a test that truncates")
				restore("TRUNCATE")
			}
			require.NoError(t, s.store.Clean(t.Context()))
			s.equal(t, "Clean")
			restore("Clean")

			exec(t, s.other, `ALTER SUBSCRIPTION s DISABLE; ALTER SUBSCRIPTION s SET (slot_name = NONE); DROP SUBSCRIPTION s`)
		})
	}
}

// TestWhatASlotHears: of a restore with nothing to do, nothing; of an undo, the rows
// that were changed; of a load, all rows; never of the schema groundhog.
func TestWhatASlotHears(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	s := subscribe(t, publishable+`CREATE PUBLICATION p FOR ALL TABLES`)
	exec(t, s.pool, `SELECT pg_create_logical_replication_slot('heard', 'pgoutput')`)
	restore := func() string {
		s.heard(t)
		_, err := s.store.Restore(t.Context(), "a")
		require.NoError(t, err)
		return s.heard(t)
	}
	require.Empty(t, restore(), "nothing was written")
	exec(t, s.pool, `UPDATE stock SET note = 'x' WHERE id IN (1, 2); DELETE FROM sale WHERE id = 9`)
	require.Equal(t, "stock: 2 D, stock: 2 I, sale: 1 I", strings.Join(sorted(restore(), "stock", "sale"), ", "))
	exec(t, s.pool, `INSERT INTO log VALUES ('new', 1)`)
	require.Equal(t, "log: 1 D", restore(), "a table without a key")
	require.NoError(t, s.store.Untrack(t.Context()))
	heard := restore()
	for _, one := range []string{"stock: 9 D", "stock: 9 I", "log: 12 D", "log: 12 I", "untouched: 1 D", "untouched: 1 I", "heap0: 10 D"} {
		require.Contains(t, heard, one)
	}
	require.NotContains(t, heard, "groundhog")

	// The subscriber is loaded, whether its subscription writes or not.
	s.equal(t, "a load")
	exec(t, s.other, `ALTER SUBSCRIPTION s DISABLE`)
	other, err := snapshot.NewStore(s.other, snapshot.WithDir(s.dir))
	require.NoError(t, err)
	before := state(t, s.other)
	_, err = other.Create(t.Context(), "b")
	require.NoError(t, err)
	for range 2 {
		exec(t, s.other, inserts)
		restored, err := other.Restore(t.Context(), "b")
		require.NoError(t, err)
		require.Equal(t, before, state(t, s.other))
		require.NotContains(t, waysIn(restored), snapshot.Undone)
	}
	exec(t, s.other, `ALTER SUBSCRIPTION s DISABLE; ALTER SUBSCRIPTION s SET (slot_name = NONE); DROP SUBSCRIPTION s`)
}

// sorted puts the parts about the tables in their order.
func sorted(heard string, tables ...string) (out []string) {
	for _, table := range tables {
		for part := range strings.SplitSeq(heard, ", ") {
			if strings.HasPrefix(part, table+": ") {
				out = append(out, part)
			}
		}
	}
	return out
}

// heard empties the slot, and tells how many messages of each sort are about each
// table, by name: I insert, U update, D delete, T truncate.
func (s subscribed) heard(t *testing.T) string {
	t.Helper()
	exec(t, s.pool, `BEGIN; SET LOCAL synchronous_commit = on; SELECT pg_logical_emit_message(true, 'all', 'is flushed'); COMMIT`) // what is not, is not read
	rows, err := s.pool.Query(context.WithoutCancel(t.Context()), `SELECT data FROM pg_logical_slot_get_binary_changes('heard', NULL, NULL, 'proto_version', '1', 'publication_names', 'p')`)
	require.NoError(t, err)
	messages, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	require.NoError(t, err)
	names := map[uint32]string{}
	count := map[string]int{}
	var order []string
	for _, m := range messages {
		switch m[0] {
		case 'R': // oid, schema, name
			parts := bytes.SplitN(m[5:], []byte{0}, 3)
			name := string(parts[1])
			if string(parts[0]) != "public" {
				name = string(parts[0]) + "." + name
			}
			names[binary.BigEndian.Uint32(m[1:])] = name
		case 'I', 'U', 'D':
			what := fmt.Sprintf("%s: %%d %c", names[binary.BigEndian.Uint32(m[1:])], m[0])
			if count[what]++; count[what] == 1 {
				order = append(order, what)
			}
		case 'T':
			order = append(order, "T")
		}
	}
	for i, what := range order {
		if count[what] > 0 {
			order[i] = fmt.Sprintf(what, count[what])
		}
	}
	return strings.Join(order, ", ")
}

// A slot is the database's: the next test would find that of an earlier one.
func TestAClonesSlotsEndWithIt(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	server, err := fixtures.Start(t.Context(), fixtures.WithURL(fault.Logical(t, ownServer(t).URL())))
	require.NoError(t, err)
	fault.AtEnd(t, server.Close)
	s := onServer(t, server, shelfSchema)
	_, err = s.store.Create(t.Context(), "state")
	require.NoError(t, err)
	for range 2 {
		clone, err := s.store.Clone(t.Context(), "state")
		require.NoError(t, err)
		for _, sql := range []string{"SELECT pg_create_logical_replication_slot('mine', 'pgoutput')", "SELECT pg_create_physical_replication_slot('temporary', true, true)"} {
			exec(t, clone.Pool, sql)
		}
		require.NoError(t, clone.Close())
		require.Eventually(t, func() bool { return text(t, s.pool, "SELECT count(*) FROM pg_replication_slots") == "(0)" }, 10*time.Second, time.Millisecond)
	}
}
