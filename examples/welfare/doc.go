// Package welfare shows a test suite that uses groundhog; there is nothing in it
// but tests. Copy what you need:
//
//   - main_test.go: TestMain starts PostgreSQL, fills a database, and keeps its
//     state as the snapshot that every test wakes up to;
//   - renewal_test.go: a plain test, subtests, a restore in t.Cleanup, a parallel
//     test with a database of its own, and a benchmark that seeds in its set-up.
package welfare
