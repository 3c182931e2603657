//go:build !unix

package track_test

import (
	"testing"

	"github.com/groundhogdb/groundhog/fixtures"
)

func chaosDatabase(t *testing.T, sql string) (extension bool) {
	t.Helper()
	fixtures.Open(t, fixtures.WithSchema(sql, setupTable, setupRows))
	return false
}
