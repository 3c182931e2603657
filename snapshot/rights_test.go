package snapshot_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
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

// Each test of this file is about what a role may do in a database and on its server.

// rightsSchema has foreign keys of several kinds, a cycle of them, an identity that is always
// generated, and triggers of the user in the states that a superuser's undo does not mind.
const rightsSchema = `
	CREATE TABLE house (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE, best int);
	CREATE TABLE room (id serial PRIMARY KEY, house int NOT NULL REFERENCES house ON DELETE CASCADE ON UPDATE CASCADE, label text);
	CREATE INDEX room_house ON room (house);
	ALTER TABLE house ADD FOREIGN KEY (best) REFERENCES room ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED;
	CREATE INDEX house_best ON house (best);
	CREATE TABLE guest (id bigint PRIMARY KEY, room int REFERENCES room ON DELETE SET NULL, host bigint REFERENCES guest, name text);
	CREATE INDEX guest_room ON guest (room);
	CREATE INDEX guest_host ON guest (host);
	CREATE INDEX guest_name ON guest (name);
	CREATE TABLE tag (name text);
	CREATE TABLE log (id serial PRIMARY KEY, what text);
	CREATE TABLE still (id int PRIMARY KEY);
	CREATE MATERIALIZED VIEW hosts AS SELECT count(DISTINCT host) AS n FROM guest;
	INSERT INTO house (name) SELECT 'house ' || g FROM generate_series(1, 20) g;
	INSERT INTO room (house, label) SELECT 1 + g % 20, 'room ' || g FROM generate_series(1, 60) g;
	UPDATE house SET best = (SELECT min(r.id) FROM room r WHERE r.house = house.id);
	INSERT INTO guest SELECT g, 1 + g % 60, CASE WHEN g > 7 THEN g - 7 END, 'guest ' || g FROM generate_series(1, 400) g;
	INSERT INTO tag VALUES ('a'), ('b'), ('b');
	INSERT INTO still VALUES (1);
	CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN INSERT INTO public.log (what) VALUES (TG_NAME || ' ' || TG_OP); RETURN NULL; END $$;
	CREATE TRIGGER noted AFTER INSERT OR UPDATE OR DELETE ON guest FOR EACH ROW EXECUTE FUNCTION note();
	CREATE TRIGGER noted_not AFTER INSERT OR UPDATE OR DELETE ON guest FOR EACH ROW EXECUTE FUNCTION note();
	ALTER TABLE guest DISABLE TRIGGER noted_not;
	CREATE TRIGGER noted_first BEFORE INSERT ON room FOR EACH STATEMENT EXECUTE FUNCTION note();
	REFRESH MATERIALIZED VIEW hosts`

// manyGuests are so many rows that a copy takes less time than to load them.
const manyGuests = `; INSERT INTO guest SELECT g, 1 + g % 60, 1 + g % 300, 'guest ' || g FROM generate_series(10001, 16000) g; REFRESH MATERIALIZED VIEW hosts`

// tenGuests writes some rows of five tables, also such as others refer to.
const tenGuests = `
	INSERT INTO house (name) VALUES ('new'), ('newer');
	INSERT INTO room (house, label) SELECT max(id), 'new' FROM house;
	UPDATE house SET best = (SELECT max(id) FROM room) WHERE id = (SELECT max(id) FROM house);
	DELETE FROM house WHERE name = 'house 3';
	UPDATE room SET label = 'changed' WHERE id = 5;
	UPDATE guest SET name = 'changed', room = 7 WHERE id IN (1, 3);
	DELETE FROM guest WHERE id = 400;
	INSERT INTO guest VALUES (7001, 8, 2, 'new'), (7002, NULL, 7001, 'new');
	UPDATE tag SET name = 'c' WHERE name = 'a'`

// written are the tables that tenGuests writes to.
var written = []string{"public.guest", "public.house", "public.log", "public.room", "public.tag"}

// rights is a role in a database.
type rights struct {
	bundle
	outside   *pgxpool.Config // a superuser's connections to the database
	exchanges bool            // it is replaced by copies
}

// picture is that of a superuser, who is gone afterwards.
func (r *rights) picture(t testing.TB) map[string]string {
	t.Helper()
	pool, err := pgxpool.NewWithConfig(context.Background(), r.outside.Copy())
	require.NoError(t, err)
	defer pool.Close()
	out := picture(t, pool)
	out["hosts"] = text(t, pool, `SELECT * FROM hosts`)
	out["owners"] = text(t, pool, `SELECT c.oid::regclass, c.relowner::regrole FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public'`)
	return out
}

// outsider returns the connections of the superuser who runs the suite to a database of its server.
func outsider(t testing.TB, admin *pgxpool.Pool, database string) *pgxpool.Config {
	t.Helper()
	config := admin.Config().Copy()
	config.ConnConfig.Database = database
	config.BeforeConnect, config.AfterConnect, config.BeforeClose, config.AfterRelease = nil, nil, nil, nil
	return config
}

