package tenant

import (
	"hash/maphash"
	"sync"
)

// Recent remembers how records looked that were published lately, so that a window that is read again publishes only
// what is new or changed. It forgets the oldest half when it is full: a record that was forgotten is published again,
// which the store takes as the same. It is safe for concurrent use.
type Recent struct {
	seed maphash.Seed
	half int

	mu       sync.Mutex
	old, new map[uint64]uint64 // look by record
}

// sighting is how a record looked. Two different ones are the same once in 2^64 pairs.
type sighting struct{ record, look uint64 }

// NewRecent returns one that remembers up to n records, in some 50 bytes each.
func NewRecent(n int) *Recent {
	return &Recent{seed: maphash.MakeSeed(), half: max(n/2, 1), old: map[uint64]uint64{}, new: map[uint64]uint64{}}
}

// sighting returns how the record of an event looks.
func (r *Recent) sighting(event string, raw []byte) sighting {
	return sighting{maphash.String(r.seed, event), maphash.Bytes(r.seed, raw)}
}

// unchanged reports whether the record looked the same when it was last published.
func (r *Recent) unchanged(s sighting) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	look, known := r.new[s.record]
	if !known {
		look, known = r.old[s.record]
	}
	return known && look == s.look
}

// add remembers records whose PubAck came.
func (r *Recent) add(seen []sighting) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range seen {
		if len(r.new) >= r.half {
			r.old, r.new = r.new, make(map[uint64]uint64, r.half/2)
		}
		r.new[s.record] = s.look
	}
}
