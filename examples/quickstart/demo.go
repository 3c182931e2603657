package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/groundhogdb/groundhog/bulk"
	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/snapshot"
)

// snapshotName is one that no other snapshot in a folder given with -dir has.
const snapshotName = "quickstart"

// The team's scale: the counts that go with one office.
const (
	staffsPerOffice     = 10
	recipientsPerOffice = 100
)

// demo is one run of the program.
type demo struct {
	options
	say   texts
	stdin io.Reader
	out   io.Writer
}

func (d demo) run(ctx context.Context) (err error) {
	report := newReport(d.say)

	// A server, and a database with the schema.
	began := time.Now()
	server, err := fixtures.Start(ctx, d.server()...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	report.step(d.started(), noRows, time.Since(began))

	began = time.Now()
	db, err := server.CreateDatabase(ctx, fixtures.WithSchema(fixtures.WelfareSchema))
	if err != nil {
		return err
	}
	report.step(d.say.schema, noRows, time.Since(began))

	// The snapshot's folder.
	if d.dir == "" {
		if d.dir, err = os.MkdirTemp("", "groundhog-quickstart-"); err != nil {
			return err
		}
		if !d.keep {
			defer func() { err = errors.Join(err, os.RemoveAll(d.dir)) }()
		}
	}
	store, err := snapshot.NewStore(db.Pool, snapshot.WithDir(d.dir))
	if err != nil {
		return err
	}

	if err := seed(ctx, db.Pool, d.offices, report, d.say); err != nil {
		return err
	}
	before, err := stateOf(ctx, db.Pool)
	if err != nil {
		return err
	}

	began = time.Now()
	info, err := store.Create(ctx, snapshotName, snapshot.Replace())
	if err != nil {
		return err
	}
	report.step(d.say.created, info.Rows, time.Since(began))

	if err := change(ctx, db.Pool, report, d.say); err != nil {
		return err
	}
	changed, err := stateOf(ctx, db.Pool)
	if err != nil {
		return err
	}

	began = time.Now()
	restored, err := store.Restore(ctx, snapshotName)
	if err != nil {
		return err
	}
	report.step(d.say.restored, restored.Rows, time.Since(began))
	after, err := stateOf(ctx, db.Pool)
	if err != nil {
		return err
	}

	report.print(d.out)
	if err := prove(d.out, d.say, before, changed, after); err != nil {
		return err
	}
	if d.keep {
		return d.wait(ctx, info.Path, db.URL)
	}
	return nil
}

func (d demo) server() []fixtures.Option {
	if d.url == "" {
		return nil
	}
	return []fixtures.Option{fixtures.WithURL(d.url)}
}

func (d demo) started() string {
	if d.url == "" && os.Getenv("GROUNDHOG_DATABASE_URL") == "" {
		return d.say.started
	}
	return d.say.connected
}

// seed fills the six tables; a factory also makes the rows that join its own to
// the offices.
func seed(ctx context.Context, pool *pgxpool.Pool, n int, report *report, say texts) error {
	seeder := bulk.NewSeeder(pool)

	began := time.Now()
	offices, err := seeder.Offices(ctx, n)
	if err != nil {
		return err
	}
	report.step(say.seedOffices, int64(len(offices)+1), time.Since(began))

	began = time.Now()
	staffs, err := seeder.Staffs(ctx, offices, staffsPerOffice)
	if err != nil {
		return err
	}
	report.step(say.seedStaffs, int64(2*len(staffs)), time.Since(began))

	began = time.Now()
	recipients, err := seeder.WelfareRecipients(ctx, offices, recipientsPerOffice)
	if err != nil {
		return err
	}
	report.step(say.seedRecipients, int64(2*len(recipients)), time.Since(began))

	began = time.Now()
	cycles, err := seeder.SupportPlanCycles(ctx, recipients)
	if err != nil {
		return err
	}
	report.step(say.cycles, int64(len(cycles)), time.Since(began))
	return nil
}

// change does what a test may do to a database: it updates, deletes and inserts
// rows in every table, and commits.
func change(ctx context.Context, pool *pgxpool.Pool, report *report, say texts) error {
	for _, step := range []struct {
		name string
		sql  []string
	}{
		{say.updated, []string{
			"UPDATE welfare_recipients SET last_name = last_name || '改', updated_at = now() WHERE first_name LIKE '%1'",
			"UPDATE staffs SET is_locked = true, locked_at = now() WHERE role = 'employee' AND first_name LIKE '%2'",
			"UPDATE offices SET name = name || '(旧)'",
		}},
		{say.deleted, []string{
			"DELETE FROM support_plan_cycles WHERE id % 3 = 0",
			"DELETE FROM office_welfare_recipients WHERE welfare_recipient_id IN (SELECT id FROM welfare_recipients WHERE first_name LIKE '%9')",
			"DELETE FROM office_staffs WHERE staff_id IN (SELECT id FROM staffs WHERE is_locked)",
		}},
	} {
		began := time.Now()
		var rows int64
		err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			for _, sql := range step.sql {
				done, err := tx.Exec(ctx, sql)
				if err != nil {
					return err
				}
				rows += done.RowsAffected()
			}
			return nil
		})
		if err != nil {
			return err
		}
		report.step(step.name, rows, time.Since(began))
	}

	seeder := bulk.NewSeeder(pool)
	began := time.Now()
	offices, err := seeder.Offices(ctx, 1)
	if err != nil {
		return err
	}
	recipients, err := seeder.WelfareRecipients(ctx, offices, recipientsPerOffice)
	if err != nil {
		return err
	}
	cycles, err := seeder.SupportPlanCycles(ctx, recipients)
	if err != nil {
		return err
	}
	report.step(say.inserted, int64(len(offices)+2*len(recipients)+len(cycles)), time.Since(began))
	return nil
}

// wait says where what is kept can be found and waits for Enter, the end of
// input, or an interrupt: nobody is left with a server that he does not see.
func (d demo) wait(ctx context.Context, path, url string) error {
	fmt.Fprintf(d.out, d.say.snapshotKept+"\n"+d.say.databaseKept+"\n"+d.say.pressIt+"\n", path, url)
	entered := make(chan struct{})
	go func() {
		defer close(entered)
		_, _ = bufio.NewReader(d.stdin).ReadString('\n')
	}()
	select {
	case <-entered:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
