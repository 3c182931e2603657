package snapshot_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/snapshot"
)

// mixedSchema has test data and other rows in the same tables.
const mixedSchema = `
CREATE TABLE country (code text PRIMARY KEY);
CREATE TABLE office (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text UNIQUE, country text REFERENCES country, test boolean NOT NULL DEFAULT false);
CREATE TABLE staff (id serial PRIMARY KEY, office int REFERENCES office ON DELETE CASCADE, boss int REFERENCES staff ON DELETE SET NULL, name text, upper_name text GENERATED ALWAYS AS (upper(name)) STORED, test boolean);
CREATE TABLE audit (office int REFERENCES office ON DELETE CASCADE, note text);
CREATE TABLE tag (name text, test boolean);
CREATE TABLE only_real (id int, test boolean);
CREATE TABLE part (id int, test boolean, v text, PRIMARY KEY (id, test)) PARTITION BY LIST (test);
CREATE TABLE part_test PARTITION OF part FOR VALUES IN (true);
CREATE TABLE part_rest PARTITION OF part DEFAULT;
CREATE MATERIALIZED VIEW staff_count AS SELECT count(*) AS n FROM staff;
CREATE VIEW staff_view AS SELECT n FROM staff_count;
CREATE MATERIALIZED VIEW a_second AS SELECT n + 1 AS n FROM staff_view;
INSERT INTO country VALUES ('jp'), ('de');
INSERT INTO office (name, country, test) VALUES ('real', 'jp', false), ('test 1', 'jp', true), ('test 2', 'de', true);
INSERT INTO staff (office, boss, name, test) VALUES (1, NULL, 'real', NULL), (2, NULL, 'boss', true), (2, 2, 'below', true), (3, 2, 'other', true);
INSERT INTO tag VALUES ('real', false), ('test', true), ('test', true);
INSERT INTO part VALUES (1, true, 'test'), (1, false, 'real');
INSERT INTO only_real VALUES (1, false);
REFRESH MATERIALIZED VIEW staff_count;
REFRESH MATERIALIZED VIEW a_second;`

// text is a table as a text, in order.
func text(t testing.TB, pool *pgxpool.Pool, sql string) string {
	t.Helper()
	var out string
	require.NoError(t, pool.QueryRow(context.Background(), `SELECT coalesce(string_agg(whole_row::text, ' ' ORDER BY whole_row::text COLLATE "C"), '') FROM (`+sql+`) whole_row`).Scan(&out))
	return out
}

// asOwner gives the bundle a store whose role is no superuser and owns
// everything: the schema is made by it.
func asOwner(t testing.TB, schema string, opts ...fixtures.Option) bundle {
	t.Helper()
	admin := setup(t, opts...)
	if !isSuperuser(t, admin.pool) {
		exec(t, admin.pool, schema)
		return admin
	}
	role := fmt.Sprintf("owner_%d_%s", os.Getpid(), admin.pool.Config().ConnConfig.Database[len("groundhog_test_"):])
	exec(t, admin.pool, fmt.Sprintf(`CREATE ROLE %s LOGIN; GRANT CREATE ON DATABASE %s TO %[1]s; GRANT CREATE ON SCHEMA public TO %[1]s`,
		role, pgx.Identifier{admin.pool.Config().ConnConfig.Database}.Sanitize()))
	t.Cleanup(func() {
		_, err := admin.pool.Exec(context.Background(), `DROP OWNED BY `+role+` CASCADE; DROP ROLE `+role, pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err)
	})
	config := admin.pool.Config()
	config.ConnConfig.User = role
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	store, err := snapshot.NewStore(pool, snapshot.WithDir(admin.dir))
	require.NoError(t, err)
	exec(t, pool, schema)
	return bundle{pool: pool, store: store, dir: admin.dir}
}

// inBothRoles runs a test as superuser and as a plain owner.
func inBothRoles(t *testing.T, schema string, f func(t *testing.T, b bundle)) {
	t.Helper()
	t.Run("superuser", func(t *testing.T) {
		t.Parallel()
		f(t, setup(t, fixtures.WithSchema(schema)))
	})
	t.Run("owner", func(t *testing.T) {
		t.Parallel()
		f(t, asOwner(t, schema))
	})
}

