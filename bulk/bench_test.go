package bulk_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strconv"
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
)

// BenchmarkLoad measures the team's data sets, and in turn with each what there is
// to beat: rows that are ready, loaded in the order that foreign keys ask for into
// the same tables, emptied the same way, by pgx.CopyFrom and by INSERT statements of
// 500 rows, written by hand. The ratios are of the fastest rounds: noise of the
// machine only ever adds.
func BenchmarkLoad(b *testing.B) {
	for _, c := range []struct {
		name  string
		scale bulk.Scale
		large bool
	}{{"32101", bulk.Medium, false}, {"160501", bulk.Large, true}, {"1027201", 3200, true}} {
		b.Run(c.name, func(b *testing.B) {
			if c.large && os.Getenv("GROUNDHOG_BENCH_LARGE") == "" {
				b.Skip("takes minutes: set GROUNDHOG_BENCH_LARGE=1")
			}
			benchLoad(b, c.scale)
		})
	}
}

func benchLoad(b *testing.B, scale bulk.Scale) {
	db := welfare(b)
	d := bulk.Welfare(b, db, scale)
	ready := readyRows(b, db, d)
	rows := 0
	for _, t := range ready {
		rows += len(t.rows)
	}
	ways := []way{
		{"Welfare", func() { bulk.Welfare(b, db, scale) }},
		{"factories", func() {
			offices := bulk.Offices(b, db, int(scale))
			bulk.Staffs(b, db, offices, 10)
			bulk.SupportPlanCycles(b, db, bulk.WelfareRecipients(b, db, offices, 100))
		}},
		{"CopyFrom", func() { copyByHand(b, db, ready) }},
		{"INSERT", func() { insertByHand(b, db, ready) }},
		{"limit", serverLimit(b, db)},
	}
	took := inTurn(b, ways, func() { execSQL(b, db, emptied) })
	for _, w := range ways {
		b.ReportMetric(took[w.name].Seconds()*1000, "ms/"+w.name)
	}
	b.ReportMetric(float64(rows)/took["Welfare"].Seconds(), "rows/s")
	b.ReportMetric(took["Welfare"].Seconds()/took["CopyFrom"].Seconds(), "x/CopyFrom")
	b.ReportMetric(took["Welfare"].Seconds()/took["INSERT"].Seconds(), "x/INSERT")
	b.ReportMetric(took["Welfare"].Seconds()/took["limit"].Seconds(), "x/limit")
	b.ReportMetric(took["factories"].Seconds()/took["CopyFrom"].Seconds(), "factories-x/CopyFrom")
}

// way is a way to do the same.
type way struct {
	name string
	do   func()
}

// inTurn does it in all ways, one after the other and in both orders, after a
// round to warm up, and returns the fastest time of each.
func inTurn(b *testing.B, ways []way, before func()) map[string]time.Duration {
	b.Helper()
	fastest := map[string]time.Duration{}
	round := func() {
		for _, w := range ways {
			before()
			start := time.Now()
			w.do()
			took := time.Since(start)
			if known, ok := fastest[w.name]; !ok || took < known {
				fastest[w.name] = took
			}
		}
	}
	round()
	clear(fastest)
	ways = slices.Clone(ways)
	for b.Loop() {
		round()
		slices.Reverse(ways)
	}
	return fastest
}

const emptied = "TRUNCATE staffs, offices, office_staffs, welfare_recipients, office_welfare_recipients, support_plan_cycles"

