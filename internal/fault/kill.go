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
// order; the seed is logged. A run that ends before its moment shows that the
// first one was slow, and shortens the usual one. The test fails when the run left
// alone fails, and when no run was killed before its end, not even in ten more.
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
	random := rand.New(rand.NewPCG(seed, seed))
	t.Logf("fault: %d runs are killed within %s, with %s=%d", runs, usual.Round(time.Millisecond), EnvSeed, seed)
	moments := moments(runs, random)
	killed, run := 0, 0
	for ; run < runs || killed == 0 && run < runs+10; run++ {
		moment := random.Float64()
		if run < runs {
			moment = moments[run]
		}
		p := begin()
		begun := time.Now()
		timer := time.NewTimer(time.Duration(moment * float64(usual)))
		select {
		case <-timer.C:
		case <-p.done:
			timer.Stop()
			usual = min(usual, time.Since(begun))
		}
		exit := p.Kill()
		if exit.Killed() {
			killed++
		}
		check(run+1, exit)
	}
	if killed == 0 {
		t.Errorf("fault: none of %d runs was killed: each ended before its time", run)
	}
	t.Logf("fault: %d tried, %d runs were killed, the others had ended", run, killed)
}

// moments spreads n of them over a usual run, which takes 1, and a tenth more, one
// at random in each n-th of it, in random order.
func moments(n int, random *rand.Rand) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = (float64(i) + random.Float64()) / float64(n) * 1.1
	}
	random.Shuffle(n, func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func seed() uint64 {
	if s, err := strconv.ParseUint(os.Getenv(EnvSeed), 10, 64); err == nil {
		return s
	}
	return rand.Uint64()
}

// EnvLong names the environment variable that, when it is set, makes tests try far
// more faults.
const EnvLong = "GROUNDHOG_LONG"

// Long reports whether that is wanted.
func Long() bool { return os.Getenv(EnvLong) != "" }

// SkipShort skips a test that takes longer than a run with -short may take for one: that
// form is for a first look and for other versions of Go, pgx and PostgreSQL.
func SkipShort(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("left out of the short form: it takes seconds")
	}
}