// back restores and requires that all is as it was.
func (r *rights) back(t *testing.T, name string, before map[string]string, after string) snapshot.Restored {
	t.Helper()
	restored, err := r.store.Restore(t.Context(), name)
	require.NoError(t, err, after)
	requireWhole(t, before, r.picture(t), after)
	return restored
}

// requireUndone requires that some tables were undone, and no other was written to.
func (r *rights) requireUndone(t *testing.T, restored snapshot.Restored, tables []string, after string) {
	t.Helper()
	for _, m := range restored.Methods {
		want := snapshot.Unchanged
		if slices.Contains(tables, m.Table) {
			want = snapshot.Undone
		}
		require.Equal(t, want, m.Method, "%s: %s: %s %s", after, m.Table, m.Why, restored.NotExchanged)
	}
}

// requireReplaced requires that all was exchanged, where the role can, or else loaded. needed says
// that only a copy brings back what was changed: else a machine under load may take less time
// to load, or more than the exchange waits to end the sessions of the pool.
func (r *rights) requireReplaced(t *testing.T, restored snapshot.Restored, needed bool, after string) {
	t.Helper()
	want := snapshot.Reloaded
	slow := restored.NotExchanged == "to load the tables takes less time" || strings.Contains(restored.NotExchanged, "the database is in use")
	if r.exchanges && (needed || !slow) {
		want = snapshot.Exchanged
	}
	for _, m := range restored.Methods {
		require.Equal(t, want, m.Method, "%s: %s: %s %s", after, m.Table, m.Why, restored.NotExchanged)
	}
}

// prove goes through all that a store does.
func (r *rights) prove(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	await := func() {
		if r.exchanges {
			r.store.AwaitCopies()
		}
	}
	changed := func(want []string) {
		t.Helper()
		set, err := r.store.Changes(ctx)
		require.NoError(t, err)
		var told []string
		for _, table := range set.Tables {
			told = append(told, table.Table)
			require.Empty(t, table.Note, "%s is told row by row", table.Table)
		}
		require.ElementsMatch(t, want, told)
	}
	before := r.picture(t)
	_, err := r.store.Create(ctx, "a")
	require.NoError(t, err)
	await()
	requireWhole(t, before, r.picture(t), "Create")

	r.requireUndone(t, r.back(t, "a", before, "nothing"), nil, "nothing")
	changed(nil)
	for _, after := range []string{"ten rows", "ten rows again"} {
		exec(t, r.pool, tenGuests)
		changed(written)
		r.requireUndone(t, r.back(t, "a", before, after), written, after)
	}
	changed(nil)

	await()
	exec(t, r.pool, `TRUNCATE room, log CASCADE`)
	restored := r.back(t, "a", before, "TRUNCATE")
	if r.exchanges {
		r.requireReplaced(t, restored, false, "TRUNCATE")
	} else {
		require.NotContains(t, waysIn(restored), snapshot.Exchanged)
		for _, m := range restored.Methods {
			if slices.Contains([]string{"public.room", "public.house", "public.guest", "public.log"}, m.Table) {
				require.Equal(t, snapshot.Reloaded, m.Method, "%s: %s", m.Table, m.Why)
			}
		}
	}
	await()
	exec(t, r.pool, `UPDATE house SET name = name || 'x'; UPDATE room SET label = 'x'; UPDATE guest SET name = 'x'; DELETE FROM tag; UPDATE still SET id = 2`)
	restored = r.back(t, "a", before, "all rows")
	if r.exchanges {
		r.requireReplaced(t, restored, false, "all rows")
	}
	await()

	for _, ddl := range [][2]string{{`DROP INDEX guest_name`, `CREATE INDEX guest_name ON guest (name)`}, {`ALTER TABLE tag ADD COLUMN more text DEFAULT 'x'`, `ALTER TABLE tag DROP COLUMN more`}} {
		exec(t, r.pool, ddl[0]+`; `+tenGuests)
		if !r.exchanges {
			if _, err := r.store.Restore(ctx, "a"); err != nil {
				require.ErrorIs(t, err, snapshot.ErrSchemaMismatch, ddl[0])
			}
			exec(t, r.pool, ddl[1])
		}
		r.requireReplaced(t, r.back(t, "a", before, ddl[0]), true, ddl[0])
		await()
		r.requireUndone(t, r.back(t, "a", before, "nothing after "+ddl[0]), nil, "nothing after "+ddl[0])
	}

	exec(t, r.pool, tenGuests)
	other := r.picture(t)
	_, err = r.store.Create(ctx, "b")
	require.NoError(t, err)
	await()
	for range 2 {
		r.requireReplaced(t, r.back(t, "a", before, "another snapshot"), false, "another snapshot")
		r.requireReplaced(t, r.back(t, "b", other, "the other snapshot"), false, "the other snapshot")
		await()
	}

	if r.exchanges {
		for range 2 {
			c, err := r.store.Clone(ctx, "a")
			require.NoError(t, err)
			own := *r
			own.outside = r.outside.Copy()
			own.outside.ConnConfig.Database = c.Pool.Config().ConnConfig.Database
			requireWhole(t, before, own.picture(t), "Clone")
			exec(t, c.Pool, tenGuests)
			require.NoError(t, c.Close())
		}
	}

	require.NoError(t, r.store.Clean(ctx))
	require.Equal(t, "(0)", text(t, r.pool, `SELECT count(*) FROM guest`))
	r.back(t, "a", before, "Clean")
	exec(t, r.pool, tenGuests)
	require.NoError(t, r.store.Untrack(ctx))
	require.Empty(t, text(t, r.pool, `SELECT FROM pg_namespace WHERE nspname = 'groundhog'`))
	r.requireReplaced(t, r.back(t, "a", before, "Untrack"), false, "Untrack")

	exec(t, r.pool, tenGuests)
	before = r.picture(t)
	_, err = r.store.Create(ctx, "a", snapshot.Replace())
	require.NoError(t, err)
	exec(t, r.pool, `DELETE FROM tag; UPDATE guest SET name = 'again' WHERE id < 3`)
	again := []string{"public.guest", "public.log", "public.tag"}
	r.requireUndone(t, r.back(t, "a", before, "Create again"), again, "Create again")
}

