package snapshot_test

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/snapshot"
)

// builder counts how often it runs and notes the authors that it finds.
type builder struct {
	bundle
	runs  atomic.Int32
	found []string
}

func (b *builder) build(ctx context.Context) error {
	b.runs.Add(1)
	rows, err := b.pool.Query(ctx, `SELECT name FROM author ORDER BY id`)
	if err != nil {
		return err
	}
	b.found = nil
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		b.found = append(b.found, name)
	}
	_, err = b.pool.Exec(ctx, `INSERT INTO author (name) VALUES ('built')`)
	return err
}

func (b *builder) ensure(t *testing.T, name string, opts ...snapshot.EnsureOption) snapshot.Restored {
	t.Helper()
	restored, err := b.store.Ensure(t.Context(), name, b.build, opts...)
	require.NoError(t, err)
	return restored
}

func TestEnsureBuildsOnceThenRestores(t *testing.T) {
	t.Parallel()
	b := &builder{bundle: setupSmall(t)}
	first := b.ensure(t, "a")
	require.Equal(t, snapshot.Built, first.Methods[0].Method)
	require.NotEmpty(t, first.Why)
	require.EqualValues(t, 2, first.Rows)
	exec(t, b.pool, `DELETE FROM author`)
	second := b.ensure(t, "a")
	require.Equal(t, snapshot.Undone, second.Methods[0].Method)
	require.EqualValues(t, 1, b.runs.Load())
	var n int
	require.NoError(t, b.pool.QueryRow(t.Context(), `SELECT count(*) FROM author`).Scan(&n))
	require.Equal(t, 2, n)
}

func TestEnsureBuildsAgainWhenTheSnapshotDoesNotFit(t *testing.T) {
	t.Parallel()
	b := &builder{bundle: setupSmall(t)}
	require.Contains(t, b.ensure(t, "a").Why, "there is none")
	require.Contains(t, b.ensure(t, "a", snapshot.Version("2")).Why, "builder")
	require.Empty(t, b.ensure(t, "a", snapshot.Version("2")).Why)
	require.Contains(t, b.ensure(t, "a", snapshot.Version("2"), snapshot.MaxAge(time.Nanosecond)).Why, "old")
	require.Empty(t, b.ensure(t, "a", snapshot.Version("2"), snapshot.Forever).Why)
	require.EqualValues(t, 3, b.runs.Load())

	info, err := b.store.Verify(t.Context(), "a")
	require.NoError(t, err)
	require.NoError(t, os.Truncate(info.Path, info.Bytes-1))
	require.Contains(t, b.ensure(t, "a").Why, "damaged")
	require.EqualValues(t, 4, b.runs.Load())

	exec(t, b.pool, `ALTER TABLE book ADD pages int`)
	require.Contains(t, b.ensure(t, "a").Why, "schema")
	require.EqualValues(t, 5, b.runs.Load())
}

// TestBuilderStartsFromTheOrigin: rows that the schema brought are there, rows of
// another snapshot or of a test are not.
func TestBuilderStartsFromTheOrigin(t *testing.T) {
	t.Parallel()
	b := &builder{bundle: setupSmall(t)}
	b.ensure(t, "a")
	require.Equal(t, []string{"made by the schema"}, b.found)
	exec(t, b.pool, `INSERT INTO author (name) VALUES ('of a test')`)
	b.ensure(t, "b")
	require.Equal(t, []string{"made by the schema"}, b.found)
}

func TestABuilderThatFailsLeavesTheFormerFile(t *testing.T) {
	t.Parallel()
	b := &builder{bundle: setupSmall(t)}
	b.ensure(t, "a")
	before, err := b.store.Verify(t.Context(), "a")
	require.NoError(t, err)
	cause := errors.New("no seeds")
	_, err = b.store.Ensure(t.Context(), "a", func(context.Context) error { return cause }, snapshot.Version("2"))
	require.ErrorIs(t, err, cause)
	require.Panics(t, func() {
		_, _ = b.store.Ensure(t.Context(), "a", func(context.Context) error { panic("in the builder") }, snapshot.Version("2"))
	})
	after, err := b.store.Verify(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, before, after)
	require.Empty(t, b.ensure(t, "a").Why, "the lock is free again")
}

