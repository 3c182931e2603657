package bulk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/bulk"
	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
)

func TestDefaultRowsByteForByte(t *testing.T) {
	t.Parallel()
	db := welfare(t)
	d := bulk.Welfare(t, bulk.With(db, bulk.Clock(clock)), bulk.Scale(13))
	now := clock.Truncate(time.Microsecond).In(time.Local)

	require.Equal(t, bulk.Staff{
		ID: d.Creator.ID, Email: "system@test-example.com", HashedPassword: "not-a-hash", Role: bulk.RoleAppAdmin,
		LastName: new("システム"), LastNameFurigana: new("システム"), FullName: "システム",
		NotificationPreferences: bulk.NotificationPreferences{
			InAppNotification: true, EmailNotification: true, EmailThresholdDays: 30, PushThresholdDays: 10},
		CreatedAt: now, UpdatedAt: now, IsTestData: true,
	}, d.Creator)
	require.Equal(t, bulk.Office{
		ID: d.Offices[12].ID, Name: "テスト事業所0012", Type: bulk.TypeBOffice, Address: new("東京都テスト区テスト町12-1-1"),
		PhoneNumber: new("03-0000-0012"), Email: new("office0012@test-example.com"),
		CreatedBy: d.Creator.ID, LastModifiedBy: d.Creator.ID, CreatedAt: now, UpdatedAt: now, IsTestData: true,
	}, d.Offices[12])
	require.Equal(t, "テスト事業所0000", d.Offices[0].Name)
	require.Equal(t, "東京都テスト区テスト町0-1-1", *d.Offices[0].Address)
	require.Equal(t, "03-0000-0000", *d.Offices[0].PhoneNumber)
	require.Equal(t, "office0000@test-example.com", *d.Offices[0].Email)
	require.Equal(t, bulk.Staff{
		ID: d.Staffs[125].ID, Email: "staff000125@test-example.com", HashedPassword: "not-a-hash", Role: bulk.RoleEmployee,
		LastName: new("事業所0012"), FirstName: new("スタッフ005"), LastNameFurigana: new("ジギョウショ0012"),
		FirstNameFurigana: new("スタッフ005"), FullName: "事業所0012 スタッフ005",
		NotificationPreferences: d.Creator.NotificationPreferences, CreatedAt: now, UpdatedAt: now, IsTestData: true,
		OfficeID: d.Offices[12].ID,
	}, d.Staffs[125])
	require.Equal(t, bulk.WelfareRecipient{
		ID: d.Recipients[1207].ID, FirstName: "利用者007", LastName: "事業所0012", FirstNameFurigana: new("リヨウシャ007"),
		LastNameFurigana: new("ジギョウショ0012"), BirthDay: time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC), Gender: bulk.GenderMale,
		CreatedAt: now, UpdatedAt: now, IsTestData: true, OfficeID: d.Offices[12].ID,
	}, d.Recipients[1207])
	require.Equal(t, bulk.SupportPlanCycle{
		ID: 1208, WelfareRecipientID: d.Recipients[1207].ID, OfficeID: d.Offices[12].ID,
		PlanCycleStartDate:  new(time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)),
		NextRenewalDeadline: new(time.Date(2026, 12, 19, 0, 0, 0, 0, time.UTC)),
		IsLatestCycle:       true, CycleNumber: new(int32(1)), NextPlanStartDate: new(int32(7)),
		CreatedAt: now, UpdatedAt: now, IsTestData: true,
	}, d.Cycles[1207])

	require.Equal(t, []int{131, 13, 130, 1300, 1300, 1300}, counts(t, db))
	for _, table := range tables {
		require.Zero(t, one[int](t, db, "SELECT count(*) FROM "+table+" WHERE NOT is_test_data"), table)
	}
	requireStored(t, db, d)
	require.Equal(t, 130, one[int](t, db, "SELECT count(*) FROM office_staffs WHERE is_primary"))
	require.Equal(t, int64(1301), one[int64](t, db, "SELECT nextval('support_plan_cycles_id_seq')"))
}

