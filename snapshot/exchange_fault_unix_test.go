//go:build unix

package snapshot_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/snapshot"
)

// Faults while databases are exchanged. What is in a database is a function of one number,
// which is in it too: so whatever is found can be checked by a process that did not make it.

const swapSchema = shelfSchema + `;
	CREATE TABLE marker (v int PRIMARY KEY);
	CREATE UNLOGGED TABLE note (v int PRIMARY KEY);
	CREATE INDEX book_title ON book (title)`

// fillSwap makes the rows those of the number.
func fillSwap(ctx context.Context, pool *pgxpool.Pool, v int) error {
	return script(ctx, pool, fmt.Sprintf(`BEGIN; TRUNCATE marker, note, author, book, tag RESTART IDENTITY; INSERT INTO marker VALUES (%[1]d);
		INSERT INTO note SELECT i + %[1]d FROM generate_series(1, 10) i;
		INSERT INTO author (name) SELECT md5((i * %[1]d)::text) FROM generate_series(1, 2000 + %[1]d) i;
		INSERT INTO book (author, title) SELECT i, md5((i + %[1]d)::text) FROM generate_series(1, 2000) i;
		INSERT INTO tag SELECT i, md5((i - %[1]d)::text) FROM generate_series(1, 300 + %[1]d) i; COMMIT`, v))
}

// swapState tells the number in the database, and a hash of its rows, sequences, columns,
// indexes, large objects and settings.
func swapState(ctx context.Context, q interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
},
) (v int, hash string, err error) {
	err = q.QueryRow(ctx, `SELECT coalesce((SELECT max(v) FROM marker), 0), md5(concat_ws('|',
		(SELECT string_agg(t::text, ';' ORDER BY v) FROM marker t), (SELECT string_agg(t::text, ';' ORDER BY id) FROM author t), (SELECT string_agg(t::text, ';' ORDER BY v) FROM note t),
		(SELECT string_agg(t::text, ';' ORDER BY id) FROM book t), (SELECT string_agg(t::text, ';' ORDER BY id) FROM tag t),
		(SELECT last_value || ' ' || is_called FROM author_id_seq), (SELECT last_value || ' ' || is_called FROM book_id_seq),
		(SELECT string_agg(format('%s.%s %s', c.relname, a.attname, a.atttypid::regtype), ';' ORDER BY c.relname, a.attnum) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
			WHERE c.relnamespace = 'public'::regnamespace AND NOT a.attisdropped),
		(SELECT count(*) FROM pg_largeobject_metadata), (SELECT string_agg(s::text, ';') FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase WHERE datname = current_database())))`).Scan(&v, &hash)
	return v, hash, err
}

// swapChanges are what a test may do to the database. What the last ones do, only an
// exchange brings back.
var swapChanges = []string{
	`UPDATE author SET name = 'x' WHERE id < 9`,
	`UPDATE author SET name = name || 'x'; DELETE FROM tag`,
	`TRUNCATE author, book; INSERT INTO tag VALUES (-1, 'x') ON CONFLICT DO NOTHING`,
	`DELETE FROM marker; SELECT nextval('book_id_seq')`,
	`ALTER TABLE author ADD COLUMN extra int`,
	`DROP TABLE tag`,
	`DROP INDEX book_title; CREATE TABLE passing AS SELECT 1 AS id`,
	`DROP SCHEMA groundhog CASCADE; DELETE FROM book`,
	`SELECT lo_from_bytea(0, 'x'); ALTER TABLE book RENAME TO volume`,
	`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = ''1MB''', current_database()); END $$`,
}

func init() {
	fault.Register("swap", func(args []string) error {
		seed, err := strconv.ParseUint(args[2], 10, 64)
		if err != nil {
			return err
		}
		return swap(args[0], args[1], args[3] == "private", rand.New(rand.NewPCG(seed, seed)))
	})
}

