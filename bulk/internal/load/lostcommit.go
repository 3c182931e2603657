package load

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
)

const (
	// resolveTime bounds the time in which is found out what became of a commit.
	resolveTime = 15 * time.Second
	// resolveWait is waited between two questions.
	resolveWait = 100 * time.Millisecond
)

// lostCommit is a commit whose answer was lost.
type lostCommit struct {
	source  source
	tx      pgx.Tx // that was to be committed
	session catalog.Session
	jobs    []*copyJob
}

// resolve finds out, on another connection, what became of the commit. It returns nil if
// the rows are stored, a connection fault if they are not, and an error wrapping
// [errs.ErrCommitUnknown] if the server does not know.
func (l lostCommit) resolve(ctx context.Context, lost error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), resolveTime)
	defer cancel()
	lang := l.source.lang
	unknown := errs.New(errs.ErrCommitUnknown, msg.BulkCommitLost.In(lang), lost)
	for {
		var status string
		err := l.source.onOtherConn(ctx, l.tx, func(tx pgx.Tx) (err error) {
			var restarted bool
			if status, restarted, err = catalog.XactStatus(ctx, tx, l.session); err != nil {
				return err
			}
			if restarted || status == "" {
				status, err = l.lookForKeys(ctx, tx)
			}
			return err
		})
		switch {
		case err == nil && status == catalog.XactCommitted:
			return nil
		case err == nil && status == catalog.XactAborted:
			return errs.New(errs.Class(lost), msg.BulkCommit.In(lang), lost)
		case err == nil && status == "":
			return unknown
		}
		select { // the server is still at it, or can't be reached yet
		case <-ctx.Done():
			return unknown
		case <-time.After(resolveWait):
		}
	}
}

// lookForKeys looks for the first and the last row that were loaded, by their
// keys: both there, neither, or "" where that can't be told.
func (l lostCommit) lookForKeys(ctx context.Context, tx pgx.Tx) (string, error) {
	if len(l.jobs) == 0 {
		return "", nil
	}
	first, last := l.jobs[0].key(0), l.jobs[len(l.jobs)-1].lastKey()
	if first == nil || last == nil {
		return "", nil
	}
	found := 0
	for _, key := range []*rowKey{first, last} {
		there, err := key.exists(ctx, tx)
		if err != nil {
			return "", err
		}
		if there {
			found++
		}
	}
	return map[int]string{0: catalog.XactAborted, 2: catalog.XactCommitted}[found], nil
}