// requireStored compares what a factory returned with what the database has.
func requireStored(t *testing.T, db querier, d bulk.Dataset) {
	t.Helper()
	require.Equal(t, d.Offices, read[bulk.Office](t, db, "SELECT * FROM offices ORDER BY name"))
	joins := map[uuid.UUID]uuid.UUID{}
	for _, s := range []string{"SELECT staff_id AS id, office_id AS office FROM office_staffs",
		"SELECT welfare_recipient_id AS id, office_id AS office FROM office_welfare_recipients"} {
		for _, j := range read[struct{ ID, Office uuid.UUID }](t, db, s) {
			joins[j.ID] = j.Office
		}
	}
	staffs := read[bulk.Staff](t, db, "SELECT * FROM staffs WHERE role <> 'app_admin' ORDER BY email")
	for i := range staffs {
		staffs[i].OfficeID = joins[staffs[i].ID]
	}
	require.Equal(t, d.Staffs, staffs)
	recipients := read[bulk.WelfareRecipient](t, db, "SELECT * FROM welfare_recipients ORDER BY last_name, first_name")
	for i := range recipients {
		recipients[i].OfficeID = joins[recipients[i].ID]
	}
	require.Equal(t, d.Recipients, recipients)
	require.Equal(t, d.Cycles, read[bulk.SupportPlanCycle](t, db, "SELECT * FROM support_plan_cycles ORDER BY id"))
	require.Equal(t, []bulk.Staff{d.Creator}, read[bulk.Staff](t, db, "SELECT * FROM staffs WHERE role = 'app_admin'"))
}

func TestMediumIsTheFullDataset(t *testing.T) {
	t.Parallel()
	db := welfare(t)
	bulk.Welfare(t, db, bulk.Medium)
	n := counts(t, db)
	require.Equal(t, []int{1001, 100, 1000, 10000, 10000, 10000}, n)
	sum := 0
	for _, c := range n {
		sum += c
	}
	require.Equal(t, 32101, sum)
}

func TestTodayIsTheLocalDateWithoutClock(t *testing.T) {
	t.Parallel()
	db := welfare(t)
	before := time.Now()
	recipients := bulk.WelfareRecipients(t, db, bulk.Offices(t, db, 1), 1)
	c := bulk.SupportPlanCycles(t, db, recipients)[0]
	after := time.Now()
	days := []string{before.Format(time.DateOnly), after.Format(time.DateOnly)} // midnight may pass
	require.Contains(t, days, c.PlanCycleStartDate.Format(time.DateOnly))
	require.Equal(t, 25*24*time.Hour, c.NextRenewalDeadline.Sub(*c.PlanCycleStartDate))
	require.False(t, c.CreatedAt.Before(before.Truncate(time.Microsecond)) || c.CreatedAt.After(after))
}

func TestClockKeepsTheDateOfItsOwnLocation(t *testing.T) {
	t.Parallel()
	for _, zone := range []*time.Location{time.UTC, time.FixedZone("east", 14*3600), time.FixedZone("west", -12*3600)} {
		pool := welfare(t)
		several(t, pool)
		db := bulk.With(pool, bulk.Clock(time.Date(2024, 2, 28, 23, 59, 59, 0, zone)))
		recipients := bulk.WelfareRecipients(t, db, bulk.Offices(t, db, 1), 1)
		bulk.SupportPlanCycles(t, db, recipients)
		require.Equal(t, "2024-02-28 2024-03-24", one[string](t, pool,
			"SELECT plan_cycle_start_date || ' ' || next_renewal_deadline FROM support_plan_cycles"), zone.String())
	}
}

