package budget

import "time"

// span is a run of units that this process has and has not used.
type span struct{ first, end int64 }

// bucket is this process's side of a limit. The Budget's lock guards it.
type bucket struct {
	limit limit
	key   string
	grid  grid
	spans []span // ascending
	// lost is the last unit that expired here.
	lost int64
	// debt are units that a costly request took before their instant.
	debt int64
	// until is the end of a pause; pauseDue says that the other replicas have yet to hear of it.
	until    int64
	pauseDue bool
	// ledger is the last that was seen, revision its revision in the KV bucket.
	ledger   ledger
	revision uint64
	// leasing says that a goroutine is at the ledger; leaseAt is when to ask next.
	leasing bool
	leaseAt int64
	// askedUrgent says that leaseAt was said to an urgent request.
	askedUrgent bool
	// away says that the KV bucket does not answer, nextAlone is then the first unit not looked at.
	away      bool
	nextAlone int64
	// want and wantUrgent are the units that waiting requests need, of the current pass.
	want, wantUrgent int64
	// recent counts units used in this moment and the one before, to lease ahead.
	recent usage
	usedAt int64
}

// usage counts units in moments of leaseAhead/2.
type usage struct{ moment, now, before int64 }

func (u *usage) add(at, n int64) {
	moment := at / int64(leaseAhead/2)
	switch moment - u.moment {
	case 0:
	case 1:
		u.before, u.now = u.now, 0
	default:
		u.before, u.now = 0, 0
	}
	u.moment = moment
	u.now += n
}

// expire drops units that are too late to be used and returns how many. A debt is paid from those that
// can be used.
func (b *bucket) expire(now int64) (lost int64) {
	oldest, newest := b.grid.oldest(now), b.grid.newest(now)
	for len(b.spans) > 0 {
		s := &b.spans[0]
		if s.first < oldest {
			gone := min(s.end, oldest) - s.first
			s.first += gone
			paid := min(gone, b.debt)
			b.debt -= paid
			if lost += gone - paid; gone > paid {
				b.lost = s.first - 1
			}
		}
		if usable := min(s.end, newest+1) - s.first; b.debt > 0 && usable > 0 {
			paid := min(usable, b.debt)
			s.first += paid
			b.debt -= paid
		}
		if s.first < s.end {
			return lost
		}
		b.spans = b.spans[1:]
	}
	return lost
}

// ready says whether a request may go now; after expire.
func (b *bucket) ready(now int64) bool {
	return now >= b.until && b.debt == 0 && len(b.spans) > 0 && b.spans[0].first <= b.usable(now)
}

// usable is the last unit that may be used now. One whose predecessor expired here may be used before its
// instant: to every window it is that predecessor, late, and itself lost.
func (b *bucket) usable(now int64) int64 {
	newest := b.grid.newest(now)
	if !b.wide() && len(b.spans) > 0 && b.spans[0].first == b.lost+1 {
		return max(newest, b.lost+1)
	}
	return newest
}

// take uses units. What is not yet there of a costly request becomes debt.
func (b *bucket) take(now, cost int64) {
	newest := b.usable(now)
	b.recent.add(now, cost)
	b.usedAt = now
	for cost > 0 && len(b.spans) > 0 && b.spans[0].first <= newest {
		s := &b.spans[0]
		n := min(cost, min(s.end, newest+1)-s.first)
		s.first += n
		cost -= n
		if s.first == s.end {
			b.spans = b.spans[1:]
		}
	}
	b.debt += cost
}

// held are the units that may be used, now or later.
func (b *bucket) held() (n int64) {
	for _, s := range b.spans {
		n += s.end - s.first
	}
	return n - b.debt
}

func (b *bucket) add(got grant) {
	if got.Count > 0 {
		b.spans = append(b.spans, span{got.First, got.First + got.Count})
	}
}

// need are the units to lease now, and whether for an urgent request.
func (b *bucket) need() (units int64, urgent bool) {
	held := b.held()
	if b.want == 0 || !b.wide() {
		return b.want - held, b.wantUrgent > held
	}
	// Many units in a moment: lease for the requests that follow too, and not again for each.
	target := max(b.want, 2*b.recent.before)
	if 2*held >= target || time.Duration(held)*b.grid.step >= leaseAhead/4 {
		return 0, false
	}
	return target - held, b.wantUrgent > held
}

// wide says that a bucket has many units in the time that a lease looks ahead.
func (b *bucket) wide() bool { return b.grid.step < leaseAhead/10 }

// wake is when something changes for those who wait.
func (b *bucket) wake(now int64) int64 {
	wake := int64(1<<63 - 1)
	if b.want == 0 {
		return wake
	}
	if b.until > now {
		return b.until
	}
	if len(b.spans) > 0 {
		// A unit whose instant has come waits for another bucket's, which wakes.
		if at := b.grid.at(b.spans[0].first + b.debt); at > now {
			wake = at
		}
	}
	soon := now + int64(time.Millisecond)
	if units, _ := b.need(); units > 0 && !b.leasing {
		wake = min(wake, max(b.leaseAt, soon))
		if b.away {
			wake = min(wake, max(b.grid.at(b.nextAlone)-int64(b.grid.ahead), soon))
		}
	}
	return wake
}

// surplus takes away the units that nobody waits for any more and whose instants have not come, if they are
// the last of the bucket's and not so many that the next request will want them. unit is the first.
func (b *bucket) surplus(now int64) (unit int64, ok bool) {
	if len(b.spans) == 0 || b.wide() || b.debt > 0 {
		return 0, false
	}
	last := &b.spans[len(b.spans)-1]
	unit = max(last.first, last.end-(b.held()-b.want), b.grid.newest(now)+1)
	if unit >= last.end {
		return 0, false
	}
	last.end = unit
	if last.first == last.end {
		b.spans = b.spans[:len(b.spans)-1]
	}
	return unit, true
}

// leaseAlone takes this process's share while nobody can be asked, and reports whether there was any.
func (b *bucket) leaseAlone(replica string, now, need int64) (came bool) {
	first := max(b.nextAlone, b.grid.oldest(now))
	if n := len(b.spans); n > 0 {
		first = max(first, b.spans[n-1].end)
	}
	last := b.grid.newest(now + int64(b.grid.ahead))
	for ; first <= last && need > 0; first++ {
		if b.ledger.alone(replica, first) {
			b.add(grant{First: first, Count: 1})
			need--
			came = true
		}
	}
	b.nextAlone = first
	return came
}
