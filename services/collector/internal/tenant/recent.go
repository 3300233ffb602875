package tenant

import (
	"hash/maphash"
	"sync"
)

// Recent remembers records that were published lately, so that a window that is read again publishes only what is
// new or changed. It forgets the oldest half when it is full: a record that was forgotten is published again, which
// the store takes as the same. It is safe for concurrent use.
type Recent struct {
	seed maphash.Seed
	half int

	mu       sync.Mutex
	old, new map[uint64]struct{}
}

// NewRecent returns one that remembers up to n records, in some 50 bytes each.
func NewRecent(n int) *Recent {
	return &Recent{seed: maphash.MakeSeed(), half: max(n/2, 1), old: map[uint64]struct{}{}, new: map[uint64]struct{}{}}
}

// key names a record as a tenant's data type has it. Two different ones have the same key once in 2^64 pairs.
func (r *Recent) key(scope string, raw []byte) uint64 {
	var h maphash.Hash
	h.SetSeed(r.seed)
	_, _ = h.WriteString(scope) // a hash never fails
	_, _ = h.Write(raw)
	return h.Sum64()
}

// has reports whether the record was published lately.
func (r *Recent) has(key uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, isNew := r.new[key]
	_, isOld := r.old[key]
	return isNew || isOld
}

// add remembers records whose PubAck came.
func (r *Recent) add(keys []uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, key := range keys {
		if len(r.new) >= r.half {
			r.old, r.new = r.new, make(map[uint64]struct{}, r.half/2)
		}
		r.new[key] = struct{}{}
	}
}
