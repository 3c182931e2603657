package snapshot

import "errors"

// underReadPaths is [Store.reading] inside the transaction, for statements that hold
// conditions of the caller's. Afterwards rows can be written again.
func (l *loader) underReadPaths(work func() error) error {
	err := l.store.reading(l.ctx, l.tx, func(path string) error {
		return l.savepoint(func() error {
			if err := l.exec(localPath(path)); err != nil {
				return err
			}
			return work()
		})
	})
	if err != nil {
		return err
	}
	return l.exec(l.se.usersPath())
}

// savepoint runs work in a savepoint, which is left in any case: rows that are written
// in one have the id of a later transaction than the one that is marked as the baseline.
func (l *loader) savepoint(work func() error) error {
	if err := l.exec("SAVEPOINT groundhog_work"); err != nil {
		return err
	}
	if err := work(); err != nil {
		return errors.Join(err, execAll(l.ctx, l.tx, []string{"ROLLBACK TO SAVEPOINT groundhog_work", "RELEASE SAVEPOINT groundhog_work"}))
	}
	return l.exec("RELEASE SAVEPOINT groundhog_work")
}

func (l *loader) exec(sql string) error {
	_, err := l.tx.Exec(l.ctx, sql)
	return err
}
