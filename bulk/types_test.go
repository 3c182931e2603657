package bulk_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"math"
	"math/big"
	"net/netip"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/bulk"
)

// decimal is a number as decimal libraries have it: with Value, as a text.
type decimal struct{ text string }

func (d decimal) Value() (driver.Value, error) { return d.text, nil }

// amount is one that has only String.
type amount struct{ *big.Rat }

func (a amount) String() string { return a.FloatString(2) }

type mood string

func TestTypesWithoutRegistration(t *testing.T) {
	t.Parallel()
	db := tablesOf(t, `
		CREATE EXTENSION citext; CREATE EXTENSION ltree; CREATE EXTENSION hstore;
		CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE DOMAIN email AS citext CHECK (VALUE LIKE '%@%'); CREATE TYPE pair AS (a int, m mood);
		CREATE TABLE t (id int PRIMARY KEY, m mood, ms mood[], e email, es email[], p pair, l ltree, h hstore, j jsonb, js json, n numeric(10, 2), s numeric(10, 2),
			u uuid, us uuid[], ip inet, net cidr, d date, ts timestamp, tz timestamptz, maybe text, i interval, tt timetz, box box, mac macaddr, bits bit(3), x xml, ta text[], by bytea, r int4range);`)
	type inner struct {
		A int
		M mood
	}
	type settings struct {
		Name string   `json:"name"`
		Tags []string `json:"tags"`
	}
	type row struct {
		ID    int
		M     mood
		MS    []mood
		E     string
		ES    []string
		P     *inner
		L     string
		H     map[string]*string
		J     settings
		JS    map[string]int
		N     decimal
		S     amount
		U     *uuid.UUID
		US    []uuid.UUID
		IP    netip.Addr
		Net   netip.Prefix
		D     time.Time
		TS    time.Time
		TZ    *time.Time
		Maybe sql.Null[string]
		I     time.Duration
		TT    string
		Box   string
		Mac   string
		Bits  string
		X     string
		TA    []*string
		By    []byte
		R     string
	}
	id, at := uuid.New(), time.Date(2026, 5, 6, 7, 8, 9, 123456000, time.FixedZone("JST", 9*3600))
	rows := []row{{1, "happy", []mood{"sad", "happy"}, "A@b", []string{"c@d"}, &inner{7, "sad"}, "a.b", map[string]*string{"k": nil, "l": new("v")}, settings{"n", []string{"x"}}, map[string]int{"k": 1},
		decimal{"12.34"}, amount{big.NewRat(5, 2)}, &id, []uuid.UUID{id}, netip.MustParseAddr("::1"), netip.MustParsePrefix("10.0.0.0/8"), at, at, &at,
		sql.Null[string]{V: "v", Valid: true}, 90 * time.Minute, "01:02:03+09", "(1,1),(0,0)", "08:00:2b:01:02:03", "101", "<a/>", []*string{new("p"), nil}, []byte{0}, "[1,5)"},
		{ID: 2, M: "sad", E: "@", L: "x", N: decimal{"0"}, S: amount{new(big.Rat)}, IP: netip.MustParseAddr("1.2.3.4"), Net: netip.MustParsePrefix("1.2.3.4/32"), TT: "00:00+00", Box: "(0,0)", Mac: "08:00:2b:01:02:03", Bits: "000", X: "", R: "empty"}}
	rows[1].Box, rows[1].X = "(0,0),(0,0)", "<b/>"
	require.Len(t, bulk.Insert(t, db, "t", rows), 2)
	require.Equal(t, 1, one[int](t, db, `SELECT count(*) FROM t WHERE id = 1 AND m = 'happy' AND ms = '{sad,happy}' AND e = 'a@B' AND es = '{c@d}' AND (p).a = 7 AND (p).m = 'sad'
		AND l <@ 'a' AND h -> 'l' = 'v' AND h ? 'k' AND h -> 'k' IS NULL AND j = '{"name": "n", "tags": ["x"]}' AND js ->> 'k' = '1' AND n = 12.34 AND s = 2.5
		AND u = us[1] AND u = $1 AND ip = '::1' AND net = '10.0.0.0/8' AND d = '2026-05-06' AND ts = '2026-05-06 07:08:09.123456' AND tz = '2026-05-05 22:08:09.123456+00'
		AND maybe = 'v' AND i = '90 minutes' AND tt = '01:02:03+09' AND bits = '101' AND ta[1] = 'p' AND ta[2] IS NULL AND by = '\x00' AND r = '[1,5)'`, pgtype.UUID{Bytes: id, Valid: true}))
	require.Equal(t, 1, one[int](t, db, `SELECT count(*) FROM t WHERE id = 2 AND ms IS NULL AND p IS NULL AND h IS NULL AND js IS NULL AND u IS NULL AND tz IS NULL AND maybe IS NULL AND isempty(r)`))

	// The same without a type that only has a text form: the binary COPY.
	execSQL(t, db, "ALTER TABLE t DROP x, DROP tt, DROP box, DROP bits, DROP r, DROP e, DROP es")
	type binary struct {
		ID    int
		M     mood
		MS    []mood
		P     *inner
		L     string
		H     map[string]*string
		J     settings
		N     decimal
		S     amount
		U     *uuid.UUID
		Mac   string
		D     time.Time
		Maybe sql.Null[string]
	}
	bulk.Insert(t, db, "t", []binary{{3, "happy", []mood{"sad"}, &inner{7, "sad"}, "a.b", nil, settings{Name: "n"}, decimal{"12.34"}, amount{big.NewRat(5, 2)}, &id, "08:00:2b:01:02:03", at, sql.Null[string]{}}})
	require.Equal(t, 1, one[int](t, db, `SELECT count(*) FROM t WHERE id = 3 AND m = 'happy' AND ms = '{sad}' AND (p).m = 'sad' AND l = 'a.b' AND h IS NULL
		AND j ->> 'name' = 'n' AND n = 12.34 AND s = 2.5 AND u = $1 AND d = '2026-05-06' AND maybe IS NULL`, pgtype.UUID{Bytes: id, Valid: true}))
}

