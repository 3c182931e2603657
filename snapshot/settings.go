package snapshot

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/guard"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/progress"
	"github.com/groundhogdb/groundhog/internal/snapfile"
)

type storeConfig struct {
	dir     string // absolute
	allowed []string
	logger  *slog.Logger
	lang    msg.Lang
	scope   snapfile.Scope

	dirNamed   bool // by an option
	noProgress bool
	step       bool            // of another operation; see storeConfig.routine
	noChanges  bool            // in the log of a test that failed
	waits      []time.Duration // between attempts; none: the usual ones
}

// lockWait is how long an operation waits for locks that others hold.
const lockWait = 5 * time.Second

var discard = slog.New(slog.DiscardHandler)

// check proves options and settles what they left open.
func (c *storeConfig) check() error {
	if c.lang != "" {
		lang, ok := msg.Parse(string(c.lang))
		if !ok {
			return errs.New(ErrInvalidArgument, msg.UnknownLanguage.In("", string(c.lang)), nil)
		}
		c.lang = lang
	}
	if c.logger == nil {
		c.logger = discard
	}
	switch {
	case c.dirNamed && strings.TrimSpace(c.dir) == "":
		return errs.New(ErrInvalidArgument, msg.DirEmpty.In(c.lang), nil)
	case c.dir == "":
		c.dir = defaultDir(c)
	}
	if dir, err := filepath.Abs(c.dir); err == nil { // a test may change the working directory later
		c.dir = dir
	}
	return c.checkScope()
}

// apply applies the options of one call to its copy c of the store's settings.
func apply[O any](c *storeConfig, opts []O, one func(O)) error {
	for i, o := range opts {
		if any(o) == nil {
			return errs.New(ErrInvalidArgument, msg.OptionNil.In(c.lang, strconv.Itoa(i+1)), nil)
		}
		one(o)
	}
	return c.check()
}

// explain gives an error of an operation on a snapshot its class and says what
// was being done. An error that has both already passes through.
func (c *storeConfig) explain(err error, text msg.Text, args ...any) error {
	var ours *errs.Error
	if err == nil || errors.As(err, &ours) {
		return errs.Tell(err)
	}
	return errs.New(errs.Class(err), text.In(c.lang, args...), err)
}

// routine is a line that tells what an operation did. One that is a step of another
// operation keeps it to itself; warnings and reasons it tells as any other.
func (c *storeConfig) routine(ctx context.Context, level slog.Level, text msg.Text, args ...any) {
	if !c.step {
		c.logger.Log(ctx, level, text.In(c.lang), args...)
	}
}

// meter shows how far long work is.
func (c *storeConfig) meter(what string, rows int64) *progress.Meter {
	return progress.Start(progress.Work{What: what, Total: rows, Lang: c.lang, Logger: c.logger, Off: c.noProgress})
}

// guarded asks the database who it is and refuses one that is not for tests.
func (c *storeConfig) guarded(ctx context.Context, q catalog.Querier) (catalog.Powers, error) {
	powers, err := catalog.ReadPowers(ctx, q)
	if err != nil {
		return powers, err
	}
	if err := guard.Check(powers.Database, c.allowed, c.lang); err != nil {
		return powers, err
	}
	if powers.Objects > 0 {
		return powers, errs.New(nil, msg.LargeObjects.In(c.lang, powers.Objects), nil)
	}
	return powers, nil
}

// writable refuses a server that nothing can be changed on.
func (c *storeConfig) writable(powers catalog.Powers) error {
	if !powers.Standby {
		return nil
	}
	return errs.New(ErrInvalidArgument, msg.AddressStandby.In(c.lang, powers.Database), nil)
}

// scoped returns the scope, or nil when it is the whole database.
func (c *storeConfig) scoped() *snapfile.Scope {
	if s := c.scope; s.Rows == "" && len(s.RowsOf)+len(s.Tables)+len(s.Exclude) == 0 {
		return nil
	}
	return &c.scope
}
