// Package shop shows a suite for a schema of one's own, here that of a shop: an enum,
// a composite type, a generated column, a partitioned table. There is nothing in it
// but schema.sql and tests; its factories, in factories_test.go, are written with
// bulk.Insert and bulk.InsertSeq alone.
package shop
