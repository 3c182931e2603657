package snapshot_test

import (
	"testing"

	"github.com/groundhogdb/groundhog/fixtures"
)

func TestMain(m *testing.M) {
	fixtures.Main(m, func(testing.TB) {})
}
