package snapshot_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
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
	outside   *pgxpool.Config         // a superuser's connections to the database
	exchanges bool                    // it is replaced by copies
	prefers   func(table string) bool // reports whether the table is reloaded rather than undone; may be nil
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
			if r.prefers != nil && r.prefers(m.Table) {
				want = snapshot.Reloaded
			}
		}
		require.Equal(t, want, m.Method, "%s: %s: %s %s", after, m.Table, m.Why, restored.NotExchanged)
	}
}

// requireReplaced requires that all was exchanged, where the role can, or else loaded. needed says
// that only a copy brings back what was changed: else a machine under load may take less time
// to load.
func (r *rights) requireReplaced(t *testing.T, restored snapshot.Restored, needed bool, after string) {
	t.Helper()
	want := snapshot.Reloaded
	if r.exchanges && (needed || restored.NotExchanged != "to load the tables takes less time") {
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

var _ = []any{bytes.NewBuffer, slog.New, filepath.Join}

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
	t.Log(err)
	require.ErrorIs(t, err, snapshot.ErrPermission)
	_, err = as(t, admin, admin.pool.Config().ConnConfig.User).store.Create(ctx, "a")
	require.NoError(t, err)
	exec(t, admin.pool, tenGuests)
	before := picture(t, admin.pool)
	_, err = b.store.Restore(ctx, "a")
	t.Log(err)
	require.ErrorIs(t, err, snapshot.ErrPermission)
	require.ErrorContains(t, err, "public.")
	require.ErrorContains(t, err, owner)
	require.ErrorIs(t, b.store.Clean(ctx), snapshot.ErrPermission)
	t.Log(b.store.Untrack(ctx))
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
	t.Log(text(t, admin.pool, `SELECT relname, tgname FROM pg_trigger JOIN pg_class c ON c.oid=tgrelid where not tgisinternal`))
	for _, change := range []string{`SELECT`, `DELETE FROM mine; INSERT INTO theirs VALUES (2)`, `TRUNCATE theirs CASCADE`} {
		exec(t, b.pool, change)
		before := picture(t, admin.pool)
		_, err = b.store.Restore(ctx, "a")
		t.Log(err)
		require.ErrorIs(t, err, snapshot.ErrPermission, change)
		require.ErrorContains(t, err, "public.theirs", change)
		require.Equal(t, before, picture(t, admin.pool), change)
	}
	require.ErrorIs(t, b.store.Clean(ctx), snapshot.ErrPermission)
	require.NoError(t, b.store.Untrack(ctx))
}

// TestAnOwnerOfSomeTablesAndOfTheDatabase exchanges that by a copy: what it may not write comes back too.
func TestAnOwnerOfSomeTablesAndOfTheDatabase(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	maker := asMaker(t)
	r := ofMaker(t, maker, `CREATE TABLE mine (id int PRIMARY KEY, v text); INSERT INTO mine VALUES (1, 'a'), (2, 'b'); CREATE MATERIALIZED VIEW hosts AS SELECT 1`)
	r.asOutsider(t, `CREATE TABLE theirs (id int PRIMARY KEY, v text); INSERT INTO theirs VALUES (1, 'a'); GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER ON theirs TO PUBLIC; CREATE TABLE only_read (id int); GRANT SELECT ON only_read TO PUBLIC; INSERT INTO only_read VALUES (1)`)
	before := r.picture(t)
	_, err := r.store.Create(ctx, "a")
	require.NoError(t, err)
	r.store.AwaitCopies()
	t.Log(r.store.HasTemplate("a"))
	requireWhole(t, before, r.picture(t), "Create")
	for _, change := range []string{`SELECT`, `UPDATE mine SET v = 'x'`, `UPDATE theirs SET v = 'x'; INSERT INTO theirs VALUES (3)`, `TRUNCATE mine, theirs`, `ALTER TABLE mine ADD COLUMN more int`} {
		exec(t, r.pool, change)
		restored, err := r.store.Restore(ctx, "a")
		t.Log(change, restored.Methods, restored.NotExchanged, err)
		if err == nil {
			requireWhole(t, before, r.picture(t), change)
		}
		r.store.AwaitCopies()
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
			for i, b := range []bundle{stores[0], stores[1], stores[1], stores[0], stores[0], stores[1], stores[0]} {
				restored, err := b.store.Restore(t.Context(), "a")
				require.NoError(t, err)
				t.Log(i, waysIn(restored), restored.Methods[0].Why)
				requireWhole(t, before, picture(t, admin.pool), fmt.Sprint("nothing", i))
				exec(t, b.pool, tenGuests)
				restored, err = b.store.Restore(t.Context(), "a")
				require.NoError(t, err)
				t.Log(i, waysIn(restored), restored.Methods[0].Why)
				requireWhole(t, before, picture(t, admin.pool), fmt.Sprint("ten rows", i))
				exec(t, stores[0].pool, tenGuests)
			}
			for _, b := range stores {
				t.Log(b.store.Clean(t.Context()))
				_, err = b.store.Restore(t.Context(), "a")
				require.NoError(t, err)
				requireWhole(t, before, picture(t, admin.pool), "Clean")
				t.Log(b.store.Untrack(t.Context()))
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
	for i, sql := range []string{`REVOKE SET ON PARAMETER session_replication_role FROM `, `GRANT SET ON PARAMETER session_replication_role TO `, `REVOKE SET ON PARAMETER session_replication_role FROM `} {
		exec(t, admin.pool, sql+role)
		for _, b := range []bundle{b, as(t, admin, role)} { // the first has a session that it keeps
			for range 2 {
				exec(t, b.pool, tenGuests)
				restored, err := b.store.Restore(ctx, "a")
				require.NoError(t, err)
				t.Log(i, waysIn(restored), restored.Methods[0].Why)
				requireWhole(t, before, picture(t, admin.pool), sql)
			}
		}
	}
}

// TestAnOwnerWithoutASchemaOfOurs may not make schema groundhog, or it belongs to another role: it loads, and says so once.
func TestAnOwnerWithoutASchemaOfOurs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ sql, said string }{
		"no CREATE":                 {`REVOKE CREATE ON DATABASE %s FROM %s`, "CREATE ON DATABASE"},
		"another role's":            {`CREATE SCHEMA groundhog`, "another role"},
		"another role's and usable": {`CREATE SCHEMA groundhog; GRANT ALL ON SCHEMA groundhog TO PUBLIC`, "another role"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			b := asOwner(t, rightsSchema)
			admin := fixtures.DB(t)
			superuser(t, admin)
			sql := c.sql
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
			t.Log(b.store.Untrack(ctx))
			t.Log(log.String())
		})
	}
}
