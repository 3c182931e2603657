//go:build unix

package snapshot_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/snapshot"
)

// Extensions that packages bring, as they are used. Where a server does not have one,
// its test is skipped; .ci/run installs them.

// available skips a test of an extension that the server does not have.
func available(t testing.TB, pool *pgxpool.Pool, extension string) {
	t.Helper()
	superuser(t, pool)
	if text(t, pool, `SELECT FROM pg_available_extensions WHERE name = '`+extension+`'`) == "" {
		t.Skipf("the server has no extension %s: its package is not installed", extension)
	}
}

func TestExtensionsOfPackages(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	for extension, k := range map[string]kind{
		"postgis": {
			schema: `CREATE EXTENSION postgis;
				CREATE TABLE layer (id int PRIMARY KEY, srid int REFERENCES spatial_ref_sys, shape geometry(Point, 4326));
				CREATE INDEX ON layer USING gist (shape)`,
			rows: `INSERT INTO spatial_ref_sys (srid, proj4text) VALUES (990001, '+proj=longlat');
				INSERT INTO layer VALUES (1, 990001, ST_SetSRID(ST_MakePoint(139.7, 35.7), 4326)), (2, 4326, NULL)`,
			changes: []string{
				`INSERT INTO spatial_ref_sys (srid, proj4text) VALUES (990002, '+proj=merc'); UPDATE spatial_ref_sys SET proj4text = 'x' WHERE srid = 990001`,
				`UPDATE layer SET srid = 990002, shape = ST_Translate(shape, 1, 1); DELETE FROM spatial_ref_sys WHERE srid = 990001`,
			},
			changed: []string{"public.layer", "public.spatial_ref_sys"},
		},
		"postgis_topology": {
			schema: `CREATE EXTENSION postgis; CREATE EXTENSION postgis_topology; SELECT topology.CreateTopology('town', 4326)`,
			// Its functions end an INSERT … RETURNING before triggers for the statement fire.
			connected: func(t testing.TB, b bundle) {
				exec(t, b.pool, `SELECT topology.TopoGeo_AddLineString('town', ST_SetSRID(ST_MakeLine(ST_MakePoint(0, 0), ST_MakePoint(9, 9)), 4326), 0)`)
			},
			changes: []string{
				`INSERT INTO topology.topology (name, srid, precision) VALUES ('village', 4326, 0); UPDATE topology.topology SET precision = 1 WHERE name = 'town'`,
				`SELECT topology.TopoGeo_AddPoint('town', ST_SetSRID(ST_MakePoint(1, 1.5), 4326), 0)`,
				`SELECT topology.TopoGeo_AddLineString('town', ST_SetSRID(ST_MakeLine(ST_MakePoint(0, 9), ST_MakePoint(9, 0)), 4326), 0)`,
				`SELECT topology.ST_RemEdgeModFace('town', 1)`,
			},
			changed: []string{"topology.topology", "town.node", "town.edge_data"},
		},
		"pg_partman": {
			schema: `CREATE SCHEMA partman; CREATE EXTENSION pg_partman SCHEMA partman;
				CREATE TABLE event (id bigint, at timestamptz NOT NULL, v text) PARTITION BY RANGE (at);
				CREATE TABLE event_template (LIKE event);
				SELECT partman.create_parent('public.event', 'at', 'native', 'yearly', p_template_table => 'public.event_template')`,
			rows: `INSERT INTO event VALUES (1, now(), 'a')`,
			changes: []string{
				`UPDATE partman.part_config SET retention = '1 month'`,
				`INSERT INTO partman.custom_time_partitions VALUES ('public.event', 'x', tstzrange(now(), NULL)); DELETE FROM event`,
			},
			changed: []string{"partman.part_config", "partman.custom_time_partitions", "public.event"},
		},
		"pgq": {
			schema: `CREATE EXTENSION pgq`,
			rows:   `SELECT`,
			// Each queue has tables of its own, which are the user's.
			connected: func(t testing.TB, b bundle) {
				exec(t, b.pool, `SELECT pgq.register_consumer('orders', 'billing'); SELECT pgq.insert_event('orders', 'new', '1'); SELECT pgq.force_tick('orders')`)
			},
			changes: []string{
				`SELECT pgq.register_consumer('orders', 'shipping'); SELECT pgq.insert_event('orders', 'new', '2')`,
				`SELECT pgq.force_tick('orders')`, `SELECT pgq.ticker()`, `SELECT pgq.next_batch('orders', 'billing')`,
				`SELECT pgq.unregister_consumer('orders', 'shipping')`,
			},
		},
		"periods": {
			schema: `CREATE EXTENSION periods CASCADE; CREATE EXTENSION IF NOT EXISTS btree_gist;
				CREATE TABLE price (id int, cents int, valid_from date NOT NULL, valid_to date NOT NULL);
				SELECT periods.add_period('price', 'valid', 'valid_from', 'valid_to');
				SELECT periods.add_unique_key('price', ARRAY['id'], 'valid')`,
			rows: `INSERT INTO price VALUES (1, 100, '2026-01-01', '2027-01-01')`,
			changes: []string{
				`UPDATE price SET cents = 200; INSERT INTO price VALUES (2, 1, '2026-01-01', '2027-01-01')`,
				`DELETE FROM periods.unique_keys; INSERT INTO periods.periods VALUES ('price', 'other', 'a', 'b', 'daterange', 'c')`,
			},
			changed: []string{"public.price", "periods.periods", "periods.unique_keys"},
		},
	} {
		t.Run(extension, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			available(t, b.pool, extension)
			k.name = extension
			if extension == "pgq" {
				k.schema += `; SELECT pgq.create_queue('orders')`
			}
			prove(t, k, setup(t, fixtures.WithSchema(k.schema)))
		})
	}
}

