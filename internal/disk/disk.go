// Package disk asks the system how much room a disk has.
package disk
