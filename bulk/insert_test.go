package bulk_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/bulk"
	"github.com/groundhogdb/groundhog/fixtures"
)

// tablesOf opens a database with tables of a test's own.
func tablesOf(t testing.TB, ddl string) *pgxpool.Pool {
	t.Helper()
	return fixtures.Open(t, fixtures.WithSchema(ddl))
}

// requireRoundTrip proves that Insert returns what RowToStructByName reads.
func requireRoundTrip[T any](t *testing.T, db *pgxpool.Pool, table, order string, rows []T) []T {
	t.Helper()
	before := slices.Clone(rows)
	out := bulk.Insert(t, db, table, rows)
	require.Equal(t, before, rows, "the caller's rows stay as they are")
	stored := read[T](t, db, "SELECT * FROM "+table+" ORDER BY "+order)
	require.Len(t, stored, len(out))
	for i := range out {
		require.Equal(t, out[i], stored[i])
	}
	return out
}

type address struct {
	Street string `db:"street"`
	Zip    *string
}

type audited struct {
	CreatedAt time.Time `db:"created_at,default"`
	Revision  int16     `db:"revision,default"`
}

type everything struct {
	ID int64 `db:"id"`
	address
	audited
	Flag      bool
	Small     int16
	Big       int64
	Real      float32
	Double    float64
	Amount    pgtype.Numeric
	Words     []string
	Matrix    [][]int32
	Raw       []byte
	Born      time.Time
	At        time.Time
	Wall      pgtype.Time
	Host      netip.Addr
	Settings  map[string]any
	Mood      string
	Moods     []string
	Size      positive
	Maybe     sql.Null[string]
	Text      pgtype.Text
	Guid      uuid.UUID //nolint:revive // the column's name
	Guids     []uuid.UUID
	Span      pgtype.Range[pgtype.Int4]
	Untouched *string
	Ignored   string `db:"-"`
}

type positive int32

const everythingSQL = `
	CREATE TYPE mood AS ENUM ('sad', 'so so', '嬉しい');
	CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
	CREATE TABLE everything (
		id bigserial PRIMARY KEY, street text NOT NULL, zip varchar(8), created_at timestamptz NOT NULL DEFAULT now(), revision smallint DEFAULT 7,
		flag boolean, small smallint, big bigint, "real" real, "double" double precision, amount numeric(12,2), words text[], matrix integer[][], raw bytea,
		born date, at timestamptz, wall time, host inet, settings jsonb, mood mood, moods mood[], size positive, maybe text, text text,
		guid uuid, guids uuid[], span int4range, untouched text)`

func everythingRows(n int) []everything {
	at := time.Date(2026, 2, 3, 4, 5, 6, 789000, time.UTC).In(time.Local)
	rows := make([]everything, n)
	for i := range rows {
		rows[i] = everything{
			address: address{Street: fmt.Sprintf("Main \t\\N\n%d", i)}, Flag: i%2 == 0, Small: int16(-i), Big: 1 << 40, Real: 1.5, Double: -0.1,
			Amount: numeric(fmt.Sprintf("%d.25", 100+i)), Words: []string{"a,b", `"`, "", "嬉"}, Matrix: [][]int32{{1, 2}, {3, 4}}, Raw: []byte{0, 1, 255},
			Born: time.Date(1900+i, 2, 28, 0, 0, 0, 0, time.UTC), At: at, Wall: pgtype.Time{Microseconds: 5, Valid: true},
			Host: netip.MustParseAddr("192.0.2.1"), Settings: map[string]any{"k": []any{"v", nil, 1.5}}, Mood: "嬉しい", Moods: []string{"sad", "so so"},
			Size: positive(i + 1),
			Guid: uuid.New(), Guids: []uuid.UUID{uuid.New()},
			Span: pgtype.Range[pgtype.Int4]{Lower: pgtype.Int4{Int32: 1, Valid: true}, Upper: pgtype.Int4{Int32: 5, Valid: true},
				LowerType: pgtype.Inclusive, UpperType: pgtype.Exclusive, Valid: true},
		}
		if i%2 == 1 {
			rows[i].Maybe, rows[i].Text = sql.Null[string]{V: "x", Valid: true}, pgtype.Text{String: "t", Valid: true}
			rows[i].Zip, rows[i].Untouched, rows[i].Revision = new("123"), new(""), 9
		}
	}
	return rows
}