func TestSecondCallGoesOn(t *testing.T) {
	t.Parallel()
	db := welfare(t)
	first := bulk.Offices(t, db, 2)
	second := bulk.Offices(t, db, 2)
	require.Equal(t, "テスト事業所0002", second[0].Name)
	require.Equal(t, first[0].CreatedBy, second[0].CreatedBy, "one system staff")
	require.Equal(t, 1, one[int](t, db, "SELECT count(*) FROM staffs"))

	bulk.Staffs(t, db, first, 2)
	staffs := bulk.Staffs(t, db, append(second, first...), 1)
	require.Equal(t, []string{"事業所0002 スタッフ000", "事業所0003 スタッフ000", "事業所0000 スタッフ002", "事業所0001 スタッフ002"},
		[]string{staffs[0].FullName, staffs[1].FullName, staffs[2].FullName, staffs[3].FullName})
	require.Equal(t, "staff000004@test-example.com", staffs[0].Email)

	recipients := bulk.WelfareRecipients(t, db, first, 2)
	more := bulk.WelfareRecipients(t, db, []bulk.Office{first[0], first[0]}, 1)
	require.Equal(t, []string{"利用者002", "利用者003"}, []string{more[0].FirstName, more[1].FirstName}, "one office given twice")

	bulk.SupportPlanCycles(t, db, recipients)
	cycles := bulk.SupportPlanCycles(t, db, []bulk.WelfareRecipient{recipients[1], more[0], recipients[1]})
	require.Equal(t, []int32{2, 1, 3}, []int32{*cycles[0].CycleNumber, *cycles[1].CycleNumber, *cycles[2].CycleNumber})
}

func TestNumbersSurviveWhatTestsDoToRows(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ sql, next string }{
		"the highest was deleted":   {"DELETE FROM offices WHERE name = 'テスト事業所0002'", "テスト事業所0002"},
		"one in the middle was":     {"DELETE FROM offices WHERE name = 'テスト事業所0001'", "テスト事業所0003"},
		"renamed, email left":       {"UPDATE offices SET name = 'X' WHERE name = 'テスト事業所0002'", "テスト事業所0003"},
		"email gone, name left":     {"UPDATE offices SET email = NULL", "テスト事業所0003"},
		"marked as deleted":         {"UPDATE offices SET is_deleted = true", "テスト事業所0003"},
		"names of other forms":      {"UPDATE offices SET name = 'テスト事業所' || (ARRAY['', 'x9', '-5', '１２', '9 ', '1e3'])[1 + id_hash], email = 'Xoffice0009@test-example.com' FROM (SELECT id AS i, (row_number() OVER ())::int AS id_hash FROM offices) s WHERE i = id", "テスト事業所0000"},
		"a number too big for int8": {"UPDATE offices SET name = 'テスト事業所99999999999999999999999' WHERE name = 'テスト事業所0002'", "テスト事業所0003"},
		"a big number":              {"UPDATE offices SET name = 'テスト事業所123456789012' WHERE name = 'テスト事業所0002'", "テスト事業所123456789013"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := welfare(t)
			bulk.Offices(t, db, 3)
			execSQL(t, db, c.sql)
			require.Equal(t, c.next, bulk.Offices(t, db, 1)[0].Name)
		})
	}
}

func TestNumbersEndWithAClearText(t *testing.T) {
	t.Parallel()
	db := welfare(t)
	bulk.Offices(t, db, 1, func(_ int, o *bulk.Office) { o.Name = "テスト事業所999999999999998" })
	require.Equal(t, "テスト事業所999999999999999", bulk.Offices(t, db, 1)[0].Name)
	_, err := seeder(db).Offices(t.Context(), 1)
	require.ErrorIs(t, err, bulk.ErrInvalidArgument)
	require.ErrorContains(t, err, "999999999999999")
}

func TestFullNamesFitTheirColumns(t *testing.T) {
	t.Parallel()
	db := welfare(t)
	long := strings.Repeat("長", 255)
	offices := bulk.Offices(t, db, 1, func(_ int, o *bulk.Office) { o.Name = long })
	s := bulk.Staffs(t, db, offices, 1)[0]
	require.Equal(t, strings.Repeat("長", 50), *s.LastName)
	require.Equal(t, long, bulk.WelfareRecipients(t, db, offices, 1)[0].LastName)
}

