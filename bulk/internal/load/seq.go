package load

import (
	"context"
	"iter"
	"reflect"
	"slices"

	"github.com/groundhogdb/groundhog/bulk/internal/copyin"
	"github.com/groundhogdb/groundhog/internal/msg"
)

const (
	// seqChunk is how many rows of a sequence are kept at a time.
	seqChunk = 1000
	// seqMany is how many rows a sequence is taken for that is longer than that.
	seqMany = 50_000
)

// Seq loads the rows of a sequence into a table of the call as it yields them, and
// returns how many the server stored. One COPY takes them all, unless the server has to
// make values for some rows, or rows after the first chunk fill columns that those before
// left to it.
func Seq[T any](ctx context.Context, tx *Tx, replay *Replay, table string, rows iter.Seq[T]) (int64, error) {
	values, err := newServerValues[T](tx, table)
	if err != nil {
		return 0, err
	}
	s := sequence[T]{serverValues: values, chunk: make([]T, 0, seqChunk)}
	defer s.abandon()
	for row := range rows {
		s.pulled++
		if err != nil {
			continue // only counted, to know how many rows there are to be next time
		}
		if s.chunk = append(s.chunk, row); len(s.chunk) < seqChunk {
			continue
		}
		if err = s.flush(ctx); err != nil && !tx.repeats(ctx, err) {
			break
		}
	}
	if err == nil {
		err = s.flush(ctx)
	}
	if err == nil {
		err = s.close(nil)
	}
	before := replay.pulled
	replay.pulled = max(before, s.pulled)
	if err != nil {
		return 0, err
	}
	if s.pulled < before {
		return 0, refuse(tx.lang, msg.BulkSeqOnce, msg.Count(s.pulled), msg.Count(before))
	}
	return s.stored, s.advance(ctx)
}

// sequence is the state of a load of a sequence.
type sequence[T any] struct {
	*serverValues[T]
	chunk  []T
	pulled int // rows that the sequence yielded
	stored int64

	open *copyin.Stream // nil: there is no COPY
	job  *copyJob       // what the COPY loads
	base int            // number of its first row
}

// flush sends the rows of the chunk.
func (s *sequence[T]) flush(ctx context.Context) error {
	if len(s.chunk) == 0 {
		return nil
	}
	columns, drawn := s.shape(s.chunk, false)
	draws := slices.ContainsFunc(drawn, func(n int) bool { return n > 0 })
	if s.open != nil && (draws || !sameColumns(columns, s.job.columns)) {
		if err := s.close(nil); err != nil {
			return err
		}
	}
	if draws {
		var err error
		if columns, err = s.prepare(ctx, s.chunk, false); err != nil {
			return err
		}
	} else {
		for _, c := range columns {
			s.note(s.chunk, c)
		}
	}
	if s.open == nil {
		if err := s.begin(ctx, columns); err != nil {
			return err
		}
	}
	first := s.pulled - len(s.chunk)
	for i := range s.chunk {
		if err := s.open.Row(reflect.ValueOf(s.chunk[i]), first+i); err != nil {
			return s.close(err)
		}
	}
	clear(s.chunk)
	s.chunk = s.chunk[:0]
	return nil
}

// begin starts a COPY for the rows of the chunk and what follows.
func (s *sequence[T]) begin(ctx context.Context, columns []copyin.Column) error {
	many := len(s.chunk)
	if many == seqChunk {
		many = seqMany
	}
	s.base = s.pulled - len(s.chunk)
	s.job = &copyJob{table: s.table, columns: columns}
	s.tx.jobs = append(s.tx.jobs, s.job)
	var err error
	if s.job.fast, err = s.tx.fast.chooseTriggerMode(ctx, s.table, many); err != nil {
		return err
	}
	s.open = s.tx.begin(ctx, s.table, columns)
	return nil
}

// close ends the COPY, if there is one.
func (s *sequence[T]) close(err error) error {
	if s.open == nil {
		return err
	}
	n, err := s.open.End(err)
	s.open = nil
	s.stored += n
	if err != nil {
		return copyFailed(s.tx.lang, s.job, s.base, err)
	}
	return nil
}

func (s *sequence[T]) abandon() {
	if s.open != nil {
		s.open.Abandon()
	}
}

func sameColumns(a, b []copyin.Column) bool {
	return slices.EqualFunc(a, b, func(x, y copyin.Column) bool { return x.Name == y.Name })
}
