package bulk

import (
	"context"
	"reflect"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
)

// DB is where rows are loaded: a *pgxpool.Pool, a *pgx.Conn, or a pgx.Tx, in
// which each call is a savepoint. [With] makes one that carries options.
type DB interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

// Option changes how the calls of this package work; see [With].
type Option interface{ apply(*settings) }

type option func(*settings)

func (o option) apply(s *settings) { o(s) }

// settings are what the options of a call come to.
type settings struct {
	clock   time.Time // zero: the present
	allowed []string
	lang    msg.Lang
	wrong   string // an option's argument that was refused
}

// Clock fixes the present: created_at and updated_at of rows that a factory
// makes, and "today", which is the date of now in its own location. Without it
// both are the process's local ones.
func Clock(now time.Time) Option { return option(func(s *settings) { s.clock = now }) }

// AllowDatabase lets the database with exactly this name be changed though no
// word of the name says that it is for tests. A name with the word prod,
// production, live or staging is refused all the same.
func AllowDatabase(name string) Option {
	return option(func(s *settings) { s.allowed = append(s.allowed[:len(s.allowed):len(s.allowed)], name) })
}

// Language sets the language of errors: "en" or "ja". Without it the
// environment variable GROUNDHOG_LANG decides, else it is English.
func Language(lang string) Option {
	return option(func(s *settings) {
		l, ok := msg.Parse(lang)
		if !ok {
			s.wrong = msg.BulkLanguage.In(s.lang, lang)
			return
		}
		s.lang = l
	})
}

// With returns a DB that carries options, for every call of this package. A db
// that carries some already keeps them; where two say different things, the
// later one holds. An option with a wrong argument is reported by the call
// that uses it.
func With(db DB, opts ...Option) DB {
	inner, set := unwrap(db)
	for _, o := range opts {
		if o == nil {
			set.wrong = msg.BulkNilOption.In(set.lang)
			continue
		}
		o.apply(&set)
	}
	return &configured{db: inner, set: set}
}

// configured is a DB with options.
type configured struct {
	db  DB
	set settings
}

// Begin makes a configured DB usable wherever the plain one is.
func (c *configured) Begin(ctx context.Context) (pgx.Tx, error) { return c.db.Begin(ctx) }

func unwrap(db DB) (DB, settings) {
	if c, ok := db.(*configured); ok && c != nil {
		return c.db, c.set
	}
	return db, settings{}
}

// check refuses what no call can work with.
func (s settings) check(db DB) error {
	if s.wrong != "" {
		return errs.New(errs.ErrInvalidArgument, s.wrong, nil)
	}
	if v := reflect.ValueOf(db); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return s.refuse(msg.BulkNilDB)
	}
	return nil
}

// refuse returns an error on an argument.
func (s settings) refuse(text msg.Text, args ...any) error {
	return errs.New(errs.ErrInvalidArgument, text.In(s.lang, args...), nil)
}

// now is the present as the database keeps it: in microseconds, and in the
// location in which pgx reads it.
func (s settings) now() time.Time {
	now := s.clock
	if now.IsZero() {
		now = time.Now()
	}
	return now.Truncate(time.Microsecond).In(time.Local)
}

// today is the date of the clock in its own location, as pgx reads a date.
func (s settings) today() time.Time {
	now := s.clock
	if now.IsZero() {
		now = time.Now()
	}
	y, m, d := now.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}
