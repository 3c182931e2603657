//go:build unix

package bulk_test

import (
	"os"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/bulk"
	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
)

// TestStandby: nothing is tried that the server would refuse in words of its own.
func TestStandby(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	if os.Getenv(fixtures.EnvURL) != "" {
		t.Skip("the server was given, and can't be copied")
	}
	server, err := fixtures.Start(t.Context())
	require.NoError(t, err)
	fault.AtEnd(t, server.Close)
	db, err := server.CreateDatabase(t.Context(), fixtures.WithSchema(fixtures.WelfareSchema, "CREATE TABLE t (id serial PRIMARY KEY, v text)"))
	require.NoError(t, err)
	g := given{offices: bulk.Offices(t, db.Pool, 1)}
	g.people = bulk.WelfareRecipients(t, db.Pool, g.offices, 1)
	url := fault.Standby(t, db.URL)
	standby, err := pgxpool.New(t.Context(), url)
	require.NoError(t, err)
	defer standby.Close()
	g.db = standby
	for name, call := range asked {
		if name != "With" {
			err := call(t.Context(), g)
			require.ErrorIs(t, err, bulk.ErrInvalidArgument, name)
			require.ErrorContains(t, err, "standby", name)
		}
	}
	require.Contains(t, fatal(t, func(t testing.TB) { fixtures.Use(t, standby) }), "standby")
	_, err = fixtures.Start(t.Context(), fixtures.WithURL(url))
	require.ErrorIs(t, err, fixtures.ErrInvalidArgument)
	require.ErrorContains(t, err, "standby")
	t.Logf("fault: %d tried", len(asked)+1)
}
