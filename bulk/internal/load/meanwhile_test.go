package load

import (
	"errors"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMeanwhileLoadsInOrder: the loads have the Tx one after the other, and are done when
// Meanwhile returns.
func TestMeanwhileLoadsInOrder(t *testing.T) {
	t.Parallel()
	tx := &Tx{}
	const n = 100 // more than are queued
	err := Meanwhile(tx, func(load func(func(*Tx) error)) error {
		for range n {
			load(func(got *Tx) error {
				require.Same(t, tx, got)
				got.jobs = append(got.jobs, &copyJob{})
				return nil
			})
		}
		return nil
	})
	require.NoError(t, err)
	require.Len(t, tx.jobs, n)
}

// TestMeanwhileEndsItsGoroutine: whatever happens, no load runs after it.
func TestMeanwhileEndsItsGoroutine(t *testing.T) {
	t.Parallel()
	broken, unmade := errors.New("a load"), errors.New("prepare")
	loaded := 0
	count := func(*Tx) error { loaded++; return nil }
	fail := func(*Tx) error { return broken }
	many := func(load func(func(*Tx) error)) {
		for range 100 { // none waits for what nobody takes
			load(count)
		}
	}
	for name, c := range map[string]struct {
		prepare func(load func(func(*Tx) error)) error
		want    error
		loaded  int
	}{
		"a load fails":    {func(load func(func(*Tx) error)) error { load(count); load(fail); many(load); return nil }, broken, 1},
		"prepare fails":   {func(load func(func(*Tx) error)) error { load(count); return unmade }, unmade, 1},
		"both fail":       {func(load func(func(*Tx) error)) error { load(fail); return unmade }, unmade, 0},
		"nothing to load": {func(func(func(*Tx) error)) error { return nil }, nil, 0},
	} {
		loaded = 0
		require.ErrorIs(t, Meanwhile(&Tx{}, c.prepare), c.want, name)
		require.Equal(t, c.loaded, loaded, name)
	}
	loaded = 0
	require.PanicsWithValue(t, "prepare", func() {
		_ = Meanwhile(&Tx{}, func(load func(func(*Tx) error)) error { load(count); panic("prepare") })
	})
	require.Equal(t, 1, loaded)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = Meanwhile(&Tx{}, func(load func(func(*Tx) error)) error { load(count); runtime.Goexit(); return nil })
	}()
	<-ended
	require.Equal(t, 2, loaded)
}
