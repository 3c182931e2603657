package load

import (
	"golang.org/x/sync/errgroup"
)

// Meanwhile makes rows while others are loaded. prepare runs in the caller's goroutine,
// and passes each load that is ready to its argument. One other goroutine owns tx until
// Meanwhile returns, and does the loads one after the other, so prepare must not use tx.
// That goroutine is over when Meanwhile ends, also by a panic. The error is that of
// prepare, else of the first load that failed; those after it are not done.
func Meanwhile(tx *Tx, prepare func(load func(func(*Tx) error)) error) (err error) {
	const queued = 8 // more than a call has, so that prepare seldom waits
	loads := make(chan func(*Tx) error, queued)
	over := make(chan struct{})
	var loader errgroup.Group
	loader.Go(func() error {
		defer close(over)
		for load := range loads {
			if err := load(tx); err != nil {
				return err
			}
		}
		return nil
	})
	defer func() {
		close(loads)
		if failed := loader.Wait(); err == nil {
			err = failed
		}
	}()
	return prepare(func(load func(*Tx) error) {
		select {
		case loads <- load:
		case <-over: // by an error that Wait returns
		}
	})
}