// roleOf makes a role that goes with what it owns in the database of the pool.
func roleOf(t testing.TB, admin *pgxpool.Pool, name, attributes string) string {
	t.Helper()
	role := fmt.Sprintf("%s_%d_%s", name, os.Getpid(), admin.Config().ConnConfig.Database[len("groundhog_test_"):])
	exec(t, admin, `CREATE ROLE `+role+` `+attributes)
	t.Cleanup(func() {
		_, err := admin.Exec(context.Background(), `DROP OWNED BY `+role+` CASCADE; DROP ROLE `+role, pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err)
	})
	return role
}

// as returns a store of its own for the role in the database of the pool. Set are statements
// with which its sessions begin.
func as(t testing.TB, admin bundle, role string, opts ...snapshot.StoreOption) bundle {
	t.Helper()
	config := admin.pool.Config().Copy()
	config.ConnConfig.User = role
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	store, err := snapshot.NewStore(pool, append([]snapshot.StoreOption{snapshot.WithDir(admin.dir)}, opts...)...)
	require.NoError(t, err)
	store.SetWaits(time.Millisecond)
	return bundle{pool: pool, store: store, dir: admin.dir}
}

// mayTrack grants what a role needs for tables and tracking.
func mayTrack(t testing.TB, admin bundle, role string) {
	t.Helper()
	exec(t, admin.pool, fmt.Sprintf(`GRANT CREATE ON DATABASE %s TO %s; GRANT CREATE ON SCHEMA public TO %[2]s`, pgx.Identifier{admin.pool.Config().ConnConfig.Database}.Sanitize(), role))
}

// TestRights: a store does all that it does, each time in the cheapest way that the rights
// of its role allow.
func TestRights(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	for name, f := range map[string]func(*testing.T) *rights{
		"superuser": func(t *testing.T) *rights {
			b := setupCopied(t, fixtures.WithSchema(rightsSchema+manyGuests))
			superuser(t, b.pool)
			return &rights{bundle: b, outside: outsider(t, b.pool, b.pool.Config().ConnConfig.Database), exchanges: true}
		},
		"may set session_replication_role": func(t *testing.T) *rights {
			admin := setup(t)
			superuser(t, admin.pool)
			role := roleOf(t, admin.pool, "replica", "LOGIN")
			exec(t, admin.pool, `GRANT SET ON PARAMETER session_replication_role TO `+role)
			mayTrack(t, admin, role)
			b := as(t, admin, role)
			exec(t, b.pool, rightsSchema)
			return &rights{bundle: b, outside: admin.pool.Config()}
		},
		"owner who may create databases": func(t *testing.T) *rights {
			return ofMaker(t, asMaker(t), rightsSchema+manyGuests)
		},
		"owner": func(t *testing.T) *rights {
			b := asOwner(t, rightsSchema)
			return &rights{bundle: b, outside: fixtures.DB(t).Config()}
		},
		"member of the owner": func(t *testing.T) *rights {
			admin := setup(t)
			superuser(t, admin.pool)
			owner := roleOf(t, admin.pool, "group", "NOLOGIN")
			mayTrack(t, admin, owner)
			exec(t, admin.pool, `SET ROLE `+owner+`;`+rightsSchema+`; RESET ROLE`)
			role := roleOf(t, admin.pool, "member", "LOGIN INHERIT IN ROLE "+owner)
			return &rights{bundle: as(t, admin, role), outside: admin.pool.Config()}
		},
		"member who sets the role": func(t *testing.T) *rights {
			admin := setup(t)
			superuser(t, admin.pool)
			owner := roleOf(t, admin.pool, "group", "NOLOGIN")
			mayTrack(t, admin, owner)
			exec(t, admin.pool, `SET ROLE `+owner+`;`+rightsSchema+`; RESET ROLE`)
			role := roleOf(t, admin.pool, "member", "LOGIN NOINHERIT IN ROLE "+owner)
			exec(t, admin.pool, fmt.Sprintf(`ALTER ROLE %s IN DATABASE %s SET role = %s`, role, pgx.Identifier{admin.pool.Config().ConnConfig.Database}.Sanitize(), owner))
			return &rights{bundle: as(t, admin, role), outside: admin.pool.Config()}
		},
		"managed service": func(t *testing.T) *rights {
			group := fmt.Sprintf("service_%d_%d", os.Getpid(), time.Now().UnixNano())
			admin := fixtures.Open(t)
			superuser(t, admin)
			elsewhere := outsider(t, admin, "postgres")
			exec(t, admin, `CREATE ROLE `+group+` NOLOGIN`)
			t.Cleanup(func() { // after the databases
				conn, err := pgx.ConnectConfig(context.Background(), elsewhere.ConnConfig)
				require.NoError(t, err)
				defer conn.Close(context.Background())
				_, err = conn.Exec(context.Background(), `DROP ROLE `+group)
				require.NoError(t, err)
			})
			maker := asMaker(t)
			role := ask(t, fixtures.Open(t, maker), `SELECT current_user`)
			exec(t, admin, `ALTER ROLE `+role+` CREATEROLE; GRANT `+group+` TO `+role)
			return ofMaker(t, maker, `GRANT CREATE ON SCHEMA public TO `+group+`; SET ROLE `+group+`; `+rightsSchema+manyGuests+`; RESET ROLE`)
		},
		"row level security is enabled": func(t *testing.T) *rights {
			b := asOwner(t, rightsSchema+`; ALTER TABLE guest ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON guest USING (id < 10)`)
			return &rights{bundle: b, outside: fixtures.DB(t).Config()}
		},
		"row level security is forced, bypassed": func(t *testing.T) *rights {
			b := asOwner(t, rightsSchema+`; ALTER TABLE guest ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY few ON guest USING (id < 10)`)
			superuser(t, fixtures.DB(t))
			exec(t, fixtures.DB(t), `ALTER ROLE `+b.pool.Config().ConnConfig.User+` BYPASSRLS`)
			return &rights{bundle: b, outside: fixtures.DB(t).Config()}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t).prove(t)
		})
	}
}