func TestEditFunctions(t *testing.T) {
	t.Parallel()
	db := welfare(t)
	id := uuid.New()
	var seen []string
	offices := bulk.Offices(t, db, 2,
		func(i int, o *bulk.Office) {
			seen = append(seen, fmt.Sprint("a", i, o.Name, o.ID != uuid.Nil))
			o.Type = bulk.TypeAOffice
		},
		nthOffice(1, func(o *bulk.Office) { o.ID, o.Email, o.IsTestData = id, nil, false }),
		nthOffice(0, func(o *bulk.Office) { o.ID = uuid.Nil }),
		func(i int, o *bulk.Office) { seen = append(seen, fmt.Sprint("b", i, o.Type)) })
	require.Equal(t, []string{"a0テスト事業所0000true", "b0type_A_office", "a1テスト事業所0001true", "b1type_A_office"}, seen)
	require.Equal(t, id, offices[1].ID)
	require.NotEqual(t, uuid.Nil, offices[0].ID)
	require.Equal(t, offices, read[bulk.Office](t, db, "SELECT * FROM offices ORDER BY name"))

	staffs := bulk.Staffs(t, db, offices[:1], 2, func(i int, s *bulk.Staff) {
		if i == 1 {
			s.OfficeID, s.IsTestData, s.Role, s.LockedAt = id, false, bulk.RoleOwner, new(s.CreatedAt)
		}
	})
	require.Equal(t, id, one[uuid.UUID](t, db, "SELECT office_id FROM office_staffs WHERE staff_id = $1 AND NOT is_test_data", staffs[1].ID))

	recipients := bulk.WelfareRecipients(t, db, offices[:1], 3, func(_ int, r *bulk.WelfareRecipient) { r.Gender = bulk.GenderOther })
	cycles := bulk.SupportPlanCycles(t, db, recipients, func(i int, c *bulk.SupportPlanCycle) {
		if i != 1 {
			c.ID = int32(5 * (i + 1))
		}
		c.FinalPlanSignedDate, c.GoogleEventURL = c.PlanCycleStartDate, new("https://example.com/äöü")
	})
	require.Equal(t, []int32{5, 16, 15}, []int32{cycles[0].ID, cycles[1].ID, cycles[2].ID}, "the sequence is put past the given ids first")
	require.ElementsMatch(t, cycles, read[bulk.SupportPlanCycle](t, db, "SELECT * FROM support_plan_cycles"))
	require.Equal(t, int32(17), bulk.SupportPlanCycles(t, db, recipients[:1])[0].ID)
	require.Equal(t, int32(3), bulk.SupportPlanCycles(t, db, recipients[:1], func(_ int, c *bulk.SupportPlanCycle) { c.ID = 3 })[0].ID)
	require.Equal(t, int32(18), bulk.SupportPlanCycles(t, db, recipients[:1])[0].ID, "a low id does not move the sequence back")
}

func nthOffice(n int, f func(*bulk.Office)) func(int, *bulk.Office) {
	return func(i int, o *bulk.Office) {
		if i == n {
			f(o)
		}
	}
}

