package load

import (
	"reflect"

	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
)

// Replay is what a call keeps from one attempt to the next, so that an attempt after a
// lost connection stores the rows of the one before.
type Replay struct {
	lang   msg.Lang
	kept   []any // by Once, in the order of the calls
	next   int   // in kept
	pulled int   // rows that a sequence yielded at most
}

// rewind begins another attempt.
func (r *Replay) rewind() { r.next = 0 }

// Once makes a value the first time that a call gets here, and returns the same one in
// the attempts that follow. Each attempt must call it in the same order.
func Once[T any](r *Replay, makeIt func() (T, error)) (T, error) {
	if r.next < len(r.kept) {
		r.next++
		return r.kept[r.next-1].(T), nil
	}
	v, err := makeIt()
	if err == nil {
		r.kept = append(r.kept, v)
		r.next++
	}
	return v, err
}

// MustBeUnchanged returns what the database was asked for. If another session changed it
// since an earlier attempt of the call, the rows that were made of it do not fit any
// more: the error wraps [errs.ErrLocked].
func MustBeUnchanged[T any](r *Replay, now T) (T, error) {
	before, _ := Once(r, func() (T, error) { return now, nil })
	if !reflect.DeepEqual(before, now) {
		return now, errs.New(errs.ErrLocked, msg.BulkMoved.In(r.lang), nil)
	}
	return now, nil
}