// ofMaker opens a database of a role that may create databases.
func ofMaker(t *testing.T, maker fixtures.Option, schema string) *rights {
	t.Helper()
	b := setupCopied(t, maker, fixtures.WithSchema(schema))
	return &rights{bundle: b, outside: outsider(t, fixtures.Open(t), b.pool.Config().ConnConfig.Database), exchanges: true}
}

// TestAMemberThatDoesNotInherit is refused, before anything is changed, and told what to do.
func TestAMemberThatDoesNotInherit(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	admin := setup(t)
	superuser(t, admin.pool)
	owner := roleOf(t, admin.pool, "group", "NOLOGIN")
	mayTrack(t, admin, owner)
	exec(t, admin.pool, `SET ROLE `+owner+`;`+rightsSchema+`; RESET ROLE`)
	role := roleOf(t, admin.pool, "member", "LOGIN NOINHERIT IN ROLE "+owner)
	b := as(t, admin, role)
	_, err := b.store.Create(ctx, "a")
	require.ErrorIs(t, err, snapshot.ErrPermission)
	_, err = as(t, admin, admin.pool.Config().ConnConfig.User).store.Create(ctx, "a")
	require.NoError(t, err)
	exec(t, admin.pool, tenGuests)
	before := picture(t, admin.pool)
	_, err = b.store.Restore(ctx, "a")
	require.ErrorIs(t, err, snapshot.ErrPermission)
	require.ErrorContains(t, err, "public.")
	require.ErrorContains(t, err, "role="+owner)
	require.ErrorIs(t, b.store.Clean(ctx), snapshot.ErrPermission)
	require.Equal(t, before, picture(t, admin.pool))
}

// TestAnOwnerOfSomeTables: with all rights on the others, the role is refused by the name of one of
// those, and nothing is changed.
func TestAnOwnerOfSomeTables(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	admin := setup(t, fixtures.WithSchema(`CREATE TABLE theirs (id int PRIMARY KEY); INSERT INTO theirs VALUES (1)`))
	superuser(t, admin.pool)
	role := roleOf(t, admin.pool, "some", "LOGIN")
	mayTrack(t, admin, role)
	exec(t, admin.pool, `GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON theirs TO `+role)
	b := as(t, admin, role)
	exec(t, b.pool, `CREATE TABLE mine (id int PRIMARY KEY, their int REFERENCES theirs); INSERT INTO mine VALUES (1, 1)`)
	_, err := b.store.Create(ctx, "a")
	require.NoError(t, err)
	for _, change := range []string{`SELECT`, `DELETE FROM mine; INSERT INTO theirs VALUES (2)`, `TRUNCATE theirs CASCADE`} {
		exec(t, b.pool, change)
		before := picture(t, admin.pool)
		_, err = b.store.Restore(ctx, "a")
		require.ErrorIs(t, err, snapshot.ErrPermission, change)
		require.ErrorContains(t, err, "public.theirs", change)
		require.Equal(t, before, picture(t, admin.pool), change)
	}
	require.ErrorIs(t, b.store.Clean(ctx), snapshot.ErrPermission)
	require.NoError(t, b.store.Untrack(ctx))
}

