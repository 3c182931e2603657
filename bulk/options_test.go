package bulk_test

import (
	"bytes"
	"context"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/bulk"
	"github.com/groundhogdb/groundhog/internal/cost"
	"github.com/groundhogdb/groundhog/internal/fault"
)

func TestOptionsAreCheckedBeforeAnyWork(t *testing.T) {
	t.Parallel()
	good := untouchable{t}
	for want, option := range map[string]bulk.Option{
		"WithRetry(0)":       bulk.WithRetry(0),
		"WithRetry(-1)":      bulk.WithRetry(-1),
		"the wait -1s":       bulk.WithRetry(2, time.Second, -time.Second),
		`language "klingon"`: bulk.WithLanguage("klingon"),
	} {
		_, err := seeder(good, option).Offices(t.Context(), 1)
		require.ErrorIs(t, err, bulk.ErrInvalidArgument)
		require.ErrorContains(t, err, want)
	}
}

// TestAllFaultsAreToldAtOnce: those of the options, the DB and the call's arguments.
func TestAllFaultsAreToldAtOnce(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	bad := []bulk.Option{nil, bulk.WithRetry(0, -time.Second), bulk.WithLanguage("klingon"), bulk.AllowDatabase("")}
	common := []string{"option number 1 is nil", "WithRetry(0)", "the wait -1s", `language "klingon"`, "AllowDatabase needs a name", "db is nil"}
	none := bulk.With(nil, bad...)
	office := []bulk.Office{{}, {}}
	for name, c := range map[string]struct {
		call func() error
		want []string
	}{
		"Offices": {func() error { _, err := seeder(none).Offices(ctx, -1, nil, nil); return err }, []string{"n is -1", "edit[0] is nil", "edit[1] is nil"}},
		"Staffs":  {func() error { _, err := seeder(none).Staffs(ctx, office, -1, nil); return err }, []string{"perOffice is -1", "edit[0] is nil", "offices[0] has no ID"}},
		"WelfareRecipients": {func() error { _, err := seeder(nil, bad...).WelfareRecipients(ctx, office, -1, nil); return err },
			[]string{"perOffice is -1", "edit[0] is nil", "offices[0] has no ID"}},
		"SupportPlanCycles": {func() error {
			_, err := seeder(none).SupportPlanCycles(ctx, make([]bulk.WelfareRecipient, 1), nil)
			return err
		}, []string{"edit[0] is nil", "recipients[0] has no ID"}},
		"Welfare":    {func() error { _, err := seeder(none).Welfare(ctx, -1); return err }, []string{"scale is -1"}},
		"InsertRows": {func() error { _, err := bulk.InsertRows(ctx, none, " ", []int{1}); return err }, []string{"table is empty", "rows are of type int"}},
		"InsertRowsSeq": {func() error { _, err := bulk.InsertRowsSeq[func()](ctx, none, "", nil); return err },
			[]string{"table is empty", "rows are of type func()", "rows is nil"}},
	} {
		err := c.call()
		require.ErrorIs(t, err, bulk.ErrInvalidArgument, name)
		for _, want := range slices.Concat(common, c.want) {
			require.ErrorContains(t, err, want, name)
		}
		require.Equal(t, len(common)+len(c.want), strings.Count(err.Error(), "groundhog: "), "%s: %v", name, err)
	}
	// A DB with options is not changed by those that another is made with.
	good := bulk.With(untouchable{t}, bulk.WithLanguage("ja"))
	_, err := seeder(bulk.With(good, bulk.WithRetry(0))).Offices(ctx, -1)
	require.ErrorContains(t, err, "試行回数は 1 以上にしてください")
	_, err = seeder(good).Offices(ctx, -1)
	require.NotContains(t, err.Error(), "試行回数")
}

func TestOfficesOfAnotherDatabaseAreRefused(t *testing.T) {
	t.Parallel()
	other := welfare(t)
	several(t, other)
	elsewhere := bulk.Offices(t, other, 2)
	db := welfare(t)
	bulk.Offices(t, db, 1)
	_, err := seeder(db).Staffs(t.Context(), elsewhere, 1)
	require.ErrorIs(t, err, bulk.ErrInvalidArgument)
	require.ErrorContains(t, err, "offices[0]")
	_, err = seeder(db).WelfareRecipients(t.Context(), elsewhere, 1)
	require.ErrorIs(t, err, bulk.ErrInvalidArgument)
	people := bulk.WelfareRecipients(t, db, read[bulk.Office](t, db, "SELECT * FROM offices"), 1)
	people[0].OfficeID = elsewhere[1].ID
	_, err = seeder(db).SupportPlanCycles(t.Context(), people)
	require.Error(t, err)
	require.Equal(t, []int{1, 1, 0, 1, 1, 0}, counts(t, db))
}

