package snapshot_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/snapshot"
)

// setupClones makes a database that can be cloned, and its snapshot a.
func setupClones(t *testing.T) bundle {
	b := setupShop(t)
	several(t, b.pool)
	return b
}

// nameOf tells which database a pool leads to.
func nameOf(t testing.TB, pool *pgxpool.Pool) string {
	t.Helper()
	var name string
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT current_database()").Scan(&name))
	return name
}

// databases counts those with the names.
func databases(t testing.TB, pool *pgxpool.Pool, names ...string) int {
	t.Helper()
	var n int
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT count(*) FROM pg_database WHERE datname = ANY ($1)", names).Scan(&n))
	return n
}

func TestCloneIsTheTestsOwn(t *testing.T) {
	t.Parallel()
	b := setupClones(t)
	before := text(t, b.pool, "SELECT * FROM item ORDER BY id")
	exec(t, b.pool, "DELETE FROM sale")
	t.Run("one", func(t *testing.T) {
		t.Parallel()
		db := snapshot.Clone(t, "a", snapshot.WithDir(b.dir))
		require.Same(t, db, fixtures.DB(t))
		require.Contains(t, fixtures.URL(t), nameOf(t, db))
		require.NotEqual(t, nameOf(t, b.pool), nameOf(t, db))
		require.Equal(t, before, text(t, db, "SELECT * FROM item ORDER BY id"))
		require.Equal(t, "2", strings.Trim(text(t, db, "SELECT count(*) FROM sale"), "()"))
		snapshot.RequireUnchanged(t)
		exec(t, db, "UPDATE note SET t = 'mine'")
		require.Len(t, snapshot.Changes(t).Table("note").Rows, 6)
		restored := snapshot.Restore(t, "a", snapshot.WithDir(b.dir))
		require.NotContains(t, fmt.Sprint(restored.Methods), snapshot.Reloaded)
	})
	t.Run("other", func(t *testing.T) {
		t.Parallel()
		db := snapshot.Clone(t, "a", snapshot.WithDir(b.dir))
		exec(t, db, "UPDATE note SET t = 'other'")
		t.Run("sub", func(t *testing.T) { require.Same(t, db, fixtures.DB(t)) })
	})
}

// again reports whether the database of a test that ran f is given to the next one,
// which finds it as new.
func again(t *testing.T, b bundle, f func(t testing.TB, db *pgxpool.Pool)) (used bool, w *watched) {
	t.Helper()
	var first string
	w = watch(t, func(t testing.TB) {
		db := snapshot.Clone(t, "a", snapshot.WithDir(b.dir))
		first = nameOf(t, db)
		f(t, db)
	})
	next := watch(t, func(t testing.TB) {
		db := snapshot.Clone(t, "a", snapshot.WithDir(b.dir))
		used = nameOf(t, db) == first
		require.Equal(t, "(3,2)", text(t, db, "SELECT (SELECT count(*) FROM item), (SELECT count(*) FROM sale)"))
		var id int
		require.NoError(t, db.QueryRow(t.Context(), "INSERT INTO item (name) VALUES ('next') RETURNING id").Scan(&id))
		require.Equal(t, 4, id)
		var set string
		require.NoError(t, db.QueryRow(t.Context(), "SELECT current_setting('work_mem')").Scan(&set))
		require.Equal(t, "4MB", set)
		require.Equal(t, "()", text(t, db, "SELECT to_regclass('more')"), "nothing was added to the schema")
	})
	require.False(t, next.failed, next.log.String())
	require.Equal(t, 1, databases(t, b.pool, first)+cond(used, 0, 1), "it is there as long as it is used")
	return used, w
}

