// Package workload is what the benchmarks and the lab have tests do: schemas, and work on
// them, that are the same for each way to give a test its database.
package workload
