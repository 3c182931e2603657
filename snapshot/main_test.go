package snapshot_test

import (
	"flag"
	"runtime"
	"strconv"
	"testing"

	"github.com/groundhogdb/groundhog/fixtures"
)

func TestMain(m *testing.M) {
	// Tests wait for servers, locks and processes for a quarter of their time. What the
	// command line says is read later.
	_ = flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0)))
	fixtures.Main(m, func(testing.TB) {})
}
