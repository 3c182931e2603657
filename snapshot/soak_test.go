package snapshot_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/snapshot"
)

// soakSchema holds the same value everywhere, and whoever writes writes all of it in
// one transaction: so whatever is seen of it is consistent, or torn.
const soakSchema = `
	CREATE TABLE one (id int PRIMARY KEY, v int NOT NULL);
	CREATE TABLE two (id serial PRIMARY KEY, one int REFERENCES one, v int NOT NULL);
	INSERT INTO one SELECT i, 0 FROM generate_series(1, 200) i;
	INSERT INTO two (one, v) SELECT i, 0 FROM generate_series(1, 200) i`

func init() {
	fault.Register("soak", func(args []string) error {
		seconds, err := strconv.ParseFloat(args[3], 64)
		if err != nil {
			return err
		}
		seed, err := strconv.ParseUint(args[4], 10, 64)
		if err != nil {
			return err
		}
		return soak(args[0], args[1], args[2], time.Duration(seconds*float64(time.Second)), rand.New(rand.NewPCG(seed, seed)))
	})
}

// soak does whatever with the same three names, on a database that other processes
// use and on one of its own.
func soak(server, shared, dir string, long time.Duration, r *rand.Rand) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), long+2*time.Minute)
	defer cancel()
	began, goroutines := time.Now(), runtime.NumGoroutine()
	s, err := fixtures.Start(ctx, fixtures.WithURL(server))
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, s.Close())
		for range 200 { // those that end need a moment
			if runtime.NumGoroutine() <= goroutines {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		stacks := make([]byte, 1<<16)
		err = errors.Join(err, fmt.Errorf("%d goroutines instead of %d: %s", runtime.NumGoroutine(), goroutines, stacks[:runtime.Stack(stacks, true)]))
	}()
	own, err := s.CreateDatabase(ctx, fixtures.WithSchema(soakSchema))
	if err != nil {
		return err
	}
	pool, err := pgxpool.New(ctx, shared)
	if err != nil {
		return err
	}
	defer pool.Close()
	var stores []*snapshot.Store
	pools := []*pgxpool.Pool{own.Pool, pool}
	for _, p := range pools {
		store, err := snapshot.NewStore(p, snapshot.WithDir(dir))
		if err != nil {
			return err
		}
		stores = append(stores, store)
	}
	count := map[string]int{}
	for time.Since(began) < long {
		i := r.IntN(len(stores))
		store, pool, name := stores[i], pools[i], string(rune('a'+r.IntN(3)))
		op, err := "", error(nil)
		switch n := r.IntN(22); {
		case n >= 20: // most of the database, or its schema: it is exchanged, or loaded
			op, store, pool = "Restore of much", stores[0], pools[0]
			err = restoreMuch(ctx, store, pool, name, r)
		case n < 3:
			op = "Create"
			_, err = store.Create(ctx, name, snapshot.Replace())
		case n < 4:
			op = "Delete"
			err = store.Delete(ctx, name)
		case n < 7:
			op = "Ensure"
			_, err = store.Ensure(ctx, name, func(ctx context.Context) error { return write(ctx, pool, r.IntN(1000)) }, snapshot.Version("1"))
		case n < 9:
			op = "Clone"
			var c *snapshot.Cloned
			if c, err = stores[0].Clone(ctx, name); err == nil {
				err = errors.Join(torn(ctx, c.Pool), write(ctx, c.Pool, r.IntN(1000)), c.Close())
			}
		case n < 10:
			op = "Verify"
			_, err = store.Verify(ctx, name)
		case n < 12:
			op = "Changes"
			_, err = store.Changes(ctx)
		case n < 16:
			op = "write"
			err = write(ctx, pool, r.IntN(1000))
		default:
			op = "Restore"
			_, err = store.Restore(ctx, name)
		}
		switch {
		case err == nil:
			count[op]++
		case errors.Is(err, snapshot.ErrNotFound), errors.Is(err, snapshot.ErrLocked), op == "write" && refused(err):
			count[op+" refused"]++
		default:
			return fmt.Errorf("%s %s after %s: %w", op, name, time.Since(began), err)
		}
		if err := torn(ctx, pool); err != nil {
			return fmt.Errorf("after %s %s: %w", op, name, err)
		}
	}
	fmt.Println("did", count)
	return own.Close()
}