// TestAnOwnerOfSomeTablesAndOfTheDatabase can't keep others from writing while the database is
// copied: it is refused by name, and nothing is changed.
func TestAnOwnerOfSomeTablesAndOfTheDatabase(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	ctx := t.Context()
	r := ofMaker(t, asMaker(t), `CREATE TABLE mine (id int PRIMARY KEY, v text); INSERT INTO mine VALUES (1, 'a'), (2, 'b'); CREATE MATERIALIZED VIEW hosts AS SELECT 1`)
	r.asOutsider(t, `CREATE TABLE theirs (id int PRIMARY KEY, v text); INSERT INTO theirs VALUES (1, 'a'); GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER ON theirs TO PUBLIC`)
	before := r.picture(t)
	_, err := r.store.Create(ctx, "a")
	require.NoError(t, err)
	r.store.AwaitCopies()
	requireWhole(t, before, r.picture(t), "Create")
	for _, change := range []string{`SELECT`, `UPDATE mine SET v = 'x'`, `INSERT INTO theirs VALUES (3)`, `TRUNCATE mine, theirs`} {
		exec(t, r.pool, change)
		before := r.picture(t)
		_, err := r.store.Restore(ctx, "a")
		require.ErrorIs(t, err, snapshot.ErrPermission, change)
		require.ErrorContains(t, err, "public.theirs", change)
		requireWhole(t, before, r.picture(t), change)
	}
}

// asOutsider runs statements as the superuser, who is gone afterwards.
func (r *rights) asOutsider(t testing.TB, sql string) {
	t.Helper()
	conn, err := pgx.ConnectConfig(t.Context(), r.outside.ConnConfig)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
}

// TestOthersWrite: the code under test is other roles, of which none may use schema groundhog.
func TestOthersWrite(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	ctx := t.Context()
	for name, open := range map[string]func(t *testing.T) (bundle, *pgxpool.Pool){
		"owner": func(t *testing.T) (bundle, *pgxpool.Pool) {
			b := asOwner(t, rightsSchema)
			return b, fixtures.DB(t)
		},
		"superuser": func(t *testing.T) (bundle, *pgxpool.Pool) {
			b := setup(t, fixtures.WithSchema(rightsSchema))
			return b, b.pool
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, admin := open(t)
			superuser(t, admin)
			with, without := roleOf(t, admin, "with", "LOGIN"), roleOf(t, admin, "without", "LOGIN")
			exec(t, b.pool, `
				ALTER TABLE tag ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON tag USING (name <> 'a');
				GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA public TO `+with+`;
				GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO `+with+`;
				CREATE VIEW guests AS SELECT id, name FROM guest WHERE id < 1000; CREATE VIEW own WITH (security_invoker) AS SELECT * FROM tag;
				CREATE FUNCTION check_in(id bigint) RETURNS void LANGUAGE sql SECURITY DEFINER AS 'INSERT INTO public.guest VALUES (id, 1, 1, $$in$$)';
				CREATE PROCEDURE closes() LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN DELETE FROM public.house WHERE id = 4; END $$;
				REVOKE EXECUTE ON FUNCTION check_in FROM PUBLIC; GRANT EXECUTE ON FUNCTION check_in TO `+without+`; GRANT SELECT, INSERT, UPDATE, DELETE ON guests TO `+without+`; GRANT SELECT, INSERT, UPDATE, DELETE ON own TO `+with)
			store := map[string]*pgxpool.Pool{"with": as(t, b, with).pool, "without": as(t, b, without).pool, "admin": admin}
			before := picture(t, admin)
			_, err := b.store.Create(ctx, "a")
			require.NoError(t, err)
			r := rights{bundle: b, outside: admin.Config()}
			for _, w := range []struct {
				role, sql string
				undone    []string
			}{
				{"with", `INSERT INTO guest VALUES (9000, 1, 1, 'x'); UPDATE guest SET id = 9001 WHERE id = 399; DELETE FROM guest WHERE id = 400`, []string{"public.guest", "public.log"}},
				{"with", `DELETE FROM tag; INSERT INTO tag VALUES ('d')`, []string{"public.tag"}},
				{"with", `UPDATE own SET name = 'x'`, []string{"public.tag"}},
				{"with", `MERGE INTO still USING (VALUES (1), (2)) v(id) ON v.id = still.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (v.id)`, []string{"public.still"}},
				{"with", `INSERT INTO still VALUES (1) ON CONFLICT (id) DO UPDATE SET id = 5`, []string{"public.still"}},
				{"without", `UPDATE guests SET name = 'x' WHERE id = 8; INSERT INTO guests VALUES (900, 'y'); DELETE FROM guests WHERE id = 400`, []string{"public.guest", "public.log"}},
				{"without", `SELECT check_in(800); CALL closes()`, []string{"public.guest", "public.house", "public.log", "public.room"}},
				{"admin", `SET ROLE ` + with + `; UPDATE guest SET name = 'z' WHERE id = 4; RESET ROLE`, []string{"public.guest", "public.log"}},
				{"admin", `SET SESSION AUTHORIZATION ` + without + `; SELECT check_in(801); RESET SESSION AUTHORIZATION`, []string{"public.guest", "public.log"}},
				{"admin", `DELETE FROM tag`, []string{"public.tag"}},
			} {
				exec(t, store[w.role], `SET search_path = public; `+w.sql)
				if w.undone != nil {
					require.NotEqual(t, before, picture(t, admin), w.sql)
				}
				restored, err := b.store.Restore(ctx, "a")
				require.NoError(t, err, w.sql)
				requireWhole(t, before, picture(t, admin), w.sql)
				r.requireUndone(t, restored, w.undone, w.sql)
			}
			_, err = store["with"].Exec(ctx, `TRUNCATE log, tag`)
			require.NoError(t, err)
			_, err = b.store.Restore(ctx, "a")
			require.NoError(t, err)
			requireWhole(t, before, picture(t, admin), "TRUNCATE")
			_, err = store["with"].Exec(ctx, `SELECT FROM groundhog.state`)
			require.ErrorContains(t, err, "permission denied for schema groundhog")
		})
	}
}

