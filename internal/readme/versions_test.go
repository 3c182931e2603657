package readme_test

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// usersCode is what suites have: a wrapper of pgx.Rows that counts, and a stub for
// unit tests, with all the methods that pgx 5.7 wants and no more.
const usersCode = `package page

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/bulk"
	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/snapshot"
)

type stub struct{ next int }

func (*stub) Close()                                       {}
func (*stub) Err() error                                   { return nil }
func (*stub) CommandTag() pgconn.CommandTag                { return pgconn.CommandTag{} }
func (*stub) FieldDescriptions() []pgconn.FieldDescription { return nil }
func (s *stub) Next() bool                                 { s.next++; return s.next < 2 }
func (*stub) Scan(...any) error                            { return nil }
func (*stub) Values() ([]any, error)                       { return nil, nil }
func (*stub) RawValues() [][]byte                          { return nil }
func (*stub) Conn() *pgx.Conn                              { return nil }

type stubResults struct{}

func (stubResults) Exec() (pgconn.CommandTag, error) { return pgconn.CommandTag{}, nil }
func (stubResults) Query() (pgx.Rows, error)         { return &stub{}, nil }
func (stubResults) QueryRow() pgx.Row                { return &stub{} }
func (stubResults) Close() error                     { return nil }

type database interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

type stubDatabase struct{}

func (stubDatabase) Query(context.Context, string, ...any) (pgx.Rows, error) { return &stub{}, nil }
func (stubDatabase) SendBatch(context.Context, *pgx.Batch) pgx.BatchResults  { return stubResults{} }

var _ database = stubDatabase{}

func Test(t *testing.T) {
	db := fixtures.Open(t)
	bulk.Offices(t, db, 1)
	snapshot.Restore(t, "baseline")
}
`

// TestUsersKeepTheirPgx: later versions of pgx add methods to Rows (5.11) and to
// BatchResults (5.12), and what we require is required of all who use us.
func TestUsersKeepTheirPgx(t *testing.T) {
	t.Parallel()
	const why = "users' wrappers and stubs of pgx.Rows stop compiling when go.mod requires pgx 5.11 or newer, so it stays at 5.7: " +
		"find what raised it (go mod graph | grep pgx), and do without"
	mod, err := os.ReadFile("../../go.mod")
	require.NoError(t, err)
	require.Regexp(t, regexp.MustCompile(`(?m)^\tgithub\.com/jackc/pgx/v5 v5\.7\.\d+$`), string(mod), why)
	said, err := vet(t, []block{{file: "users.go", line: 1, code: usersCode}})
	require.NoError(t, err, why+"\n"+said)
}

// TestUsersKeepTheirGo: the go line of go.mod raises that of all who use us.
func TestUsersKeepTheirGo(t *testing.T) {
	t.Parallel()
	mod, err := os.ReadFile("../../go.mod")
	require.NoError(t, err)
	require.Regexp(t, regexp.MustCompile(`(?m)^go 1\.26\.0$`), string(mod), "the oldest Go that is supported upstream; a toolchain line is none of users' business")
	require.NotContains(t, string(mod), "\ntoolchain ")
}
