package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/groundhogdb/groundhog/bulk"
	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/scratch"
	"github.com/groundhogdb/groundhog/snapshot"
)

const snapshotName = "quickstart"

// The team's scale: the counts that go with one office.
const (
	staffsPerOffice     = 10
	recipientsPerOffice = 100
)

// demo is one run of the program.
type demo struct {
	options
	say      texts
	stdin    io.Reader
	attended bool // somebody can press Enter
	out      io.Writer
	report   *report
}

// leftover is an error of the tidying up: something may have been left behind.
type leftover struct{ error }

// run opens a database, shows the main job on it, and tidies up.
func (d *demo) run(ctx context.Context) (err error) {
	tidy := func(f func() error) {
		if failed := f(); failed != nil {
			err = errors.Join(err, leftover{failed})
		}
	}
	own, kept := d.dir == "", false
	if own {
		folder, err := scratch.New("", "groundhog-quickstart-")
		if err != nil {
			return fmt.Errorf(d.say.noFolder, err)
		}
		d.dir = folder.Path
		defer tidy(func() error {
			if kept {
				return folder.Keep()
			}
			return folder.Remove()
		})
	}
	server, db, err := d.open(ctx)
	if server != nil {
		defer tidy(server.Close)
	}
	if err != nil {
		return err
	}
	file, err := d.mainJob(ctx, db.Pool)
	if file == "" || ctx.Err() != nil || own && !d.keep {
		return err
	}
	kept = true
	// What the proof failed on is worth a look too.
	return errors.Join(err, d.stay(ctx, server, db, file))
}

// open starts the server and makes the database.
func (d *demo) open(ctx context.Context) (server *fixtures.Server, db *fixtures.Database, err error) {
	name, options := d.say.started, []fixtures.Option(nil)
	if d.onServer() {
		name = d.say.connected
	}
	if d.url != "" {
		options = append(options, fixtures.WithURL(d.url))
	}
	err = d.report.step(name, func() (int64, error) {
		server, err = fixtures.Start(ctx, options...)
		return noRows, err
	})
	if err != nil {
		return nil, nil, err
	}
	err = d.report.step(d.say.schema, func() (int64, error) {
		db, err = server.CreateDatabase(ctx, fixtures.WithSchema(fixtures.WelfareSchema))
		return noRows, err
	})
	return server, db, err
}

// onServer reports whether the server is one that was there already.
func (d *demo) onServer() bool {
	return d.url != "" || strings.TrimSpace(os.Getenv(fixtures.EnvURL)) != ""
}

// mainJob fills the database, creates the snapshot, changes rows, restores, and
// proves that all is as before. It returns the path of the snapshot as soon as
// there is one.
func (d *demo) mainJob(ctx context.Context, pool *pgxpool.Pool) (file string, err error) {
	store, err := snapshot.NewStore(pool, snapshot.WithDir(d.dir))
	if err != nil {
		return "", err
	}
	if err := d.seed(ctx, pool); err != nil {
		return "", err
	}
	before, err := stateOf(ctx, pool)
	if err != nil {
		return "", err
	}
	err = d.report.step(d.say.created, func() (int64, error) {
		info, err := store.Create(ctx, snapshotName, snapshot.Replace())
		file = info.Path
		return info.Rows, err
	})
	if err != nil {
		return "", err
	}
	if err := d.change(ctx, pool); err != nil {
		return file, err
	}
	changed, err := stateOf(ctx, pool)
	if err != nil {
		return file, err
	}
	err = d.report.step(d.say.restored, func() (int64, error) {
		restored, err := store.Restore(ctx, snapshotName)
		return restored.Rows, err
	})
	if err != nil {
		return file, err
	}
	after, err := stateOf(ctx, pool)
	if err != nil {
		return file, err
	}
	if err := d.report.print(d.out); err != nil {
		return file, err
	}
	return file, prove(d.out, d.say, before, changed, after)
}

// seed fills the six tables; a factory also makes the rows that join its own to
// the offices.
func (d *demo) seed(ctx context.Context, pool *pgxpool.Pool) error {
	var (
		seeder     = bulk.NewSeeder(pool)
		offices    []bulk.Office
		recipients []bulk.WelfareRecipient
	)
	return d.report.sum(d.say.seeded, []step{
		{d.say.seedOffices, func() (_ int64, err error) {
			offices, err = seeder.Offices(ctx, d.offices)
			return int64(1 + len(offices)), err // the creator is made too
		}},
		{d.say.seedStaffs, func() (int64, error) {
			staffs, err := seeder.Staffs(ctx, offices, staffsPerOffice)
			return int64(2 * len(staffs)), err
		}},
		{d.say.seedRecipients, func() (_ int64, err error) {
			recipients, err = seeder.WelfareRecipients(ctx, offices, recipientsPerOffice)
			return int64(2 * len(recipients)), err
		}},
		{d.say.seedCycles, func() (int64, error) {
			cycles, err := seeder.SupportPlanCycles(ctx, recipients)
			return int64(len(cycles)), err
		}},
	})
}

// change does what a test may do to a database: it updates, deletes and inserts
// rows, leaves no table as it was, and commits.
func (d *demo) change(ctx context.Context, pool *pgxpool.Pool) error {
	return d.report.steps([]step{
		{d.say.updated, func() (int64, error) {
			return commit(ctx, pool,
				"UPDATE welfare_recipients SET last_name = last_name || '改', updated_at = now() WHERE first_name LIKE '%1'",
				"UPDATE staffs SET is_locked = true, locked_at = now() WHERE role = 'employee' AND first_name LIKE '%2'",
				"UPDATE offices SET name = name || '(旧)'")
		}},
		{d.say.deleted, func() (int64, error) {
			return commit(ctx, pool,
				"DELETE FROM support_plan_cycles WHERE id % 3 = 0",
				"DELETE FROM office_welfare_recipients WHERE welfare_recipient_id IN (SELECT id FROM welfare_recipients WHERE first_name LIKE '%9')",
				"DELETE FROM office_staffs WHERE staff_id IN (SELECT id FROM staffs WHERE is_locked)")
		}},
		{d.say.inserted, func() (int64, error) {
			seeder := bulk.NewSeeder(pool)
			offices, err := seeder.Offices(ctx, 1)
			if err != nil {
				return 0, err
			}
			recipients, err := seeder.WelfareRecipients(ctx, offices, recipientsPerOffice)
			if err != nil {
				return 0, err
			}
			cycles, err := seeder.SupportPlanCycles(ctx, recipients)
			return int64(len(offices) + 2*len(recipients) + len(cycles)), err
		}},
	})
}

// commit runs statements in a transaction and counts the rows.
func commit(ctx context.Context, pool *pgxpool.Pool, statements ...string) (rows int64, err error) {
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		for _, sql := range statements {
			done, err := tx.Exec(ctx, sql)
			if err != nil {
				return err
			}
			rows += done.RowsAffected()
		}
		return nil
	})
	return rows, err
}
