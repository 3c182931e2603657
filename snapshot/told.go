package snapshot

import (
	"context"
	"errors"
	"io"

	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/progress"
	"github.com/groundhogdb/groundhog/internal/retry"
)

// deadlocks is how often work is tried that the server gives up to end a
// deadlock. Nothing is waited for in between: those who were in the way are past.
const deadlocks = 4

// repeat does work again after a connection fault, a deadlock or [errTruncated].
// All of it can be done again, even when it is not known whether it was committed:
// it ends in the same state.
func (c *storeConfig) repeat(ctx context.Context, what string, work func() error) error {
	p := retry.Policy{Waits: c.waits, Logger: c.logger, Lang: c.lang, What: what}
	return p.Do(ctx, func(context.Context) error {
		for try := 1; ; try++ {
			err := work()
			if !deadlocked(err) && !errors.Is(err, errTruncated) || try == deadlocks || ctx.Err() != nil {
				return err
			}
			c.logger.InfoContext(ctx, msg.DeadlockAgain.In(c.lang), "what", what, "attempt", try, "of", deadlocks, "error", errs.Text(err))
		}
	})
}

// meter shows how far long work is.
func (c *storeConfig) meter(what string, rows int64) *progress.Meter {
	return progress.Start(progress.Work{What: what, Total: rows, Lang: c.lang, Logger: c.logger, Off: c.noProgress})
}

// rowCounter counts rows that COPY hands out, each in a call of its own.
type rowCounter struct {
	io.Writer
	meter *progress.Meter
}

func (w rowCounter) Write(p []byte) (int, error) {
	w.meter.Add(1)
	return w.Writer.Write(p)
}

// shareCounter counts rows of a part that is being read by the share of its
// bytes.
type shareCounter struct {
	io.Reader
	meter      *progress.Meter
	rows, raw  int64 // of the part
	read, told int64
}

func (r *shareCounter) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.read += int64(n)
	now := int64(float64(r.rows) * float64(r.read) / float64(max(r.raw, 1)))
	r.meter.Add(int(now - r.told))
	r.told = now
	return n, err
}
