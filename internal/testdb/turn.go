package testdb

import "sync"

// turn is when tests have a database to themselves that others may use too: from the
// first of those that share it until the last of them ends. Another test of this process
// that was given the same database has a turn of its own, and waits like that of another
// process.
type turn struct {
	mu  sync.Mutex
	now *heldTurn
}

type heldTurn struct {
	tests int
	begin func() (end func(), err error) // waits at its first call
}

// take takes the turn for a test, and begins it unless another test has it already. What
// it returns gives it back.
func (t *turn) take(begin func() (end func(), err error)) (wait func() error, giveBack func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.now == nil {
		t.now = &heldTurn{begin: sync.OnceValues(begin)}
	}
	h := t.now
	h.tests++
	wait = func() error {
		_, err := h.begin()
		return err
	}
	return wait, func() {
		t.mu.Lock()
		h.tests--
		last := h.tests == 0
		if last {
			t.now = nil
		}
		t.mu.Unlock()
		if end, err := h.begin(); last && err == nil {
			end()
		}
	}
}
