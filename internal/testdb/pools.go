package testdb

import (
	"io"
	"runtime"
	"weak"

	"github.com/jackc/pgx/v5/pgxpool"
)

// lead is what pools lead to.
type lead struct {
	maker Maker
	state io.Closer                  // what package snapshot knows of the database
	owner weak.Pointer[pgxpool.Pool] // the state ends with this pool, the first; none: it has another owner
}

// leadOf returns what the pool leads to. An entry goes with its pool: when that is
// closed by package fixtures, else when nothing refers to it any more. The registry
// is locked.
func leadOf(pool *pgxpool.Pool) *lead {
	key := weak.Make(pool)
	l := registry.pools[key]
	if l == nil {
		l = &lead{owner: key}
		enter(pool, l)
	}
	return l
}

func enter(pool *pgxpool.Pool, l *lead) {
	key := weak.Make(pool)
	registry.pools[key] = l
	runtime.AddCleanup(pool, func(key weak.Pointer[pgxpool.Pool]) { leave(key) }, key)
}

// leave removes the entry of a pool.
func leave(key weak.Pointer[pgxpool.Pool]) *lead {
	registry.Lock()
	defer registry.Unlock()
	l := registry.pools[key]
	delete(registry.pools, key)
	return l
}

// Closing ends what is kept for the pool, which is about to be closed, so that
// nothing of it is in the way.
func Closing(pool *pgxpool.Pool) {
	key := weak.Make(pool)
	if l := leave(key); l != nil && l.state != nil && l.owner == key {
		_ = l.state.Close() // what it holds open is closed, whatever the server says to that
	}
}

// StateOf returns the state of the database that the pool leads to. The first call
// makes it; it is closed when package fixtures closes the pool, or the one that the pool
// shares with. The state of a pool that is forgotten is forgotten too, and not closed: what
// it holds open must end by itself. So it must not refer to the pool; functions of the
// pool's configuration that do keep both for as long as the process lives.
func StateOf[S io.Closer](pool *pgxpool.Pool, first func() S) S {
	registry.Lock()
	defer registry.Unlock()
	l := leadOf(pool)
	if l.state == nil {
		l.state = first()
	}
	return l.state.(S)
}

// SetState makes the pool lead to a database whose state has another owner.
func SetState(pool *pgxpool.Pool, state io.Closer) {
	registry.Lock()
	defer registry.Unlock()
	l := leadOf(pool)
	l.state, l.owner = state, weak.Pointer[pgxpool.Pool]{}
}

// Share makes the pool lead to the same database as another one, which is closed
// later, and with which the state ends.
func Share(pool, other *pgxpool.Pool) {
	registry.Lock()
	defer registry.Unlock()
	enter(pool, leadOf(other))
}

// SetMaker says which Maker makes more databases like that of the pool.
func SetMaker(pool *pgxpool.Pool, m Maker) {
	registry.Lock()
	defer registry.Unlock()
	leadOf(pool).maker = m
}

// MakerOf returns nil where there is none.
func MakerOf(pool *pgxpool.Pool) Maker {
	registry.Lock()
	defer registry.Unlock()
	if l := registry.pools[weak.Make(pool)]; l != nil {
		return l.maker
	}
	return nil
}
