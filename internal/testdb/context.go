package testdb

import (
	"context"
	"testing"
)

// Context returns the context for what a function of the testing layer does: it has the
// values of t's own, and is not cancelled when t ends, since such a function is also
// called in t.Cleanup.
func Context(t testing.TB) context.Context {
	t.Helper()
	return context.WithoutCancel(t.Context())
}
