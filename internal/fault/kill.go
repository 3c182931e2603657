package fault

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// EnvSeed names the environment variable that repeats a run of [KillAtRandom]
// with the seed that it logged.
const EnvSeed = "GROUNDHOG_FAULT_SEED"

// KillAtRandom runs a process several times and kills it with SIGKILL, each
// time at another moment of its usual run; check is called after each end, run
// 0 being the one that is left alone to learn how long a run takes.
//
// The clock of a run starts when begin returns the process, so begin may first
// wait for a line (see [Process.Line]) to keep the kills off the start-up. The
// moments are spread evenly over a usual run and a little beyond, in random
// order; the seed is logged. The test fails when the run left alone fails, and
// when no run was killed before its end.
func KillAtRandom(t testing.TB, runs int, begin func() *Process, check func(run int, exit Exit)) {
	t.Helper()
	whole := begin()
	begun := time.Now()
	exit := whole.Wait()
	usual := time.Since(begun)
	if exit.Code != 0 {
		t.Fatalf("fault: the run that was left alone failed: %s", exit)
	}
	check(0, exit)

	seed := seed()
	t.Logf("fault: %d runs are killed within %s, with %s=%d", runs, usual.Round(time.Millisecond), EnvSeed, seed)
	killed := 0
	for i, delay := range moments(runs, usual, seed) {
		p := begin()
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-p.done:
			timer.Stop()
		}
		exit := p.Kill()
		if exit.Killed() {
			killed++
		}
		check(i+1, exit)
	}
	if killed == 0 {
		t.Errorf("fault: none of %d runs was killed: each ended before its time", runs)
	}
	t.Logf("fault: %d of %d runs were killed, the others had ended", killed, runs)
}

// moments spreads n delays over a usual run and a tenth more, one at random in
// each n-th of it, in random order.
func moments(n int, usual time.Duration, seed uint64) []time.Duration {
	r := rand.New(rand.NewPCG(seed, seed))
	out := make([]time.Duration, n)
	for i := range out {
		out[i] = time.Duration((float64(i) + r.Float64()) / float64(n) * 1.1 * float64(usual))
	}
	r.Shuffle(n, func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func seed() uint64 {
	if s, err := strconv.ParseUint(os.Getenv(EnvSeed), 10, 64); err == nil {
		return s
	}
	return rand.Uint64()
}
