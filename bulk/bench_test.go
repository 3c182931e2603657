package bulk_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/bulk"
)

// BenchmarkSeedWelfare measures the team's main data set of 32,101 rows, and in
// turn with it what there is to beat: pgx.CopyFrom calls, written by hand, with
// rows that are ready, into the same tables, emptied the same way.
func BenchmarkSeedWelfare(b *testing.B) {
	db := welfare(b)
	d := bulk.Welfare(b, db, bulk.Medium)
	ready := readyRows(b, db, d)
	rows := 0
	for _, t := range ready {
		rows += len(t.rows)
	}
	require.Equal(b, 32101, rows)
	seed := func() { bulk.Welfare(b, db, bulk.Medium) }
	byHand := func() { copyByHand(b, db, ready) }
	timed := func(f func()) time.Duration {
		execSQL(b, db, "TRUNCATE staffs, offices, office_staffs, welfare_recipients, office_welfare_recipients, support_plan_cycles")
		start := time.Now()
		f()
		return time.Since(start)
	}
	timed(byHand) // warm
	timed(seed)
	var ours, theirs []time.Duration
	for i := 0; b.Loop(); i++ {
		if i%2 == 0 { // neither always goes first
			ours = append(ours, timed(seed))
			theirs = append(theirs, timed(byHand))
		} else {
			theirs = append(theirs, timed(byHand))
			ours = append(ours, timed(seed))
		}
	}
	o, h := median(ours), median(theirs)
	b.ReportMetric(float64(rows)/o.Seconds(), "rows/s")
	b.ReportMetric(float64(o.Milliseconds()), "ms/seed")
	b.ReportMetric(float64(h.Milliseconds()), "ms/CopyFrom")
	b.ReportMetric(o.Seconds()/h.Seconds(), "x/CopyFrom")
}

func median(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2]
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
