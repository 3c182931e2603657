// Package fault makes the faults that groundhog promises to withstand: cut,
// refused and stalled connections ([Proxy]), processes of our own killed at
// any moment ([Child], [KillAtRandom]), a file system that is really full
// ([TmpFS]); and it checks that nothing was left behind ([NoLeftovers],
// [NoGoroutines]).
//
// It supports tests and is imported by tests only. The faults are real ones:
// real sockets, signals and mounts, on loopback and in temporary folders.
// Everything it starts ends with the test that started it, also when the test
// binary is killed.
package fault
