package snapshot

import "github.com/groundhogdb/groundhog/internal/snapfile"

// RestoreLock is the advisory lock that a restore holds until it ends.
const RestoreLock = restoreLock

// SetFS makes the store write through fs.
func (s *Store) SetFS(fs snapfile.FS) { s.fs = fs }