func TestRowsInScopeAreRestoredAndOthersAreNot(t *testing.T) {
	t.Parallel()
	inBothRoles(t, mixedSchema, func(t *testing.T, b bundle) {
		ctx := t.Context()
		before := state(t, b.pool)
		info, err := b.store.Create(ctx, "a", snapshot.Rows("test"))
		require.NoError(t, err)
		require.EqualValues(t, 2+3+2+1, info.Rows)
		require.Equal(t, `Rows("test")`, info.Scope)
		_, err = b.store.Restore(ctx, "a")
		require.NoError(t, err)
		require.Equal(t, before, state(t, b.pool))

		exec(t, b.pool, `
			UPDATE office SET name = 'changed', test = false WHERE id = 2;
			UPDATE staff SET name = 'gone' WHERE id = 3;
			DELETE FROM staff WHERE id = 4;
			INSERT INTO office (name, test) VALUES ('new test', true), ('new real', false);
			INSERT INTO staff (office, name, test) VALUES (4, 'new test', true), (1, 'new real', false);
			UPDATE staff SET name = 'really real' WHERE id = 1;
			INSERT INTO audit VALUES (1, 'real'), (2, 'of a test'), (3, 'of another');
			INSERT INTO country VALUES ('fr');
			DELETE FROM tag WHERE test; INSERT INTO tag VALUES ('new', true), ('also real', NULL);
			UPDATE part SET test = false, id = 7 WHERE test; INSERT INTO part VALUES (2, true, 'new'), (2, false, 'real 2')`)
		restored, err := b.store.Restore(ctx, "a")
		require.NoError(t, err)
		require.Equal(t, snapshot.Reloaded, restored.Methods[0].Method)
		require.Contains(t, restored.Methods[0].Why, "in scope")
		require.Equal(t, `(1,real,jp,f) (2,"test 1",jp,t) (3,"test 2",de,t) (5,"new real",,f)`, text(t, b.pool, `SELECT * FROM office`))
		require.Equal(t, `(1,1,,"really real","REALLY REAL",) (2,2,,boss,BOSS,t) (3,2,2,below,BELOW,t) (4,3,2,other,OTHER,t) (6,1,,"new real","NEW REAL",f)`,
			text(t, b.pool, `SELECT * FROM staff`))
		require.Equal(t, `(1,real) (2,"of a test") (3,"of another")`, text(t, b.pool, `SELECT * FROM audit`), "not in scope, and no cascade")
		require.Equal(t, `("also real",) (real,f) (test,t) (test,t)`, text(t, b.pool, `SELECT * FROM tag`))
		require.Equal(t, `(1,f,real) (1,t,test) (2,f,"real 2") (7,f,test)`, text(t, b.pool, `SELECT * FROM part`))
		require.Equal(t, `(1,f)`, text(t, b.pool, `SELECT * FROM only_real`))
		require.Equal(t, `(de) (fr) (jp)`, text(t, b.pool, `SELECT * FROM country`))
		require.Equal(t, `(5)`, text(t, b.pool, `SELECT * FROM staff_count`), "refreshed")
		require.Equal(t, `(6)`, text(t, b.pool, `SELECT * FROM a_second`), "after what it is made of")
		require.Equal(t, `(5,t)`, text(t, b.pool, `SELECT last_value, is_called FROM office_id_seq`), "past the rows that stay")
		require.Equal(t, `(6,t)`, text(t, b.pool, `SELECT last_value, is_called FROM staff_id_seq`))

		require.ErrorContains(t, b.store.Clean(ctx, snapshot.Rows("test"), snapshot.Exclude("tag")), "depend on each other", "audit refers to an office of the tests")
	})
}

func TestCleanInScope(t *testing.T) {
	t.Parallel()
	inBothRoles(t, mixedSchema, func(t *testing.T, b bundle) {
		require.NoError(t, b.store.Clean(t.Context(), snapshot.Rows("test")))
		require.Equal(t, `(1,real,jp,f)`, text(t, b.pool, `SELECT * FROM office`))
		require.Equal(t, `(1,1,,real,REAL,)`, text(t, b.pool, `SELECT * FROM staff`))
		require.Equal(t, `(1,t)`, text(t, b.pool, `SELECT last_value, is_called FROM staff_id_seq`))
		require.Equal(t, `(2)`, text(t, b.pool, `SELECT * FROM a_second`))
	})
}