// TestTheRoleChanges: a database is tracked by one role, and used by another one.
func TestTheRoleChanges(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	for _, first := range []string{"superuser", "owner"} {
		t.Run(first+" first", func(t *testing.T) {
			t.Parallel()
			owner := asOwner(t, rightsSchema)
			admin := bundle{pool: fixtures.DB(t), dir: owner.dir}
			superuser(t, admin.pool)
			admin = as(t, admin, admin.pool.Config().ConnConfig.User)
			stores := []bundle{admin, owner}
			if first == "owner" {
				slices.Reverse(stores)
			}
			before := picture(t, admin.pool)
			_, err := stores[0].store.Create(t.Context(), "a")
			require.NoError(t, err)
			r := rights{bundle: stores[0], outside: admin.pool.Config()}
			for i, turn := range []int{0, 1, 1, 0, 0, 1, 0} {
				b := stores[turn]
				for _, sql := range []string{`SELECT`, tenGuests} {
					exec(t, b.pool, sql)
					restored, err := b.store.Restore(t.Context(), "a")
					require.NoError(t, err)
					requireWhole(t, before, picture(t, admin.pool), fmt.Sprint(i, sql))
					switch {
					case first == "superuser" && turn == 1: // whose schema groundhog is not the owner's
						require.NotContains(t, waysIn(restored), snapshot.Undone)
						require.Contains(t, restored.Methods[0].Why, "another role")
					case sql == tenGuests:
						r.requireUndone(t, restored, written, fmt.Sprint(i))
					}
				}
				exec(t, stores[0].pool, tenGuests)
			}
			for _, b := range stores {
				require.NoError(t, b.store.Clean(t.Context()))
				_, err = b.store.Restore(t.Context(), "a")
				require.NoError(t, err)
				requireWhole(t, before, picture(t, admin.pool), "Clean")
				require.NoError(t, b.store.Untrack(t.Context()))
				exec(t, b.pool, tenGuests)
				_, err = b.store.Restore(t.Context(), "a")
				require.NoError(t, err)
				requireWhole(t, before, picture(t, admin.pool), "Untrack")
				_, err := b.store.Create(t.Context(), "a", snapshot.Replace())
				require.NoError(t, err)
			}
		})
	}
}

// TestARightIsLost in between: that to set session_replication_role.
func TestARightIsLost(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	ctx := t.Context()
	admin := setup(t)
	superuser(t, admin.pool)
	role := roleOf(t, admin.pool, "replica", "LOGIN")
	exec(t, admin.pool, `GRANT SET ON PARAMETER session_replication_role TO `+role)
	mayTrack(t, admin, role)
	b := as(t, admin, role)
	exec(t, b.pool, rightsSchema)
	before := picture(t, admin.pool)
	_, err := b.store.Create(ctx, "a")
	require.NoError(t, err)
	for _, sql := range []string{`REVOKE SET ON PARAMETER session_replication_role FROM `, `GRANT SET ON PARAMETER session_replication_role TO `, `REVOKE SET ON PARAMETER session_replication_role FROM `} {
		exec(t, admin.pool, sql+role)
		for _, b := range []bundle{as(t, admin, role), b} { // the second may have a session that it keeps
			for i := range 2 {
				exec(t, b.pool, tenGuests)
				restored, err := b.store.Restore(ctx, "a")
				require.NoError(t, err)
				requireWhole(t, before, picture(t, admin.pool), sql)
				if i == 1 {
					(&rights{}).requireUndone(t, restored, written, sql)
				}
			}
		}
	}
}

