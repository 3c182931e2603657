package snapshot_test

import (
	"flag"
	"runtime"
	"strconv"
	"testing"

	"github.com/groundhogdb/groundhog/fixtures"
)

func TestMain(m *testing.M) {
	parallel := flag.Lookup("test.parallel")
	if parallel.Value.String() == parallel.DefValue {
		// Tests wait for servers, locks and processes for a quarter of their time.
		_ = flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0)))
	}
	fixtures.Main(m, func(testing.TB) {})
}
