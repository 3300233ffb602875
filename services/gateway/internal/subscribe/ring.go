package subscribe

import (
	"cmp"
	"slices"
	"sync"
)

// ring holds the last entries of the stream: all there were behind its floor up to its head. It forgets the
// oldest beyond its bounds, and its floor moves. It is safe for concurrent use; one may add to it.
type ring struct {
	created   int64 // of the stream, as in position
	maxEvents int
	maxBytes  int

	mu          sync.RWMutex
	entries     []*entry // in the order of the stream
	bytes       int
	floor, head uint64
	over        bool
	changed     chan struct{} // closed with the next change
}

// newRing returns an empty ring behind a position.
func newRing(at position, maxEvents, maxBytes int) *ring {
	return &ring{
		created: at.created, floor: at.sequence, head: at.sequence,
		maxEvents: maxEvents, maxBytes: maxBytes, changed: make(chan struct{}),
	}
}

// add appends what the stream had up to head, and wakes who waits.
func (r *ring) add(entries []*entry, head uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entries = append(r.entries, entries...)
	for _, e := range entries {
		r.bytes += len(e.data)
	}
	r.head = max(r.head, head)
	drop := 0
	for len(r.entries)-drop > r.maxEvents || r.bytes > r.maxBytes {
		r.floor = r.entries[drop].sequence
		r.bytes -= len(r.entries[drop].data)
		r.entries[drop] = nil // the slice may keep its place for long
		drop++
	}
	r.entries = r.entries[drop:]
	r.wakeLocked()
}

// end makes everybody leave the ring.
func (r *ring) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	r.entries, r.bytes = nil, 0
	r.wakeLocked()
}

// wake lets who waits look again.
func (r *ring) wake() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wakeLocked()
}

func (r *ring) wakeLocked() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// change is closed with the next change from now on.
func (r *ring) change() <-chan struct{} {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.changed
}

// covers reports whether the ring holds everything behind the position, as far as there is something yet.
func (r *ring) covers(p position) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return !r.over && r.created == p.created && r.floor <= p.sequence
}

// holds reports whether the ring still holds what is behind a sequence, and returns its floor.
func (r *ring) holds(sequence uint64) (floor uint64, ok bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.floor, !r.over && r.floor <= sequence
}

// ringView is a part of a ring.
type ringView struct {
	// entries are at most the number asked for; upTo is the place up to which they are all there are.
	entries []*entry
	upTo    uint64
	head    uint64
}

// after returns the entries behind a sequence, at most limit of them, which must be positive; false if the ring does not hold them any more.
func (r *ring) after(sequence uint64, limit int) (ringView, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.over || sequence < r.floor {
		return ringView{}, false
	}
	first, found := slices.BinarySearchFunc(r.entries, sequence, func(e *entry, s uint64) int {
		return cmp.Compare(e.sequence, s)
	})
	if found {
		first++
	}
	v := ringView{upTo: max(r.head, sequence), head: r.head}
	last := min(len(r.entries), first+limit)
	v.entries = slices.Clone(r.entries[first:last])
	if last < len(r.entries) {
		v.upTo = r.entries[last-1].sequence
	}
	return v, true
}

// hits returns the entries that were judged, which must be the ring's and in its order; false if it does not hold them
// all any more.
func (r *ring) hits(judged []judgment) ([]hit, bool) {
	if len(judged) == 0 {
		return nil, true
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	hits := make([]hit, 0, len(judged))
	rest := r.entries
	for _, j := range judged {
		at, found := slices.BinarySearchFunc(rest, j.sequence, func(e *entry, s uint64) int { return cmp.Compare(e.sequence, s) })
		if !found {
			return nil, false
		}
		hits = append(hits, hit{entry: rest[at], failed: j.failed})
		rest = rest[at+1:]
	}
	return hits, true
}
