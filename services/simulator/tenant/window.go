package tenant

// window is a Query in ticks, clipped to a log's slots.
type window struct {
	from, to, at ticks
	// low and high are the slots that hold records of the window; high < low: none.
	low, high int64
}

func (t *Tenant) window(s *series, q Query) window {
	w := window{from: -maxTicks, to: maxTicks, at: maxTicks}
	if !q.From.IsZero() {
		w.from = ticksOf(q.From)
		if w.from.time().Before(q.From) {
			w.from++
		}
	}
	if !q.To.IsZero() {
		w.to = ticksOf(q.To)
		w.at = w.to
	}
	if !q.At.IsZero() {
		w.at = ticksOf(q.At)
	}
	if w.at == maxTicks {
		// A tenant goes on living for ever: without any bound the history is meant.
		w.at = t.end - 1
	}
	w.to = min(w.to, w.at)
	if !t.cfg.Stop.IsZero() {
		last := ticksOf(t.cfg.Stop) - 1
		w.to = min(w.to, last)
		if s.log == logRiskyUser {
			w.at = min(w.at, last) // no later state takes the place of the last
		}
	}
	w.low, w.high = max(0, s.slotOf(w.from)), s.slotOf(w.to)
	if s.flow.total == 0 && len(s.woven) == 0 {
		w.high = w.low - 1
	}
	return w
}

func (w *window) holds(at ticks) bool { return at >= w.from && at <= w.to }

// covers reports whether every record of a slot lies in the window and is visible.
func (t *Tenant) covers(s *series, w *window, slot int64) bool {
	begin, end := ticks(s.begin(slot))*perSecond, ticks(s.begin(slot+1))*perSecond-1
	if s.log == logRiskyUser || begin < w.from || end > w.to {
		return false
	}
	return t.cfg.Late.Share == 0 || end+ticksIn(t.cfg.Late.Max) <= w.at
}

// chooses reports whether the window holds a record and the record is visible.
func (t *Tenant) chooses(s *series, w *window, slot int64, h head) bool {
	if !w.holds(h.at) || h.at+t.delay(s.log, slot, h) > w.at {
		return false
	}
	return s.log != logRiskyUser || !t.superseded(slot, h, w.at)
}

// delay returns how long after its time a record becomes visible. Woven records and risky users, which
// are state, are never late.
func (t *Tenant) delay(log int, slot int64, h head) ticks {
	late := t.cfg.Late
	if late.Share == 0 || h.index < 0 || log == logRiskyUser || late.Max == 0 {
		return 0
	}
	r := rng{hash(t.cfg.Seed, uint64(log), uint64(slot), uint64(h.index), 0x1a7e)}
	if !r.share(late.Share) {
		return 0
	}
	return 1 + ticks(r.below(int(ticksIn(late.Max))))
}

// changesAt returns when a record takes its second form; false: it never changes.
func (t *Tenant) changesAt(log int, slot int64, h head) (ticks, bool) {
	changing := t.cfg.Late.Changing
	if changing == 0 || h.index < 0 || log != logInteractive && log != logNonInteractive && log != logRiskDetection {
		return 0, false
	}
	r := rng{hash(t.cfg.Seed, uint64(log), uint64(slot), uint64(h.index), 0xc4a)}
	if !r.share(changing) {
		return 0, false
	}
	return h.at + t.delay(log, slot, h) + 10*perMinute + ticks(r.below(int(perDay-20*perMinute))), true
}

// changed reports whether a record has its second form.
func (t *Tenant) changed(log int, slot int64, h head, at ticks) bool {
	when, changes := t.changesAt(log, slot, h)
	return changes && when <= at
}

// share is true in that share of cases.
func (r *rng) share(share float64) bool {
	const precision = 1 << 53
	return float64(r.next()>>11) < share*precision
}
