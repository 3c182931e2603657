//go:build unix

package fault

// EndWithProcess makes a server end with the process that started it.
var EndWithProcess = endWithProcess

// Alive reports whether a process lives.
var Alive = alive