// TestAnOwnerWithoutASchemaOfOurs may not make schema groundhog, or it belongs to another role: it loads, and says so once.
func TestAnOwnerWithoutASchemaOfOurs(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	for name, sql := range map[string]string{
		"no CREATE":                 `REVOKE CREATE ON DATABASE %s FROM %s`,
		"another role's":            `CREATE SCHEMA groundhog`,
		"another role's and usable": `CREATE SCHEMA groundhog; GRANT ALL ON SCHEMA groundhog TO PUBLIC`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			b := asOwner(t, rightsSchema)
			admin := fixtures.DB(t)
			superuser(t, admin)
			if name == "no CREATE" {
				sql = fmt.Sprintf(sql, pgx.Identifier{b.pool.Config().ConnConfig.Database}.Sanitize(), b.pool.Config().ConnConfig.User)
			}
			exec(t, admin, sql)
			var log bytes.Buffer
			b = as(t, b, b.pool.Config().ConnConfig.User, snapshot.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
			before := picture(t, admin)
			_, err := b.store.Create(ctx, "a")
			require.NoError(t, err)
			for _, change := range []string{`SELECT`, tenGuests, tenGuests, `TRUNCATE guest CASCADE`} {
				exec(t, b.pool, change)
				if change == tenGuests {
					_, err := b.store.Changes(ctx)
					require.NoError(t, err)
				}
				restored, err := b.store.Restore(ctx, "a")
				require.NoError(t, err)
				requireWhole(t, before, picture(t, admin), change)
				require.NotContains(t, waysIn(restored), snapshot.Undone)
				require.NotContains(t, waysIn(restored), snapshot.Unchanged)
			}
			require.NoError(t, b.store.Clean(ctx))
			require.NoError(t, b.store.Untrack(ctx))
			require.Equal(t, 1, strings.Count(log.String(), "changes are not tracked"), log.String())
		})
	}
}

// TestNoTestIsTheVictimOfAnOwnersRestore: a session of a test holds locks, and writes while a
// restore of a role that can't choose the victim of a deadlock waits for them.
func TestNoTestIsTheVictimOfAnOwnersRestore(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	for name, c := range map[string]struct {
		change, hold, write string
		fails               bool
	}{
		"row locks":          {change: tenGuests, hold: `SELECT FROM guest FOR UPDATE`, write: `UPDATE guest SET name = 'mine' WHERE id < 9`},
		"read locks":         {change: tenGuests, hold: `SELECT FROM guest, room, tag`, write: `UPDATE room SET label = 'mine'; INSERT INTO tag VALUES ('mine')`},
		"locks of a load":    {change: `TRUNCATE room, log CASCADE`, hold: `LOCK TABLE house, tag IN ROW SHARE MODE; SELECT FROM guest`, write: `UPDATE guest SET name = 'mine'; DELETE FROM tag`},
		"row locks, load":    {change: `DELETE FROM guest; DELETE FROM tag; TRUNCATE log`, hold: `SELECT FROM room FOR KEY SHARE`, write: `INSERT INTO guest VALUES (1, 1); UPDATE room SET label = 'mine'`},
		"schema and a table": {change: `CREATE INDEX more ON room (label); DROP INDEX more`, hold: `SELECT FROM house FOR SHARE`, write: `UPDATE house SET name = name || 'x'; UPDATE guest SET name = 'mine'`},
		"it never ends":      {change: tenGuests, hold: `SELECT FROM guest FOR UPDATE`, write: `SELECT`, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			b := asOwner(t, rightsSchema)
			_, err := b.store.Create(ctx, "a")
			require.NoError(t, err)
			before := state(t, b.pool)
			for range 3 {
				exec(t, b.pool, c.change)
				holder, err := b.pool.Begin(ctx)
				require.NoError(t, err)
				defer holder.Rollback(context.WithoutCancel(ctx))
				_, err = holder.Exec(ctx, c.hold, pgx.QueryExecModeSimpleProtocol)
				require.NoError(t, err)
				done := make(chan error, 1)
				go func() { _, err := b.store.Restore(ctx, "a"); done <- err }()
				// It tries, and holds the lock that writers wait for.
				require.Eventually(t, func() bool {
					return len(done) > 0 || text(t, fixtures.DB(t), `SELECT FROM pg_locks WHERE database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND locktype = 'advisory' AND objsubid = 1 AND mode = 'ExclusiveLock' AND granted`) != ""
				}, 5*time.Second, time.Millisecond)
				_, err = holder.Exec(ctx, c.write, pgx.QueryExecModeSimpleProtocol)
				require.NoError(t, err, "the server gave up on the test")
				if c.fails {
					err = <-done
					require.ErrorIs(t, err, snapshot.ErrLocked)
					require.ErrorContains(t, err, fmt.Sprintf("pid %d", holder.Conn().PgConn().PID()))
					require.NoError(t, holder.Rollback(ctx))
					_, err = b.store.Restore(ctx, "a")
					require.NoError(t, err)
					require.Equal(t, before, state(t, b.pool))
					return
				}
				require.NoError(t, holder.Commit(ctx))
				if err := <-done; err != nil {
					require.ErrorIs(t, err, snapshot.ErrLocked)
				}
				_, err = b.store.Restore(ctx, "a") // where the test wrote after a restore that met no lock
				require.NoError(t, err)
				require.Equal(t, before, state(t, b.pool))
			}
		})
	}
}

