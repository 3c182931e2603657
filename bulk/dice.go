package bulk

import "math/rand/v2"

// dice is a generator whose numbers are fixed by PCG's definition, so that they
// stay the same in every version of Go.
type dice struct{ pcg *rand.PCG }

// n returns a number from 0 to n-1.
func (d dice) n(n int) int { return int(d.pcg.Uint64() % uint64(n)) } //nolint:gosec // less than n

func pick[T any](d dice, from []T) T { return from[d.n(len(from))] }
