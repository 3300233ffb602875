package tenant

import (
	"cmp"
	"slices"
	"sync"
)

// head is what is known of a record before it is made: enough to sort, filter and name it.
type head struct {
	at ticks
	// index counts the ordinary records of the slot from 0; -1-n is woven record n of the log.
	index int32
}

// series is a log cut into slots of equal length from the tenant's start on.
type series struct {
	log    int
	flow   flow
	length int64 // seconds of a slot
	woven  []woven
	// wovenIn has the heads of woven records by slot.
	wovenIn map[int64][]head
}

// slotLengths are the lengths that a slot may have, in seconds: divisors of a day, so that the history
// ends where a slot does.
var slotLengths = [...]int64{3600, 1800, 600, 300, 120, 60, 30, 10, 5, 1}

func newSeries(log int, start, end int64, total uint64) series {
	human := log != logServicePrincipal && log != logManagedIdentity
	s := series{log: log, flow: newFlow(human, start, end, total), wovenIn: map[int64][]head{}}
	// A slot of the busiest hour should not have many more than this.
	const most = 1000
	const peak = 3
	for _, s.length = range slotLengths {
		slots := uint64((end - start) / s.length)
		if total*peak <= most*slots {
			break
		}
	}
	return s
}

// weave adds a woven record.
func (s *series) weave(w woven) {
	slot := s.slotOf(w.at)
	s.wovenIn[slot] = append(s.wovenIn[slot], head{at: w.at, index: int32(-1 - len(s.woven))})
	s.woven = append(s.woven, w)
}

// slotOf returns the slot of a time, negative before the start.
func (s *series) slotOf(at ticks) int64 {
	seconds, _ := at.split()
	d := seconds - s.flow.start
	if d < 0 {
		return -1
	}
	return d / s.length
}

// begin returns the first second of a slot.
func (s *series) begin(slot int64) int64 { return s.flow.start + slot*s.length }

func (s *series) first(slot int64) uint64 { return s.flow.before(s.begin(slot)) }

// ordinary returns how many ordinary records a slot has.
func (s *series) ordinary(slot int64) int { return int(s.first(slot+1) - s.first(slot)) }

// size returns how many records a slot has.
func (s *series) size(slot int64) int { return s.ordinary(slot) + len(s.wovenIn[slot]) }

// timeOf returns the time of an ordinary record.
func (s *series) timeOf(seed uint64, slot int64, index int) ticks {
	r := rng{hash(seed, uint64(s.log), uint64(slot), uint64(index), 0x71)}
	at := ticks(s.begin(slot))*perSecond + ticks(r.below(int(s.length*int64(perSecond))))
	// Real logs have records with equal times, and some services cut theirs to the second.
	const whole = 100
	if r.chance(whole) {
		at -= at % perSecond
	}
	return at
}

// appendHeads appends the heads of a slot's records, unsorted.
func (s *series) appendHeads(heads []head, seed uint64, slot int64) []head {
	for i := range s.ordinary(slot) {
		heads = append(heads, head{at: s.timeOf(seed, slot, i), index: int32(i)})
	}
	return append(heads, s.wovenIn[slot]...)
}

// newestFirst is the order of a log.
func newestFirst(a, b head) int {
	return cmp.Or(cmp.Compare(b.at, a.at), cmp.Compare(a.index, b.index))
}

// slotKey names a slot of a log.
type slotKey struct {
	log  int
	slot int64
}

// slotCache keeps the heads of the slots used last. Its slices are shared: nobody writes to them.
type slotCache struct {
	mu    sync.Mutex
	keys  []slotKey // the one used last at the end
	heads map[slotKey][]head
}

// cachedSlots bounds the cache; a slot has some thousand heads at most.
const cachedSlots = 32

func (c *slotCache) get(key slotKey, build func() []head) []head {
	c.mu.Lock()
	heads, ok := c.heads[key]
	if ok {
		i := slices.Index(c.keys, key)
		c.keys = append(slices.Delete(c.keys, i, i+1), key)
	}
	c.mu.Unlock()
	if ok {
		return heads
	}
	heads = build()
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.heads[key]; !ok {
		if len(c.keys) == cachedSlots {
			delete(c.heads, c.keys[0])
			c.keys = slices.Delete(c.keys, 0, 1)
		}
		c.keys = append(c.keys, key)
		c.heads[key] = heads
	}
	return heads
}

// sorted returns a slot's heads, newest first.
func (t *Tenant) sorted(s *series, slot int64) []head {
	if s.size(slot) == 0 {
		return nil
	}
	return t.cache.get(slotKey{s.log, slot}, func() []head {
		heads := s.appendHeads(make([]head, 0, s.size(slot)), t.cfg.Seed, slot)
		slices.SortFunc(heads, newestFirst)
		return heads
	})
}