func TestClonesAreUsedAgainWhenThatIsCertain(t *testing.T) {
	fault.SkipShort(t)
	superuser(t, fixtures.Open(t))
	b := setup(t, fixtures.WithSchema(shopSchema+`;
		CREATE TABLE schema_migrations (id serial, version int); INSERT INTO schema_migrations (version) VALUES (1);
		CREATE FUNCTION nothing() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
		CREATE EVENT TRIGGER nothing ON ddl_command_start EXECUTE FUNCTION nothing()`))
	snapshot.Create(t, "a", snapshot.WithDir(b.dir))
	var leaked []*pgx.Conn // the collector would close one that nothing leads to
	defer func() {
		for _, conn := range leaked {
			conn.Close(context.Background())
		}
	}()
	for name, c := range map[string]struct {
		used bool
		f    func(t testing.TB, db *pgxpool.Pool)
	}{
		"unchanged": {true, func(testing.TB, *pgxpool.Pool) {}},
		"changed":   {true, func(t testing.TB, db *pgxpool.Pool) { exec(t, db, shopping) }},
		"restored": {true, func(t testing.TB, db *pgxpool.Pool) {
			exec(t, db, shopping)
			snapshot.Restore(t, "a", snapshot.WithDir(b.dir))
		}},
		"failed":    {false, func(t testing.TB, _ *pgxpool.Pool) { t.Error("no") }},
		"truncated": {false, func(t testing.TB, db *pgxpool.Pool) { exec(t, db, "TRUNCATE note") }},
		"altered":   {false, func(t testing.TB, db *pgxpool.Pool) { exec(t, db, "ALTER TABLE note ADD more int") }},
		"set": {false, func(t testing.TB, db *pgxpool.Pool) {
			exec(t, db, "ALTER DATABASE "+nameOf(t, db)+" SET work_mem = '9MB'")
		}},
		"limited": {false, func(t testing.TB, db *pgxpool.Pool) {
			exec(t, db, "ALTER DATABASE "+nameOf(t, db)+" CONNECTION LIMIT 50")
		}},
		"another snapshot": {false, func(t testing.TB, db *pgxpool.Pool) {
			exec(t, db, "DELETE FROM sale")
			snapshot.Create(t, "b", snapshot.Replace(), snapshot.WithDir(b.dir))
		}},
		"untracked": {false, func(t testing.TB, db *pgxpool.Pool) { exec(t, db, "DROP SCHEMA groundhog CASCADE; DELETE FROM sale") }},
		"altered and restored": {false, func(t testing.TB, db *pgxpool.Pool) {
			exec(t, db, "CREATE VIEW more AS SELECT 1; CREATE INDEX ON note (t); DELETE FROM sale")
			snapshot.Restore(t, "a", snapshot.WithDir(b.dir))
		}},
		"truncated and restored": {true, func(t testing.TB, db *pgxpool.Pool) {
			exec(t, db, "TRUNCATE note")
			snapshot.Restore(t, "a", snapshot.WithDir(b.dir))
		}},
		"migrated":      {false, func(t testing.TB, db *pgxpool.Pool) { exec(t, db, "UPDATE schema_migrations SET version = 2") }},
		"numbered":      {false, func(t testing.TB, db *pgxpool.Pool) { exec(t, db, "SELECT nextval('schema_migrations_id_seq')") }},
		"event trigger": {false, func(t testing.TB, db *pgxpool.Pool) { exec(t, db, "ALTER EVENT TRIGGER nothing DISABLE") }},
		"commented": {false, func(t testing.TB, db *pgxpool.Pool) {
			exec(t, db, "COMMENT ON DATABASE "+nameOf(t, db)+" IS 'changed'")
		}},
		"in use": {false, func(t testing.TB, db *pgxpool.Pool) {
			conn, err := pgx.Connect(t.Context(), fixtures.URL(t))
			require.NoError(t, err)
			leaked = append(leaked, conn)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			used, w := again(t, b, c.f)
			require.Equal(t, c.used, used, w.log.String())
			if name == "in use" {
				require.NotEmpty(t, leaked)
				require.Contains(t, w.log.String(), "1 connections to its database still open")
			}
		})
	}
}

// REASSIGN OWNED fires no event trigger.
func TestClonesWithOtherOwnersAreNotUsedAgain(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	b := setupAlone(t, fixtures.WithSchema(`CREATE TABLE mine (a int); CREATE TABLE yours (a int);
		DO $$ BEGIN CREATE ROLE one; CREATE ROLE two; EXCEPTION WHEN duplicate_object THEN END $$;
		ALTER TABLE mine OWNER TO one; ALTER TABLE yours OWNER TO two`))
	_, err := b.store.Create(t.Context(), "a")
	require.NoError(t, err)
	for _, from := range []string{"one TO two", "one TO CURRENT_USER", "two TO one"} {
		for range 2 { // the second test may have the database of the first
			clone, err := b.store.Clone(t.Context(), "a")
			require.NoError(t, err)
			require.Equal(t, "(one,two)", text(t, clone.Pool, "SELECT (SELECT relowner::regrole FROM pg_class WHERE relname = 'mine'), (SELECT relowner::regrole FROM pg_class WHERE relname = 'yours')"))
			exec(t, clone.Pool, "REASSIGN OWNED BY "+from)
			require.NoError(t, clone.Close())
		}
	}
}