func numeric(s string) pgtype.Numeric {
	var n pgtype.Numeric
	if err := n.Scan(s); err != nil {
		panic(err)
	}
	return n
}

func TestInsertReturnsWhatIsRead(t *testing.T) {
	t.Parallel()
	pool := tablesOf(t, everythingSQL)
	config := pool.Config()
	config.AfterConnect = func(ctx context.Context, c *pgx.Conn) error { // pgx reads arrays of enums only so
		types, err := c.LoadTypes(ctx, []string{"mood", "_mood"})
		c.TypeMap().RegisterTypes(types)
		return err
	}
	db, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(db.Close)
	rows := requireRoundTrip(t, db, "everything", "id", everythingRows(500))
	require.Equal(t, int64(500), rows[499].ID)
	require.Equal(t, int16(7), rows[0].Revision)
	require.Equal(t, int16(9), rows[1].Revision)
	require.False(t, rows[0].CreatedAt.IsZero())
	more := bulk.Insert(t, pool, "everything", everythingRows(2)) // without the types
	require.Equal(t, int64(502), more[1].ID)
	require.Equal(t, 502, one[int](t, db, "SELECT count(*) FROM everything WHERE mood = '嬉しい' AND moods = '{sad,so so}' AND size > 0"))
}

func TestTableNames(t *testing.T) {
	t.Parallel()
	db := tablesOf(t, `
		CREATE SCHEMA "Odd.Schema"; CREATE SCHEMA app;
		CREATE TABLE plain (a int); CREATE TABLE app.plain (a int); CREATE TABLE "Odd.Schema"."My ""Table""" (a int);
		CREATE TABLE "Mixed" (a int); CREATE TABLE mixed (a int); CREATE TABLE "app.plain" (a int);
		CREATE VIEW looks AS SELECT 1 AS a; CREATE MATERIALIZED VIEW kept AS SELECT 1 AS a; CREATE SEQUENCE counter`)
	type row struct{ A int32 }
	for _, c := range []struct{ name, table string }{
		{"plain", "public.plain"}, {"PLAIN", "public.plain"}, {"public.plain", "public.plain"},
		{`"Odd.Schema"."My ""Table"""`, `"Odd.Schema"."My ""Table"""`},
		{"Mixed", `"Mixed"`}, {"mixed", "mixed"}, {`"Mixed"`, `"Mixed"`}, {"MIXED", "mixed"},
		{`"app"."plain"`, "app.plain"}, {"app.plain", `"app.plain"`},
	} {
		before := one[int](t, db, "SELECT count(*) FROM "+c.table)
		bulk.Insert(t, db, c.name, []row{{1}})
		require.Equal(t, before+1, one[int](t, db, "SELECT count(*) FROM "+c.table), c.name)
	}
	// From PostgreSQL 16 on a name that can't be read is no error, only that of no table.
	unread := "is not a table's name"
	if one[int](t, db, "SELECT current_setting('server_version_num')::int") >= 160000 {
		unread = "there is no table"
	}
	for name, want := range map[string]string{
		"plian": `there is no table "plian" (did you mean "plain"?). The tables are: `, "app.nix": `"Mixed", "app.plain", mixed, plain, "Odd.Schema"."My ""Table""", app.plain`,
		"a.b.c.d": "is not a table's name", "x y": unread, `"`: unread, "other.public.plain": "is not a table's name",
		"looks": "public.looks is not a table", "kept": "public.kept is not a table", "counter": "public.counter is not a table",
		"plain; DROP TABLE plain": unread,
	} {
		_, err := bulk.InsertRows(t.Context(), db, name, []row{{1}})
		require.ErrorIs(t, err, bulk.ErrInvalidArgument, name)
		require.ErrorContains(t, err, want, name)
	}
}