// BenchmarkClientWork measures what encoding rows costs beyond sending bytes that
// are ready: the same rows into the same table.
func BenchmarkClientWork(b *testing.B) {
	db := welfare(b)
	ctx := context.Background()
	rows := bulk.WelfareRecipients(b, db, bulk.Offices(b, db, 100), 100)
	columns := "id, first_name, last_name, first_name_furigana, last_name_furigana, birth_day, gender, created_at, updated_at, is_test_data"
	conn, err := db.Acquire(ctx)
	require.NoError(b, err)
	defer conn.Release()
	var ready bytes.Buffer
	_, err = conn.Conn().PgConn().CopyTo(ctx, &ready, "COPY (SELECT "+columns+" FROM welfare_recipients ORDER BY id) TO STDOUT (FORMAT binary)")
	require.NoError(b, err)
	took := inTurn(b, []way{
		{"Insert", func() { bulk.Insert(b, conn, "welfare_recipients", rows) }},
		{"bytes", func() {
			_, err := conn.Conn().PgConn().CopyFrom(ctx, bytes.NewReader(ready.Bytes()), "COPY welfare_recipients ("+columns+") FROM STDIN (FORMAT binary)")
			require.NoError(b, err)
		}},
	}, func() { execSQL(b, db, emptied) })
	b.ReportMetric(took["Insert"].Seconds()*1000, "ms/Insert")
	b.ReportMetric(took["bytes"].Seconds()*1000, "ms/bytes")
	b.ReportMetric(took["Insert"].Seconds()/took["bytes"].Seconds(), "x/bytes")
}

// BenchmarkInsertSeqMemory streams a million rows and measures the heap.
func BenchmarkInsertSeqMemory(b *testing.B) {
	db := tablesOf(b, `CREATE UNLOGGED TABLE t (id bigint, name text, at timestamptz, guid uuid)`)
	type row struct {
		ID   int64
		Name string
		At   time.Time
		Guid uuid.UUID //nolint:revive // the column's name
	}
	const n = 1_000_000
	now := time.Now()
	var peak uint64
	for b.Loop() {
		execSQL(b, db, "TRUNCATE t")
		runtime.GC()
		bulk.InsertSeq(b, db, "t", func(yield func(row) bool) {
			var m runtime.MemStats
			for i := range int64(n) {
				if i%10_000 == 0 {
					runtime.ReadMemStats(&m)
					peak = max(peak, m.HeapAlloc)
				}
				if !yield(row{ID: i, Name: fmt.Sprint("name ", i), At: now}) {
					return
				}
			}
		})
	}
	b.ReportMetric(float64(peak)/(1<<20), "MiB/peak")
}

type readyTable struct {
	name    string
	columns []string
	rows    [][]any
}

// readyRows reads what a seed left as rows for pgx.CopyFrom, in the order in
// which foreign keys allow it.
func readyRows(b *testing.B, db *pgxpool.Pool, d bulk.Dataset) []readyTable {
	b.Helper()
	type officeStaff struct {
		ID, StaffID, OfficeID uuid.UUID
		IsPrimary             bool
		CreatedAt, UpdatedAt  time.Time
		IsTestData            bool
	}
	type officeRecipient struct {
		ID, WelfareRecipientID, OfficeID uuid.UUID
		CreatedAt, UpdatedAt             time.Time
		IsTestData                       bool
	}
	return []readyTable{
		ready(db, "staffs", []bulk.Staff{d.Creator}),
		ready(db, "offices", d.Offices),
		ready(db, "staffs", d.Staffs),
		ready(db, "office_staffs", read[officeStaff](b, db, "SELECT * FROM office_staffs ORDER BY id")),
		ready(db, "welfare_recipients", d.Recipients),
		ready(db, "office_welfare_recipients", read[officeRecipient](b, db, "SELECT * FROM office_welfare_recipients ORDER BY id")),
		ready(db, "support_plan_cycles", d.Cycles),
	}
}

func ready[T any](db *pgxpool.Pool, table string, rows []T) readyTable {
	out := readyTable{name: table}
	t := reflect.TypeFor[T]()
	var fields []int
	for i := range t.NumField() {
		name := t.Field(i).Tag.Get("db")
		if name == "" {
			name = snake[t.Field(i).Name]
		}
		if name != "-" {
			fields = append(fields, i)
			out.columns = append(out.columns, name)
		}
	}
	for _, row := range rows {
		values := make([]any, len(fields))
		for i, f := range fields {
			values[i] = plain(reflect.ValueOf(row).Field(f))
		}
		out.rows = append(out.rows, values)
	}
	return out
}