func TestFailedClonesAreKept(t *testing.T) {
	server := ownServer(t) // of whose own databases none is kept, since they are not its users
	b := setup(t, fixtures.WithURL(server.URL()), fixtures.WithSchema(shopSchema))
	snapshot.Create(t, "a", snapshot.WithDir(b.dir))
	t.Setenv(fixtures.EnvKeep, "1")
	w := watch(t, func(t testing.TB) {
		db := snapshot.Clone(t, "a", snapshot.WithDir(b.dir))
		exec(t, db, "UPDATE note SET t = 'wrong'")
		t.Error("no")
	})
	require.Contains(t, w.log.String(), "public.note +3 -3")
	_, kept, ok := strings.Cut(w.log.String(), "groundhog_kept_test_")
	require.True(t, ok, w.log.String())
	kept = "groundhog_kept_test_" + strings.FieldsFunc(kept, func(r rune) bool { return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'f') })[0]
	require.Equal(t, 1, databases(t, b.pool, kept))
	exec(t, b.pool, "DROP DATABASE "+kept)
}

// TestManyClones: 64 tests at once, few databases, and each is found as the snapshot
// has it, whatever those before did.
func TestManyClones(t *testing.T) {
	fault.SkipShort(t)
	b := setupClones(t)
	content := `SELECT (SELECT string_agg(i::text, '|' ORDER BY i::text) FROM item i), (SELECT string_agg(n::text, '|' ORDER BY n::text) FROM note n),
		(SELECT string_agg(s::text, '|' ORDER BY s::text) FROM sale s), (SELECT ROW(last_value, is_called)::text FROM item_id_seq)`
	want := text(t, b.pool, content)
	deeds := []string{shopping, "DELETE FROM item", "UPDATE item SET id = id + 10", "INSERT INTO note SELECT * FROM note; DELETE FROM note WHERE extra IS NULL",
		"UPDATE sale SET day = day + 40", "BEGIN; DELETE FROM sale; ROLLBACK", "SELECT nextval('item_id_seq')", "TRUNCATE sale", "CREATE TABLE more (id int)",
		"DELETE FROM item WHERE id = 1; INSERT INTO item (id, name) VALUES (1, 'again'); DELETE FROM item WHERE id = 1"}
	var names sync.Map
	var most, now atomic.Int64
	var all sync.WaitGroup
	one := func(r *rand.Rand) error {
		c, err := b.store.Clone(t.Context(), "a")
		if err != nil {
			return err
		}
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		names.Store(c.URL, true)
		var got string
		if err = c.Pool.QueryRow(t.Context(), "SELECT r::text FROM ("+content+") r").Scan(&got); err == nil && got != want {
			err = fmt.Errorf("%s instead of %s", got, want)
		}
		if err == nil {
			_, err = c.Pool.Exec(t.Context(), deeds[r.IntN(len(deeds))], pgx.QueryExecModeSimpleProtocol)
		}
		now.Add(-1)
		return errors.Join(err, c.Close(), c.Close())
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for i := range 64 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			for range 3 {
				if err := one(r); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	require.LessOrEqual(t, most.Load(), int64(snapshot.LimitOfClones()))
	count := 0
	names.Range(func(any, any) bool { count++; return true })
	require.Less(t, count, 3*64, "they are used again")
}

// TestClonesEndWithTheirOrigin: those that are not in use too.
func TestClonesEndWithTheirOrigin(t *testing.T) {
	t.Parallel()
	outer := fixtures.Open(t)
	several(t, outer)
	var name string
	t.Run("origin", func(t *testing.T) {
		b := setupClones(t)
		c, err := b.store.Clone(t.Context(), "a")
		require.NoError(t, err)
		name = nameOf(t, c.Pool)
		require.NoError(t, c.Close())
	})
	require.Zero(t, databases(t, outer, name))
}

func TestSubtestsOfClonesGetTheirs(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	b := setupClones(t)
	var down func(t *testing.T, depth int)
	down = func(t *testing.T, depth int) {
		db := snapshot.Clone(t, "a", snapshot.WithDir(b.dir))
		exec(t, db, "INSERT INTO item (name) VALUES ('x')")
		if depth > 0 {
			t.Run("sub", func(t *testing.T) { down(t, depth-1) })
		}
		require.Same(t, db, fixtures.DB(t))
	}
	down(t, snapshot.LimitOfClones()+1)
}

func TestWhatCantBeCloned(t *testing.T) {
	t.Parallel()
	b := setupClones(t)
	_, err := b.store.Clone(t.Context(), "nothing")
	require.ErrorIs(t, err, snapshot.ErrNotFound)
	_, err = b.store.Create(t.Context(), "some", snapshot.Tables("note"))
	require.NoError(t, err)
	_, err = b.store.Clone(t.Context(), "some")
	require.ErrorIs(t, err, snapshot.ErrInvalidArgument)
	other, err := pgxpool.New(t.Context(), fixtures.URL(t))
	require.NoError(t, err)
	defer other.Close()
	strange, err := snapshot.NewStore(other, snapshot.WithDir(b.dir))
	require.NoError(t, err)
	_, err = strange.Clone(t.Context(), "a")
	require.ErrorIs(t, err, snapshot.ErrInvalidArgument)
	require.ErrorContains(t, err, "fixtures.Open")

	exec(t, b.pool, "CREATE TABLE later (id int)")
	_, err = b.store.Create(t.Context(), "altered")
	require.NoError(t, err)
	_, err = b.store.Clone(t.Context(), "altered")
	require.ErrorIs(t, err, snapshot.ErrSchemaMismatch)
	require.ErrorContains(t, err, "public.later")
}

// TestCloneHooksThatEnd: a pool hook that panics, or ends its goroutine, takes no
// place from others and leaves no database.
func TestCloneHooksThatEnd(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(){"panic": func() { panic("hook") }, "goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var on atomic.Bool
			var made sync.Map
			b := setup(t, fixtures.WithSchema(shopSchema), fixtures.WithPoolConfig(func(c *pgxpool.Config) {
				if on.Load() {
					made.Store(c.ConnConfig.Database, true)
					end()
				}
			}))
			several(t, b.pool)
			_, err := b.store.Create(t.Context(), "a")
			require.NoError(t, err)
			on.Store(true)
			for range snapshot.LimitOfClones() + 1 {
				done := make(chan struct{})
				go func() {
					defer close(done)
					defer func() { _ = recover() }()
					_, _ = b.store.Clone(t.Context(), "a")
				}()
				<-done
			}
			on.Store(false)
			var names []string
			made.Range(func(name, _ any) bool { names = append(names, name.(string)); return true })
			require.Len(t, names, snapshot.LimitOfClones()+1)
			require.Zero(t, databases(t, b.pool, names...))
			began := time.Now()
			c, err := b.store.Clone(t.Context(), "a")
			require.NoError(t, err)
			require.Less(t, time.Since(began), 8*time.Second, "there is room")
			require.NoError(t, c.Close())
		})
	}
}