// swapSchemaOption is the schema, as one that processes share or one that is of this
// process only.
func swapSchemaOption(private bool) fixtures.DatabaseOption {
	if private {
		return fixtures.WithMigrate(func(ctx context.Context, db *pgxpool.Pool) error { return script(ctx, db, swapSchema) })
	}
	return fixtures.WithSchema(swapSchema)
}

const swapSteps = 8

// swap changes and restores a database of its own on the server in turns.
func swap(server, dir string, private bool, r *rand.Rand) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	s, err := fixtures.Start(ctx, fixtures.WithURL(server))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	fmt.Println("begin")
	db, err := s.CreateDatabase(ctx, swapSchemaOption(private))
	if err != nil {
		return err
	}
	store, err := snapshot.NewStore(db.Pool, snapshot.WithDir(dir), snapshot.WithLogger(slog.New(slog.NewTextHandler(os.Stderr, nil))))
	if err != nil {
		return err
	}
	// The folder is shared, but for the one that this process makes again and again.
	own := fmt.Sprint("own", os.Getpid())
	w := swapper{db: db.Pool, store: store, hashes: map[string]string{}, random: r}
	defer func() { err = errors.Join(err, os.RemoveAll(fmt.Sprintf("%s/%s.groundhog", dir, own))) }()
	for v, name := range []string{"a", "b", own} {
		if err := w.prepare(ctx, name, v+1); err != nil {
			return err
		}
	}
	for range swapSteps {
		name := []string{"a", "b", own}[r.IntN(3)]
		if err := w.step(ctx, name); err != nil {
			return err
		}
		if name == own && r.IntN(2) == 0 {
			if err := w.prepare(ctx, own, 3+r.IntN(9)); err != nil {
				return err
			}
		}
	}
	fmt.Println("exchanged", w.exchanged, "of", swapSteps)
	return db.Close()
}

// swapper changes and restores a database.
type swapper struct {
	db        *pgxpool.Pool
	store     *snapshot.Store
	dir       string            // of the snapshots, for other stores
	hashes    map[string]string // by the name of the snapshot
	random    *rand.Rand
	exchanged int
}

// prepare has a snapshot of the number.
func (w *swapper) prepare(ctx context.Context, name string, v int) (err error) {
	if v < 3 {
		_, err = w.store.Ensure(ctx, name, func(ctx context.Context) error { return fillSwap(ctx, w.db, v) }, snapshot.Version("1"))
	} else if err = fillSwap(ctx, w.db, v); err == nil {
		_, err = w.store.Create(ctx, name, snapshot.Replace())
	}
	if err != nil {
		return fmt.Errorf("%s, %d: %w", name, v, err)
	}
	is, hash, err := swapState(ctx, w.db)
	if err == nil && is != v {
		err = fmt.Errorf("%s has the rows of %d, not of %d", name, is, v)
	}
	w.hashes[name] = hash
	return err
}

// step changes something, and restores.
func (w *swapper) step(ctx context.Context, name string) error {
	change := swapChanges[w.random.IntN(len(swapChanges))]
	if err := script(ctx, w.db, change); err != nil {
		return fmt.Errorf("%s: %w", change, err)
	}
	if w.random.IntN(4) == 0 {
		if err := w.clone(ctx, name); err != nil {
			return err
		}
	}
	restored, err := w.store.Restore(ctx, name)
	if err != nil {
		return fmt.Errorf("%s after %s: %w", name, change, err)
	}
	if len(restored.Methods) > 0 && restored.Methods[0].Method == snapshot.Exchanged {
		w.exchanged++
	}
	return w.check(ctx, w.db, name, fmt.Sprintf("restored after %s, %v", change, restored.Methods))
}

func (w *swapper) clone(ctx context.Context, name string) error {
	c, err := w.store.Clone(ctx, name)
	if err != nil {
		return fmt.Errorf("clone of %s: %w", name, err)
	}
	return errors.Join(w.check(ctx, c.Pool, name, "clone"), script(ctx, c.Pool, swapChanges[w.random.IntN(len(swapChanges))]), c.Close())
}

