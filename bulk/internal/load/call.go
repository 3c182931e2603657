package load

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/memory"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/progress"
)

// Work loads what a call is about. It is done again after a lost connection, and must
// then load the same rows; see [Replay].
type Work func(ctx context.Context, tx *Tx, replay *Replay) error

// Run does the work in a transaction of db, or a savepoint of it, after the database
// was found to be one that may be changed. Unless the work and the commit succeed,
// nothing stays; also when the work panics or ends its goroutine. After a connection
// fault the whole is done again, if db is a pool, which gives another connection.
func Run(ctx context.Context, db DB, config Config, spec Spec, work Work) error {
	c := &call{source: source{db, config.Lang}, config: config, spec: spec, work: work,
		replay: &Replay{lang: config.Lang}, notice: &notice{logger: config.Logger, lang: config.Lang},
		meter: progress.Start(progress.Work{What: spec.What, Total: int64(spec.Rows), Lang: config.Lang, Logger: config.Logger, Off: config.Silent})}
	defer c.meter.Done()
	policy := config.Retry
	policy.Logger, policy.Lang, policy.What = config.Logger, config.Lang, spec.What
	if !c.source.again() {
		policy.Attempts = 1
	}
	left := policy.Most()
	return errs.Tell(policy.Do(ctx, func(ctx context.Context) error {
		left--
		c.meter.Restart()
		tx, err := c.attempt(ctx, &Tx{meter: c.meter, last: left == 0})
		var r *refusal
		if errors.As(err, &r) {
			return c.explain(ctx, tx.jobs, r)
		}
		if err != nil {
			memory.Explain(err, config.Lang, c.source.host())
		}
		return err
	}))
}

// call is a call: what it was made with, and what it keeps over its attempts.
type call struct {
	source source
	config Config
	spec   Spec
	work   Work

	replay *Replay
	notice *notice
	meter  *progress.Meter
}

// attempt makes the transaction once. What is special about it is set in tx, which
// is returned.
func (c *call) attempt(ctx context.Context, tx *Tx) (*Tx, error) {
	c.replay.rewind()
	var err error
	tx.own, tx.lang = c.source.own(), c.config.Lang
	if tx.tx, err = c.source.begin(ctx); err != nil {
		return tx, err
	}
	over := false
	defer func() {
		if !over {
			tx.rollback(ctx)
		}
	}()
	if err := tx.prepare(ctx, c.spec.Tables, c.config.Allowed, c.notice); err != nil {
		return tx, err
	}
	if err := c.work(ctx, tx, c.replay); err != nil {
		return tx, err
	}
	if tx.probe != nil { // it stores nothing
		return tx, errProbed
	}
	if err := tx.fast.finish(ctx, tx.jobs); err != nil {
		return tx, err
	}
	err = tx.tx.Commit(ctx)
	over = true
	if err != nil {
		return tx, c.commitFailed(ctx, tx, err)
	}
	return tx, nil
}

// commitFailed tells a commit that the server refused, so that nothing is
// stored, from one whose answer was lost.
func (c *call) commitFailed(ctx context.Context, tx *Tx, err error) error {
	if pg := aboutRows(err); pg != nil {
		return refusedLater(tx.jobs, pg)
	}
	var pg *pgconn.PgError
	answered := errors.As(err, &pg) && !errs.IsClass(err, errs.ErrConnection)
	if answered || errors.Is(err, pgx.ErrTxCommitRollback) || !tx.own {
		return failed(msg.BulkCommit.In(c.config.Lang), err)
	}
	lost := lostCommit{source: c.source, tx: tx.tx, session: tx.session, jobs: tx.jobs}
	return lost.resolve(ctx, err)
}

// explain returns the error of a refusal, after the transaction is over.
func (c *call) explain(ctx context.Context, jobs []*copyJob, r *refusal) error {
	d := &diagnosis{lang: c.config.Lang, source: c.source, jobs: jobs, errors: c.config.Errors}
	return d.explain(ctx, r, func() int { return c.bisect(ctx, jobs, r) })
}

// bisect finds the refused row by loading halves of its job in savepoints, after
// all that was loaded before it. It returns -1 where that does not tell.
func (c *call) bisect(ctx context.Context, jobs []*copyJob, r *refusal) int {
	if r.job.rows == nil {
		return -1
	}
	p := &probe{until: time.Now().Add(findTime), pg: r.pg, row: -1}
	for i, job := range jobs {
		if job == r.job {
			p.job = i + 1
		}
	}
	_, _ = c.attempt(ctx, &Tx{probe: p})
	return p.row
}