func TestTheSearchPathFindsTheTable(t *testing.T) {
	t.Parallel()
	db := tablesOf(t, `CREATE SCHEMA app; CREATE TABLE app.things (id serial PRIMARY KEY)`)
	config := db.Config()
	config.ConnConfig.RuntimeParams["search_path"] = "app"
	other, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(other.Close)
	type thing struct{ ID int }
	require.Equal(t, []thing{{1}, {2}}, bulk.Insert(t, other, "things", make([]thing, 2)))
	require.Equal(t, int64(2), bulk.InsertSeq(t, other, "things", slices.Values(make([]thing, 2))), "a table of keys alone")
	require.Equal(t, 4, one[int](t, db, "SELECT max(id) FROM app.things"))
}

func TestKeysTheServerMakes(t *testing.T) {
	t.Parallel()
	db := tablesOf(t, `
		CREATE TABLE always (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text);
		CREATE TABLE bydefault (id int GENERATED BY DEFAULT AS IDENTITY (START 10 INCREMENT 5) PRIMARY KEY, v text);
		CREATE TABLE guid (id uuid DEFAULT gen_random_uuid() PRIMARY KEY, v text);
		CREATE TABLE pair (a smallserial, b text DEFAULT 'x', v text, PRIMARY KEY (a, b));
		CREATE TABLE down (id int PRIMARY KEY, v text); CREATE SEQUENCE downs INCREMENT -1; ALTER TABLE down ALTER id SET DEFAULT nextval('downs');
		CREATE TABLE computed (id serial PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) STORED);
		CREATE TABLE parted (id bigserial, at date NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
		CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
		CREATE TABLE parted_2 PARTITION OF parted DEFAULT;`)
	type row struct {
		ID int64
		V  string
	}
	require.Equal(t, []row{{1, "a"}, {2, "b"}}, requireRoundTrip(t, db, "always", "id", []row{{V: "a"}, {V: "b"}}))
	require.Equal(t, []row{{7, "a"}, {8, "b"}}, bulk.Insert(t, db, "always", []row{{7, "a"}, {0, "b"}}), "past the given one")
	require.Equal(t, []row{{10, "a"}, {15, "b"}}, requireRoundTrip(t, db, "bydefault", "id", []row{{V: "a"}, {V: "b"}}))
	require.Equal(t, []row{{-1, "a"}, {-2, "b"}}, bulk.Insert(t, db, "down", []row{{V: "a"}, {V: "b"}}))
	bulk.Insert(t, db, "down", []row{{5, "c"}})

	type guided struct {
		ID uuid.UUID
		V  string
	}
	require.Len(t, requireRoundTrip(t, db, "guid", "v", []guided{{V: "a"}, {V: "b", ID: uuid.New()}}), 2)

	type paired struct {
		A int16
		B string
		V *string
	}
	require.Equal(t, []paired{{1, "x", nil}, {2, "y", nil}}, requireRoundTrip(t, db, "pair", "a", []paired{{}, {B: "y"}}))

	type doubled struct {
		ID    int
		A     int
		Twice *int
	}
	out := bulk.Insert(t, db, "computed", []doubled{{A: 4, Twice: new(99)}})
	require.Equal(t, []doubled{{1, 4, new(99)}}, out, "a generated column's field is left alone")
	require.Equal(t, 8, one[int](t, db, "SELECT twice FROM computed"))

	type part struct {
		ID int64
		At time.Time
	}
	require.Len(t, requireRoundTrip(t, db, "parted", "id", []part{
		{At: time.Date(2020, 5, 5, 0, 0, 0, 0, time.UTC)}, {At: time.Date(1999, 5, 5, 0, 0, 0, 0, time.UTC)}}), 2)
	require.Equal(t, 1, one[int](t, db, "SELECT count(*) FROM parted_1"))
}