// restoreMuch changes what takes long to bring back, and restores. A change of the schema
// that is not brought back is undone by hand: other processes may have made the snapshot.
func restoreMuch(ctx context.Context, store *snapshot.Store, pool *pgxpool.Pool, name string, r *rand.Rand) error {
	way := r.IntN(3)
	change := []string{`UPDATE two SET v = v + 1`, `TRUNCATE two`, `ALTER TABLE two ADD COLUMN extra int; CREATE TABLE passing (id int)`}[way]
	if err := script(ctx, pool, change); err != nil {
		return err
	}
	_, err := store.Restore(ctx, name)
	if err == nil || way < 2 {
		if err == nil && way == 2 {
			err = script(ctx, pool, `SELECT; DO $$ BEGIN IF to_regclass('passing') IS NOT NULL THEN RAISE 'the schema was not brought back'; END IF; END $$`)
		}
		if err != nil && way < 2 { // torn otherwise
			err = errors.Join(err, write(ctx, pool, r.IntN(1000)))
		}
		return err
	}
	if undone := script(ctx, pool, `ALTER TABLE two DROP COLUMN extra; DROP TABLE passing`); undone != nil {
		return errors.Join(err, undone)
	}
	if errors.Is(err, snapshot.ErrSchemaMismatch) {
		return nil
	}
	return err
}

// refused reports whether a writer was the victim of a deadlock: on a machine with far
// more processes than cores no session gives way in time.
func refused(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40P01" || pg.Code == "55P03")
}

// write writes one value everywhere. Rows of one come and go.
func write(ctx context.Context, pool *pgxpool.Pool, v int) error {
	sql := fmt.Sprintf(`BEGIN; SET LOCAL lock_timeout = '30s'; LOCK TABLE one, two IN EXCLUSIVE MODE; UPDATE one SET v = %[1]d; UPDATE two SET v = %[1]d; DELETE FROM two WHERE id %% 7 = %[1]d %% 7; INSERT INTO two (one, v) SELECT %[1]d %% 200 + 1, %[1]d FROM generate_series(1, 10); COMMIT`, v)
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	if err = conn.Conn().PgConn().Exec(ctx, sql).Close(); err != nil {
		_ = conn.Conn().PgConn().Exec(ctx, "ROLLBACK").Close()
	}
	return err
}

// torn reports whether something is seen that no transaction wrote.
func torn(ctx context.Context, pool *pgxpool.Pool) error {
	var values, orphans, parents int
	err := pool.QueryRow(ctx, `SELECT (SELECT count(DISTINCT v) FROM (SELECT v FROM one UNION ALL SELECT v FROM two) a), (SELECT count(*) FROM two WHERE one NOT IN (SELECT id FROM one)),
		(SELECT count(*) FROM one)`).Scan(&values, &orphans, &parents)
	if err == nil && (values > 1 || orphans > 0 || parents != 200) {
		err = fmt.Errorf("%d values at once, %d rows without a parent, %d parents", values, orphans, parents)
	}
	return err
}

// TestManyProcessesOnTheSameNames create, restore, clone and delete for a while.
func TestManyProcessesOnTheSameNames(t *testing.T) {
	fault.SkipShort(t)
	b := setup(t, fixtures.WithSchema(soakSchema))
	several(t, b.pool)
	processes, rounds, long := times(4, 32), times(1, 3), time.Duration(times(3, 100))*time.Second
	config := b.pool.Config().ConnConfig
	server := strings.Replace(fixtures.URL(t), "/"+config.Database, "/postgres", 1)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for round := range rounds {
		var all []*fault.Process
		for i := range processes {
			all = append(all, fault.Child(t, "soak", server, fixtures.URL(t), b.dir, fmt.Sprint(long.Seconds()), fmt.Sprint(seed+uint64(1000*round+i))))
		}
		for _, p := range all {
			exit := p.Wait()
			require.Zero(t, exit.Code, exit)
			t.Log(strings.TrimSpace(exit.Stdout))
		}
	}
	require.NoError(t, torn(t.Context(), b.pool))
	require.Empty(t, temporary(t, b.dir))
	require.Eventually(t, func() bool { // the server hears of the end of a process a moment later
		return text(t, b.pool, `SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'groundhog snapshot'`) == ""
	}, time.Minute, 10*time.Millisecond)
	infos, err := b.store.List(t.Context())
	require.NoError(t, err)
	for _, info := range infos {
		_, err := b.store.Verify(t.Context(), info.Name)
		require.NoError(t, err)
	}
	t.Logf("fault: %d tried", rounds*processes)
}

// script runs several statements at once.
func script(ctx context.Context, pool *pgxpool.Pool, sql string) error {
	_, err := pool.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
	return err
}