var snake = map[string]string{"ID": "id", "StaffID": "staff_id", "OfficeID": "office_id", "WelfareRecipientID": "welfare_recipient_id",
	"IsPrimary": "is_primary", "CreatedAt": "created_at", "UpdatedAt": "updated_at", "IsTestData": "is_test_data"}

// plain gives a value the form that pgx encodes fastest.
func plain(v reflect.Value) any {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	if id, ok := v.Interface().(uuid.UUID); ok {
		return pgtype.UUID{Bytes: id, Valid: true}
	}
	if v.Kind() == reflect.String {
		return v.String()
	}
	return v.Interface()
}

// serverLimit returns what loads the rows that are there now as fast as the
// server can: from bytes that are ready, with no foreign key checked.
func serverLimit(b *testing.B, db *pgxpool.Pool) func() {
	b.Helper()
	ctx := context.Background()
	data := make([]bytes.Buffer, len(tables))
	inConn := func(f func(conn *pgconn.PgConn) error) {
		require.NoError(b, db.AcquireFunc(ctx, func(c *pgxpool.Conn) error { return f(c.Conn().PgConn()) }))
	}
	inConn(func(conn *pgconn.PgConn) error {
		for i, table := range tables {
			if _, err := conn.CopyTo(ctx, &data[i], "COPY (SELECT * FROM "+table+" ORDER BY id) TO STDOUT (FORMAT binary)"); err != nil {
				return err
			}
		}
		return nil
	})
	return func() {
		inConn(func(conn *pgconn.PgConn) error {
			_, err := conn.Exec(ctx, "BEGIN; SET LOCAL session_replication_role = replica").ReadAll()
			for i, table := range tables {
				if err == nil {
					_, err = conn.CopyFrom(ctx, bytes.NewReader(data[i].Bytes()), "COPY "+table+" FROM STDIN (FORMAT binary)")
				}
			}
			if err == nil {
				_, err = conn.Exec(ctx, "COMMIT").ReadAll()
			}
			return err
		})
	}
}

// insertByHand loads rows with INSERT statements of 500 rows.
func insertByHand(b *testing.B, db *pgxpool.Pool, ready []readyTable) {
	b.Helper()
	const most = 500
	ctx := context.Background()
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		for _, t := range ready {
			for rows := range slices.Chunk(t.rows, most) {
				groups, args := make([]string, len(rows)), make([]any, 0, len(rows)*len(t.columns))
				for i, row := range rows {
					places := make([]string, len(row))
					for k := range row {
						places[k] = "$" + strconv.Itoa(len(args)+k+1)
					}
					groups[i] = "(" + strings.Join(places, ", ") + ")"
					args = append(args, row...)
				}
				sql := "INSERT INTO " + t.name + " (" + strings.Join(t.columns, ", ") + ") VALUES " + strings.Join(groups, ", ")
				if _, err := tx.Exec(ctx, sql, args...); err != nil {
					return fmt.Errorf("%s: %w", t.name, err)
				}
			}
		}
		return nil
	})
	require.NoError(b, err)
}

func copyByHand(b *testing.B, db *pgxpool.Pool, ready []readyTable) {
	b.Helper()
	ctx := context.Background()
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		for _, name := range []string{"officetype", "staffrole", "gendertype"} {
			if _, ok := tx.Conn().TypeMap().TypeForName(name); !ok {
				enum, err := tx.Conn().LoadType(ctx, name)
				if err != nil {
					return err
				}
				tx.Conn().TypeMap().RegisterType(enum)
			}
		}
		for _, t := range ready {
			if _, err := tx.CopyFrom(ctx, pgx.Identifier{t.name}, t.columns, pgx.CopyFromRows(t.rows)); err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
		}
		return nil
	})
	require.NoError(b, err)
}