func TestDefaultsOnRequest(t *testing.T) {
	t.Parallel()
	db := tablesOf(t, `
		CREATE DOMAIN level AS int DEFAULT 3 NOT NULL;
		CREATE TABLE d (id serial PRIMARY KEY, state text NOT NULL DEFAULT 'new', plain text NOT NULL DEFAULT 'p', note text, lvl level, on_ boolean DEFAULT false)`)
	type row struct {
		ID    int
		State string `db:"state,default"`
		Plain string
		Note  *string `db:"note, default"`
		Lvl   int     `db:"lvl,default"`
		On    *bool   `db:"on_,default"`
	}
	out := requireRoundTrip(t, db, "d", "id", []row{{}, {State: "old", Lvl: 4, On: new(true)}})
	require.Equal(t, []row{{1, "new", "", nil, 3, new(false)}, {2, "old", "", nil, 4, new(true)}}, out)

	n := bulk.InsertSeq(t, db, "d", slices.Values([]row{{}, {}}))
	require.Equal(t, int64(2), n)
	n = bulk.InsertSeq(t, db, "d", slices.Values([]row{{}, {State: "mixed"}}))
	require.Equal(t, int64(2), n)
	require.Equal(t, "new new new mixed", one[string](t, db, "SELECT string_agg(state, ' ' ORDER BY id) FROM d WHERE id > 2"))

	type noteOnly struct{ Note string }
	bulk.Insert(t, db, "d", []noteOnly{{"n"}})
	require.Equal(t, "new p 3", one[string](t, db, "SELECT concat_ws(' ', state, plain, lvl) FROM d WHERE note = 'n'"))

	type nullable struct {
		Note string `db:"note,default"`
	}
	bulk.Insert(t, db, "d", []nullable{{""}, {"w"}})
	require.Equal(t, 1, one[int](t, db, "SELECT count(*) FROM d WHERE id > 7 AND note IS NULL"))
}

func TestMisfitsAreSaidBeforeARowIsSent(t *testing.T) {
	t.Parallel()
	db := tablesOf(t, `
		CREATE TABLE users (id serial PRIMARY KEY, email text NOT NULL, name text, must int NOT NULL, two_words int);
		CREATE TABLE filled (id serial PRIMARY KEY, must int NOT NULL);
		CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.must := 1; RETURN NEW; END';
		CREATE TRIGGER fill BEFORE INSERT ON filled FOR EACH ROW EXECUTE FUNCTION fill()`)
	refused := func(err error, texts ...string) {
		t.Helper()
		require.ErrorIs(t, err, bulk.ErrInvalidArgument)
		for _, text := range texts {
			require.ErrorContains(t, err, text)
		}
	}
	ctx := t.Context()
	type nearly struct {
		Emial string `db:"emial"`
		Must  int
	}
	_, err := bulk.InsertRows(ctx, db, "users", []nearly{{}})
	refused(err, `field Emial stands for column "emial", which is not there`, "column email text must not be null",
		"Fields: Emial=emial, Must", "Columns: id, email, name, must, two_words")
	type twice struct {
		A     string `db:"email"`
		Email string
		Must  int
	}
	_, err = bulk.InsertRows(ctx, db, "users", []twice{{}})
	refused(err, "fields A and Email stand for the same column email")
	type undefaulted struct {
		Email string
		Must  int `db:"must,default"`
	}
	_, err = bulk.InsertRows(ctx, db, "users", []undefaulted{{}})
	refused(err, "field Must is tagged default, but column must has none")
	type hiding struct {
		Email string
		Must  int
		name  string `db:"name"`
	}
	_, err = bulk.InsertRows(ctx, db, "users", []hiding{{name: "not stored"}})
	refused(err, "field name is tagged for column name, but only exported fields are loaded")
	_, err = bulk.InsertRows(ctx, db, "users\x00", []hiding{{}})
	refused(err, `table "users\x00" is not a table's name`)
	_, err = bulk.InsertRows(ctx, db, "users", []int{1})
	refused(err, "rows are of type int")
	_, err = bulk.InsertRows(ctx, db, "filled", []struct{}{{}})
	refused(err, "no field stands for a column")
	_, err = bulk.InsertRows(ctx, bulk.With(db, bulk.WithLanguage("ja")), "users", []nearly{{}})
	refused(err, `フィールド Emial に対応する列 "emial" がありません`)

	type keyed struct{ ID int }
	require.Equal(t, []keyed{{1}}, bulk.Insert(t, db, "filled", []keyed{{}}), "a trigger fills the column in")
	type worded struct {
		EMAIL    string
		Must     int
		TwoWords int
	}
	bulk.Insert(t, db, "users", []worded{{"a", 1, 2}})
	require.Equal(t, 1, one[int](t, db, "SELECT count(*) FROM users WHERE two_words = 2"))
}