func TestOfficeOfARecipientIsLookedUp(t *testing.T) {
	t.Parallel()
	db := welfare(t)
	offices := bulk.Offices(t, db, 2)
	bulk.WelfareRecipients(t, db, offices, 2)
	fromDatabase := read[bulk.WelfareRecipient](t, db, "SELECT * FROM welfare_recipients ORDER BY last_name, first_name")
	cycles := bulk.SupportPlanCycles(t, db, fromDatabase)
	require.Equal(t, []uuid.UUID{offices[0].ID, offices[0].ID, offices[1].ID, offices[1].ID},
		[]uuid.UUID{cycles[0].OfficeID, cycles[1].OfficeID, cycles[2].OfficeID, cycles[3].OfficeID})

	before := counts(t, db)
	execSQL(t, db, "INSERT INTO office_welfare_recipients (welfare_recipient_id, office_id) VALUES ($1, $2)", fromDatabase[1].ID, offices[1].ID)
	_, err := seeder(db).SupportPlanCycles(t.Context(), fromDatabase)
	require.ErrorIs(t, err, bulk.ErrInvalidArgument)
	require.ErrorContains(t, err, "recipients[1] (事業所0000 利用者001, "+fromDatabase[1].ID.String()+") belongs to 2 offices")
	execSQL(t, db, "DELETE FROM office_welfare_recipients WHERE welfare_recipient_id = $1", fromDatabase[1].ID)
	_, err = seeder(db).SupportPlanCycles(t.Context(), fromDatabase)
	require.ErrorIs(t, err, bulk.ErrInvalidArgument)
	require.ErrorContains(t, err, fromDatabase[1].ID.String()+"): no office_welfare_recipients row")
	before[4]--
	require.Equal(t, before, counts(t, db))
}

func TestZeroRows(t *testing.T) {
	t.Parallel()
	db := welfare(t)
	offices := bulk.Offices(t, db, 0)
	require.Equal(t, []bulk.Office{}, offices)
	require.Equal(t, []bulk.Staff{}, bulk.Staffs(t, db, offices, 3))
	require.Equal(t, []bulk.WelfareRecipient{}, bulk.WelfareRecipients(t, db, bulk.Offices(t, db, 1), 0))
	require.Equal(t, []bulk.SupportPlanCycle{}, bulk.SupportPlanCycles(t, db, nil))
	require.Equal(t, []bulk.Office{}, bulk.Insert(t, db, "offices", []bulk.Office{}))
	d := bulk.Welfare(t, db, 0)
	require.Equal(t, bulk.Dataset{Creator: d.Creator, Offices: []bulk.Office{}, Staffs: []bulk.Staff{},
		Recipients: []bulk.WelfareRecipient{}, Cycles: []bulk.SupportPlanCycle{}}, d)
}

func TestBadParametersAreRefusedBeforeAnyWork(t *testing.T) {
	t.Parallel()
	var none *pgxpool.Pool
	var noConn *pgx.Conn
	good := untouchable{t}
	ctx := t.Context()
	for want, call := range map[string]func() error{
		"n is -1":              func() error { _, err := seeder(good).Offices(ctx, -1); return err },
		"perOffice is -2":      func() error { _, err := seeder(good).Staffs(ctx, nil, -2); return err },
		"perOffice is -3":      func() error { _, err := seeder(good).WelfareRecipients(ctx, nil, -3); return err },
		"scale is -4":          func() error { _, err := seeder(good).Welfare(ctx, -4); return err },
		"edit[0] is nil":       func() error { _, err := seeder(good).Offices(ctx, 1, nil); return err },
		"offices[1] has no ID": func() error { _, err := seeder(good).Staffs(ctx, []bulk.Office{{ID: uuid.New()}, {}}, 1); return err },
		"offices[0] has no ID": func() error { _, err := seeder(good).WelfareRecipients(ctx, make([]bulk.Office, 1), 1); return err },
		"recipients[0] has no ID": func() error {
			_, err := seeder(good).SupportPlanCycles(ctx, make([]bulk.WelfareRecipient, 1))
			return err
		},
		"db is nil":              func() error { _, err := seeder(nil).Offices(ctx, 1); return err },
		"db is nil:":             func() error { _, err := seeder(none).Offices(ctx, 1); return err },
		"db is nil: ":            func() error { _, err := bulk.InsertRows(ctx, bulk.With(noConn), "t", []bulk.Office{}); return err },
		"table is empty":         func() error { _, err := bulk.InsertRows(ctx, good, " ", []bulk.Office{}); return err },
		"rows is nil":            func() error { _, err := bulk.InsertRowsSeq[bulk.Office](ctx, good, "t", nil); return err },
		`language "xx"`:          func() error { _, err := seeder(good, bulk.WithLanguage("xx")).Offices(ctx, 1); return err },
		"option number 1 is nil": func() error { _, err := seeder(good, nil).Offices(ctx, 1); return err },
		"負の数は指定できません":            func() error { _, err := seeder(good, bulk.WithLanguage("ja")).Offices(ctx, -1); return err },
	} {
		err := call()
		require.ErrorIs(t, err, bulk.ErrInvalidArgument, want)
		require.ErrorContains(t, err, want)
	}
	for want, call := range map[string]func(testing.TB){
		"n is -1":         func(tb testing.TB) { tb.Helper(); bulk.Offices(tb, good, -1) },
		"perOffice is -1": func(tb testing.TB) { tb.Helper(); bulk.Staffs(tb, good, nil, -1) },
		"perOffice is -2": func(tb testing.TB) { tb.Helper(); bulk.WelfareRecipients(tb, good, nil, -2) },
		"edit[0] is nil":  func(tb testing.TB) { tb.Helper(); bulk.SupportPlanCycles(tb, good, nil, nil) },
		"scale is -1":     func(tb testing.TB) { tb.Helper(); bulk.Welfare(tb, good, -1) },
		"table is empty":  func(tb testing.TB) { tb.Helper(); bulk.Insert(tb, good, "", []bulk.Office{}) },
		"table is empty:": func(tb testing.TB) { tb.Helper(); bulk.InsertSeq(tb, good, "", slices.Values([]bulk.Office{})) },
	} {
		require.Contains(t, fatal(t, call), want)
	}
}

