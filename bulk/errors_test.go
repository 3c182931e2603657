package bulk_test

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/bulk"
)

const rulesSQL = `
	CREATE EXTENSION btree_gist;
	CREATE TABLE parents (id int PRIMARY KEY);
	CREATE TABLE t (id int PRIMARY KEY, must text NOT NULL, short varchar(3) UNIQUE, small smallint CHECK (small < 100), parent int REFERENCES parents,
		at int4range, EXCLUDE USING gist (at WITH &&), d text DEFAULT 'x');`

type ruled struct {
	ID     int
	Must   *string
	Short  any
	Small  any
	Parent *int
	At     *string
}

func ruledRows(n int) []ruled {
	rows := make([]ruled, n)
	for i := range rows {
		rows[i] = ruled{ID: i + 1, Must: new("m")}
	}
	return rows
}

func TestConstraintErrors(t *testing.T) {
	t.Parallel()
	db := tablesOf(t, rulesSQL)
	for name, c := range map[string]struct {
		spoil func(r []ruled)
		want  bulk.ConstraintError
	}{
		"unique": {func(r []ruled) { r[3].Short, r[7].Short = "a", "a" },
			bulk.ConstraintError{Kind: bulk.Unique, Columns: []string{"short"}, Constraint: "t_short_key", Row: 7, Detail: "Key (short)=(a) already exists."}},
		"primary key": {func(r []ruled) { r[7].ID = 1 },
			bulk.ConstraintError{Kind: bulk.Unique, Columns: []string{"id"}, Constraint: "t_pkey", Row: 7, Detail: "Key (id)=(1) already exists."}},
		"not null": {func(r []ruled) { r[7].Must = nil },
			bulk.ConstraintError{Kind: bulk.NotNull, Columns: []string{"must"}, Row: 7, Detail: "Failing row contains (8, null, null, null, null, null, x)."}},
		"check": {func(r []ruled) { r[7].Small = 100 },
			bulk.ConstraintError{Kind: bulk.Check, Columns: []string{"small"}, Constraint: "t_small_check", Row: 7, Detail: "Failing row contains (8, m, null, 100, null, null, x)."}},
		"exclusion": {func(r []ruled) { r[3].At, r[7].At = new("[1,5)"), new("[2,3)") },
			bulk.ConstraintError{Kind: bulk.Exclusion, Columns: []string{"at"}, Constraint: "t_at_excl", Row: 7, Detail: "Key (at)=([2,3)) conflicts with existing key (at)=([1,5))."}},
		"foreign key": {func(r []ruled) { r[7].Parent = new(9) },
			bulk.ConstraintError{Kind: bulk.ForeignKey, Columns: []string{"parent"}, Constraint: "t_parent_fkey", References: "public.parents", Row: 7,
				Detail: `Key (parent)=(9) is not present in table "parents".`}},
	} {
		t.Run(name, func(t *testing.T) {
			rows := ruledRows(10)
			c.spoil(rows)
			for _, lang := range []string{"en", "ja"} {
				_, err := bulk.InsertRows(t.Context(), bulk.With(db, bulk.WithLanguage(lang)), "t", rows)
				var got *bulk.ConstraintError
				require.ErrorAs(t, err, &got)
				want := c.want
				want.Table, want.Key = "public.t", "id=8"
				if name == "primary key" {
					want.Key = "id=1"
				}
				require.NotEmpty(t, got.Hint)
				want.Hint = got.Hint
				require.Equal(t, want, bulk.ConstraintError{Kind: got.Kind, Table: got.Table, Columns: got.Columns, Constraint: got.Constraint,
					References: got.References, Row: got.Row, Key: got.Key, Detail: got.Detail, Hint: got.Hint})
				require.ErrorContains(t, err, got.Hint)
				require.ErrorContains(t, err, got.Detail)
				require.ErrorContains(t, err, got.Constraint)
				require.ErrorContains(t, err, map[string]string{"en": "nothing was stored", "ja": "何も保存されていません"}[lang])
				var pg *pgconn.PgError
				require.ErrorAs(t, err, &pg)
			}
			require.Zero(t, one[int](t, db, "SELECT count(*) FROM t"))
		})
	}
	require.Zero(t, db.Stat().AcquiredConns())
}