func TestTheRefusedRowIsNamed(t *testing.T) {
	t.Parallel()
	db := tablesOf(t, `
		CREATE TABLE "t 2 COPY" (id int PRIMARY KEY, v text NOT NULL, n smallint CHECK (n < 100), s varchar(3), at date);`)
	type row struct {
		ID int
		V  *string
		N  any
		S  string
		At any
	}
	rows := func(n, bad int, spoil func(*row)) []row {
		out := make([]row, n)
		for i := range out {
			out[i] = row{ID: i, V: new("v"), N: 1, S: "ok"}
		}
		spoil(&out[bad])
		return out
	}
	type fails struct{ error }
	for name, c := range map[string]struct {
		spoil func(*row)
		code  string
		texts []string
	}{
		"unique":         {func(r *row) { r.ID = 0 }, "23505", []string{"row 2345", "Key (id)=(0) already exists", "t 2 COPY_pkey"}},
		"not null":       {func(r *row) { r.V = nil }, "23502", []string{"row 2345", "Failing row contains"}},
		"check":          {func(r *row) { r.N = 100 }, "23514", []string{"row 2345", "t 2 COPY_n_check"}},
		"too long":       {func(r *row) { r.S = "long" }, "22001", []string{"row 2345"}},
		"NUL byte":       {func(r *row) { r.S = "\x00" }, "22021", []string{"row 2345"}},
		"out of range":   {func(r *row) { r.N = 1 << 20 }, "", []string{"row 2345", ", column n smallint: field N holds a int", "greater than maximum"}},
		"no way":         {func(r *row) { r.N = fails{} }, "", []string{"row 2345", "column n smallint: field N holds a bulk_test.fails"}},
		"no such date":   {func(r *row) { r.At = "2026-02-31" }, "22008", []string{"row 2345", "column at date: field At holds a "}},
		"wrong Valuer":   {func(r *row) { r.N = badValuer{} }, "", []string{"row 2345", "bad valuer"}},
		"wrong a little": {func(r *row) { r.N = "12a" }, "22P02", []string{"row 2345"}},
	} {
		for form, load := range map[string]func([]row) error{
			"rows": func(rows []row) error {
				_, err := bulk.InsertRows(t.Context(), db, "t 2 COPY", rows)
				return err
			},
			"seq": func(rows []row) error {
				_, err := bulk.InsertRowsSeq(t.Context(), db, "t 2 COPY", slices.Values(rows))
				return err
			},
		} {
			err := load(rows(3000, 2345, c.spoil))
			require.Error(t, err, name)
			for _, text := range c.texts {
				require.ErrorContains(t, err, text, "%s, %s", name, form)
			}
			require.ErrorContains(t, err, `public.t 2 COPY`)
			var pg *pgconn.PgError
			if errors.As(err, &pg) {
				require.Equal(t, c.code, pg.Code, name)
			} else {
				require.Empty(t, c.code, name)
			}
			require.Zero(t, one[int](t, db, `SELECT count(*) FROM "t 2 COPY"`), name)
		}
	}
	require.Zero(t, db.Stat().AcquiredConns())
	bulk.Insert(t, db, "t 2 COPY", rows(1, 0, func(r *row) { r.N, r.At = "12", "2026-02-28" }))
	require.Equal(t, "12 2026-02-28", one[string](t, db, `SELECT n || ' ' || at FROM "t 2 COPY"`), "strings are read as the column's type")
}

type badValuer struct{}

func (badValuer) Value() (driver.Value, error) { return nil, errors.New("bad valuer") }