func TestTemporaryPartitionedAndForeignSchemas(t *testing.T) {
	t.Parallel()
	pool := tablesOf(t, `CREATE SCHEMA app; CREATE TABLE app.parents (id int PRIMARY KEY);
		CREATE TABLE app.c (id int GENERATED ALWAYS AS IDENTITY, parent int REFERENCES app.parents, twice int GENERATED ALWAYS AS (parent * 2) STORED, at date DEFAULT '2020-01-01') PARTITION BY HASH (id);
		CREATE TABLE app.c0 PARTITION OF app.c FOR VALUES WITH (MODULUS 2, REMAINDER 0); CREATE TABLE app.c1 PARTITION OF app.c FOR VALUES WITH (MODULUS 2, REMAINDER 1)`)
	type parent struct{ ID int }
	type row struct {
		ID     int
		Parent int
		Twice  int
		At     time.Time `db:"at,default"`
	}
	parents, rows := make([]parent, many), make([]row, many)
	for i := range rows {
		parents[i], rows[i] = parent{i}, row{Parent: i}
	}
	conn, err := pgx.ConnectConfig(t.Context(), pool.Config().ConnConfig)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	bulk.Insert(t, conn, "app.parents", parents)
	out := bulk.Insert(t, conn, "app.c", rows)
	require.Equal(t, row{ID: many, Parent: many - 1, At: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}, out[many-1])
	require.Equal(t, many, one[int](t, conn, "SELECT count(*) FROM app.c WHERE twice = parent * 2"))
	_, err = conn.Exec(t.Context(), "CREATE TEMP TABLE p (id int PRIMARY KEY); CREATE TEMP TABLE c (id int, parent int CONSTRAINT fk REFERENCES p)")
	require.NoError(t, err)
	bulk.Insert(t, conn, "p", parents)
	type ref struct{ ID, Parent int }
	refs := make([]ref, many)
	bulk.Insert(t, conn, "c", refs)
	refs[500].Parent = -1
	_, err = bulk.InsertRows(t.Context(), conn, "c", refs)
	var refused *bulk.ConstraintError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, 500, refused.Row)
}

// link has its methods on the pointer, like url.URL and big.Int.
type link struct{ to string }

func (l *link) String() string { return "to " + l.to }

func (l *link) MarshalJSON() ([]byte, error) { return []byte(`{"to": "` + l.to + `"}`), nil }

// secret has Value on the pointer.
type secret struct{ text string }

func (s *secret) Value() (driver.Value, error) { return "hidden " + s.text, nil }

