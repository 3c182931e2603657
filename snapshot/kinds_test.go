package snapshot_test

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/snapshot"
)

// kind is one input of a kind of schema that once broke a restore. Its tests are
// tables of kinds; see prove.
type kind struct {
	name    string
	schema  string   // made by fixtures, so clones have it too
	admin   string   // the rest of the schema, where only a superuser may make it
	rows    string   // the baseline; may be part of the schema
	changes []string // what a test does; each entry is a script of its own

	// changed are the tables, by their names with the schema, that Changes must
	// tell of after the changes. Nil: they are not compared.
	changed []string

	// noTruncate names why no TRUNCATE can be part of the proof.
	noTruncate string
	// reloads says that a restore after the changes may load tables, ownersReload that one of
	// a role that is no superuser may.
	reloads, ownersReload bool
	// options are those of Create.
	options []snapshot.CreateOption
	// connected changes the database over the pool before its baseline is saved.
	connected func(t testing.TB, b bundle)
	// fixtures are options of fixtures.Open.
	fixtures []fixtures.Option
	// moves is a sequence from which an event trigger takes values whatever becomes of
	// the transaction. Only restores set it.
	moves string
	// noClone names why no clone can be part of the proof.
	noClone string
}

// proveAll proves each kind as a superuser or as a role that owns its tables, as chance has
// it, or as both in the long form. The short form takes the first kind alone.
func proveAll(t *testing.T, kinds []kind) {
	t.Helper()
	if testing.Short() {
		kinds = kinds[:1]
	}
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			ofSuperuser := rand.IntN(2) == 0
			ofOwner := !ofSuperuser
			if fault.Long() {
				ofSuperuser, ofOwner = true, true
			}
			run := func(role string, ok bool, f func(*testing.T)) {
				if ok {
					t.Run(role, f)
				}
			}
			run("superuser", ofSuperuser, func(t *testing.T) {
				t.Parallel()
				b := setup(t, append(slices.Clone(k.fixtures), fixtures.WithSchema(k.schema+";"+k.admin))...)
				superuser(t, b.pool)
				prove(t, k, b)
			})
			run("owner", ofOwner, func(t *testing.T) {
				t.Parallel()
				k := k
				k.noClone = "the pool of the plain role is not one of fixtures'"
				b := asOwner(t, k.schema, k.fixtures...)
				exec(t, fixtures.DB(t), k.admin)
				prove(t, k, b)
			})
		})
	}
}

// othersClone is why no clone is part of a proof. Clones take most of its time.
const othersClone = "the clones of other kinds prove them: they are loaded like the kind itself"

// prove compares all of the database from outside with its baseline: after a
// restore, after the same changes and a second restore, after TRUNCATE, after a load
// from the file alone, after Clean, and in a clone that is changed, restored and used
// again. Changes must tell the truth on the way.
func prove(t *testing.T, k kind, b bundle) {
	t.Helper()
	ctx := t.Context()
	if k.rows != "" {
		exec(t, b.pool, k.rows)
	}
	if k.connected != nil {
		k.connected(t, b)
	}
	before := picture(t, b.pool)
	_, err := b.store.Create(ctx, "a", k.options...)
	require.NoError(t, err)
	require.Equal(t, k.pictured(before), k.pictured(picture(t, b.pool)), "Create changes nothing")
	change := func(pool *pgxpool.Pool) {
		t.Helper()
		for _, sql := range k.changes {
			exec(t, pool, sql)
		}
	}
	restore := func(b bundle, after string) snapshot.Restored {
		t.Helper()
		restored, err := b.store.Restore(ctx, "a")
		require.NoError(t, err, after)
		require.Equal(t, before, picture(t, b.pool), after)
		return restored
	}
	requireChanged := func(b bundle) {
		t.Helper()
		set, err := b.store.Changes(ctx)
		require.NoError(t, err)
		if k.changed == nil {
			return
		}
		var told []string
		for _, table := range set.Tables {
			told = append(told, table.Table)
			require.Empty(t, table.Note, "%s is told row by row", table.Table)
		}
		require.ElementsMatch(t, k.changed, told)
	}
	requireUnchanged := func(b bundle) {
		t.Helper()
		set, err := b.store.Changes(ctx)
		require.NoError(t, err)
		require.Empty(t, set.Tables, set.Text())
	}

	restore(b, "nothing changed")
	requireUnchanged(b)
	for _, after := range []string{"the changes", "the same changes"} {
		change(b.pool)
		require.NotEqual(t, before, picture(t, b.pool), "the changes change something")
		requireChanged(b)
		restored := restore(b, after)
		if !k.reloads && (!k.ownersReload || isSuperuser(t, b.pool)) {
			require.NotContains(t, waysIn(restored), snapshot.Reloaded, "%v", restored.Methods)
		}
		requireUnchanged(b)
	}
	if k.noTruncate == "" {
		truncate(t, b.pool)
		restore(b, "TRUNCATE")
		requireUnchanged(b)
	}

	require.NoError(t, b.store.Untrack(ctx))
	require.Equal(t, k.pictured(before), k.pictured(picture(t, b.pool)), "Untrack")
	change(b.pool)
	restored := restore(b, "a load from the file alone")
	require.NotContains(t, waysIn(restored), snapshot.Undone)
	change(b.pool)
	requireChanged(b)
	restore(b, "the first changes after a load")

	if k.options == nil && k.noTruncate == "" {
		require.NoError(t, b.store.Clean(ctx))
		restore(b, "Clean")
	}

	if k.noClone != "" || k.options != nil {
		return
	}
	for range 2 {
		clone, err := b.store.Clone(ctx, "a")
		require.NoError(t, err)
		require.Equal(t, before, picture(t, clone.Pool), "a clone")
		store, err := snapshot.NewStore(clone.Pool, snapshot.WithDir(b.dir))
		require.NoError(t, err)
		own := bundle{pool: clone.Pool, store: store, dir: b.dir}
		change(clone.Pool)
		requireChanged(own)
		restore(own, "a restore in a clone")
		change(clone.Pool)
		require.NoError(t, clone.Close())
	}
	require.Equal(t, before, picture(t, b.pool), "the origin of clones")
}

