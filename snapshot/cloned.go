package snapshot

import (
	"context"
	"sync"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/groundhogdb/groundhog/internal/bubble"
)

// Cloned is a database that [Store.Clone] made.
type Cloned struct {
	Pool *pgxpool.Pool
	URL  string // for any driver

	pool  *clonePool
	clone *clone
	once  sync.Once
	err   error
}

// Close closes the pool, and drops the database or keeps it for the next
// [Store.Clone]. A second call does nothing.
func (c *Cloned) Close() error {
	if c == nil || c.pool == nil { // it was not made by Store.Clone
		return nil
	}
	c.once.Do(func() {
		c.err = bubble.Err(context.Background(), func(ctx context.Context) error { return c.pool.giveBack(ctx, nil, c.clone) })
	})
	return c.err
}