func TestRowErrors(t *testing.T) {
	t.Parallel()
	db := tablesOf(t, rulesSQL)
	for name, c := range map[string]struct {
		spoil                  func(r *ruled)
		column, goType, pgType string
		code                   string
	}{
		"too long":      {func(r *ruled) { r.Short = "long" }, "short", "string", "character varying(3)", "22001"},
		"zero byte":     {func(r *ruled) { r.Short = "\x00" }, "short", "string", "character varying(3)", "22021"},
		"invalid UTF-8": {func(r *ruled) { r.Must = new("\xff\xfe") }, "must", "*string", "text", "22021"},
		"out of range":  {func(r *ruled) { r.Small = 1 << 20 }, "small", "int", "smallint", ""},
		"not a number":  {func(r *ruled) { r.Small = nan() }, "small", "float64", "smallint", ""},
		"no encoding":   {func(r *ruled) { r.Small = make(chan int) }, "small", "chan int", "smallint", ""},
		"bad text":      {func(r *ruled) { r.At = new("[1") }, "at", "*string", "int4range", "22P02"},
	} {
		t.Run(name, func(t *testing.T) {
			rows := ruledRows(10)
			c.spoil(&rows[7])
			_, err := bulk.InsertRows(t.Context(), db, "t", rows)
			var got *bulk.RowError
			require.ErrorAs(t, err, &got)
			require.Equal(t, []any{"public.t", 7, "id=8", c.column, c.goType, c.pgType}, []any{got.Table, got.Row, got.Key, got.Column, got.GoType, got.PgType})
			require.True(t, strings.EqualFold(c.column, got.Field))
			require.NotEmpty(t, got.Detail)
			require.NotEmpty(t, got.Hint)
			var pg *pgconn.PgError
			if errors.As(err, &pg) {
				require.Equal(t, c.code, pg.Code)
			} else {
				require.Empty(t, c.code)
				require.ErrorIs(t, err, bulk.ErrInvalidArgument)
			}
			_, err = bulk.InsertRowsSeq(t.Context(), db, "t", slices.Values(rows))
			require.ErrorAs(t, err, &got)
			require.Equal(t, 7, got.Row)
			require.Empty(t, got.Key, "the rows of a sequence are not kept")
		})
	}
	require.Zero(t, one[int](t, db, "SELECT count(*) FROM t"))
}

// lossy is a value whose own method fails as a connection does that was lost.
type lossy struct{}

func (lossy) Value() (driver.Value, error) { return nil, io.EOF }

