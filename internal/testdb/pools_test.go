package testdb_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/testdb"
)

// state counts how often it was closed.
type state struct{ closed atomic.Int32 }

func (s *state) Close() error {
	s.closed.Add(1)
	return nil
}

type maker struct{ testdb.Maker }

// newPool returns a pool that never connects.
func newPool(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(context.Background(), "postgres://nobody@127.0.0.1:1/none_test")
	require.NoError(t, err)
	return pool
}

func TestAStateEndsWithItsPool(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	defer pool.Close()
	first := testdb.StateOf(pool, func() *state { return &state{} })
	again := testdb.StateOf(pool, func() *state { return &state{} })
	require.Same(t, first, again)
	testdb.SetMaker(pool, maker{})
	require.NotNil(t, testdb.MakerOf(pool))
	testdb.Closing(pool)
	testdb.Closing(pool)
	require.EqualValues(t, 1, first.closed.Load())
	require.Nil(t, testdb.MakerOf(pool))
	require.NotSame(t, first, testdb.StateOf(pool, func() *state { return &state{} }), "another one, of the closed pool")
	testdb.Closing(pool)
}

func TestPoolsShareAState(t *testing.T) {
	t.Parallel()
	pool, other := newPool(t), newPool(t)
	defer pool.Close()
	defer other.Close()
	testdb.SetMaker(pool, maker{})
	testdb.Share(other, pool)
	require.NotNil(t, testdb.MakerOf(other))
	shared := testdb.StateOf(other, func() *state { return &state{} })
	require.Same(t, shared, testdb.StateOf(pool, func() *state { return &state{} }))

	testdb.Closing(other)
	require.Zero(t, shared.closed.Load())
	require.Same(t, shared, testdb.StateOf(pool, func() *state { return &state{} }))
	testdb.Closing(pool)
	require.Nil(t, testdb.MakerOf(pool))
	require.EqualValues(t, 1, shared.closed.Load(), "with the pool that was first")
}

func TestAStateOutlivesAPoolThatDoesNotOwnIt(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	defer pool.Close()
	own := &state{}
	testdb.SetState(pool, own)
	require.Same(t, own, testdb.StateOf(pool, func() *state { return &state{} }))
	testdb.Closing(pool)
	require.Zero(t, own.closed.Load())
}

// TestAStateIsForgottenWithItsPool as a program forgets one, which tells package testdb
// nothing when it closes it.
func TestAStateIsForgottenWithItsPool(t *testing.T) {
	t.Parallel()
	kept := func() weak.Pointer[state] {
		pool := newPool(t)
		s := testdb.StateOf(pool, func() *state { return &state{} })
		pool.Close()
		return weak.Make(s)
	}()
	for deadline := time.Now().Add(30 * time.Second); kept.Value() != nil && time.Now().Before(deadline); {
		runtime.GC()
		runtime.Gosched()
	}
	require.Nil(t, kept.Value())
}

func TestContextOfATest(t *testing.T) {
	t.Parallel()
	type key struct{}
	outer := context.WithValue(context.Background(), key{}, "outer")
	inner := context.WithValue(outer, key{}, "inner")
	require.Nil(t, testdb.Context(t).Value(key{}))
	doneOuter := testdb.WithContext(t, outer)
	doneInner := testdb.WithContext(t, inner)
	require.Equal(t, "inner", testdb.Context(t).Value(key{}))
	doneInner()
	require.Equal(t, "outer", testdb.Context(t).Value(key{}))
	doneOuter()
	require.Nil(t, testdb.Context(t).Value(key{}))
}