// TestAPreparedTransactionStaysWithItsClone: the next test gets another one.
func TestAPreparedTransactionStaysWithItsClone(t *testing.T) {
	t.Parallel()
	b := setupClones(t)
	if ask(t, b.pool, "SELECT current_setting('max_prepared_transactions')") == "0" {
		t.Skip("the server has no room for prepared transactions")
	}
	one, err := b.store.Clone(t.Context(), "a")
	require.NoError(t, err)
	name, id := nameOf(t, one.Pool), "of the clone "+nameOf(t, one.Pool)
	exec(t, one.Pool, "BEGIN; SELECT txid_current(); PREPARE TRANSACTION '"+id+"'")
	_ = one.Close() // the database can't be dropped yet
	two, err := b.store.Clone(t.Context(), "a")
	require.NoError(t, err)
	require.NotEqual(t, name, nameOf(t, two.Pool))
	require.NoError(t, two.Close())
	conn, err := pgx.Connect(t.Context(), one.URL)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "ROLLBACK PREPARED '"+id+"'")
	require.NoError(t, errors.Join(err, conn.Close(t.Context())))
}

// TestWhenClonesAreMadeAhead: only where tests use them up, since each costs a copy.
func TestWhenClonesAreMadeAhead(t *testing.T) {
	t.Parallel()
	b := setupClones(t)
	use := func(statement string) (clones int) {
		c, err := b.store.Clone(t.Context(), "a")
		require.NoError(t, err)
		exec(t, c.Pool, statement)
		b.store.AwaitCopies()
		clones = b.store.Clones("a")
		require.NoError(t, c.Close())
		return clones
	}
	for range 4 {
		require.Equal(t, 1, use("INSERT INTO note VALUES ('x')"), "one is enough")
	}
	use("CREATE TABLE more ()")
	for range 2 { // one that no test has is enough, and none is made where that takes long
		require.Contains(t, []int{1, 2}, use("SELECT"))
	}
}