// untouchable is a DB that no call may reach.
type untouchable struct{ t testing.TB }

func (u untouchable) Begin(context.Context) (pgx.Tx, error) {
	u.t.Error("a transaction was begun")
	return nil, errors.New("untouchable")
}

func TestInsideATransactionOfTheCaller(t *testing.T) {
	t.Parallel()
	db := welfare(t)
	ctx := t.Context()
	tx, err := db.Begin(ctx)
	require.NoError(t, err)
	defer tx.Rollback(context.Background())
	offices := bulk.Offices(t, tx, 2)
	require.Zero(t, one[int](t, db, "SELECT count(*) FROM offices"), "not committed")
	_, err = seeder(tx).Staffs(ctx, offices, 2, func(_ int, s *bulk.Staff) { s.Email = "same" })
	require.Error(t, err)
	bulk.WelfareRecipients(t, bulk.With(tx, bulk.Clock(clock)), offices, 2)
	require.NoError(t, tx.Commit(ctx))
	require.Equal(t, []int{1, 2, 0, 4, 4, 0}, counts(t, db))
}

func TestOnASingleConnection(t *testing.T) {
	t.Parallel()
	db := welfare(t)
	conn, err := pgx.Connect(t.Context(), fixtures.URL(t))
	require.NoError(t, err)
	defer conn.Close(context.Background())
	bulk.Welfare(t, conn, 2)
	require.Equal(t, []int{21, 2, 20, 200, 200, 200}, counts(t, db))
	_, known := conn.TypeMap().TypeForName("officetype")
	require.False(t, known, "the caller's types stay as they are")
}

