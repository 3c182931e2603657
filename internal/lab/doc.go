// Command lab measures groundhog beside other ways to the same end, and writes
// docs/benchmarks.md with the tables and pictures of what it found:
//
//	cd internal/lab && go run .          # some 15 minutes on two cores
//	cd internal/lab && go run . -short   # a look, into a temporary folder
//	cd internal/lab && go run . -only seeding   # one part, and no page
//
// testcontainers-go has its turn in a container too, where a Docker engine answers;
// LAB_IMAGE names another image than the usual one, and LAB_IMAGE=- does without.
//
// It is a module of its own, so that nobody who uses groundhog downloads its peers.
// All ways run on one private server, on the same rows, in turns: a figure is the
// median of its runs, and a ratio compares figures of one run only.
package main