// What has no binary form of its own is read by the server, as it reads it in SQL,
// whatever else is in the row.
func TestValuesAreReadAsTheServerReadsThem(t *testing.T) {
	t.Parallel()
	db := tablesOf(t, `CREATE EXTENSION hstore; CREATE TYPE pair AS (a int, n numeric); CREATE TYPE mood AS ENUM ('sad', 'happy')`)
	id := uuid.New()
	stored(t, db, "timestamptz", "infinity", "infinity")
	stored(t, db, "timestamptz", new("2020-01-01 00:00 Asia/Tokyo"), "2019-12-31 15:00:00+00")
	stored(t, db, "interval", "P1DT2H", "1 day 02:00:00")
	stored(t, db, "time", "24:00", "24:00:00")
	stored(t, db, "numeric", "1e30", "1000000000000000000000000000000")
	stored(t, db, "numeric", any(decimal{"1e30"}), "1000000000000000000000000000000")
	stored(t, db, "numeric", big.NewInt(7), "7")
	stored(t, db, "numeric", *big.NewInt(7), "7")
	stored(t, db, "numeric[]", []decimal{{"1e3"}}, "{1000}")
	stored(t, db, "bytea", "abc", `\x616263`)
	stored(t, db, "tsvector", "b a", "'a' 'b'")
	stored(t, db, "hstore", "a=>b", `"a"=>"b"`)
	stored(t, db, "int4range", sql.NullString{String: "[1,5)", Valid: true}, "[1,5)")
	stored(t, db, "int4range", sql.Null[string]{V: "[1,5)", Valid: true}, "[1,5)")
	stored(t, db, "int4range", any("[1,5)"), "[1,5)")
	stored(t, db, "int4range[]", []string{"[1,5)"}, `{"[1,5)"}`)
	stored(t, db, "pair", pgtype.Text{String: "(1,2)", Valid: true}, "(1,2)")
	stored(t, db, "pair", struct {
		A sql.NullInt64
		N decimal
	}{N: decimal{"1.50"}}, "(,1.50)")
	stored(t, db, "pair[]", `{"(1,2)"}`, `{"(1,2)"}`)
	stored(t, db, "mood[]", [][]mood{{"sad"}, {"happy"}}, "{{sad},{happy}}")
	stored(t, db, "uuid", id[:], id.String())
	stored(t, db, "text", &link{"x"}, "to x")
	stored(t, db, "text", link{"x"}, "to x")
	stored(t, db, "jsonb", &link{"x"}, `{"to": "x"}`)
	stored(t, db, "jsonb", link{"x"}, `{"to": "x"}`)
	stored(t, db, "text", secret{"x"}, "hidden x")
}

// stored stores a value, and requires what is there then.
func stored[T any](t *testing.T, db *pgxpool.Pool, pgType string, v T, want string) {
	t.Helper()
	type alone struct{ V T }
	type asText struct {
		V    T
		Also any
	}
	for _, insert := range []func(){
		func() { bulk.Insert(t, db, "t", []alone{{v}}) },
		func() { bulk.Insert(t, db, "t", []asText{{V: v}}) },
	} {
		execSQL(t, db, "DROP TABLE IF EXISTS t; CREATE TABLE t (v "+pgType+", also int)")
		insert()
		require.Equal(t, want, one[string](t, db, "SELECT format('%s', v) FROM t"))
	}
}

// pgx would store the nearest value that its type holds.
func TestValuesThatWouldBeCutAreRefused(t *testing.T) {
	t.Parallel()
	db := tablesOf(t, `SELECT 1`)
	cut(t, db, "int", 1.5)
	cut(t, db, "bigint", math.NaN())
	cut(t, db, "bigint", new(math.Inf(-1)))
	cut(t, db, "bigint", float32(1<<63))
	cut(t, db, "smallint", any(0.5))
	cut(t, db, "real", 1e300)
	cut(t, db, "timestamptz", time.Unix(math.MaxInt64/2, 0))
	cut(t, db, "date", new(time.Unix(math.MinInt64/2, 0)))
	stored(t, db, "int", 2.0, "2")
	stored(t, db, "real", math.Inf(1), "Infinity")
}

func cut[T any](t *testing.T, db *pgxpool.Pool, pgType string, v T) {
	t.Helper()
	execSQL(t, db, "DROP TABLE IF EXISTS t; CREATE TABLE t (v "+pgType+")")
	_, err := bulk.InsertRows(t.Context(), db, "t", []struct{ V T }{{v}})
	var refused *bulk.RowError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, []any{0, "v"}, []any{refused.Row, refused.Column})
	require.Zero(t, one[int](t, db, "SELECT count(*) FROM t"))
}