// TestClonesOfManySnapshots do not pile up while they wait for another test.
func TestClonesOfManySnapshots(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	b := setupClones(t)
	var names []string
	for i := range 3 * snapshot.LimitOfClones() {
		name := fmt.Sprint("s", i)
		exec(t, b.pool, "UPDATE note SET t = '"+name+"'")
		_, err := b.store.Create(t.Context(), name)
		require.NoError(t, err)
		c, err := b.store.Clone(t.Context(), name)
		require.NoError(t, err)
		names = append(names, nameOf(t, c.Pool))
		require.NoError(t, c.Close())
		require.LessOrEqual(t, databases(t, b.pool, names...), snapshot.LimitOfClones())
	}
	require.Equal(t, snapshot.LimitOfClones(), databases(t, b.pool, names...), "the last ones wait")
}

// TestCancelledClonesLeaveNothing, at whatever moment.
func TestCancelledClonesLeaveNothing(t *testing.T) {
	fault.SkipShort(t)
	server := ownServer(t) // whose databases are these alone
	db, err := server.CreateDatabase(t.Context(), fixtures.WithSchema(shopSchema))
	require.NoError(t, err)
	store, err := snapshot.NewStore(db.Pool, snapshot.WithDir(t.TempDir()))
	require.NoError(t, err)
	_, err = store.Create(t.Context(), "a")
	require.NoError(t, err)
	count := func() (n int) {
		require.NoError(t, db.Pool.QueryRow(t.Context(), "SELECT count(*) FROM pg_database WHERE datname !~ '^groundhog_test_t_'").Scan(&n))
		return n
	}
	before := count()
	for i := range 40 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(3*i)*time.Millisecond)
		c, err := store.Clone(ctx, "a")
		cancel()
		if err == nil {
			require.NoError(t, c.Close())
		} else {
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
		require.NoError(t, store.EndClones())
	}
	require.Equal(t, before, count())
	t.Log("fault: 40 tried")
}

// TestAStoreOfAnEarlierLoan may still be in use, by a goroutine that a test left, while
// the clone is lent again.
func TestAStoreOfAnEarlierLoan(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	b := setupClones(t)
	c, err := b.store.Clone(ctx, "a")
	require.NoError(t, err)
	name := nameOf(t, c.Pool)
	old, err := snapshot.NewStore(c.Pool, snapshot.WithDir(b.dir))
	require.NoError(t, err)
	_, err = old.Restore(ctx, "a")
	require.NoError(t, err)
	require.NoError(t, c.Close())
	stop := make(chan struct{})
	var left sync.WaitGroup
	left.Go(func() {
		for {
			select {
			case <-stop:
				return
			default: // the clone is dropped once it finds a connection in the way
				_, _ = old.Create(ctx, "b", snapshot.Replace(), snapshot.WithRetry(1))
			}
		}
	})
	defer left.Wait()
	defer close(stop)
	for i := range 3 {
		c, err := b.store.Clone(ctx, "a")
		require.NoError(t, err)
		if i == 0 {
			require.Equal(t, name, nameOf(t, c.Pool))
		}
		require.NoError(t, c.Close())
	}
}
