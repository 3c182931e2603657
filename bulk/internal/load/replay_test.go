package load

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/errs"
)

// TestReplay: an attempt gets what the one before made, and goes on where that ended.
func TestReplay(t *testing.T) {
	t.Parallel()
	r := &Replay{}
	made := 0
	makeIt := func() (int, error) { made++; return made, nil }
	attempt := func(found string) (first, second int, err error) {
		r.rewind()
		first, _ = Once(r, makeIt)
		if _, err = MustBeUnchanged(r, found); err != nil {
			return first, 0, err
		}
		second, err = Once(r, makeIt)
		return first, second, err
	}
	r.rewind()
	_, _ = Once(r, makeIt) // the first attempt ends here
	for range 2 {
		first, second, err := attempt("as it was")
		require.NoError(t, err)
		require.Equal(t, []int{1, 2}, []int{first, second})
	}
	_, _, err := attempt("changed")
	require.ErrorIs(t, err, errs.ErrLocked)
	require.Equal(t, 2, made)

	failed := &Replay{}
	_, err = Once(failed, func() (int, error) { return 0, errors.New("not made") })
	require.Error(t, err)
	got, err := Once(failed, makeIt)
	require.NoError(t, err)
	require.Equal(t, 3, got, "what failed is not kept")
}
