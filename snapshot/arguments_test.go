package snapshot_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/snapshot"
)

// TestAllFaultsOfACallAreTold at once, in the language that the call chooses, before
// anything is connected to.
func TestAllFaultsOfACallAreTold(t *testing.T) {
	t.Parallel()
	pool := unreachable(t)
	store, err := snapshot.NewStore(pool, snapshot.WithDir(t.TempDir()), snapshot.WithRetry(1))
	require.NoError(t, err)
	ctx := t.Context()
	for _, c := range []struct {
		what string
		call func() error
		want []string
	}{
		{"NewStore", func() error {
			_, err := snapshot.NewStore(nil, snapshot.WithDir(" "), nil, snapshot.WithLanguage("fr"), snapshot.WithRetry(0, -time.Second), snapshot.AllowDatabase(""), snapshot.Rows(""), snapshot.Tables("[", ""))
			return err
		}, []string{msg.OptionNil.In("", "2"), msg.UnknownLanguage.In("", "fr"), msg.RetryAttempts.In("", msg.Count(0)), msg.RetryWait.In("", "-1s"), msg.OptionEmptyName.In("", "AllowDatabase"), msg.DirEmpty.In(""),
			msg.ScopeEmpty.In("", "Rows"), msg.ScopePattern.In("", "Tables", "["), msg.ScopeEmpty.In("", "Tables"), msg.NilPool.In("")}},
		{"Create", func() error {
			_, err := store.Create(ctx, "../a", nil, snapshot.RowsOf("t", ""), snapshot.WithLanguage("ja"))
			return err
		}, []string{msg.OptionNil.In("ja", "1"), msg.ScopeEmpty.In("ja", "RowsOf"), msg.BadName.In("ja", "../a", `"."…`)}},
		{"Restore", func() error {
			_, err := store.Restore(ctx, "a/b", snapshot.OnSchemaMismatch("perhaps"), nil)
			return err
		}, []string{msg.OptionNil.In("", "2"), msg.UnknownPolicy.In("", "perhaps"), msg.BadName.In("", "a/b", `'/'`)}},
		{"Ensure", func() error {
			_, err := store.Ensure(ctx, "", nil, snapshot.MaxAge(-1))
			return err
		}, []string{msg.BadMaxAge.In("", "-1ns"), msg.NilBuilder.In(""), msg.BadName.In("", "", `""`)}},
		{"Changes", func() error {
			_, err := store.Changes(ctx, snapshot.Ignoring("[", " "), snapshot.WithDir(""))
			return err
		}, []string{msg.DirEmpty.In(""), msg.ScopePattern.In("", "Ignoring", "["), msg.ScopePattern.In("", "Ignoring", " ")}},
		{"Clone", func() error {
			_, err := store.Clone(ctx, "a/b", nil)
			return err
		}, []string{msg.OptionNil.In("", "1"), msg.NoMaker.In(""), msg.BadName.In("", "a/b", `'/'`)}},
		{"Clean", func() error { return store.Clean(ctx, snapshot.Rows(" "), nil) }, []string{msg.OptionNil.In("", "2"), msg.ScopeEmpty.In("", "Rows")}},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			err := c.call()
			require.ErrorIs(t, err, snapshot.ErrInvalidArgument)
			lines := strings.Split(err.Error(), "\n")
			require.Len(t, lines, len(c.want), "%v", err)
			for i, want := range c.want {
				require.Contains(t, lines[i], want)
			}
			require.NotErrorIs(t, err, errs.ErrConnection)
		})
	}
	_, err = store.Create(context.Background(), "a")
	require.ErrorIs(t, err, snapshot.ErrConnection, "the faults of a call are those of that call alone")
}

// unreachable returns a pool of a server that is not there.
func unreachable(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), "postgres://nobody@127.0.0.1:1/none_test")
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}
