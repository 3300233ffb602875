package tenant

import (
	"bytes"
	"iter"
)

// Page returns up to limit records of a log that q chooses, newest first, behind position after,
// and the position to go on from. done says that nothing is left. It takes time and memory for
// limit records and one slot, wherever after is. Without such a log nothing is left. A page that is
// not done may be empty only if limit is 0 or less.
func (t *Tenant) Page(log string, q Query, after Position, limit int) (records []Record, next Position, done bool) {
	i := logIndex(log)
	if i < 0 {
		return nil, after, true
	}
	if limit <= 0 {
		return nil, after, false
	}
	s := &t.series[i]
	w := t.window(s, q)
	p := pager{t: t, s: s, w: &w, hide: t.hidden(q), limit: limit}
	next, done = p.run(after)
	return p.records, next, done
}

// pager makes one page.
type pager struct {
	t       *Tenant
	s       *series
	w       *window
	hide    Hide
	limit   int
	records []Record
	arena   []byte
}

// run returns the place of the first record that did not fit, and whether there is none.
func (p *pager) run(after Position) (Position, bool) {
	slot, skip := p.w.high, 0
	if after.set && after.slot <= slot {
		slot, skip = after.slot, after.done
	}
	for ; slot >= p.w.low; slot, skip = slot-1, 0 {
		heads := p.t.sorted(p.s, slot)
		for i := skip; i < len(heads); i++ {
			h := heads[i]
			if h.at < p.w.from {
				break
			}
			if !p.t.chooses(p.s, p.w, slot, h) {
				continue
			}
			if len(p.records) == p.limit {
				return Position{set: true, slot: slot, done: i}, false
			}
			p.add(slot, h)
		}
	}
	return Position{set: true, slot: p.w.low - 1}, true
}

// add makes a record. The records of a page share pieces of memory, each its own part.
func (p *pager) add(slot int64, h head) {
	const piece, room = 1 << 17, 1 << 12
	if cap(p.arena)-len(p.arena) < room {
		p.arena = make([]byte, 0, min(piece, (p.limit-len(p.records))*room))
	}
	begin := len(p.arena)
	p.arena = p.t.appendRecord(p.arena, form{hide: p.hide, at: p.w.at}, p.s.log, slot, h)
	json := p.arena[begin:len(p.arena):len(p.arena)]
	p.records = append(p.records, Record{ID: idIn(json), At: h.at.time(), JSON: json})
}

// idIn takes a record's id out of its JSON, which begins with it.
func idIn(json []byte) string {
	const begin = len(`{"id":"`)
	return string(json[begin : begin+bytes.IndexByte(json[begin:], '"')])
}

// Truth counts the distinct ids of each log that q chooses, without making JSON: every log of Logs
// has an entry.
func (t *Tenant) Truth(q Query) map[string]uint64 {
	counts := make(map[string]uint64, logCount)
	for i, name := range logNames() {
		s := &t.series[i]
		w := t.window(s, q)
		counts[name] = t.count(s, &w)
	}
	return counts
}

func (t *Tenant) count(s *series, w *window) (n uint64) {
	var heads []head
	for slot := w.low; slot <= w.high; slot++ {
		if t.covers(s, w, slot) {
			n += uint64(s.size(slot))
			continue
		}
		heads = s.appendHeads(heads[:0], t.cfg.Seed, slot)
		for _, h := range heads {
			if t.chooses(s, w, slot, h) {
				n++
			}
		}
	}
	return n
}

// IDs returns the ids that q chooses of a log, newest record first.
func (t *Tenant) IDs(log string, q Query) iter.Seq[string] {
	return func(yield func(string) bool) {
		i := logIndex(log)
		if i < 0 {
			return
		}
		s := &t.series[i]
		w := t.window(s, q)
		for slot := w.high; slot >= w.low; slot-- {
			for _, h := range t.sorted(s, slot) {
				if t.chooses(s, &w, slot, h) && !yield(t.recordID(s.log, slot, h)) {
					return
				}
			}
		}
	}
}

// Lookup returns the record of a log with this id as it is visible at q.At, whatever its time.
// It takes the time of one record. For risky users the id is the user's.
func (t *Tenant) Lookup(log, id string, q Query) (Record, bool) {
	i := logIndex(log)
	if i < 0 {
		return Record{}, false
	}
	s := &t.series[i]
	w := t.window(s, Query{At: q.At, To: q.At})
	slot, h, ok := t.locate(s, id, w.at)
	if !ok || !t.chooses(s, &w, slot, h) {
		return Record{}, false
	}
	json := t.appendRecord(nil, form{hide: t.hidden(q), at: w.at}, s.log, slot, h)
	return Record{ID: idIn(json), At: h.at.time(), JSON: json}, true
}

// hidden is what a query may not see, with what the licence hides.
func (t *Tenant) hidden(q Query) Hide {
	if t.cfg.Licence != P2 {
		return q.Hide | HideRisk
	}
	return q.Hide
}