// TestAValueThatFailsIsNoLostConnection: it is not tried again.
func TestAValueThatFailsIsNoLostConnection(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	db := bulk.With(tablesOf(t, "CREATE TABLE t (v text)"), soon, bulk.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	rows := []struct{ V lossy }{{}}
	_, err := bulk.InsertRows(t.Context(), db, "t", rows)
	_, errOfSeq := bulk.InsertRowsSeq(t.Context(), db, "t", slices.Values(rows))
	for _, err := range []error{err, errOfSeq} {
		var got *bulk.RowError
		require.ErrorAs(t, err, &got)
		require.Equal(t, 0, got.Row)
		require.ErrorIs(t, err, io.EOF)
		require.ErrorIs(t, err, bulk.ErrInvalidArgument)
		require.NotErrorIs(t, err, bulk.ErrConnection)
	}
	require.Empty(t, log.String())
}

func nan() float64 { zero := 0.0; return zero / zero }

// A trigger that raises after the rows are stored tells neither line nor key.
func TestTheRowIsFoundByHalves(t *testing.T) {
	t.Parallel()
	db := tablesOf(t, `CREATE TABLE t (id int PRIMARY KEY, v text);
		CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF NEW.v = 'bad' AND EXISTS (SELECT FROM t WHERE id = 1) THEN RAISE EXCEPTION 'no %', NEW.v; END IF;
			RETURN NULL; END $$;
		CREATE TRIGGER f AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()`)
	type row struct {
		ID int
		V  string
	}
	conn, err := pgx.ConnectConfig(t.Context(), db.Config().ConnConfig)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	defer tx.Rollback(context.Background())
	bulk.Insert(t, tx, "t", []row{{-1, "mine"}})
	for _, bad := range []int{0, 1, 499, 500, 777, 998, 999} {
		rows := make([]row, 1000)
		for i := range rows {
			rows[i] = row{i + 1, "good"}
		}
		rows[bad].V = "bad"
		for _, d := range []bulk.DB{db, tx} {
			_, err := bulk.InsertRows(t.Context(), d, "t", rows)
			var got *bulk.RowError
			require.ErrorAs(t, err, &got)
			require.Equal(t, bad, got.Row)
			require.Contains(t, err.Error(), "no bad")
		}
	}
	require.Equal(t, 1, one[int](t, tx, "SELECT count(*) FROM t"), "the caller's transaction goes on")
	require.Zero(t, one[int](t, db, "SELECT count(*) FROM t"))
}

// A factory's rows are loaded once more to find the one that is refused; what
// edit functions did stays done.
func TestARowOfAFactoryIsFoundByHalves(t *testing.T) {
	t.Parallel()
	db := welfare(t)
	execSQL(t, db, `CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF (SELECT first_name FROM welfare_recipients WHERE id = NEW.welfare_recipient_id) = 'bad' THEN RAISE EXCEPTION 'no'; END IF;
			RETURN NULL; END $$;
		CREATE TRIGGER f AFTER INSERT ON office_welfare_recipients FOR EACH ROW EXECUTE FUNCTION f()`)
	offices := bulk.Offices(t, db, 1)
	edits := 0
	_, err := seeder(db).WelfareRecipients(t.Context(), offices, 100, func(i int, r *bulk.WelfareRecipient) {
		edits++
		if i == 42 {
			r.FirstName = "bad"
		}
	})
	var got *bulk.RowError
	require.ErrorAs(t, err, &got)
	require.Equal(t, "public.office_welfare_recipients", got.Table)
	require.Equal(t, 42, got.Row)
	require.Equal(t, 100, edits)
	require.Equal(t, []int{1, 1, 0, 0, 0, 0}, counts(t, db))
}

func TestTheConnectionCanBeUsedAfterAnyError(t *testing.T) {
	t.Parallel()
	pool := tablesOf(t, rulesSQL)
	conn, err := pgx.ConnectConfig(t.Context(), pool.Config().ConnConfig)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	acquired, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	defer acquired.Release()
	for i, db := range []bulk.DB{conn, acquired, pool} {
		for _, spoil := range []func(*ruled){
			func(r *ruled) { r.Must = nil }, func(r *ruled) { r.Parent = new(9) }, func(r *ruled) { r.Small = make(chan int) }, func(r *ruled) { r.Short = "long" },
		} {
			rows := ruledRows(5)
			spoil(&rows[2])
			_, err := bulk.InsertRows(t.Context(), db, "t", rows)
			require.Error(t, err)
		}
		_, err = bulk.InsertRows(t.Context(), db, "t", []ruled{{ID: i, Must: new("m")}})
		require.NoError(t, err)
	}
	require.Equal(t, 3, one[int](t, pool, "SELECT count(*) FROM t"))
}

func TestConnectionInATransactionIsRefused(t *testing.T) {
	t.Parallel()
	pool := tablesOf(t, `CREATE TABLE t (id int)`)
	conn, err := pgx.ConnectConfig(t.Context(), pool.Config().ConnConfig)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(t.Context(), "BEGIN")
	require.NoError(t, err)
	_, err = bulk.InsertRows(t.Context(), conn, "t", []struct{ ID int }{{1}})
	require.ErrorIs(t, err, bulk.ErrInvalidArgument)
	require.ErrorContains(t, err, "hand in the pgx.Tx")
}

func TestAViolationAtTheCommitIsExplained(t *testing.T) {
	t.Parallel()
	db := tablesOf(t, `CREATE TABLE t (id int PRIMARY KEY, n int, CONSTRAINT u UNIQUE (n) DEFERRABLE INITIALLY DEFERRED)`)
	type row struct{ ID, N int }
	check := func(db bulk.DB) {
		_, err := bulk.InsertRows(t.Context(), db, "t", []row{{1, 10}, {2, 20}, {3, 10}})
		var got *bulk.ConstraintError
		require.ErrorAs(t, err, &got)
		require.Equal(t, "u", got.Constraint)
		require.Equal(t, 2, got.Row)
		require.Equal(t, "id=3", got.Key)
	}
	check(db)
	_, err := bulk.InsertRowsSeq(t.Context(), db, "t", slices.Values([]row{{1, 10}, {3, 10}}))
	var got *bulk.ConstraintError
	require.ErrorAs(t, err, &got)
	require.Equal(t, -1, got.Row)
	config := db.Config()
	config.MaxConns = 1
	single, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	defer single.Close()
	check(single) // looking around does not need a second connection
}

// What refuses a row need not be a constraint of its table.
func TestErrorsOfManyOrigins(t *testing.T) {
	t.Parallel()
	db := tablesOf(t, `CREATE TABLE parents (id int PRIMARY KEY);
		CREATE DOMAIN must AS int NOT NULL; CREATE DOMAIN pos AS int CHECK (VALUE > 0);
		CREATE TABLE t (id int PRIMARY KEY, v text, input must, put pos); CREATE UNIQUE INDEX t_v ON t (lower(v), put) WHERE id > 0; CREATE INDEX ON t (v);
		CREATE TABLE parts (id int PRIMARY KEY, v text, input int, put int) PARTITION BY RANGE (id); CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (3);
		CREATE TABLE log (v text UNIQUE, id int CONSTRAINT fk REFERENCES parents);
		CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			CASE NEW.v WHEN 'code' THEN RAISE 'no' USING ERRCODE = 'ZX001', HINT = 'do it so';
				WHEN 'gone' THEN PERFORM gone();
				WHEN 'raised' THEN RAISE unique_violation;
				WHEN 'deadlock' THEN RAISE deadlock_detected;
				WHEN 'twice' THEN INSERT INTO log VALUES ('once', NULL), ('once', NULL);
				WHEN 'fk' THEN INSERT INTO log VALUES (NULL, 1);
				ELSE END CASE;
			RETURN NEW; END $$;
		CREATE TABLE before (LIKE parts); CREATE TRIGGER f BEFORE INSERT ON before FOR EACH ROW EXECUTE FUNCTION f();
		CREATE TABLE after (LIKE parts); CREATE TRIGGER f AFTER INSERT ON after FOR EACH ROW EXECUTE FUNCTION f();
		CREATE TABLE deferred (LIKE parts); CREATE CONSTRAINT TRIGGER f AFTER INSERT ON deferred DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION f()`)
	type row struct {
		ID         int
		V          string
		Input, Put *int
	}
	fail := func(table string, spoil func(*row)) error {
		rows := make([]row, 3)
		for i := range rows {
			rows[i] = row{i + 1, strconv.Itoa(i), new(1), new(1)}
		}
		if table == "parts" {
			rows[0].ID = 0
		}
		spoil(&rows[2])
		_, err := bulk.InsertRows(t.Context(), db, table, rows)
		require.Error(t, err, table)
		require.NotContains(t, err.Error(), "in ()")
		require.NotContains(t, err.Error(), "  ")
		return err
	}
	long := make([]byte, 20_000)
	for i, random := 0, rand.New(rand.NewPCG(1, 2)); i < len(long); i++ { // that can't be compressed
		long[i] = byte('a' + random.IntN(26))
	}
	for name, c := range map[string]struct {
		table string
		spoil func(*row)
		kind  bulk.ConstraintKind // "": a RowError
		cols  []string
		hint  string
	}{
		"unique index":      {"t", func(r *row) { r.V = "0" }, bulk.Unique, []string{"lower(v)", "put"}, "in (lower(v), put)"},
		"domain, null":      {"t", func(r *row) { r.Input = nil }, bulk.NotNull, []string{"input"}, "Give field Input a value"},
		"domain, check":     {"t", func(r *row) { r.Put = new(-1) }, bulk.Check, []string{"put"}, "CHECK ((VALUE > 0))"},
		"limit":             {"t", func(r *row) { r.V = string(long) }, "", nil, "See which of its values"},
		"no partition":      {"parts", func(r *row) { r.ID = 7 }, bulk.Check, nil, "a partition of the table takes"},
		"code of a trigger": {"before", func(r *row) { r.V = "code" }, "", nil, "do it so"},
		"the same, after":   {"after", func(r *row) { r.V = "code" }, "", nil, "do it so"},
		"broken trigger":    {"after", func(r *row) { r.V = "gone" }, "", nil, "No function matches"},
		"raised":            {"after", func(r *row) { r.V = "raised" }, bulk.Unique, nil, "what a trigger or a function"},
		"raised, deferred":  {"deferred", func(r *row) { r.V = "raised" }, bulk.Unique, nil, "what a trigger or a function"},
		"another table":     {"before", func(r *row) { r.V = "twice" }, bulk.Unique, []string{"v"}, "in (v)"},
		"another table's key, which row 0 seems to have": {"after", func(r *row) { r.V = "fk" }, bulk.ForeignKey, []string{"id"}, "Load the rows of public.parents first"},
	} {
		err := fail(c.table, c.spoil)
		var constraint *bulk.ConstraintError
		var value *bulk.RowError
		if c.kind == "" {
			require.ErrorAs(t, err, &value, name)
			require.Equal(t, 2, value.Row, name)
			require.Contains(t, value.Hint, c.hint, name)
			continue
		}
		require.ErrorAs(t, err, &constraint, name)
		require.Equal(t, []any{c.kind, c.cols, 2}, []any{constraint.Kind, constraint.Columns, constraint.Row}, name)
		require.Contains(t, constraint.Hint, c.hint, name)
	}
	for _, table := range []string{"before", "deferred"} {
		require.ErrorIs(t, fail(table, func(r *row) { r.V = "deadlock" }), bulk.ErrLocked)
	}
}
