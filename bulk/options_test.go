package bulk_test

import (
	"bytes"
	"context"
	"log/slog"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/bulk"
	"github.com/groundhogdb/groundhog/internal/cost"
)

func TestOptionsAreCheckedBeforeAnyWork(t *testing.T) {
	t.Parallel()
	good := untouchable{t}
	for want, option := range map[string]bulk.Option{
		"Retry(0)":            bulk.Retry(0),
		"Retry(-1)":           bulk.Retry(-1),
		"the wait -1s":        bulk.Retry(2, time.Second, -time.Second),
		`Language("klingon")`: bulk.Language("klingon"),
	} {
		_, err := seeder(good, option).Offices(t.Context(), 1)
		require.ErrorIs(t, err, bulk.ErrInvalidArgument)
		require.ErrorContains(t, err, want)
	}
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
			set := bulk.With(db, bulk.Progress(show), bulk.Logger(slog.New(slog.NewTextHandler(&log, nil))))
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
	bulk.Welfare(t, bulk.With(db, bulk.Logger(slog.New(slog.NewTextHandler(&log, nil)))), bulk.Small)
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
