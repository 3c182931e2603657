//go:build unix

package snapshot_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/snapshot"
)

// TestStandby: what takes no changes is told from what refuses one of them. A
// snapshot can be created there.
func TestStandby(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	s := onServer(t, ownServer(t), shelfSchema)
	exec(t, s.pool, waysBack[1].change)
	standby, err := pgxpool.New(t.Context(), fault.Standby(t, s.url))
	require.NoError(t, err)
	defer standby.Close()
	before := state(t, standby)
	store, err := snapshot.NewStore(standby, snapshot.WithDir(s.dir))
	require.NoError(t, err)
	calls := map[string]func(ctx context.Context) error{
		"Restore": func(ctx context.Context) error { _, err := store.Restore(ctx, "a"); return err },
		"Ensure": func(ctx context.Context) error {
			_, err := store.Ensure(ctx, "a", func(context.Context) error { return nil })
			return err
		},
		"Ensure anew": func(ctx context.Context) error {
			_, err := store.Ensure(ctx, "c", func(context.Context) error { return nil })
			return err
		},
		"Clean":   func(ctx context.Context) error { return store.Clean(ctx) },
		"Untrack": func(ctx context.Context) error { return store.Untrack(ctx) },
		"Changes": func(ctx context.Context) error { _, err := store.Changes(ctx); return err },
	}
	for what, call := range calls {
		fault.Within(t, what, func() {
			err := call(t.Context())
			if err == nil {
				t.Errorf("%s did not fail", what)
				return
			}
			require.ErrorIs(t, err, snapshot.ErrInvalidArgument, what)
			require.ErrorContains(t, err, "standby", what)
		})
	}
	require.NoFileExists(t, s.dir+"/c.groundhog")
	_, err = store.Create(t.Context(), "b")
	require.NoError(t, err)
	require.Equal(t, before, state(t, standby))
	require.Equal(t, before, state(t, s.pool))
	_, err = s.store.Restore(t.Context(), "b")
	require.NoError(t, err)
	require.Equal(t, before, state(t, s.pool), "what was created there")
	t.Logf("fault: %d tried", len(calls)+1)
}
