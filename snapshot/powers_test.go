package snapshot_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/snapshot"
)

// TestNeitherOwnerNorSuperuserIsRefused: before a row is changed, with the table
// and the reason.
func TestNeitherOwnerNorSuperuserIsRefused(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	admin := setupSmall(t)
	superuser(t, admin.pool)
	_, err := admin.store.Create(ctx, "a")
	require.NoError(t, err)
	role := fmt.Sprintf("nobody_%d", os.Getpid())
	exec(t, admin.pool, fmt.Sprintf(`CREATE ROLE %s LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO %[1]s; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO %[1]s`, role))
	t.Cleanup(func() {
		_, err := admin.pool.Exec(context.Background(), `DROP OWNED BY `+role+`; DROP ROLE `+role, pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err)
	})
	config := admin.pool.Config()
	config.ConnConfig.User = role
	pool, err := pgxpool.NewWithConfig(ctx, config)
	require.NoError(t, err)
	defer pool.Close()
	store, err := snapshot.NewStore(pool, snapshot.WithDir(admin.dir))
	require.NoError(t, err)
	before := state(t, admin.pool)
	for _, err := range []error{func() error { _, err := store.Restore(ctx, "a"); return err }(), store.Clean(ctx)} {
		require.ErrorContains(t, err, role)
		require.ErrorContains(t, err, "owner of public.author")
	}
	require.Equal(t, before, state(t, admin.pool))
	_, err = store.Create(ctx, "b")
	require.NoError(t, err, "it may read")

	// Who may read some of the rows only gets no snapshot of those.
	exec(t, admin.pool, `ALTER TABLE author ENABLE ROW LEVEL SECURITY; CREATE POLICY a_few ON author USING (id > 1)`)
	_, err = store.Create(ctx, "c")
	require.ErrorContains(t, err, "row level security hides rows of public.author from role "+role)
}

// TestRowLevelSecurityThatIsForcedOnTheOwner neither hides rows from a snapshot
// nor is it gone afterwards.
func TestRowLevelSecurityThatIsForcedOnTheOwner(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	b := asOwner(t, `CREATE TABLE secret (id int PRIMARY KEY); INSERT INTO secret VALUES (1), (2); CREATE POLICY a_few ON secret USING (id > 1);
		ALTER TABLE secret ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY`)
	info, err := b.store.Create(ctx, "a")
	require.NoError(t, err)
	require.EqualValues(t, 2, info.Rows)
	require.Equal(t, "(2)", text(t, b.pool, `SELECT * FROM secret`))
	exec(t, b.pool, `DELETE FROM secret`)
	_, err = b.store.Restore(ctx, "a")
	require.NoError(t, err)
	require.Equal(t, "(2)", text(t, b.pool, `SELECT * FROM secret`), "still forced")
	exec(t, b.pool, `ALTER TABLE secret NO FORCE ROW LEVEL SECURITY`)
	require.Equal(t, "(1) (2)", text(t, b.pool, `SELECT * FROM secret`))
}

// TestNothingReactsToARestore: triggers and rules of every sort are silent, and
// awake again afterwards.
func TestNothingReactsToARestore(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	b := setup(t, fixtures.WithSchema(smallSchema+`
		CREATE TABLE log (what text);
		CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (TG_NAME); RETURN NULL; END $$;
		CREATE FUNCTION note_event() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.log VALUES (tg_event || ' ' || tg_tag); END $$;
		CREATE TRIGGER rows AFTER INSERT OR UPDATE OR DELETE ON author FOR EACH ROW EXECUTE FUNCTION note();
		CREATE TRIGGER cut AFTER TRUNCATE ON author FOR EACH STATEMENT EXECUTE FUNCTION note();
		CREATE TRIGGER replica AFTER INSERT OR DELETE ON book FOR EACH ROW EXECUTE FUNCTION note();
		CREATE RULE noted AS ON INSERT TO book DO ALSO INSERT INTO log VALUES ('rule');
		CREATE RULE gone AS ON DELETE TO book DO INSTEAD NOTHING;
		INSERT INTO author (name) SELECT 'many' FROM generate_series(1, 20000);
		DELETE FROM log;
		ALTER TABLE author ENABLE ALWAYS TRIGGER rows; ALTER TABLE author ENABLE ALWAYS TRIGGER cut; ALTER TABLE book ENABLE REPLICA TRIGGER replica;
		ALTER TABLE book ENABLE ALWAYS RULE noted; ALTER TABLE book ENABLE ALWAYS RULE gone`))
	superuser(t, b.pool)
	exec(t, b.pool, `CREATE EVENT TRIGGER "at end" ON ddl_command_end EXECUTE FUNCTION note_event(); CREATE EVENT TRIGGER "at start" ON ddl_command_start EXECUTE FUNCTION note_event();
		ALTER EVENT TRIGGER "at end" ENABLE ALWAYS; ALTER EVENT TRIGGER "at start" ENABLE REPLICA`)
	exec(t, b.pool, `INSERT INTO book (author, title) VALUES (1, 'x'), (1, 'not in scope')`)
	for _, scope := range [][]snapshot.CreateOption{{snapshot.Exclude("log")}, {snapshot.RowsOf("book", "title = 'x'"), snapshot.Exclude("log")}} {
		exec(t, b.pool, `DELETE FROM log`)
		_, err := b.store.Create(ctx, "a", append(scope, snapshot.Replace())...)
		require.NoError(t, err)
		before := state(t, b.pool)
		events := text(t, b.pool, `SELECT evtname, evtenabled FROM pg_event_trigger`)
		exec(t, b.pool, `INSERT INTO book (author, title) VALUES (1, 'x'); UPDATE author SET name = 'y' WHERE id < 9; CREATE TABLE x (); DROP TABLE x`)
		require.NotEmpty(t, text(t, b.pool, `SELECT what FROM log`))
		exec(t, b.pool, `DELETE FROM log`)
		_, err = b.store.Restore(ctx, "a")
		require.NoError(t, err)
		require.Equal(t, before, state(t, b.pool))
		require.Equal(t, events, text(t, b.pool, `SELECT evtname, evtenabled FROM pg_event_trigger`))
	}
}

