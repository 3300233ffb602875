package graph

import (
	"slices"
	"time"

	"github.com/entraflow/entraflow/services/simulator/entra/odata"
	"github.com/entraflow/entraflow/services/simulator/entra/state"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// maxScan bounds the records that a request with a filter looks at: then its page ends, with a next link.
const maxScan = 50_000

// walk reads logs, newest first, merged by time.
type walk struct {
	streams []*stream
	filter  odata.Expr
	scanned int
}

// stream is one log of a walk.
type stream struct {
	source state.Source
	log    string
	query  tenant.Query
	chunk  int
	// start is the position before records, next that behind them; used of them are taken.
	start, next tenant.Position
	records     []tenant.Record
	used        int
	// end says that nothing is behind next.
	end bool
}

func newWalk(source state.Source, logs []string, q tenant.Query, from place, filter odata.Expr, limit int) *walk {
	w := &walk{filter: filter}
	// Alone, a log is read a page at a time. Merged, what is left of a chunk is read again: chunks are small.
	chunk := limit
	if len(logs) > 1 || filter != nil {
		const small = 100
		chunk = min(limit, small)
	}
	for i, log := range logs {
		w.streams = append(w.streams, &stream{
			source: source, log: log, query: q, chunk: chunk, start: from.positions[i], next: from.positions[i], end: from.done[i],
		})
	}
	return w
}

// fill reads on if all was taken. It reports whether there is a record.
func (s *stream) fill() bool {
	for s.used == len(s.records) {
		if s.end {
			return false
		}
		s.start = s.next
		s.records, s.next, s.end = s.source.Page(s.log, s.query, s.start, s.chunk)
		s.used = 0
	}
	return true
}

// position is the one behind the last record taken.
func (s *stream) position() (p tenant.Position, done bool) {
	switch s.used {
	case len(s.records):
		return s.next, s.end
	case 0:
		return s.start, false
	}
	_, p, _ = s.source.Page(s.log, s.query, s.start, s.used)
	return p, false
}

// take returns the next record, or nil at the end or when enough were looked at.
func (w *walk) take() *tenant.Record {
	for w.filter == nil || w.scanned < maxScan {
		newest := w.newest()
		if newest == nil {
			return nil
		}
		r := &newest.records[newest.used]
		newest.used++
		w.scanned++
		if odata.Match(w.filter, r.JSON) {
			return r
		}
	}
	return nil
}

func (w *walk) newest() *stream {
	var newest *stream
	for _, s := range w.streams {
		if !s.fill() {
			continue
		}
		if newest == nil || s.records[s.used].At.After(newest.records[newest.used].At) {
			newest = s
		}
	}
	return newest
}

// place is where the walk is; more says whether anything is left.
func (w *walk) place() (p place, more bool) {
	for _, s := range w.streams {
		position, done := s.position()
		p.positions = append(p.positions, position)
		p.done = append(p.done, done)
		more = more || !done
	}
	return p, more
}

// Bounds of a step of an ascending walk.
const (
	firstStep = time.Hour
	minStep   = time.Second
	// crowded is how many pages of records make a step too long.
	crowded = 4
)

// ascend reads up to limit records from a time on, oldest first, without the first skip of that time. The logs only
// read backwards, so it goes forward in steps that it reads whole.
func ascend(source state.Source, logs []string, q tenant.Query, from place, filter odata.Expr, limit int) (records []tenant.Record, next place, more bool) {
	cursor, step := from.at, firstStep
	for !cursor.After(q.To) && len(records) <= limit+from.count {
		end := cursor.Add(step)
		if end.After(q.To) {
			end = q.To
		}
		found, whole := between(source, logs, tenant.Query{From: cursor, To: end, At: q.At, Hide: q.Hide}, crowded*limit)
		if !whole && step > minStep {
			step = max(step/2, minStep)
			continue
		}
		for _, r := range found {
			if odata.Match(filter, r.JSON) {
				records = append(records, r)
			}
		}
		if len(found) < limit/crowded {
			step *= 2
		}
		cursor = end.Add(resolution)
	}
	records = records[min(countAt(records, from.at, from.count), len(records)):]
	if len(records) <= limit {
		return records, place{}, false
	}
	records = records[:limit]
	next.at = records[limit-1].At
	for i := limit - 1; i >= 0 && records[i].At.Equal(next.at); i-- {
		next.count++
	}
	if next.at.Equal(from.at) {
		next.count += from.count
	}
	return records, next, true
}

// countAt is how many of the first n records are of a time.
func countAt(records []tenant.Record, at time.Time, n int) int {
	for i := range min(n, len(records)) {
		if !records[i].At.Equal(at) {
			return i
		}
	}
	return n
}

// between returns all records of a range, oldest first, unless there are more than limit.
func between(source state.Source, logs []string, q tenant.Query, limit int) (all []tenant.Record, whole bool) {
	for _, log := range logs {
		position, done := tenant.Position{}, false
		for !done {
			var records []tenant.Record
			records, position, done = source.Page(log, q, position, limit)
			all = append(all, records...)
			if len(all) > limit && q.To.Sub(q.From) > minStep {
				return nil, false
			}
		}
	}
	slices.Reverse(all)
	slices.SortStableFunc(all, func(a, b tenant.Record) int { return a.At.Compare(b.At) })
	return all, true
}
