package option_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/option"
)

func TestNoFaultIsNoError(t *testing.T) {
	t.Parallel()
	require.NoError(t, option.Faults{}.Err(""))
}

func TestOneFaultIsThatError(t *testing.T) {
	t.Parallel()
	var faults option.Faults
	cause := errors.New("cause")
	faults.AddCause(cause, msg.OptionNil, "2")
	err := faults.Err(msg.English)
	require.EqualError(t, err, "groundhog: option number 2 is nil: cause")
	require.ErrorIs(t, err, errs.ErrInvalidArgument)
	require.ErrorIs(t, err, cause)
}

func TestAllFaultsAreToldAtOnce(t *testing.T) {
	t.Parallel()
	var faults option.Faults
	sum := 0
	one, two := 1, 2
	option.Each([]*int{&one, &two}, &faults, func(i *int) { sum += *i })
	require.Equal(t, 3, sum)
	option.Each([]any{nil, 1, nil}, &faults, func(any) {})
	faults.AddClass(errs.ErrInvalidName, msg.OptionNil, "9")
	require.Empty(t, option.Language("fr", &faults))
	err := faults.Err(msg.English)
	require.EqualError(t, err, `groundhog: option number 1 is nil
groundhog: option number 3 is nil
groundhog: option number 9 is nil
groundhog: `+msg.UnknownLanguage.In(msg.English, "fr"))
	require.ErrorIs(t, err, errs.ErrInvalidArgument)
	require.ErrorIs(t, err, errs.ErrInvalidName)
	require.Contains(t, faults.Err(msg.Japanese).Error(), "1 番目のオプションが nil です")
}

func TestACopyHasFaultsOfItsOwn(t *testing.T) {
	t.Parallel()
	var first option.Faults
	first.Add(msg.OptionNil, "1")
	second, third := first, first
	second.Add(msg.OptionNil, "2")
	third.Add(msg.OptionNil, "3")
	require.NotContains(t, second.Err("").Error(), "3")
	require.NotContains(t, first.Err("").Error(), "2")
	require.Equal(t, msg.Japanese, option.Language("ja_JP", &first))
}
