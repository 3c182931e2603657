package snapshot

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/guard"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/option"
	"github.com/groundhogdb/groundhog/internal/progress"
	"github.com/groundhogdb/groundhog/internal/retry"
	"github.com/groundhogdb/groundhog/internal/snapfile"
)

// settings are what holds for every operation of a store.
type settings struct {
	dir     string // absolute
	allowed []string
	logger  *slog.Logger
	lang    msg.Lang
	scope   snapfile.Scope
	fs      snapfile.FS
	faults  option.Faults // of the options and arguments of a call

	dirNamed   bool // by an option
	noProgress bool
	nested     bool // of another operation; see settings.routine
	noChanges  bool // in the log of a test that failed
	retry      retry.Policy
}

// lockWait is how long an operation waits for locks that others hold.
const lockWait = 5 * time.Second

var discard = slog.New(slog.DiscardHandler)

// err returns an error that names all faults of the call, or nil.
func (c *settings) err() error { return c.faults.Err(c.lang) }

// explain gives an error of an operation on a snapshot its class and says what
// was being done. An error that has both already passes through.
func (c *settings) explain(err error, text msg.Text, args ...any) error {
	var ours *errs.Error
	if err == nil || errors.As(err, &ours) {
		return errs.Tell(err)
	}
	return errs.New(errs.Class(err), text.In(c.lang, args...), err)
}

// routine is a line that tells what an operation did. One that is a step of another
// operation keeps it to itself; warnings and reasons it tells as any other.
func (c *settings) routine(ctx context.Context, level slog.Level, text msg.Text, args ...any) {
	if !c.nested {
		c.logger.Log(ctx, level, text.In(c.lang), args...)
	}
}

// quietly returns the settings for work that goes on when the call is over: the test whose
// log it is may end meanwhile.
func (c *settings) quietly() *settings {
	quiet := *c
	quiet.logger, quiet.noProgress = discard, true
	return &quiet
}

// meter shows how far long work is.
func (c *settings) meter(what string, rows int64) *progress.Meter {
	return progress.Start(progress.Work{What: what, Total: rows, Lang: c.lang, Logger: c.logger, Off: c.noProgress})
}

// guarded asks the database who it is and refuses one that is not for tests.
func (c *settings) guarded(ctx context.Context, q catalog.Querier) (catalog.Privileges, error) {
	powers, err := catalog.ReadPrivileges(ctx, q)
	if err != nil {
		return powers, err
	}
	if err := guard.Check(powers.Database, c.allowed, c.lang); err != nil {
		return powers, err
	}
	if powers.Objects > 0 {
		return powers, errs.New(ErrUnsupported, msg.LargeObjects.In(c.lang, msg.Count(powers.Objects)), nil)
	}
	return powers, nil
}

// writable refuses a server that nothing can be changed on.
func (c *settings) writable(powers catalog.Privileges) error {
	if !powers.Standby {
		return nil
	}
	return errs.New(ErrInvalidArgument, msg.AddressStandby.In(c.lang, powers.Database), nil)
}

// scoped returns the scope, or nil when it is the whole database.
func (c *settings) scoped() *snapfile.Scope {
	if s := c.scope; s.Rows == "" && len(s.RowsOf)+len(s.Tables)+len(s.Exclude) == 0 {
		return nil
	}
	return &c.scope
}
