package bulk

import (
	"context"
	"log/slog"
	"reflect"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/bulk/internal/load"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/option"
	"github.com/groundhogdb/groundhog/internal/testdb"
)

// DB is where rows are loaded: a *pgxpool.Pool, a *pgx.Conn, or a pgx.Tx, in
// which each call is a savepoint. [With] makes one that carries options.
type DB interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

// Option changes how the calls of this package work; see [With].
type Option interface{ applyOption(*config) }

type optionFunc func(*config)

func (f optionFunc) applyOption(c *config) { f(c) }

// config is what the options of a call come to.
type config struct {
	load   load.Config
	logs   bool // the logger was chosen, be it nil
	style  style
	faults option.Faults
}

// Clock fixes the present: created_at and updated_at of rows that a factory
// makes, and "today", which is the date of now in its own location. Without it
// both are the process's local ones.
func Clock(now time.Time) Option { return optionFunc(func(c *config) { c.style.clock = now }) }

// AllowDatabase lets the database with exactly this name be changed though no
// word of the name says that it is for tests. A name with the word prod,
// production, live or staging is refused all the same.
func AllowDatabase(name string) Option {
	return optionFunc(func(c *config) {
		if name == "" {
			c.faults.Add(msg.OptionEmptyName, "AllowDatabase")
		}
		c.load.Allowed = append(c.load.Allowed[:len(c.load.Allowed):len(c.load.Allowed)], name)
	})
}

// WithLanguage sets the language of errors and log lines: "en" or "ja". The default
// is that of the environment variable GROUNDHOG_LANG, else English.
func WithLanguage(lang string) Option {
	return optionFunc(func(c *config) { c.load.Lang = option.Language(lang, &c.faults) })
}

// WithRetry sets how often a call is tried when the connection is lost, and the
// waits in between; the last one is for all that follow. The default is 3 attempts.
// The default waits are 2 s, 4 s and 8 s, then 10 s each. WithRetry(1) tries once.
//
// Only connection faults are retried (SQLSTATE class 08, 57P01 to 57P03, broken
// sockets, refused connections), and only on a *pgxpool.Pool: a *pgx.Conn or a
// pgx.Tx is dead once it is cut. The whole transaction is made again, with the
// same rows: edit functions run once. Each retry is a line in the log. A context
// that ends, ends the waiting.
func WithRetry(attempts int, waits ...time.Duration) Option {
	return optionFunc(func(c *config) { c.load.Retry.Set(attempts, waits, &c.faults) })
}

// WithProgress turns progress output on or off for work that takes longer than about a
// second: a bar on standard error if that is a terminal, else a line in the log every
// few seconds. The default is on.
func WithProgress(show bool) Option { return optionFunc(func(c *config) { c.load.Silent = !show }) }

// WithLogger sends log lines to l, or nowhere if l is nil. By default the functions
// that take a testing.TB log to that test, and the others are silent.
func WithLogger(l *slog.Logger) Option {
	return optionFunc(func(c *config) { c.load.Logger, c.logs = l, true })
}

// Realistic makes the factories' rows look like those of a running application:
// Japanese names with the furigana that belongs to them, birth dates, all
// genders, office types and roles, deadlines spread over the year, and several
// plan cycles for each recipient, the last of which is the latest: so
// SupportPlanCycles returns more cycles than there are recipients.
//
// The same seed makes the same rows in an empty database, with [Clock] the same
// bytes. Ids and unique texts come from the seed, the table and a running number
// that goes on after the highest there is, so that a second call, also of another
// process, never collides.
func Realistic(seed int64) Option { return optionFunc(func(c *config) { c.style.seed = &seed }) }

// With returns a DB that carries options, for every call of this package. A db
// that carries options already keeps them. Of two options that contradict each other
// the later one holds; names given to [AllowDatabase] add up. Options with wrong
// arguments are reported by the calls that use the DB, all of them at once, with what
// is wrong with the call's own arguments.
func With(db DB, opts ...Option) DB {
	inner, c := unwrap(db)
	option.Each(opts, &c.faults, func(o Option) { o.applyOption(&c) })
	return &configured{db: inner, config: c}
}

// configured is a DB with options.
type configured struct {
	db     DB
	config config
}

// Begin makes a configured DB usable wherever the plain one is.
func (c *configured) Begin(ctx context.Context) (pgx.Tx, error) { return c.db.Begin(ctx) }

// unwrap returns the DB beneath the options, and what they come to.
func unwrap(db DB) (DB, config) {
	if c, ok := db.(*configured); ok && c != nil {
		return c.db, c.config
	}
	return db, config{load: load.Config{Errors: load.Errors{Violation: constraintError, Misfit: rowError}}}
}

// inTest returns db with the log lines going to t, unless a logger was chosen.
func inTest(t testing.TB, db DB) DB {
	if _, c := unwrap(db); c.logs {
		return db
	}
	return With(db, WithLogger(testdb.Logger(t)))
}

// check returns what no call can work with: what is wrong with the options and db. The
// call adds what is wrong with its own arguments.
func (c config) check(db DB) option.Faults {
	faults := c.faults
	if v := reflect.ValueOf(db); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		faults.Add(msg.BulkNilDB)
	}
	return faults
}
