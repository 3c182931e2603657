package bulk

import (
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
)

// newID makes an id of version 7 (RFC 9562, 5.7): milliseconds, a part of one as
// 12 more bits, and 62 random bits, which math/rand/v2 takes from ChaCha8. Ids
// that are made one after the other are near each other in an index, which makes a
// large load cheaper; the system's source of random bytes would cost more than
// all the rest of a row.
func newID() (id uuid.UUID) {
	const perMilli = int64(time.Millisecond)
	now := time.Now().UnixNano()
	binary.BigEndian.PutUint64(id[:8], uint64(now/perMilli)<<16|uint64(now%perMilli*4096/perMilli))
	binary.BigEndian.PutUint64(id[8:], rand.Uint64())
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}

// keepID makes an id where an edit function took it away.
func keepID(id *uuid.UUID) {
	if *id == uuid.Nil {
		*id = newID()
	}
}