// TestABuilderThatAsksForItsOwnSnapshot does not wait for itself.
func TestABuilderThatAsksForItsOwnSnapshot(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	b := setupSmall(t)
	for name, ask := range map[string]func(ctx context.Context) error{
		"create": func(ctx context.Context) error { _, err := b.store.Create(ctx, "a", snapshot.Replace()); return err },
		"delete": func(ctx context.Context) error { return b.store.Delete(ctx, "a") },
		"ensure": func(ctx context.Context) error {
			_, err := b.store.Ensure(ctx, "a", func(context.Context) error { panic("not reached") }, snapshot.Version("3"))
			return err
		},
	} {
		_, err := b.store.Create(t.Context(), "a", snapshot.Replace())
		require.NoError(t, err)
		_, err = b.store.Ensure(t.Context(), "a", ask, snapshot.Version("2"))
		require.ErrorIs(t, err, snapshot.ErrLocked, name)
		require.ErrorContains(t, err, "its own end")
	}
	_, err := b.store.Ensure(t.Context(), "a", func(ctx context.Context) error { _, err := b.store.Create(ctx, "other"); return err })
	require.NoError(t, err)

	dir := snapshot.WithDir(b.dir)
	snapshot.Ensure(t, "outer", func(t testing.TB) {
		snapshot.Ensure(t, "inner", func(t testing.TB) { exec(t, b.pool, `INSERT INTO author (name) VALUES ('inner')`) }, dir)
		_, err := b.store.Create(snapshot.ContextOf(t), "outer")
		require.ErrorIs(t, err, snapshot.ErrLocked)
	}, dir)
	_, err = b.store.Create(snapshot.ContextOf(t), "outer", snapshot.Replace())
	require.NoError(t, err)
}

func TestOneBuildsAndTheOthersWait(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	first := setupSmall(t)
	several(t, first.pool)
	dir := first.dir
	var runs atomic.Int32
	var wg sync.WaitGroup
	failed := make(chan error, 8)
	for range cap(failed) {
		b := setup(t, fixtures.WithSchema(smallSchema))
		store, err := snapshot.NewStore(b.pool, snapshot.WithDir(dir))
		require.NoError(t, err)
		wg.Go(func() {
			_, err := store.Ensure(t.Context(), "shared", func(ctx context.Context) error {
				runs.Add(1)
				_, err := b.pool.Exec(ctx, `INSERT INTO author (name) SELECT 'shared' FROM generate_series(1, 1000)`)
				return err
			})
			failed <- err
		})
	}
	wg.Wait()
	close(failed)
	for err := range failed {
		require.NoError(t, err)
	}
	require.EqualValues(t, 1, runs.Load())
}

// TestTheLayerOnT uses the functions that a suite uses.
func TestTheLayerOnT(t *testing.T) {
	db := fixtures.Open(t, fixtures.WithSchema(smallSchema))
	dir := snapshot.WithDir(t.TempDir())
	build := func(t testing.TB) { exec(t, db, `INSERT INTO author (name) VALUES ('built')`) }
	require.Equal(t, snapshot.Built, snapshot.Ensure(t, "a", build, dir).Methods[0].Method)
	want := state(t, db)
	t.Cleanup(func() {
		_, err := db.Exec(context.Background(), `TRUNCATE author CASCADE`)
		require.NoError(t, err)
		snapshot.Restore(t, "a", dir) // t.Context is cancelled here
		require.Equal(t, want, state(t, db))
	})
	t.Run("subtest", func(t *testing.T) {
		exec(t, db, `TRUNCATE author CASCADE`)
		require.EqualValues(t, 2, snapshot.Restore(t, "a", dir).Rows)
		require.Equal(t, want, state(t, db))
	})
	exec(t, db, `INSERT INTO author (name) VALUES ('more')`)
	require.EqualValues(t, 3, snapshot.Create(t, "b", dir).Rows)
	snapshot.Clean(t, dir)
	require.NotEqual(t, want, state(t, db))
	require.EqualValues(t, 3, snapshot.Restore(t, "b", dir).Rows)
}