func TestFailureInTheMiddleLeavesNothing(t *testing.T) {
	t.Parallel()
	db := welfare(t)
	offices := bulk.Offices(t, db, 2)
	recipients := bulk.WelfareRecipients(t, db, offices, 2)
	before := counts(t, db)
	ctx := t.Context()
	_, err := seeder(db).Staffs(ctx, offices, 5, func(i int, s *bulk.Staff) {
		if i == 7 {
			s.Email = "staff000003@test-example.com"
		}
	})
	var pg *pgconn.PgError
	require.ErrorAs(t, err, &pg)
	require.Equal(t, "23505", pg.Code)
	var refused *bulk.ConstraintError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, 7, refused.Row)
	require.ErrorContains(t, err, ") was refused: staffs_email_key: Key (email)=(staff000003@test-example.com) already exists.")

	_, err = seeder(db).WelfareRecipients(ctx, offices, 2, func(i int, r *bulk.WelfareRecipient) {
		if i == 2 {
			r.OfficeID = uuid.New()
		}
	})
	require.ErrorAs(t, err, &pg)
	require.Equal(t, "office_welfare_recipients_office_id_fkey", pg.ConstraintName)
	require.ErrorContains(t, err, "public.office_welfare_recipients, row 2 (id=")
	require.ErrorContains(t, err, ") was refused: office_welfare_recipients_office_id_fkey: Key (office_id)=")

	_, err = seeder(db).SupportPlanCycles(ctx, recipients, func(_ int, c *bulk.SupportPlanCycle) {
		c.NextRenewalDeadline = nil
		c.ID = 7
	})
	require.ErrorContains(t, err, "support_plan_cycles_pkey")
	execSQL(t, db, "ALTER TABLE support_plan_cycles ADD CHECK (cycle_number < 2) NOT VALID")
	_, err = seeder(db).Welfare(ctx, 1)
	require.NoError(t, err)
	execSQL(t, db, "ALTER TABLE support_plan_cycles ADD CHECK (cycle_number < 1) NOT VALID")
	_, err = seeder(db).Welfare(ctx, 1)
	require.ErrorContains(t, err, "support_plan_cycles_cycle_number_check1")
	before = []int{before[0] + 10, before[1] + 1, 10, before[3] + 100, before[4] + 100, 100}
	require.Equal(t, before, counts(t, db))
	require.Zero(t, db.Stat().AcquiredConns())
}

func TestPanicOfAnEditFunction(t *testing.T) {
	t.Parallel()
	db := welfare(t)
	offices := bulk.Offices(t, db, 1)
	require.PanicsWithValue(t, "boom", func() {
		_, _ = seeder(db).Staffs(t.Context(), offices, 5, func(i int, _ *bulk.Staff) {
			if i == 3 {
				panic("boom")
			}
		})
	})
	require.Zero(t, db.Stat().AcquiredConns())
	require.Equal(t, []int{1, 1, 0, 0, 0, 0}, counts(t, db))
	bulk.Staffs(t, db, offices, 1) // the lock is free again
}

func TestCancelledContext(t *testing.T) {
	t.Parallel()
	db := welfare(t)
	offices := bulk.Offices(t, db, 1)
	for _, when := range []int{0, 500, 999} {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := seeder(db).WelfareRecipients(ctx, offices, 1000, func(i int, _ *bulk.WelfareRecipient) {
			if i == when {
				cancel()
			}
		})
		require.ErrorIs(t, err, context.Canceled)
		cancel()
	}
	require.Equal(t, []int{1, 1, 0, 0, 0, 0}, counts(t, db))
	require.Zero(t, db.Stat().AcquiredConns())
	bulk.WelfareRecipients(t, db, offices, 1)
}

func TestWorksInCleanup(t *testing.T) {
	t.Parallel()
	db := welfare(t)
	t.Cleanup(func() { require.Len(t, bulk.Offices(t, db, 2), 2) })
}