// check looks whether the database is what the snapshot was.
func (w *swapper) check(ctx context.Context, pool *pgxpool.Pool, name, what string) error {
	v, hash, err := swapState(ctx, pool)
	if err == nil && hash != w.hashes[name] {
		err = fmt.Errorf("it is not as it was, with the rows of %d", v)
	}
	if err != nil {
		return fmt.Errorf("%s, %s: %w", name, what, err)
	}
	return nil
}

// stage is a server on which other processes exchange databases, and what is known of it.
type swapStage struct {
	server, dir string
	admin       *pgx.Conn
	reference   *fixtures.Database
	hashes      map[int]string // by the number
	whole       map[string]bool
	known       []int32 // sessions that are none of the other processes'
}

// newSwapStage is on a server that the test may break.
func newSwapStage(t *testing.T, server *fixtures.Server) *swapStage {
	t.Helper()
	s := &swapStage{server: server.URL(), dir: t.TempDir(), hashes: map[int]string{}, whole: map[string]bool{}}
	var err error
	s.reference, err = server.CreateDatabase(t.Context(), fixtures.WithSchema(swapSchema))
	require.NoError(t, err)
	s.admin, err = pgx.Connect(t.Context(), s.server)
	require.NoError(t, err)
	fault.AtEnd(t, func() error { return s.admin.Close(context.Background()) })
	store, err := snapshot.NewStore(s.reference.Pool, snapshot.WithDir(s.dir))
	require.NoError(t, err)
	for v, name := range []string{"a", "b"} { // the same for all
		_, err := store.Ensure(t.Context(), name, func(ctx context.Context) error { return fillSwap(ctx, s.reference.Pool, v+1) }, snapshot.Version("1"))
		require.NoError(t, err)
		_, s.hashes[v+1], err = swapState(t.Context(), s.reference.Pool)
		require.NoError(t, err)
	}
	store.AwaitCopies() // so that all sessions of this process are known
	return s
}

// hash is what a database with the rows of the number is.
func (s *swapStage) hash(t *testing.T, v int) string {
	t.Helper()
	if s.hashes[v] == "" {
		require.NoError(t, fillSwap(t.Context(), s.reference.Pool, v))
		var err error
		_, s.hashes[v], err = swapState(t.Context(), s.reference.Pool)
		require.NoError(t, err)
	}
	return s.hashes[v]
}

