//go:build unix

package track_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/internal/track"
)

// chaosExtension has the table setup, and triggers of its own: one empties what is kept of
// it, and one writes into a table that is tracked.
var chaosExtension = map[string]string{
	"chaos.control": "default_version = '1.0'\nrelocatable = false\n",
	"chaos--1.0.sql": setupTable + `
SELECT pg_extension_config_dump('setup', '');
CREATE TABLE setup_kept AS SELECT * FROM setup;
ALTER TABLE setup_kept REPLICA IDENTITY FULL; -- a publication has all tables
CREATE FUNCTION empty_kept() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM @extschema@.setup_kept; RETURN NULL; END $$;
CREATE TRIGGER empty_kept AFTER INSERT OR UPDATE OR DELETE ON setup FOR EACH STATEMENT EXECUTE FUNCTION empty_kept();
CREATE FUNCTION count_setup() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	UPDATE total SET count = count + 1 WHERE id = 1;
	INSERT INTO log (m) VALUES ('setup');
	RETURN NULL;
END $$;
CREATE TRIGGER count_setup AFTER INSERT OR UPDATE OR DELETE ON setup FOR EACH STATEMENT EXECUTE FUNCTION count_setup();
`,
}

// chaosDatabase opens a database of the random test. It reports whether that has an
// extension, as where the server can have one.
func chaosDatabase(t *testing.T, sql string) (extension bool) {
	t.Helper()
	b := fixtures.Open(t)
	var super bool
	require.NoError(t, b.QueryRow(t.Context(), `SELECT rolsuper FROM pg_roles WHERE rolname = current_user`).Scan(&super))
	if !super || os.Getenv(fixtures.EnvURL) != "" {
		fixtures.Open(t, fixtures.WithSchema(sql, setupTable, setupRows))
		return false
	}
	url := fault.Server(t, fixtures.URL(t), fault.Extra{Files: chaosExtension, Settings: map[string]string{"max_prepared_transactions": "20"}})
	fixtures.Open(t, fixtures.WithURL(url), fixtures.WithSchema(sql, `CREATE EXTENSION chaos`, setupRows))
	return true
}

// TestAnExtensionIsWoken, and nothing of what it then writes is left.
func TestAnExtensionIsWoken(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	w := &world{T: t}
	if !chaosDatabase(t, chaosSQL) {
		t.Skip("no extension can be put on this server")
	}
	w.url, w.extension = fixtures.URL(t), true
	w.session()
	w.mark()
	other := connect(t, w.url)
	for _, sql := range []string{`UPDATE setup SET v = 'x'`, `INSERT INTO setup VALUES (50, 'x')`, `DELETE FROM setup WHERE id = 1`, `UPDATE setup SET v = 'x' WHERE false`} {
		w.sql(other, sql)
		w.sql(other, `INSERT INTO setup_kept VALUES (1, 'stale')`)
		w.same()
		var kept int
		require.NoError(t, other.QueryRow(t.Context(), `SELECT count(*) FROM setup_kept`).Scan(&kept))
		require.Zero(t, kept, sql)
	}
	// What no trigger saw is loaded.
	w.sql(other, `BEGIN; SET LOCAL session_replication_role = replica; SET LOCAL groundhog.disabled = on; DELETE FROM setup WHERE id = 2; COMMIT`)
	require.Equal(t, 1, w.same().why[track.UnseenWrite])
	w.sql(other, `BEGIN; SET LOCAL session_replication_role = replica; SET LOCAL groundhog.disabled = on; UPDATE setup SET v = 'unseen' WHERE id = 2; COMMIT; UPDATE setup SET v = 'seen' WHERE id = 3`)
	require.Equal(t, 1, w.same().why[track.UnseenWrite])
	require.Equal(t, 1, w.same().nothing)
	require.NoError(t, other.Close(t.Context()))
}