func TestGuard(t *testing.T) {
	t.Parallel()
	admin := welfare(t)
	several(t, admin)
	for name, c := range map[string]struct {
		opts []bulk.Option
		text string
	}{
		"gh_shop_%d":      {nil, "AllowDatabase"},
		"gh_test_prod_%d": {nil, `"prod"`},
		"gh_shop_live_%d": {[]bulk.Option{bulk.AllowDatabase("%name")}, `"live"`},
	} {
		name = fmt.Sprintf(name, os.Getpid())
		db := databaseNamed(t, admin, name)
		for i, o := range c.opts {
			if o != nil {
				c.opts[i] = bulk.AllowDatabase(name)
			}
		}
		_, err := seeder(db, c.opts...).Offices(t.Context(), 1)
		require.ErrorIs(t, err, bulk.ErrUnsafeDatabase)
		require.ErrorContains(t, err, c.text)
		_, err = bulk.InsertRows(t.Context(), bulk.With(db, c.opts...), "offices", []bulk.Office{{}})
		require.ErrorIs(t, err, bulk.ErrUnsafeDatabase)
		_, err = bulk.InsertRows(t.Context(), bulk.With(db, c.opts...), "no.such.table.at.all", []bulk.Office{{}})
		require.ErrorIs(t, err, bulk.ErrUnsafeDatabase, "said before anything else")
		require.Equal(t, []int{0, 0, 0, 0, 0, 0}, counts(t, db))
	}
	name := fmt.Sprintf("gh_allowed_%d", os.Getpid())
	db := databaseNamed(t, admin, name)
	require.Len(t, bulk.Offices(t, bulk.With(db, bulk.AllowDatabase("other"), bulk.AllowDatabase(name)), 1), 1)
}

// databaseNamed makes a copy of the domain's empty database under a name.
func databaseNamed(t *testing.T, admin *pgxpool.Pool, name string) *pgxpool.Pool {
	t.Helper()
	execSQL(t, admin, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	t.Cleanup(func() { execSQL(t, admin, "DROP DATABASE "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)") })
	config := admin.Config()
	config.ConnConfig.Database = name
	db, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(db.Close)
	execSQL(t, db, fixtures.WelfareSchema)
	return db
}

func TestManyAtOnceNeverCollide(t *testing.T) {
	t.Parallel()
	db := welfare(t)
	offices := bulk.Offices(t, db, 1)
	recipients := bulk.WelfareRecipients(t, db, offices, 1)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			d, err := seeder(db).Welfare(context.Background(), 2)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := seeder(db).Staffs(context.Background(), append(d.Offices, offices...), 3); err != nil {
				t.Error(err)
			}
			if _, err := seeder(db).SupportPlanCycles(context.Background(), recipients); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.Equal(t, 17, one[int](t, db, "SELECT count(DISTINCT name) FROM offices"))
	require.Equal(t, 8, one[int](t, db, "SELECT count(DISTINCT cycle_number) FROM support_plan_cycles WHERE welfare_recipient_id = $1", recipients[0].ID))
	require.Zero(t, one[int](t, db, "SELECT count(*) FROM (SELECT full_name FROM staffs GROUP BY 1 HAVING count(*) > 1) s"))
	require.Zero(t, one[int](t, db, "SELECT count(*) FROM (SELECT last_name, first_name FROM welfare_recipients GROUP BY 1, 2 HAVING count(*) > 1) s"))
}

const childURL = "BULK_TEST_CHILD_URL"

// seedAsChild is what the test binary does as a process that seeds.
func seedAsChild() {
	ctx := context.Background()
	db, err := pgxpool.New(ctx, os.Getenv(childURL))
	if err == nil {
		for range 3 {
			if _, err = bulk.NewSeeder(db).Welfare(ctx, 2); err != nil {
				break
			}
		}
		db.Close()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func TestProcessesAtOnceNeverCollide(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	db := welfare(t)
	self, err := os.Executable()
	require.NoError(t, err)
	children := make([]*process, 3)
	for i := range children {
		c := &process{Cmd: exec.CommandContext(t.Context(), self)}
		c.Env = append(os.Environ(), childURL+"="+fixtures.URL(t))
		c.Stderr = &c.errors
		require.NoError(t, c.Start())
		children[i] = c
	}
	for _, c := range children {
		require.NoError(t, c.Wait(), c.errors.String())
	}
	require.Equal(t, []int{181, 18, 180, 1800, 1800, 1800}, counts(t, db))
	names := read[struct{ Name string }](t, db, "SELECT name FROM offices ORDER BY name")
	for i, n := range names {
		require.Equal(t, "テスト事業所00"+strconv.Itoa(100 + i)[1:], n.Name)
	}
}

type process struct {
	*exec.Cmd
	errors bytes.Buffer
}