// others counts the sessions of other processes.
func (s *swapStage) others(t *testing.T) (n int) {
	t.Helper()
	require.NoError(t, s.admin.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> ALL($1)`, s.known).Scan(&n))
	return n
}

// begin starts a process that exchanges.
func (s *swapStage) begin(t *testing.T, private bool) func() *fault.Process {
	t.Helper()
	return func() *fault.Process {
		require.NoError(t, s.admin.QueryRow(t.Context(), `SELECT array_agg(pid) FROM pg_stat_activity`).Scan(&s.known))
		p := fault.Child(t, "swap", s.server, s.dir, fmt.Sprint(rand.Uint64()), cond(private, "private", "shared"))
		p.Line("begin")
		return p
	}
}

// requireSound opens a database as the next process does, requires that only what is
// accounted for is on the server, that every template is whole, and that exchanges work.
func (s *swapStage) requireSound(t *testing.T, what string) {
	t.Helper()
	ctx := t.Context()
	// The server goes on with what a killed process wanted.
	require.Eventually(t, func() bool { return s.others(t) == 0 }, time.Minute, 2*time.Millisecond, what)
	next, err := fixtures.Start(ctx, fixtures.WithURL(s.server))
	require.NoError(t, err, what)
	db, err := next.CreateDatabase(ctx, fixtures.WithSchema(swapSchema))
	require.NoError(t, err, what)
	require.ElementsMatch(t, []string{db.Name, s.reference.Name}, s.databases(t, what), "nobody accounts for others; %s", what)

	store, err := snapshot.NewStore(db.Pool, snapshot.WithDir(s.dir))
	require.NoError(t, err)
	for i, name := range []string{"a", "b", "a", "b"} {
		if i > 1 { // a change of the schema is brought back after the snapshot was
			require.NoError(t, script(ctx, db.Pool, swapChanges[rand.IntN(len(swapChanges))]))
		}
		restored, err := store.Restore(ctx, name)
		require.NoError(t, err, what)
		is, hash, err := swapState(ctx, db.Pool)
		require.NoError(t, err)
		require.Equal(t, i%2+1, is, what)
		require.Equal(t, s.hash(t, is), hash, "%s restored %v; %s", name, restored.Methods, what)
	}
	require.NoError(t, next.Close(), what)
	require.ElementsMatch(t, []string{s.reference.Name}, s.databases(t, what), what)
}

// databases lists those that are no templates, all of which must be whole.
func (s *swapStage) databases(t *testing.T, what string) (others []string) {
	t.Helper()
	rows, err := s.admin.Query(t.Context(), `SELECT datname, oid::text FROM pg_database WHERE datname NOT IN ('postgres', 'template0', 'template1') AND datconnlimit <> -2`)
	require.NoError(t, err)
	all := map[string]string{}
	var name, oid string
	_, err = pgx.ForEachRow(rows, []any{&name, &oid}, func() error { all[name] = oid; return nil })
	require.NoError(t, err)
	for name, oid := range all {
		switch {
		case strings.HasPrefix(name, "groundhog_test_c_"):
			if !s.whole[oid] {
				s.requireWhole(t, name, what)
				s.whole[oid] = true
			}
		case !strings.HasPrefix(name, "groundhog_test_t_"):
			others = append(others, name)
		}
	}
	return others
}

// requireWhole looks into a copy of the template.
func (s *swapStage) requireWhole(t *testing.T, template, what string) {
	t.Helper()
	ctx := t.Context()
	const name = "test_of_a_template"
	_, err := s.admin.Exec(ctx, "CREATE DATABASE "+name+" TEMPLATE "+pgx.Identifier{template}.Sanitize())
	require.NoError(t, err, what)
	config, err := pgxpool.ParseConfig(s.server)
	require.NoError(t, err)
	config.ConnConfig.Database = name
	pool, err := pgxpool.NewWithConfig(ctx, config)
	require.NoError(t, err)
	v, hash, err := swapState(ctx, pool)
	require.NoError(t, err, what)
	require.Equal(t, s.hash(t, v), hash, "the template %s, of %d, is not whole; %s", template, v, what)
	var token *string
	require.NoError(t, pool.QueryRow(ctx, `SELECT token FROM groundhog.state`).Scan(&token), what)
	require.NotNil(t, token, what)
	if v < 3 {
		store, err := snapshot.NewStore(pool, snapshot.WithDir(s.dir))
		require.NoError(t, err)
		restored, err := store.Restore(ctx, string(rune('a'+v-1)))
		require.NoError(t, err, what)
		for _, m := range restored.Methods {
			require.Equal(t, snapshot.Unchanged, m.Method, "%s of the template of %d: %s; %s", m.Table, v, m.Why, what)
		}
	}
	pool.Close()
	_, err = s.admin.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)")
	require.NoError(t, err)
}

// newSwapper has a database on the server with two snapshots.
func newSwapper(t *testing.T, server *fixtures.Server, options ...fixtures.DatabaseOption) (*swapper, *fixtures.Database) {
	t.Helper()
	db, err := server.CreateDatabase(t.Context(), append(options, fixtures.WithSchema(swapSchema))...)
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "snapshots")
	store, err := snapshot.NewStore(db.Pool, snapshot.WithDir(dir))
	require.NoError(t, err)
	store.SetWaits(time.Millisecond)
	w := &swapper{db: db.Pool, store: store, dir: dir, hashes: map[string]string{}, random: rand.New(rand.NewPCG(rand.Uint64(), 0))}
	for v, name := range []string{"a", "b"} {
		require.NoError(t, w.prepare(t.Context(), name, v+1))
	}
	return w, db
}

// requireTemplate restores until the database is exchanged: the server may have crashed while
// the template was made.
func (w *swapper) requireTemplate(t *testing.T, name string) {
	t.Helper()
	require.Eventually(t, func() bool {
		require.NoError(t, script(t.Context(), w.db, `DROP INDEX IF EXISTS passing; CREATE INDEX passing ON tag (name)`))
		restored, err := w.store.Restore(t.Context(), name)
		require.NoError(t, err)
		return restored.Methods[0].Method == snapshot.Exchanged
	}, time.Minute, time.Millisecond)
}

// requireOnlyTemplates requires that no other databases are left on the server.
func requireOnlyTemplates(t *testing.T, server *fixtures.Server) {
	t.Helper()
	admin, err := pgx.Connect(t.Context(), server.URL())
	require.NoError(t, err)
	defer admin.Close(context.Background())
	rows, err := admin.Query(t.Context(), `SELECT datname FROM pg_database WHERE datname LIKE 'groundhog%'`)
	require.NoError(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	for _, name := range names {
		require.True(t, strings.HasPrefix(name, "groundhog_test_t_") || strings.HasPrefix(name, "groundhog_test_c_"), "left behind: %s of %v", name, names)
	}
}

func TestKilledDuringExchanges(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	for _, private := range []bool{false, true} {
		t.Run(cond(private, "private", "shared"), func(t *testing.T) {
			t.Parallel()
			s := newSwapStage(t, ownServer(t))
			fault.KillAtRandom(t, times(3, 150), s.begin(t, private), func(run int, exit fault.Exit) {
				require.True(t, exit.Killed() || exit.Code == 0, "run %d: %s", run, exit)
				if run == 0 {
					t.Log(strings.TrimSpace(exit.Stdout))
				}
				s.requireSound(t, fmt.Sprintf("run %d: %s", run, exit))
			})
		})
	}
}

// TestConnectionsCutDuringExchanges: whatever the server did after the connection was lost,
// the next restores are right, and nothing is left.
func TestConnectionsCutDuringExchanges(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	ctx := t.Context()
	admin := ownServer(t)
	proxy := fault.Postgres(t, admin.URL())
	server, err := fixtures.Start(ctx, fixtures.WithURL(proxy.URL()))
	require.NoError(t, err)
	fault.AtEnd(t, server.Close)
	w, db := newSwapper(t, server)
	n, failed := times(10, 300), 0
	texts := []string{"COMMIT", "ALTER DATABASE", "RENAME", "CREATE DATABASE", "DROP DATABASE", "pg_stat_activity"}
	for i := range n {
		w.store.AwaitCopies() // a change of the schema needs one
		name, change := []string{"a", "b"}[i%2], swapChanges[i%4]
		if i%2 == 0 && w.store.HasTemplate("a") && w.store.HasTemplate("b") { // only an exchange brings that back
			change = swapChanges[4+w.random.IntN(len(swapChanges)-4)]
		}
		require.NoError(t, script(ctx, w.db, change))
		rule := fault.Rule{Way: fault.ToServer, Match: texts[w.random.IntN(len(texts))], Before: i%3 == 0, How: cond(i%2 == 0, fault.RST, fault.FIN)}
		if i%4 == 3 {
			rule = fault.Rule{Way: fault.FromServer, After: w.random.Int64N(6000), How: fault.RST}
		}
		proxy.Add(rule)
		_, err := w.store.Restore(ctx, name)
		proxy.Clear()
		if err != nil {
			failed++
			require.ErrorIs(t, err, snapshot.ErrConnection, "%d: %+v: %s after %s", i, rule, name, change)
		}
		for _, name := range []string{name, "a", "b"} {
			restored, err := w.store.Restore(ctx, name)
			require.NoError(t, err, "%+v: %s after %s", rule, name, change)
			require.NoError(t, w.check(ctx, w.db, name, fmt.Sprintf("%+v, after %s: %v", rule, change, restored.Methods)))
		}
	}
	require.NoError(t, db.Close())
	require.NoError(t, server.Close())
	requireOnlyTemplates(t, admin)
	t.Logf("fault: %d tried, %d restores failed", n, failed)
}

// TestOthersConnectDuringExchanges in a tight loop, and the server vacuums as often as it
// can: then the database is exchanged or loaded, and is never half of something.
func TestOthersConnectDuringExchanges(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	ctx := t.Context()
	server := ownServer(t)
	w, db := newSwapper(t, server)
	for _, sql := range []string{`ALTER SYSTEM SET autovacuum = on`, `ALTER SYSTEM SET autovacuum_naptime = '1s'`, `ALTER SYSTEM SET autovacuum_vacuum_threshold = 1`, `SELECT pg_reload_conf()`} {
		exec(t, w.db, sql)
	}
	for name := range w.hashes {
		w.requireTemplate(t, name)
	}
	for _, way := range []string{"at once", "after a query", "with pauses"} {
		t.Run(way, func(t *testing.T) {
			done, stop := make(chan int, 1), make(chan struct{})
			go func() { // another client, which is refused now and then
				n := 0
				defer func() { done <- n }()
				for {
					select {
					case <-stop:
						return
					default:
					}
					if way == "with pauses" {
						time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond) // that is how this one works
					}
					conn, err := pgx.Connect(context.Background(), db.URL)
					if err != nil {
						continue
					}
					n++
					if way != "at once" {
						_, _ = conn.Exec(context.Background(), `SELECT count(*) FROM author`)
					}
					_ = conn.Close(context.Background())
				}
			}()
			exchanged := 0
			for i := range times(10, 100) {
				name, change := []string{"a", "b"}[i%2], swapChanges[i%4] // a load does as well
				require.NoError(t, script(ctx, w.db, change))
				began := time.Now()
				restored, err := w.store.Restore(ctx, name)
				require.NoError(t, err, change)
				require.Less(t, time.Since(began), 15*time.Second)
				require.NoError(t, w.check(ctx, w.db, name, change))
				if restored.Methods[0].Method == snapshot.Exchanged {
					exchanged++
				}
				// What a load can't bring back is an error that names the client, or is exchanged.
				require.NoError(t, script(ctx, w.db, `ALTER TABLE author ADD COLUMN extra int`))
				_, err = w.store.Restore(ctx, name)
				if err != nil {
					require.ErrorIs(t, err, snapshot.ErrSchemaMismatch)
					require.NoError(t, script(ctx, w.db, `ALTER TABLE author DROP COLUMN extra`))
					_, err = w.store.Restore(ctx, name)
					require.NoError(t, err)
				} else {
					exchanged++
				}
				require.NoError(t, w.check(ctx, w.db, name, "a column was added"))
			}
			close(stop)
			t.Logf("fault: %d tried, %d exchanged, %d connections of the other client", times(10, 100)*2, exchanged, <-done)
		})
	}
	require.NoError(t, db.Close())
	requireOnlyTemplates(t, server)
}

// TestGoroutinesExchangeAtOnce: restores, Changes and clones of one database, with the two
// pools that lead to it.
func TestGoroutinesExchangeAtOnce(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	server := ownServer(t)
	w, db := newSwapper(t, server)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	second, err := pgxpool.New(ctx, db.URL)
	require.NoError(t, err)
	other, err := snapshot.NewStore(second, snapshot.WithDir(w.dir))
	require.NoError(t, err)
	for _, stores := range [][]*snapshot.Store{{w.store, w.store}, {w.store, other}} {
		var group errgroup.Group
		for i, store := range stores {
			group.Go(func() error {
				for j := range times(12, 100) {
					// What a load brings back too. The database is gone for a moment, or locked.
					for {
						err := script(ctx, w.db, `SET lock_timeout = '10s'; `+swapChanges[(i+j)%4])
						if err == nil {
							break
						}
						if !refused(err) {
							return err
						}
					}
					if _, err := store.Restore(ctx, []string{"a", "b"}[j%2]); err != nil && !errors.Is(err, snapshot.ErrLocked) {
						return fmt.Errorf("restore %d of %d: %w", j, i, err)
					}
				}
				return nil
			})
		}
		group.Go(func() error {
			for range times(12, 100) {
				if _, err := w.store.Changes(ctx); err != nil && !errors.Is(err, snapshot.ErrLocked) {
					return fmt.Errorf("changes: %w", err)
				}
			}
			return nil
		})
		group.Go(func() error {
			for i := range times(6, 50) {
				if err := w.clone(ctx, []string{"a", "b"}[i%2]); err != nil {
					return err
				}
			}
			return nil
		})
		require.NoError(t, group.Wait())
		for _, name := range []string{"a", "b"} {
			_, err := w.store.Restore(ctx, name)
			require.NoError(t, err)
			require.NoError(t, w.check(ctx, w.db, name, "afterwards"))
		}
	}
	second.Close()
	require.NoError(t, db.Close())
	requireOnlyTemplates(t, server)
}

// TestTooManyConnectionsDuringExchanges: the server has a place or two left, or only those
// for superusers. A restore works or is refused, and the next one is right.
func TestTooManyConnectionsDuringExchanges(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	ctx := t.Context()
	given := ownServer(t)
	url := fault.Server(t, given.URL(), fault.Extra{Settings: map[string]string{"max_connections": "14", "superuser_reserved_connections": "2", "max_wal_senders": "0"}})
	admin, err := pgx.Connect(ctx, url)
	require.NoError(t, err)
	defer admin.Close(context.Background())
	_, err = admin.Exec(ctx, `CREATE ROLE maker LOGIN CREATEDB`)
	require.NoError(t, err)
	for _, role := range []string{"", "maker"} {
		t.Run(cond(role == "", "superuser", role), func(t *testing.T) {
			config := admin.Config()
			server, err := fixtures.Start(ctx, fixtures.WithURL(fmt.Sprintf("host=%s port=%d user=%s dbname=postgres", config.Host, config.Port, cond(role == "", config.User, role))))
			require.NoError(t, err)
			fault.AtEnd(t, server.Close)
			w, db := newSwapper(t, server)
			refusals := 0
			for i := range times(6, 100) {
				name, change := []string{"a", "b"}[i%2], swapChanges[i%4] // rows: the template that a change of the schema needs may have found no connection
				require.NoError(t, script(ctx, w.db, change))
				w.db.Reset()
				if i%2 == 0 { // then no connection is left that was kept
					_, err := admin.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'`)
					require.NoError(t, err)
				}
				var all []*pgx.Conn // others take what is left, but for none to two
				for {
					conn, err := pgx.Connect(ctx, url)
					if err != nil {
						break
					}
					all = append(all, conn)
				}
				for range min(i%3, len(all)) {
					_ = all[0].Close(ctx)
					all = all[1:]
				}
				began := time.Now()
				_, err := w.store.Restore(ctx, name)
				require.Less(t, time.Since(began), 30*time.Second)
				if err != nil {
					refusals++
					require.ErrorIs(t, err, snapshot.ErrConnection, change)
				}
				for _, conn := range all {
					_ = conn.Close(ctx)
				}
				for _, name := range []string{name, "a", "b"} {
					require.Eventually(t, func() bool { // those that were closed are not gone at once
						_, err = w.store.Restore(ctx, name)
						return err == nil || !errors.Is(err, snapshot.ErrConnection)
					}, time.Minute, 10*time.Millisecond)
					require.NoError(t, err)
					require.NoError(t, w.check(ctx, w.db, name, change))
				}
			}
			t.Logf("fault: %d tried, %d refused", times(6, 100), refusals)
			require.NoError(t, db.Close())
			require.NoError(t, server.Close()) // which drops what could not be dropped for want of a connection
			requireOnlyTemplates(t, server)
		})
	}
}