// TestWhatIsLeftOut is what belongs to an extension or lives elsewhere; what has
// a long name, or shares a sequence, is not.
func TestWhatIsLeftOut(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("名", 20) + "xyz" // 63 bytes
	b := setup(t)
	superuser(t, b.pool)
	exec(t, b.pool, fmt.Sprintf(smallSchema+`
		CREATE EXTENSION hstore; CREATE TABLE of_extension (id int); ALTER EXTENSION hstore ADD TABLE of_extension; INSERT INTO of_extension VALUES (1);
		CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER elsewhere FOREIGN DATA WRAPPER nowhere; CREATE FOREIGN TABLE far (id int) SERVER elsewhere;
		CREATE VIEW seen AS SELECT * FROM author;
		CREATE SEQUENCE shared; CREATE SEQUENCE of_none;
		CREATE TABLE %[1]q (%[1]q int PRIMARY KEY DEFAULT nextval('shared'), test boolean DEFAULT true);
		CREATE TABLE sharing (id int PRIMARY KEY DEFAULT nextval('shared'), test boolean DEFAULT false);
		INSERT INTO %[1]q DEFAULT VALUES; INSERT INTO sharing DEFAULT VALUES; SELECT nextval('of_none')`, long))
	ctx := t.Context()
	info, err := b.store.Create(ctx, "whole")
	require.NoError(t, err)
	require.Len(t, info.Tables, 4)
	_, err = b.store.Create(ctx, "scope", snapshot.Rows("test"))
	require.NoError(t, err)
	before := state(t, b.pool)
	exec(t, b.pool, fmt.Sprintf(`INSERT INTO %[1]q DEFAULT VALUES; INSERT INTO sharing DEFAULT VALUES; SELECT nextval('of_none'), setval('shared', 99)`, long))
	_, err = b.store.Restore(ctx, "scope")
	require.NoError(t, err)
	require.Equal(t, "(4,t)", text(t, b.pool, `SELECT last_value, is_called FROM shared`), "past the row of the other table")
	require.Equal(t, "(2,t)", text(t, b.pool, `SELECT last_value, is_called FROM of_none`), "not in scope")
	_, err = b.store.Restore(ctx, "whole")
	require.NoError(t, err)
	require.Equal(t, before, state(t, b.pool))
}

// TestOwnSchemaIsNoPartOfAnything: what is in the schema groundhog is not saved,
// not compared and not emptied, and where somebody else made it, nothing is tracked.
func TestOwnSchemaIsNoPartOfAnything(t *testing.T) {
	t.Parallel()
	b := setupSmall(t)
	exec(t, b.pool, `CREATE SCHEMA groundhog; CREATE TYPE groundhog.e AS ENUM ('a'); CREATE TABLE groundhog.journal (id serial, e groundhog.e); INSERT INTO groundhog.journal VALUES (1, 'a')`)
	info, err := b.store.Create(t.Context(), "a")
	require.NoError(t, err)
	restored, err := b.store.Restore(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, info.Fingerprint, restored.Fingerprint)
	require.NoError(t, b.store.Clean(t.Context()))
	require.Equal(t, "(1,a)", text(t, b.pool, `SELECT * FROM groundhog.journal`))
}