// TestWhatAnOwnersUndoExecutes: an event trigger of a superuser counts the statements that
// change the schema. Triggers of the user sleep and get their states again; without any that is awake, there
// is no such statement.
func TestWhatAnOwnersUndoExecutes(t *testing.T) {
	t.Parallel()
	const tables = `CREATE TABLE p (id int PRIMARY KEY, v text UNIQUE, n int GENERATED ALWAYS AS IDENTITY); CREATE TABLE c (id int PRIMARY KEY, p int NOT NULL REFERENCES p ON DELETE CASCADE);
		CREATE TABLE log (what text); INSERT INTO p (id, v) VALUES (1, 'a'), (2, 'b'); INSERT INTO c VALUES (1, 1), (2, 2);
		CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.log VALUES (TG_NAME); RETURN NULL; END $$;`
	const trigger = `CREATE TRIGGER %[1]s AFTER INSERT OR UPDATE OR DELETE ON c FOR EACH ROW EXECUTE FUNCTION note(); ALTER TABLE c %[2]s TRIGGER %[1]s;`
	for name, c := range map[string]struct {
		schema string
		want   int
	}{
		"no triggers":         {tables, 0},
		"triggers that sleep": {tables + fmt.Sprintf(trigger, "replica", "ENABLE REPLICA") + fmt.Sprintf(trigger, "disabled", "DISABLE"), 0},
		"triggers":            {tables + fmt.Sprintf(trigger, "origin", "ENABLE") + fmt.Sprintf(trigger, "always", "ENABLE ALWAYS") + fmt.Sprintf(trigger, "replica", "ENABLE REPLICA") + fmt.Sprintf(trigger, "disabled", "DISABLE"), 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			b := asOwner(t, c.schema)
			admin := fixtures.DB(t)
			superuser(t, admin)
			exec(t, admin, `CREATE SCHEMA counting; GRANT USAGE ON SCHEMA counting TO PUBLIC; CREATE FUNCTION counting.heard() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_catalog.pg_notify('ddl', tg_tag || clock_timestamp()); END $$;
				CREATE EVENT TRIGGER counting ON ddl_command_start EXECUTE FUNCTION counting.heard(); ALTER EVENT TRIGGER counting ENABLE ALWAYS`)
			_, err := b.store.Create(ctx, "a")
			require.NoError(t, err)
			before := picture(t, admin)
			listener, err := admin.Acquire(ctx)
			require.NoError(t, err)
			defer listener.Release()
			_, err = listener.Exec(ctx, `LISTEN ddl`)
			require.NoError(t, err)
			for _, sql := range []string{`SELECT`, `UPDATE c SET id = 7 WHERE id = 1; DELETE FROM p WHERE id = 2; INSERT INTO p (id, v) VALUES (3, 'c'); INSERT INTO c VALUES (3, 3)`, `UPDATE p SET v = CASE v WHEN 'a' THEN 'x' ELSE 'a' END; UPDATE p SET v = 'b' WHERE v = 'x'; DELETE FROM c`} {
				exec(t, b.pool, sql)
				restored, err := b.store.Restore(ctx, "a")
				require.NoError(t, err)
				require.NotContains(t, waysIn(restored), snapshot.Reloaded, "%v", restored.Methods)
				requireWhole(t, before, picture(t, admin), sql)
				exec(t, admin, `NOTIFY ddl, 'end'`)
				var heard []string
				for {
					n, err := listener.Conn().WaitForNotification(ctx)
					require.NoError(t, err)
					if n.Payload == "end" {
						break
					}
					heard = append(heard, n.Payload)
				}
				if sql == `SELECT` {
					require.Empty(t, heard)
				} else {
					require.Len(t, heard, c.want)
				}
			}
		})
	}
}

// TestRowLevelSecurityIsForced on a role that does not bypass it: the table is loaded, all of it,
// and as it was.
func TestRowLevelSecurityIsForced(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	ctx := t.Context()
	b := asOwner(t, rightsSchema+`; ALTER TABLE guest ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY few ON guest USING (id < 10)`)
	admin := fixtures.DB(t)
	superuser(t, admin)
	before := picture(t, admin)
	_, err := b.store.Create(ctx, "a")
	require.NoError(t, err)
	for _, change := range []string{`SELECT`, tenGuests, `UPDATE guest SET name = 'x'`, `DELETE FROM tag`} {
		exec(t, admin, change)
		restored, err := b.store.Restore(ctx, "a")
		require.NoError(t, err)
		requireWhole(t, before, picture(t, admin), change)
		for _, m := range restored.Methods {
			if m.Table == "public.guest" && strings.Contains(change, "guest") {
				require.Equal(t, snapshot.Reloaded, m.Method)
			}
		}
	}
	require.NoError(t, b.store.Clean(ctx))
	require.Equal(t, "(0)", text(t, admin, `SELECT count(*) FROM guest`))
}