func init() {
	fault.Register("ensure swap", func(args []string) error {
		n, err := strconv.Atoi(args[2])
		if err != nil {
			return err
		}
		return ensureSwap(args[0], args[1], args[3] == "private", n)
	})
}

// ensureSwap ensures more snapshots than templates are kept, which others ensure too.
func ensureSwap(server, dir string, private bool, n int) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	s, err := fixtures.Start(ctx, fixtures.WithURL(server))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	var exchanged int
	for round := range 2 {
		db, err := s.CreateDatabase(ctx, swapSchemaOption(private))
		if err != nil {
			return err
		}
		store, err := snapshot.NewStore(db.Pool, snapshot.WithDir(dir))
		if err != nil {
			return err
		}
		w := swapper{db: db.Pool, store: store, hashes: map[string]string{}, random: rand.New(rand.NewPCG(uint64(round), 0))}
		for i := range n {
			if round == 1 { // what was made last still has a template
				i = n - 1 - i
			}
			name, v := fmt.Sprint("s", i), i+20
			if _, err := store.Ensure(ctx, name, func(ctx context.Context) error { return fillSwap(ctx, db.Pool, v) }, snapshot.Version("1")); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			is, hash, err := swapState(ctx, db.Pool)
			if err != nil || is != v {
				return fmt.Errorf("%s has the rows of %d: %w", name, is, err)
			}
			w.hashes[name] = hash
			if round == 1 && i == n-1 { // only a copy brings that back
				if err := script(ctx, db.Pool, swapChanges[4]); err != nil {
					return err
				}
			}
			if err := script(ctx, db.Pool, swapChanges[i%4]); err != nil {
				return err
			}
			back := name // or one whose template may be gone meanwhile
			if w.hashes[fmt.Sprint("s", i/2)] != "" {
				back = fmt.Sprint("s", i/2)
			}
			restored, err := store.Restore(ctx, back)
			if err != nil {
				return fmt.Errorf("%s: %w", back, err)
			}
			if restored.Methods[0].Method == snapshot.Exchanged {
				exchanged++
			}
			if err := w.check(ctx, db.Pool, back, "restored"); err != nil {
				return err
			}
		}
		if err := db.Close(); err != nil {
			return err
		}
	}
	fmt.Println("exchanged", exchanged)
	return nil
}