// TestJobsOfPgCron: a job that a test scheduled is gone and does not run, though the
// extension's process has read it before. A job of the snapshot runs, which is how one
// knows that the other would have.
func TestJobsOfPgCron(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t) // jobs run each minute
	b := setup(t)
	available(t, b.pool, "pg_cron")
	if os.Getenv(fixtures.EnvURL) != "" {
		t.Skip("the server was given, and preloads what it wants")
	}
	const database = "cron_test"
	url := fault.Server(t, fixtures.URL(t), fault.Extra{Settings: map[string]string{
		"shared_preload_libraries": "pg_cron", "cron.database_name": database, "cron.use_background_workers": "on"}})
	ctx := t.Context()
	admin, err := pgxpool.New(ctx, url)
	require.NoError(t, err)
	exec(t, admin, `CREATE DATABASE `+database)
	admin.Close()
	pool, err := pgxpool.New(ctx, strings.Replace(url, "dbname=postgres", "dbname="+database, 1))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	exec(t, pool, `CREATE TABLE ran (job text, at timestamptz DEFAULT clock_timestamp())`)
	// The process looks for the extension now and then.
	require.Eventually(t, func() bool {
		_, err := pool.Exec(ctx, `CREATE EXTENSION IF NOT EXISTS pg_cron`)
		return err == nil
	}, time.Minute, 50*time.Millisecond)
	store, err := snapshot.NewStore(pool, snapshot.WithDir(t.TempDir()))
	require.NoError(t, err)
	exec(t, pool, `SELECT cron.schedule('witness', '* * * * *', 'INSERT INTO public.ran (job) VALUES (''witness'')')`)
	_, err = store.Create(ctx, "b")
	require.NoError(t, err)
	schedule := func(job string) string {
		return fmt.Sprintf(`SELECT cron.schedule('%s', '* * * * *', 'INSERT INTO public.ran (job) VALUES (''%[1]s'')')`, job)
	}
	const drop = `SELECT cron.unschedule('witness')` // which deletes past all triggers
	for _, way := range []struct {
		change, prepare string
		way             snapshot.Method
		told            []snapshot.Op
	}{
		{schedule("undone"), `SELECT`, snapshot.Undone, []snapshot.Op{snapshot.Insert}},
		{schedule("loaded"), `CREATE TABLE passing (id int); DROP TABLE passing`, snapshot.Reloaded, []snapshot.Op{snapshot.Insert}},
		{drop, `SELECT`, snapshot.Reloaded, []snapshot.Op{snapshot.Delete}},
		{schedule("again") + ";" + drop, `SELECT`, snapshot.Reloaded, []snapshot.Op{snapshot.Delete, snapshot.Insert}},
	} {
		exec(t, pool, way.prepare)
		exec(t, pool, way.change)
		// The process goes round its loop each second at least: it has read the job.
		exec(t, pool, `SELECT pg_sleep(2)`)
		set, err := store.Changes(ctx)
		require.NoError(t, err)
		var told []snapshot.Op
		for _, row := range set.Table("cron.job").Rows {
			told = append(told, row.Op)
		}
		require.Equal(t, way.told, told, "%s: %s", way.change, set.Text())
		restored, err := store.Restore(ctx, "b")
		require.NoError(t, err)
		require.Equal(t, `(witness)`, text(t, pool, `SELECT jobname FROM cron.job`), way.change)
		for _, w := range restored.Methods {
			if w.Table == "cron.job" {
				require.Equal(t, way.way, w.Method, way.change)
			}
		}
	}
	require.Eventually(t, func() bool {
		return text(t, pool, `SELECT FROM ran WHERE job = 'witness'`) != ""
	}, 2*time.Minute, 100*time.Millisecond, "a job runs each minute")
	// Those that begin at the same moment are through.
	require.Eventually(t, func() bool {
		return text(t, pool, `SELECT FROM cron.job_run_details WHERE end_time IS NULL`) == ""
	}, time.Minute, 50*time.Millisecond)
	require.Equal(t, `(witness)`, text(t, pool, `SELECT DISTINCT job FROM ran`))
}
