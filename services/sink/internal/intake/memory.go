package intake

import (
	"hash/maphash"
	"sync/atomic"
)

// memory remembers the ids stored last, some forgotten early where their places collide. What it
// counts as a repeat is one, but for one in 2^44; it does not count those that are long ago.
type memory struct {
	seed  maphash.Seed
	slots []atomic.Uint64
}

func newMemory(ids int) *memory {
	return &memory{seed: maphash.MakeSeed(), slots: make([]atomic.Uint64, ids)}
}

// seen remembers the id in the table and reports whether it did before.
func (m *memory) seen(table, id string) bool {
	if len(m.slots) == 0 {
		return false
	}
	var h maphash.Hash
	h.SetSeed(m.seed)
	_, _ = h.WriteString(table)
	_, _ = h.WriteString(id)
	sum := h.Sum64() | 1 // 0 is an empty slot
	return m.slots[sum%uint64(len(m.slots))].Swap(sum) == sum
}