func TestLongWorkShowsProgress(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	db := tablesOf(t, `CREATE TABLE t (n int)`)
	slow := func(yield func(struct{ N int }) bool) {
		deadline := time.Now().Add(3500 * time.Millisecond)
		for i := 0; time.Now().Before(deadline); i++ {
			if !yield(struct{ N int }{i}) {
				return
			}
			if i%1000 == 999 {
				time.Sleep(10 * time.Millisecond) // stands for a source that is slow
			}
		}
	}
	for _, show := range []bool{true, false} {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			set := bulk.With(db, bulk.WithProgress(show), bulk.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
			bulk.InsertSeq(t, set, "t", slow)
			if show {
				require.Regexp(t, `msg="t: [0-9,]+ rows, [0-9,]+ rows/s"`, log.String())
				require.Regexp(t, `msg="t: [0-9,]+ rows in [0-9.]+s"`, log.String())
			} else {
				require.Empty(t, log.String())
			}
		})
	}
}

func TestShortWorkIsSilent(t *testing.T) {
	t.Parallel()
	db := welfare(t)
	superuser(t, db) // others get a word on what they lose
	var log bytes.Buffer
	bulk.Welfare(t, bulk.With(db, bulk.WithLogger(slog.New(slog.NewTextHandler(&log, nil)))), bulk.Small)
	require.Empty(t, log.String())
}

// The end of the goroutine inside a sequence or an edit function, as t.FailNow
// brings it, leaves nothing behind.
func TestGoexitInUserCode(t *testing.T) {
	t.Parallel()
	db := welfare(t)
	offices := bulk.Offices(t, db, 1)
	for _, call := range []func(){
		func() {
			_, _ = bulk.InsertRowsSeq(context.Background(), db, "offices", func(yield func(bulk.Office) bool) {
				for i := range 3000 {
					o := offices[0]
					o.ID = uuid.New()
					if yield(o) && i == 2500 {
						runtime.Goexit()
					}
				}
			})
		},
		func() {
			_, _ = seeder(db).Staffs(context.Background(), offices, 5, func(int, *bulk.Staff) { runtime.Goexit() })
		},
	} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			call()
		}()
		<-done
	}
	require.Zero(t, db.Stat().AcquiredConns())
	require.Equal(t, []int{1, 1, 0, 0, 0, 0}, counts(t, db))
}

// TestCosts compares statements and allocations with what was recorded. Record
// anew with: GROUNDHOG_RECORD=1 go test ./bulk -run TestCosts
func TestCosts(t *testing.T) {
	pool := tablesOf(t, `CREATE TABLE parents (id serial PRIMARY KEY, v text); CREATE TABLE c (id int PRIMARY KEY, parent int REFERENCES parents); INSERT INTO parents (v) SELECT '' FROM generate_series(1, 1000)`)
	superuser(t, pool) // for the fast way
	seeded := welfare(t)
	got := map[string]cost.Cost{}
	measure := func(name string, config *pgx.ConnConfig, reset string, call func(db bulk.DB)) {
		wire := cost.Watch(&config.Config)
		conn, err := pgx.ConnectConfig(t.Context(), config)
		require.NoError(t, err)
		defer conn.Close(context.Background())
		empty := func() {
			_, err := conn.Exec(context.Background(), reset)
			require.NoError(t, err)
		}
		for range 2 { // what is done once per connection is done
			empty()
			call(conn)
		}
		empty()
		wire.Reset()
		call(conn)
		var c cost.Cost
		c.Statements, c.RoundTrips = wire.Counts()
		c.Allocs = cost.Allocs(empty, func() { call(conn) })
		got[name] = c
	}
	type parent struct {
		ID int
		V  string
	}

	measure("Insert 1 row", pool.Config().ConnConfig, "TRUNCATE c; DELETE FROM parents WHERE id > 1000", func(db bulk.DB) { bulk.Insert(t, db, "parents", make([]parent, 1)) })
	measure("Insert 1000 rows with a foreign key", pool.Config().ConnConfig, "TRUNCATE c", func(db bulk.DB) { bulk.Insert(t, db, "c", children(1)) })
	measure("InsertSeq 10000 rows", pool.Config().ConnConfig, "TRUNCATE c; DELETE FROM parents WHERE id > 1000", func(db bulk.DB) {
		bulk.InsertSeq(t, db, "parents", slices.Values(make([]parent, 10_000)))
	})
	measure("Offices 100", seeded.Config().ConnConfig, emptied, func(db bulk.DB) { bulk.Offices(t, db, 100) })
	measure("Welfare Small", seeded.Config().ConnConfig, emptied, func(db bulk.DB) { bulk.Welfare(t, db, bulk.Small) })
	measure("Welfare Small, realistic", seeded.Config().ConnConfig, emptied, func(db bulk.DB) { bulk.Welfare(t, bulk.With(db, bulk.Realistic(1)), bulk.Small) })
	cost.Compare(t, "testdata/costs.json", got)
}
