package budget

import (
	"context"
	"slices"
	"time"
)

// waiter is an Acquire that waits. ready gets one value, from whoever takes it out of its queue.
type waiter struct {
	ready chan error
	cost  int64
}

// laneKey tells requests apart that draw from different buckets.
type laneKey struct {
	workload        Workload
	appID, tenantID string
}

// lane holds the requests that draw from the same buckets.
type lane struct {
	buckets []*bucket // the narrowest first
	queues  [classes][]*waiter
	usedAt  int64
}

func (l *lane) name() string {
	if len(l.buckets) == 0 {
		return "none"
	}
	return l.buckets[0].limit.name
}

func (l *lane) idle() bool {
	for _, q := range l.queues {
		if len(q) > 0 {
			return false
		}
	}
	return true
}

func (l *lane) remove(class Class, w *waiter) {
	if i := slices.Index(l.queues[class], w); i >= 0 {
		l.queues[class] = slices.Delete(l.queues[class], i, i+1)
	}
}

// lane finds or makes the lane of a request.
func (b *Budget) lane(r Request) *lane {
	key := laneKey{r.Workload, r.AppID, r.TenantID}
	if l, ok := b.lanes[key]; ok {
		return l
	}
	l := &lane{usedAt: b.now()}
	for _, limit := range limitsOf(r.Workload, b.users[r.TenantID]) {
		name := limit.key(r.AppID, r.TenantID)
		g, ok := gridOf(limit, name, b.set.Scale, b.set.Margin)
		if !ok {
			continue
		}
		made, ok := b.buckets[name]
		if !ok || made.grid != g {
			made = &bucket{limit: limit, key: name, grid: g, usedAt: l.usedAt}
			b.buckets[name] = made
		}
		l.buckets = append(l.buckets, made)
	}
	b.lanes[key] = l
	b.order = append(b.order, l)
	return l
}

func (b *Budget) drop(key laneKey, l *lane) {
	delete(b.lanes, key)
	if i := slices.Index(b.order, l); i >= 0 {
		b.order = slices.Delete(b.order, i, i+1)
	}
}

// pass hands out what can be, asks for what is missing, and says when to look again.
func (b *Budget) pass(ctx context.Context, now int64) (wake int64) {
	for _, drawn := range b.buckets {
		if lost := drawn.expire(now); lost > 0 {
			b.metrics.lost.WithLabelValues(drawn.limit.name).Add(float64(lost))
		}
	}
	// What a bucket of this process alone leases can be used at once, so that comes first.
	b.leaseAll(ctx, now)
	for class := int(Interactive); class >= int(Backfill); class-- {
		b.serve(Class(class), now)
	}
	wake = now + int64(time.Minute)
	if b.leaseAll(ctx, now) {
		wake = now + int64(time.Millisecond)
	}
	for _, drawn := range b.buckets {
		wake = min(wake, drawn.wake(now))
	}
	b.sweep(now)
	return wake
}

// leaseAll sums up what is needed and leases it. It reports whether units came at once.
func (b *Budget) leaseAll(ctx context.Context, now int64) (came bool) {
	for _, drawn := range b.buckets {
		drawn.want, drawn.wantUrgent = 0, 0
	}
	for _, l := range b.order {
		l.demand()
	}
	for _, drawn := range b.buckets {
		if b.maybeLease(ctx, drawn, now) {
			came = true
		}
	}
	return came
}

// serve hands out units to requests of a class, one for each lane in turn. The lane that was served goes to
// the end, so that no tenant has more of a shared bucket than another.
func (b *Budget) serve(class Class, now int64) {
	waits := func(l *lane) bool { return len(l.queues[class]) > 0 }
	for served := slices.ContainsFunc(b.order, waits); served; {
		served = false
		var last []*lane
		rest := b.order[:0:0]
		for _, l := range b.order {
			if b.serveOne(l, class, now) {
				served = true
				last = append(last, l)
			} else {
				rest = append(rest, l)
			}
		}
		if served {
			b.order = append(rest, last...)
		}
	}
}

func (b *Budget) serveOne(l *lane, class Class, now int64) bool {
	if len(l.queues[class]) == 0 {
		return false
	}
	for _, drawn := range l.buckets {
		if !drawn.ready(now) {
			return false
		}
	}
	w := l.queues[class][0]
	l.queues[class] = l.queues[class][1:]
	l.usedAt = now
	for _, drawn := range l.buckets {
		drawn.take(now, drawn.cost(w.cost))
		b.metrics.granted.WithLabelValues(drawn.limit.name, class.String()).Inc()
	}
	w.ready <- nil
	return true
}

func (b *bucket) cost(units int64) int64 {
	if b.limit.counted {
		return units
	}
	return 1
}

// demand adds what the lane's requests need to its buckets. A wide bucket is asked only for what the
// narrow ones before it let through in a moment.
func (l *lane) demand() {
	through := int64(1<<62 - 1)
	for _, drawn := range l.buckets {
		var all, urgent int64
		for class, queue := range l.queues {
			for _, w := range queue[:min(int64(len(queue)), through)] {
				all += drawn.cost(w.cost)
				if Class(class) == Interactive {
					urgent += drawn.cost(w.cost)
				}
			}
		}
		drawn.want += all
		drawn.wantUrgent += urgent
		through = min(through, max(1, int64(2*drawn.grid.ahead/drawn.grid.step)))
	}
}

// sweep forgets lanes and buckets that nobody has used for long.
func (b *Budget) sweep(now int64) {
	const every, kept = int64(time.Minute), int64(10 * time.Minute)
	if now-b.swept < every {
		return
	}
	b.swept = now
	used := map[*bucket]struct{}{}
	for key, l := range b.lanes {
		if l.idle() && now-l.usedAt > kept {
			b.drop(key, l)
			continue
		}
		for _, drawn := range l.buckets {
			used[drawn] = struct{}{}
		}
	}
	for key, drawn := range b.buckets {
		if _, ok := used[drawn]; !ok && !drawn.leasing && now-drawn.usedAt > kept && now > drawn.until {
			delete(b.buckets, key)
		}
	}
}
