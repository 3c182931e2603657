package snapshot_test

import (
	"bytes"
	"context"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/snapshot"
)

// logTo returns an option and what was logged since the last call of the function, as
// the log of a test shows it.
func logTo() (opt snapshot.StoreOption, read func() string) {
	var mu sync.Mutex
	var buffer bytes.Buffer
	logger := slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return buffer.Write(p)
	}), nil))
	return snapshot.WithLogger(logger), func() string {
		mu.Lock()
		defer mu.Unlock()
		defer buffer.Reset()
		return buffer.String()
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestEachReasonIsToldOnce, with Ensure too, by the first logger that shows it.
func TestEachReasonIsToldOnce(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	const notTracked = "changes are not tracked"
	for _, c := range []struct {
		name  string
		grant string                                       // to a role that owns the tables; none: a superuser
		spoil func(t *testing.T, super, own *pgxpool.Pool) // before the last restore
		first []string                                     // told at first
		then  []string                                     // told once it is spoilt
	}{
		{"no rights", "GRANT CREATE ON DATABASE @db TO @role", nil,
			[]string{"this role is no superuser", "GRANT SET ON PARAMETER session_replication_role TO", "CREATEDB", "event triggers"}, nil},
		{"no event triggers", "GRANT CREATE ON DATABASE @db TO @role; GRANT SET ON PARAMETER session_replication_role TO @role", nil,
			[]string{"this role is no superuser", "event triggers"}, nil},
		{"no schema may be made", "GRANT SET ON PARAMETER session_replication_role TO @role", nil,
			[]string{notTracked, "permission denied for database", "42501", "GRANT CREATE ON DATABASE"}, nil},
		{"another's schema", "", func(t *testing.T, super, _ *pgxpool.Pool) {
			exec(t, super, "DROP SCHEMA groundhog CASCADE; CREATE SCHEMA groundhog")
		}, nil, []string{notTracked, "a schema called groundhog that is not this library's"}},
		{"a later version", "", func(t *testing.T, super, _ *pgxpool.Pool) {
			exec(t, super, "UPDATE groundhog.state SET version = 999")
		}, nil, []string{notTracked, "a later version of this library"}},
		{"a right that is gone", "GRANT CREATE ON DATABASE @db TO @role; GRANT SET ON PARAMETER session_replication_role TO @role", func(t *testing.T, super, own *pgxpool.Pool) {
			exec(t, super, "REVOKE SET ON PARAMETER session_replication_role FROM "+own.Config().ConnConfig.User)
			exec(t, super, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
			own.Reset()
		}, []string{"this role is no superuser"}, []string{"may not set session_replication_role any more"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			super := setup(t)
			superuser(t, super.pool)
			pool := super.pool
			if c.grant != "" {
				pool = roleWith(t, super.pool, c.grant)
			}
			exec(t, pool, `CREATE TABLE n (id serial PRIMARY KEY); INSERT INTO n DEFAULT VALUES`)
			logged, read := logTo()
			mute, err := snapshot.NewStore(pool, snapshot.WithDir(t.TempDir()))
			require.NoError(t, err)
			_, err = mute.Create(ctx, "mute")
			require.NoError(t, err)
			_, err = mute.Restore(ctx, "mute")
			require.NoError(t, err)
			store, err := snapshot.NewStore(pool, snapshot.WithDir(t.TempDir()), logged)
			require.NoError(t, err)
			ensure := func() {
				t.Helper()
				_, err := store.Ensure(ctx, "a", func(context.Context) error { return nil })
				require.NoError(t, err)
			}
			told := func(facts []string) {
				t.Helper()
				log := read()
				require.NotContains(t, log, "snapshot=.origin", "a line of a step")
				for _, fact := range facts {
					require.Equal(t, 1, strings.Count(log, fact), "%s: %s", fact, log)
				}
				if len(facts) == 0 {
					require.NotContains(t, log, notTracked)
					require.NotContains(t, log, "event triggers")
				}
			}
			ensure()
			_, err = store.Restore(ctx, "a")
			require.NoError(t, err)
			told(c.first)
			ensure()
			told(nil)
			if c.spoil == nil {
				return
			}
			c.spoil(t, super.pool, pool)
			for range 2 {
				_, err = store.Restore(ctx, "a")
				require.NoError(t, err)
			}
			told(c.then)
			_, err = store.Restore(ctx, "a")
			require.NoError(t, err)
			told(nil)
		})
	}
}

// roleWith makes a role that owns what it makes, and returns its pool.
func roleWith(t *testing.T, super *pgxpool.Pool, grants string) *pgxpool.Pool {
	t.Helper()
	ctx := context.Background()
	db := nameOf(t, super)
	role := pgx.Identifier{"role_" + db}.Sanitize()
	fill := strings.NewReplacer("@db", pgx.Identifier{db}.Sanitize(), "@role", role)
	exec(t, super, fill.Replace("CREATE ROLE @role LOGIN; GRANT ALL ON SCHEMA public TO @role; "+grants))
	t.Cleanup(func() {
		_, err := super.Exec(ctx, fill.Replace("DROP OWNED BY @role CASCADE; DROP ROLE @role"), pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err)
	})
	config := super.Config()
	config.ConnConfig.User = "role_" + db
	pool, err := pgxpool.NewWithConfig(ctx, config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// TestTheLogSaysWhyTablesWereLoaded, in a line that stays short.
func TestTheLogSaysWhyTablesWereLoaded(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := setup(t, fixtures.WithSchema(`CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY); CREATE TABLE c (id int PRIMARY KEY); CREATE TABLE d (id int PRIMARY KEY);
		CREATE TABLE e (id int PRIMARY KEY); INSERT INTO e SELECT generate_series(1, 1000)`))
	logged, read := logTo()
	store, err := snapshot.NewStore(b.pool, snapshot.WithDir(b.dir), logged)
	require.NoError(t, err)
	for _, name := range []string{"one", "two"} {
		_, err = store.Create(ctx, name)
		require.NoError(t, err)
		exec(t, b.pool, "INSERT INTO a SELECT count(*) FROM a")
	}
	why := regexp.MustCompile(`why="([^"]*)"`)
	for _, c := range []struct{ name, sql, why string }{
		{"other", "", "the database was last at another snapshot, or at what Ensure builds on: 5 tables"},
		{"nothing", "", ""},
		{"undone", "INSERT INTO b VALUES (1)", ""},
		{"truncated", "TRUNCATE a", "it was truncated: public.a"},
		{"two tables", "TRUNCATE a, b", "it was truncated: public.a, public.b"},
		{"four tables", "TRUNCATE a, b, c, d", "it was truncated: 4 tables"},
		{"schema", "ALTER TABLE b ADD COLUMN f int; ALTER TABLE b DROP COLUMN f", "the schema was changed, for a while or in what a snapshot does not compare, or something else in the catalog: 5 tables"},
	} {
		if c.sql != "" {
			exec(t, b.pool, c.sql)
		}
		read()
		_, err = store.Restore(ctx, "one")
		require.NoError(t, err)
		found, got := why.FindStringSubmatch(read()), ""
		if found != nil {
			got = found[1]
		}
		require.Equal(t, c.why, got, c.name)
	}
	exec(t, b.pool, "TRUNCATE a, b, c, d")
	read()
	_, err = store.Restore(ctx, "one", snapshot.WithLanguage("ja"))
	require.NoError(t, err)
	require.Contains(t, read(), "4 テーブル")
}

// TestTheLogSaysWhyACloneIsNotUsedAgain.
func TestTheLogSaysWhyACloneIsNotUsedAgain(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	ctx := context.Background()
	b := setupClones(t)
	logged, read := logTo()
	store, err := snapshot.NewStore(b.pool, snapshot.WithDir(b.dir), logged)
	require.NoError(t, err)
	for _, c := range []struct{ sql, why string }{
		{"UPDATE item SET name = name", ""},
		{"TRUNCATE note", "public.note: it was truncated"},
		{"CREATE TABLE more (id int)", "the schema was changed"},
	} {
		clone, err := store.Clone(ctx, "a")
		require.NoError(t, err)
		exec(t, clone.Pool, c.sql)
		read()
		require.NoError(t, clone.Close())
		if c.why == "" {
			require.NotContains(t, read(), "not used again")
			continue
		}
		log := read()
		require.Contains(t, log, "not used again")
		require.Contains(t, log, c.why)
	}
	clone, err := store.Clone(ctx, "a")
	require.NoError(t, err)
	conn, err := pgx.ConnectConfig(ctx, clone.Pool.Config().ConnConfig)
	require.NoError(t, err)
	read()
	require.NoError(t, clone.Close())
	require.Contains(t, read(), "connections to it were left open")
	_ = conn.Close(ctx)
}

// TestTheServersWords: what the server says besides its message is in the text, once.
func TestTheServersWords(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := setup(t, fixtures.WithSchema(`CREATE FUNCTION fine(i int) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN
			IF current_setting('my.mood', true) = 'bad' THEN RAISE 'not %', i USING DETAIL = 'It rains.', HINT = 'Wait.'; END IF; RETURN true; END $$;
		CREATE TABLE n (id int PRIMARY KEY CHECK (fine(id))); INSERT INTO n VALUES (1)`))
	superuser(t, b.pool) // sets parameters
	_, err := b.store.Create(ctx, "a")
	require.NoError(t, err)
	exec(t, b.pool, "TRUNCATE n; ALTER DATABASE "+pgx.Identifier{nameOf(t, b.pool)}.Sanitize()+" SET my.mood = bad;"+
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	occupied(t, b.pool) // else the setting would go
	_, err = b.store.Restore(ctx, "a")
	require.Error(t, err)
	for _, words := range []string{"not 1", "DETAIL: It rains.", "HINT: Wait.", "PL/pgSQL function fine(integer) line 2 at RAISE"} {
		require.Equal(t, 1, strings.Count(err.Error(), words), "%s: %s", words, err)
	}
}
