//go:build !linux

package snapshot_test

import (
	"testing"
	"time"
)

// duringCrashes needs signals that are not everywhere.
func duringCrashes(*testing.T, *shelf, func(*testing.T), func() time.Duration) {}