type panickyValuer struct{}

func (panickyValuer) TextValue() (pgtype.Text, error) { panic("in a value") }

func TestPanicOfAValueReachesTheCaller(t *testing.T) {
	t.Parallel()
	db := tablesOf(t, `CREATE TABLE t (v text)`)
	type row struct{ V panickyValuer }
	require.PanicsWithValue(t, "in a value", func() { _, _ = bulk.InsertRows(t.Context(), db, "t", []row{{}}) })
	require.PanicsWithValue(t, "in a sequence", func() {
		_, _ = bulk.InsertRowsSeq(t.Context(), db, "t", func(yield func(struct{ V string }) bool) {
			for range 1500 {
				yield(struct{ V string }{"x"})
			}
			panic("in a sequence")
		})
	})
	require.Zero(t, db.Stat().AcquiredConns())
	require.Zero(t, one[int](t, db, "SELECT count(*) FROM t"))
}

func TestTypesOfTheUsersOwn(t *testing.T) {
	t.Parallel()
	db := tablesOf(t, `
		CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE EXTENSION ltree; CREATE EXTENSION cube;
		CREATE SCHEMA s;
		CREATE TYPE s.color AS ENUM ('red', 'green');
		CREATE TYPE s.part AS (name text, color s.color, n int);
		CREATE DOMAIN s.colors AS s.color[];
		CREATE DOMAIN s.deep AS s.colors;
		CREATE TYPE s.span AS RANGE (subtype = float8);
		CREATE TABLE binary_types (id serial PRIMARY KEY, c s.color, cs s.color[], d s.deep, p s.part, ps s.part[], sp s.span, ci citext, h hstore, l ltree);
		CREATE TABLE text_types (id serial PRIMARY KEY, k cube, m money, v text, n int, b bytea, cs s.color[], at timestamptz)`)
	type part struct {
		Name  string
		Color string
		N     *int32
	}
	type binaryTypes struct {
		C  string
		CS []string
		D  []string
		P  part
		PS []part
		SP pgtype.Range[pgtype.Float8]
		CI string
		H  map[string]string
		L  string
	}
	row := binaryTypes{"red", []string{"green", "red"}, []string{"red"}, part{`a "(,)`, "green", nil}, []part{{"x", "red", new(int32(5))}},
		pgtype.Range[pgtype.Float8]{LowerType: pgtype.Empty, UpperType: pgtype.Empty, Valid: true}, "CaSe", map[string]string{"k": "v"}, "Top.Sub"}
	for range 2 { // the second time the types are known
		bulk.Insert(t, db, "binary_types", []binaryTypes{row})
	}
	require.Equal(t, 2, one[int](t, db, `SELECT count(*) FROM binary_types WHERE c = 'red' AND cs = '{green,red}' AND d = '{red}'
		AND (p).name = 'a "(,)' AND (p).color = 'green' AND (p).n IS NULL AND (ps[1]).n = 5 AND isempty(sp) AND ci = 'cAsE' AND h -> 'k' = 'v' AND l <@ 'Top'`))

	type textTypes struct {
		ID int
		K  string
		M  string
		V  *string
		N  int
		B  []byte
		CS []string
		At time.Time
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 678000, time.UTC)
	out := bulk.Insert(t, db, "text_types", []textTypes{
		{K: "(1, 2)", M: "12.50", V: new("a\tb\\N\nc\rd\\"), N: -4, B: []byte{0, '\\', 200}, CS: []string{"red"}, At: at}, {K: "(0)", M: "1"}})
	require.Equal(t, 2, out[1].ID)
	require.Equal(t, 1, one[int](t, db, `SELECT count(*) FROM text_types WHERE k = '(1, 2)' AND m = 12.50::money AND v = E'a\tb\\N\nc\rd\\'
		AND n = -4 AND b = '\x005cc8' AND cs = '{red}' AND at = $1`, at))
	require.Equal(t, 1, one[int](t, db, `SELECT count(*) FROM text_types WHERE v IS NULL AND b IS NULL AND cs IS NULL`))
	type text string
	type wrong struct{ K, M text }
	_, err := bulk.InsertRows(t.Context(), db, "text_types", []wrong{{"(1)", "1"}, {"oops", "1"}})
	require.ErrorContains(t, err, "row 1")
}