// TestRowsThatDependOnEachOtherAcrossTheScope: a row out of scope refers to one
// that the restore removes, and the other way round.
func TestRowsThatDependOnEachOtherAcrossTheScope(t *testing.T) {
	t.Parallel()
	inBothRoles(t, mixedSchema, func(t *testing.T, b bundle) {
		ctx := t.Context()
		_, err := b.store.Create(ctx, "a", snapshot.Rows("test"))
		require.NoError(t, err)
		for _, sql := range []string{
			`INSERT INTO office (name, test) VALUES ('new test', true); INSERT INTO audit SELECT max(id) FROM office`,
			`INSERT INTO office (name, test) VALUES ('new test', true); INSERT INTO staff (office, name, test) SELECT max(id), 'real', false FROM office`,
			`DELETE FROM office WHERE id = 3; DELETE FROM country WHERE code = 'de'`,
		} {
			tx := state(t, b.pool)
			exec(t, b.pool, sql)
			changed := state(t, b.pool)
			require.NotEqual(t, tx, changed)
			_, err = b.store.Restore(ctx, "a")
			require.Error(t, err, sql)
			require.Regexp(t, "depend on each other|violates foreign key", err.Error(), sql)
			require.Equal(t, changed, state(t, b.pool), "as it was")
			exec(t, b.pool, `DELETE FROM audit; DELETE FROM staff WHERE name = 'real' AND office > 3; INSERT INTO country VALUES ('de') ON CONFLICT DO NOTHING`)
			_, err = b.store.Restore(ctx, "a")
			require.NoError(t, err, sql)
		}
	})
}

// TestARowThatTheSnapshotNeedsIsGone: it was not in scope, so it is not in the
// file, and by the time of the restore no such row is left in its table.
func TestARowThatTheSnapshotNeedsIsGone(t *testing.T) {
	t.Parallel()
	inBothRoles(t, mixedSchema, func(t *testing.T, b bundle) {
		ctx := t.Context()
		exec(t, b.pool, `UPDATE staff SET office = 1 WHERE id = 4; DELETE FROM staff WHERE test IS NULL`)
		_, err := b.store.Create(ctx, "a", snapshot.Rows("test"))
		require.NoError(t, err)
		exec(t, b.pool, `DELETE FROM staff WHERE id = 4; DELETE FROM office WHERE NOT test`)
		changed := state(t, b.pool)
		_, err = b.store.Restore(ctx, "a")
		require.Error(t, err)
		require.Regexp(t, "depend on each other|violates foreign key", err.Error())
		require.Equal(t, changed, state(t, b.pool))
	})
}

func TestRowsOfTablesExclude(t *testing.T) {
	t.Parallel()
	inBothRoles(t, mixedSchema, func(t *testing.T, b bundle) {
		ctx := t.Context()
		info, err := b.store.Create(ctx, "rows of", snapshot.RowsOf("office", "name LIKE 'test%' -- by name"), snapshot.Exclude("part", "public.a*"))
		require.NoError(t, err)
		require.EqualValues(t, 2+2+4+3+1, info.Rows, "the others whole")
		exec(t, b.pool, `UPDATE office SET country = NULL; INSERT INTO tag VALUES ('x'); INSERT INTO audit VALUES (2, 'kept'); DELETE FROM part; INSERT INTO country VALUES ('fr')`)
		_, err = b.store.Restore(ctx, "rows of")
		require.NoError(t, err)
		require.Equal(t, `(1,real,,f) (2,"test 1",jp,t) (3,"test 2",de,t)`, text(t, b.pool, `SELECT * FROM office`))
		require.Equal(t, `(2,kept)`, text(t, b.pool, `SELECT * FROM audit`), "whatever cascades")
		require.Equal(t, `(de) (jp)`, text(t, b.pool, `SELECT * FROM country`))
		require.Equal(t, ``, text(t, b.pool, `SELECT * FROM part`))

		info, err = b.store.Create(ctx, "tables", snapshot.Tables("country", "off*"), snapshot.Description("two tables"))
		require.NoError(t, err)
		require.Len(t, info.Tables, 2)
		exec(t, b.pool, `INSERT INTO office (name) VALUES ('new'); UPDATE staff SET name = 'stays'; SELECT setval('staff_id_seq', 77)`)
		_, err = b.store.Restore(ctx, "tables")
		require.NoError(t, err)
		require.Equal(t, `(1,real,,f) (2,"test 1",jp,t) (3,"test 2",de,t)`, text(t, b.pool, `SELECT * FROM office`))
		require.Equal(t, `(stays)`, text(t, b.pool, `SELECT DISTINCT name FROM staff`))
		require.Equal(t, `(77)`, text(t, b.pool, `SELECT last_value FROM staff_id_seq`), "of a table that is left alone")
	})
}

func TestScopesThatCannotBeMeantAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, fixtures.WithSchema(mixedSchema+`; ALTER TABLE country ADD flag text`))
	for _, c := range []struct {
		option snapshot.CreateOption
		why    string
	}{
		{snapshot.Rows(""), "Rows needs arguments"},
		{snapshot.Rows("nowhere"), "no table has a column"},
		{snapshot.Rows("flag"), "of type text"},
		{snapshot.RowsOf("", "true"), "RowsOf needs"},
		{snapshot.RowsOf("office", " "), "RowsOf needs"},
		{snapshot.RowsOf("nowhere", "true"), `no table matches "nowhere"`},
		{snapshot.Tables(), "Tables needs arguments"},
		{snapshot.Tables("of[f"), "no pattern"},
		{snapshot.Tables("nowhere*"), "public.office"},
		{snapshot.Exclude("office"), "public.audit references it"},
		{snapshot.Tables("staff"), "public.staff references it"},
		{snapshot.Exclude("other.office", "staff"), "no table matches"},
	} {
		_, err := b.store.Create(t.Context(), "a", c.option)
		require.ErrorIs(t, err, snapshot.ErrInvalidArgument, c.why)
		require.ErrorContains(t, err, c.why)
	}
	_, err := b.store.Create(t.Context(), "a", snapshot.RowsOf("office", "true"), snapshot.RowsOf("office", "false"))
	require.ErrorIs(t, err, snapshot.ErrInvalidArgument)
	_, err = b.store.Create(t.Context(), "a", snapshot.RowsOf("office", "no_such_column"))
	require.ErrorContains(t, err, "no_such_column")
	require.ErrorContains(t, err, "public.office")
	list, err := b.store.List(t.Context())
	require.NoError(t, err)
	require.Empty(t, list)
}

// TestEnsureInScope leaves rows out of scope alone, also when it builds.
func TestEnsureInScope(t *testing.T) {
	t.Parallel()
	b := setup(t, fixtures.WithSchema(mixedSchema))
	build := func(ctx context.Context) error {
		_, err := b.pool.Exec(ctx, `INSERT INTO office (name, test) VALUES ('built', true) ON CONFLICT DO NOTHING`)
		return err
	}
	ensure := func(opts ...snapshot.EnsureOption) snapshot.Restored {
		t.Helper()
		restored, err := b.store.Ensure(t.Context(), "a", build, opts...)
		require.NoError(t, err)
		return restored
	}
	exec(t, b.pool, `INSERT INTO office (name) VALUES ('mine')`)
	require.NotEmpty(t, ensure(snapshot.Rows("test")).Why)
	exec(t, b.pool, `UPDATE office SET name = 'mine still' WHERE name = 'mine'; DELETE FROM staff`)
	require.Empty(t, ensure(snapshot.Rows("test")).Why)
	require.Equal(t, `("mine still") ("test 1") ("test 2") (built) (real)`, text(t, b.pool, `SELECT name FROM office`))
	require.Equal(t, `(below) (boss) (other)`, text(t, b.pool, `SELECT name FROM staff`), "the real one was deleted and stays so")
	require.Contains(t, ensure(snapshot.Rows("test"), snapshot.Exclude("tag")).Why, "scope")
	require.Equal(t, `("mine still") ("test 1") ("test 2") (built) (real)`, text(t, b.pool, `SELECT name FROM office`))
}