// TestValuesOfHundredsOfMegabytes would not fit COPY's text form, which writes
// two digits a byte.
func TestValuesOfHundredsOfMegabytes(t *testing.T) {
	fault.SkipShort(t) // it moves a gigabyte through the server
	b := setup(t, fixtures.WithSchema(`CREATE TABLE large (id int PRIMARY KEY, b bytea, t text); ALTER TABLE large ALTER b SET STORAGE EXTERNAL`))
	exec(t, b.pool, `INSERT INTO large VALUES (1, decode(repeat('00ff10', 100000000), 'hex'), NULL), (2, NULL, repeat('テスト', 2000000))`)
	const sums = `SELECT id, length(b), length(t), md5(t) FROM large`
	before := text(t, b.pool, sums)
	info, err := b.store.Create(t.Context(), "a")
	require.NoError(t, err)
	require.Less(t, info.Bytes, int64(10<<20))
	exec(t, b.pool, `TRUNCATE large`)
	_, err = b.store.Restore(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, before, text(t, b.pool, sums))
}

// TestNewerServersHave temporal keys and virtual generated columns.
func TestNewerServersHave(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var version int
	require.NoError(t, b.pool.QueryRow(t.Context(), `SELECT current_setting('server_version_num')::int`).Scan(&version))
	if version < 180000 {
		t.Skipf("PostgreSQL %d has neither", version/10000)
	}
	exec(t, b.pool, `
		CREATE EXTENSION btree_gist;
		CREATE TABLE room (id int, valid daterange, test boolean, PRIMARY KEY (id, valid WITHOUT OVERLAPS));
		CREATE TABLE stay (id int, room int, valid daterange, nights int GENERATED ALWAYS AS (upper(valid) - lower(valid)) VIRTUAL, test boolean,
			PRIMARY KEY (id, valid WITHOUT OVERLAPS), FOREIGN KEY (room, PERIOD valid) REFERENCES room (id, PERIOD valid));
		INSERT INTO room VALUES (1, '[2026-01-01,2026-02-01)', true), (1, '[2026-02-01,2026-03-01)', false);
		INSERT INTO stay (id, room, valid, test) VALUES (1, 1, '[2026-01-20,2026-02-10)', true)`)
	before := text(t, b.pool, `SELECT * FROM stay`)
	for name, scope := range map[string][]snapshot.CreateOption{"whole": nil, "scope": {snapshot.Rows("test")}} {
		_, err := b.store.Create(t.Context(), name, scope...)
		require.NoError(t, err)
		exec(t, b.pool, `DELETE FROM stay`)
		_, err = b.store.Restore(t.Context(), name)
		require.NoError(t, err)
		require.Equal(t, before, text(t, b.pool, `SELECT * FROM stay`))
	}
	exec(t, b.pool, `DELETE FROM stay; DELETE FROM room WHERE NOT test`)
	_, err := b.store.Restore(t.Context(), "scope")
	require.ErrorContains(t, err, "public.stay: 1 rows would reference")

	// A key that overlaps another one is not the same.
	if !isSuperuser(t, b.pool) {
		return
	}
	_, err = b.store.Restore(t.Context(), "whole")
	require.NoError(t, err)
	rooms := text(t, b.pool, `SELECT * FROM room`)
	exec(t, b.pool, `DELETE FROM stay; DELETE FROM room WHERE test; INSERT INTO room VALUES (1, '[2026-01-01,2026-01-10)', true), (1, '[2026-01-10,2026-02-01)', true);
		UPDATE room SET valid = '[2026-02-05,2026-03-01)' WHERE NOT test; UPDATE room SET test = false WHERE valid @> '2026-01-05'::date`)
	c, err := b.store.Changes(t.Context())
	require.NoError(t, err)
	require.Equal(t, `public.room +3 -2
  + id=1  valid=[2026-01-01,2026-01-10)  test=f
  - id=1  valid=[2026-01-01,2026-02-01)  test=t
  + id=1  valid=[2026-01-10,2026-02-01)  test=t
  - id=1  valid=[2026-02-01,2026-03-01)  test=f
  + id=1  valid=[2026-02-05,2026-03-01)  test=f
public.stay -1
  - id=1  room=1  valid=[2026-01-20,2026-02-10)  test=t`, c.String())
	restored, err := b.store.Restore(t.Context(), "whole")
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprint(restored.Methods), snapshot.Reloaded)
	require.Equal(t, before, text(t, b.pool, `SELECT * FROM stay`))
	require.Equal(t, rooms, text(t, b.pool, `SELECT * FROM room`))
}