func (k kind) pictured(picture map[string]string) map[string]string {
	picture = maps.Clone(picture)
	delete(picture, k.moves)
	return picture
}

func waysIn(r snapshot.Restored) (ways []snapshot.Method) {
	for _, w := range r.Methods {
		ways = append(ways, w.Method)
	}
	return ways
}

// truncate empties all tables of the user's that hold rows, and those of extensions
// of which all rows are the user's.
func truncate(t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	exec(t, pool, `DO $do$ DECLARE tables text; BEGIN
		SELECT string_agg(c.oid::regclass::text, ', ') INTO tables FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'groundhog')
			AND (NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
				OR EXISTS (SELECT FROM pg_extension, unnest(extconfig, extcondition) x(relation, condition) WHERE x.relation = c.oid AND btrim(x.condition) = ''));
		EXECUTE 'TRUNCATE ' || tables || ' RESTART IDENTITY CASCADE';
	END $do$`)
}

// picture is state, with what else of the catalog a restore must leave as it is, and
// with the rows of extensions' tables. Nothing in it depends on oids, so a clone has
// the same.
func picture(t testing.TB, pool *pgxpool.Pool) map[string]string {
	t.Helper()
	out := state(t, pool)
	const own = `NOT IN ('groundhog', 'information_schema') AND n.nspname !~ '^pg_'`
	for what, sql := range map[string]string{
		"index":       `SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) || i.indisvalid || i.indisreplident FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname ` + own,
		"constraint":  `SELECT conrelid::regclass || '.' || contypid::regtype || '.' || conname, pg_get_constraintdef(k.oid) FROM pg_constraint k JOIN pg_namespace n ON n.oid = connamespace WHERE n.nspname ` + own,
		"table":       `SELECT c.oid::regclass::text, concat_ws(' ', relkind, relpersistence, relreplident, relrowsecurity, relforcerowsecurity, relispartition, reloptions, relispopulated) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname ` + own,
		"column":      `SELECT attrelid::regclass || '.' || attname, concat_ws(' ', format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated, (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = attrelid AND adnum = attnum)) FROM pg_attribute JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE attnum > 0 AND NOT attisdropped AND n.nspname ` + own,
		"rule":        `SELECT ev_class::regclass || '.' || rulename, ev_enabled::text FROM pg_rewrite JOIN pg_class c ON c.oid = ev_class JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname ` + own,
		"policy":      `SELECT polrelid::regclass || '.' || polname, concat_ws(' ', polcmd, polpermissive, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) FROM pg_policy`,
		"publication": `SELECT pubname::text, concat_ws(' ', puballtables, pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot) FROM pg_publication`,
		"published":   `SELECT concat_ws(' ', pubname, schemaname, tablename), concat_ws(' ', attnames, rowfilter) FROM pg_publication_tables WHERE schemaname <> 'groundhog'`,
		"events":      `SELECT evtname::text, evtenabled::text FROM pg_event_trigger WHERE evtname !~ '^groundhog_'`,
		"extension":   `SELECT extname::text, extversion FROM pg_extension`,
		"sequence":    `SELECT seqrelid::regclass::text, concat_ws(' ', seqstart, seqincrement, seqmin, seqmax, seqcache, seqcycle) FROM pg_sequence JOIN pg_class c ON c.oid = seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname ` + own,
		"schema":      `SELECT nspname::text, coalesce(obj_description(n.oid, 'pg_namespace'), '') FROM pg_namespace n WHERE n.nspname ` + own,
		"routine":     `SELECT p.oid::regprocedure::text, md5(pg_get_functiondef(p.oid)) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.prokind IN ('f', 'p') AND n.nspname ` + own,
	} {
		rows, err := pool.Query(context.WithoutCancel(t.Context()), sql, pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err, what)
		var key, value string
		_, err = pgx.ForEachRow(rows, []any{&key, &value}, func() error { out[what+" "+key] = value; return nil })
		require.NoError(t, err, what)
	}
	return out
}

// TestKinds proves the proof on a schema that breaks nothing.
func TestKinds(t *testing.T) {
	t.Parallel()
	proveAll(t, []kind{{
		name:    "plain",
		schema:  smallSchema,
		changes: []string{`UPDATE author SET name = 'changed' WHERE id = 1`, `INSERT INTO author (name) VALUES ('new')`},
		changed: []string{"public.author"},
	}})
}