// TestProcessesShareTemplatesThatArePruned: more snapshots than a server keeps templates of.
func TestProcessesShareTemplatesThatArePruned(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	server := ownServer(t)
	dir := t.TempDir()
	ways := []bool{false, true}
	if !fault.Long() { // as chance has it
		ways = ways[rand.IntN(2):][:1]
	}
	for _, private := range ways {
		var all []*fault.Process
		for range 2 {
			all = append(all, fault.Child(t, "ensure swap", server.URL(), dir, fmt.Sprint(times(10, 30)), cond(private, "private", "shared")))
		}
		for _, p := range all {
			exit := p.Wait()
			require.Zero(t, exit.Code, exit)
			t.Log(strings.TrimSpace(exit.Stdout))
			require.NotContains(t, exit.Stdout, "exchanged 0")
		}
		requireOnlyTemplates(t, server)
	}
	admin, err := pgx.Connect(t.Context(), server.URL())
	require.NoError(t, err)
	defer admin.Close(context.Background())
	var kept int
	require.NoError(t, admin.QueryRow(t.Context(), `SELECT count(*) FROM pg_database WHERE datname LIKE 'groundhog_test_c_%'`).Scan(&kept))
	require.LessOrEqual(t, kept, 8+2*8, "besides the newest there are those that a process uses while it lives")
}
