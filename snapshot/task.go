package snapshot

import (
	"sync"
	"time"
)

// taskDelay is after how long work in the background begins: the test's next statement,
// which makes a connection, comes first.
const taskDelay = 20 * time.Millisecond

// task is work in the background for the next call.
type task struct {
	now  chan struct{} // closed when a call waits for it
	once sync.Once     // which does so
	done chan struct{} // closed when it is done
}

func newTask() *task { return &task{now: make(chan struct{}), done: make(chan struct{})} }

// run does the work after the delay, or when a call waits for it.
func (t *task) run(work func()) {
	defer close(t.done)
	delay := time.NewTimer(taskDelay)
	defer delay.Stop()
	select {
	case <-t.now:
	case <-delay.C:
	}
	work()
}

// wait has it done now, and waits for that. t may be nil.
func (t *task) wait() {
	if t == nil {
		return
	}
	t.once.Do(func() { close(t.now) })
	<-t.done
}