func TestColumnTypesMayChangeBetweenCalls(t *testing.T) {
	t.Parallel()
	pool := tablesOf(t, `CREATE TABLE t (a int)`)
	type row struct{ A int64 }
	conn, err := pgx.Connect(t.Context(), fixtures.URL(t))
	require.NoError(t, err)
	defer conn.Close(context.Background())
	bulk.Insert(t, conn, "t", []row{{1}})
	execSQL(t, pool, "ALTER TABLE t ALTER a TYPE bigint")
	bulk.Insert(t, conn, "t", []row{{1 << 40}})
	execSQL(t, pool, "DROP TABLE t; CREATE TYPE e AS ENUM ('1'); CREATE TABLE t (a e)")
	bulk.Insert(t, conn, "t", []struct{ A string }{{"1"}})
	execSQL(t, pool, "DROP TABLE t; DROP TYPE e; CREATE TYPE e AS (x int); CREATE TABLE t (a e)")
	bulk.Insert(t, conn, "t", []struct{ A struct{ X int } }{{struct{ X int }{5}}})
	require.Equal(t, 5, one[int](t, pool, "SELECT (a).x FROM t"))
}

func TestTemporaryTableOfATransaction(t *testing.T) {
	t.Parallel()
	db := tablesOf(t, "SELECT 1")
	tx, err := db.Begin(t.Context())
	require.NoError(t, err)
	defer tx.Rollback(context.Background())
	_, err = tx.Exec(t.Context(), "CREATE TEMP TABLE scratch (id serial PRIMARY KEY, v text)")
	require.NoError(t, err)
	type row struct {
		ID int
		V  string
	}
	require.Equal(t, []row{{1, "a"}}, bulk.Insert(t, tx, "scratch", []row{{V: "a"}}))
	_, err = bulk.InsertRows(t.Context(), tx, "scratch", []row{{ID: 9, V: "x"}, {ID: 1, V: "b"}})
	require.Error(t, err)
	require.Equal(t, 1, one[int](t, tx, "SELECT count(*) FROM scratch"), "the savepoint alone was rolled back")
}

func TestInsertSeqStreams(t *testing.T) {
	t.Parallel()
	db := tablesOf(t, `CREATE TABLE t (id bigserial PRIMARY KEY, n int, v text)`)
	type row struct {
		ID int64
		N  int
		V  string
	}
	const total = 100_500
	value := strings.Repeat("x", 200)
	numbers := func(n int) iter.Seq[row] {
		return func(yield func(row) bool) {
			for i := range n {
				if !yield(row{N: i, V: value}) {
					return
				}
			}
		}
	}
	require.Equal(t, int64(total), bulk.InsertSeq(t, db, "t", numbers(total)))
	require.Equal(t, int64(total), one[int64](t, db, "SELECT count(DISTINCT n) FROM t WHERE id = n + 1 AND length(v) = 200"))
	require.Zero(t, bulk.InsertSeq(t, db, "t", numbers(0)))
	seen := 0
	_, err := bulk.InsertRowsSeq(t.Context(), db, "t", func(yield func(row) bool) {
		for i := range 5_000_000 {
			seen++
			if !yield(row{ID: int64(1_000_000 + i%2500), N: i}) {
				return
			}
		}
	})
	require.ErrorContains(t, err, "row 2500")
	require.Less(t, seen, 2_000_000, "the sequence is left when a row is refused")
	require.Equal(t, total, one[int](t, db, "SELECT count(*) FROM t"))
}

func TestEmbeddedStructsAsPgxReadsThem(t *testing.T) {
	t.Parallel()
	db := tablesOf(t, `CREATE TABLE t (id int, street text, zip text, "Case" int, "case" int)`)
	type Inner struct {
		Upper int `db:"Case"`
		Lower int `db:"case"`
	}
	type row struct {
		Inner
		address
		ID int
	}
	requireRoundTrip(t, db, "t", "id", []row{{Inner{1, 2}, address{"s", new("z")}, 3}})
	require.Equal(t, 3, reflect.TypeFor[row]().NumField())
}

