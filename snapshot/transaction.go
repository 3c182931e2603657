package snapshot

import (
	"context"
	"errors"
)

// underReadPaths is [Store.reading] inside the transaction, for statements that hold
// conditions of the caller's. Afterwards rows can be written again.
func (l *loader) underReadPaths(ctx context.Context, work func() error) error {
	err := l.store.reading(ctx, l.tx, func(path string) error {
		return l.savepoint(ctx, func() error {
			if err := l.exec(ctx, localPath(path)); err != nil {
				return err
			}
			return work()
		})
	})
	if err != nil {
		return err
	}
	return l.exec(ctx, l.se.usersPath())
}

// savepoint runs work in a savepoint, which is left in any case: rows that are written
// in one have the id of a later transaction than the one that is marked as the baseline.
func (l *loader) savepoint(ctx context.Context, work func() error) error {
	if err := l.exec(ctx, "SAVEPOINT groundhog_work"); err != nil {
		return err
	}
	if err := work(); err != nil {
		return errors.Join(err, execAll(ctx, l.tx, []string{"ROLLBACK TO SAVEPOINT groundhog_work", "RELEASE SAVEPOINT groundhog_work"}))
	}
	return l.exec(ctx, "RELEASE SAVEPOINT groundhog_work")
}

func (l *loader) exec(ctx context.Context, sql string) error {
	_, err := l.tx.Exec(ctx, sql)
	return err
}