func TestSequencesGoPastKeysOfAnyType(t *testing.T) {
	t.Parallel()
	db := tablesOf(t, `CREATE TABLE t (id bigserial PRIMARY KEY)`)
	past := func(used int) {
		t.Helper()
		require.Equal(t, used+1, one[int](t, db, "SELECT nextval('t_id_seq')"))
	}
	bulk.Insert(t, db, "t", []struct{ ID uint32 }{{100}})
	past(100)
	bulk.Insert(t, db, "t", []struct{ ID pgtype.Int8 }{{pgtype.Int8{Int64: 200, Valid: true}}, {}})
	past(201)
	bulk.Insert(t, db, "t", []struct{ ID string }{{"300"}})
	past(300)
	bulk.Insert(t, db, "t", []struct{ ID any }{{400}})
	past(400)
	require.EqualValues(t, 1, bulk.InsertSeq(t, db, "t", slices.Values([]struct{ ID *sql.NullInt64 }{{&sql.NullInt64{Int64: 500, Valid: true}}})))
	past(500)
}

func TestAnAlteredCompositeIsReadAnew(t *testing.T) {
	t.Parallel()
	db := tablesOf(t, `CREATE TYPE pair AS (a int, b int); CREATE TABLE t (p pair, ps pair[])`)
	conn, err := pgx.ConnectConfig(t.Context(), db.Config().ConnConfig)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	type pair struct{ A, B int }
	bulk.Insert(t, conn, "t", []struct{ P pair }{{pair{1, 2}}})
	execSQL(t, db, "ALTER TYPE pair ADD ATTRIBUTE c int")
	type triple struct{ A, B, C int }
	bulk.Insert(t, conn, "t", []struct{ PS []triple }{{[]triple{{3, 4, 5}}}})
	require.Equal(t, "(3,4,5)", one[string](t, db, "SELECT ps[1]::text FROM t WHERE ps IS NOT NULL"))
}

func TestRowSecurityIsRefused(t *testing.T) {
	t.Parallel()
	db := tablesOf(t, `CREATE TABLE t (id int); ALTER TABLE t ENABLE ROW LEVEL SECURITY`)
	superuser(t, db)
	bulk.Insert(t, db, "t", []struct{ ID int }{{1}})
	err := pgx.BeginFunc(t.Context(), db, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), "GRANT INSERT, SELECT ON t TO pg_monitor; SET LOCAL ROLE pg_monitor")
		require.NoError(t, err)
		_, err = bulk.InsertRows(t.Context(), tx, "t", []struct{ ID int }{{2}})
		return err
	})
	require.ErrorIs(t, err, bulk.ErrInvalidArgument)
	require.ErrorContains(t, err, "row level security applies to the role in public.t")
}

// Texts would be stored as what they are not.
func TestOtherEncodingsAreRefused(t *testing.T) {
	t.Parallel()
	db := tablesOf(t, `CREATE TABLE t (v text)`)
	for encoding, ok := range map[string]bool{"SJIS": false, "LATIN1": false, "utf-8": true, "unicode": true, "SQL_ASCII": true} {
		config := db.Config().ConnConfig.Copy()
		config.RuntimeParams["client_encoding"] = encoding
		conn, err := pgx.ConnectConfig(t.Context(), config)
		require.NoError(t, err)
		defer conn.Close(context.Background())
		_, err = bulk.InsertRows(t.Context(), conn, "t", []struct{ V string }{{"日本"}})
		if ok {
			require.NoError(t, err, encoding)
			continue
		}
		require.ErrorIs(t, err, bulk.ErrInvalidArgument)
		require.ErrorContains(t, err, "client_encoding is "+encoding)
	}
	require.Equal(t, 3, one[int](t, db, "SELECT count(*) FROM t WHERE v = '日本'"))
}
