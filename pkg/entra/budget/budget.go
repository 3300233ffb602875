// Package budget keeps requests to Microsoft Graph inside the documented limits (graph.md §2.3, §3.5).
//
// Each limit is a bucket, and a request draws from every bucket that covers it. A bucket's units have
// instants of their own, evenly spread, and replicas share them through a key of a KV bucket: each leases
// units of the next moment, so that no request costs a write of its own where requests are many. It reads and
// writes that KV bucket and nothing else; it sends no request and holds no secret. When the KV bucket is away,
// each replica goes on with an equal part among those that it saw last.
package budget

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/nats-io/nuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/entraflow/entraflow/pkg/clock"
)

// ErrStopped is returned by an Acquire that waits when Run ends, or comes later.
var ErrStopped = errors.New("budget is stopped")

// Settings of a Budget.
type Settings struct {
	// KV is shared by the replicas; see JetStream. Nil is a budget of this process alone.
	KV KV
	// Replica names this process among those that share the KV bucket; empty is a random name.
	Replica string
	// Service is the word that stands in the metrics' names. Empty is "graph".
	Service string
	// Scale multiplies every limit: 1 is as documented, 0 no limit at all.
	Scale float64
	// Margin is the part of a limit's window by which units are spread wider than need be, so that a server that
	// counts a sliding window never counts too many: half of it is what the network may delay one request more
	// than another. 0 is 0.05, and 0.08 for windows of a second.
	Margin float64
	// Clock must agree with the other replicas' to a quarter of the margin.
	Clock      clock.Clock
	Registerer prometheus.Registerer
}

// Budget hands out units. It is safe for concurrent use. Run must be running for Acquire to return,
// unless Scale is 0.
type Budget struct {
	set     Settings
	metrics *metrics
	kick    chan struct{} // holds one: something has changed
	leases  chan struct{} // bounds the writes to the KV bucket at one time
	wg      sync.WaitGroup

	mu      sync.Mutex
	buckets map[string]*bucket
	lanes   map[laneKey]*lane
	order   []*lane // lanes, for going around
	users   map[string]int
	stopped bool
	swept   int64
}

// New returns a budget; it opens and starts nothing. It fails for a negative scale, a margin that is not in
// [0, 0.5], and metrics that are taken.
func New(set Settings) (*Budget, error) {
	const concurrentLeases, mostMargin = 16, 0.5
	if set.Scale < 0 || math.IsNaN(set.Scale) || !(set.Margin >= 0 && set.Margin <= mostMargin) {
		return nil, errors.New("making budget: scale must not be negative, margin be from 0 to 0.5")
	}
	if set.Replica == "" {
		set.Replica = nuid.Next()
	}
	if set.Service == "" {
		set.Service = "graph"
	}
	m, err := newMetrics(set.Registerer, set.Service)
	if err != nil {
		return nil, fmt.Errorf("making budget: %w", err)
	}
	return &Budget{
		set: set, metrics: m,
		kick: make(chan struct{}, 1), leases: make(chan struct{}, concurrentLeases),
		buckets: map[string]*bucket{}, lanes: map[laneKey]*lane{}, users: map[string]int{},
	}, nil
}

// Acquire waits until every bucket that covers the request has units for it, and takes them; send the
// request at once. It returns ctx's error when that is done first, and ErrStopped.
func (b *Budget) Acquire(ctx context.Context, r Request) error {
	if b.set.Scale == 0 || ctx.Err() != nil {
		return ctx.Err()
	}
	began := b.set.Clock.Now()
	w := &waiter{ready: make(chan error, 1), cost: int64(max(r.Units, 1))}
	b.mu.Lock()
	if b.stopped {
		b.mu.Unlock()
		return ErrStopped
	}
	l := b.lane(r)
	class := min(r.Class, Interactive)
	l.queues[class] = append(l.queues[class], w)
	b.mu.Unlock()
	b.poke()
	select {
	case err := <-w.ready:
		b.metrics.wait.WithLabelValues(l.name(), class.String()).Observe(b.set.Clock.Since(began).Seconds())
		return err
	case <-ctx.Done():
		b.mu.Lock()
		l.remove(class, w)
		b.mu.Unlock()
		b.poke()
		return ctx.Err()
	}
}

// Throttled says that Graph answered such a request with 429 and asked for a pause: no replica draws from
// the request's narrowest bucket before it is over. It does not block.
func (b *Budget) Throttled(r Request, pause time.Duration) {
	if b.set.Scale == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.lane(r)
	if len(l.buckets) == 0 {
		return
	}
	narrowest := l.buckets[0]
	if until := b.now() + int64(pause); until > narrowest.until {
		narrowest.until, narrowest.pauseDue = until, true
		// What was leased is for instants within the pause, most of it.
		narrowest.leaseAt = 0
	}
	b.metrics.throttled.WithLabelValues(narrowest.limit.name).Inc()
	b.poke()
}

// SetTenantUsers says how many users the tenant has, which decides its Directory limit. A tenant that
// nothing was said about has the smallest limit. All replicas should say the same.
func (b *Budget) SetTenantUsers(tenantID string, users int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if directoryUnits(b.users[tenantID]) == directoryUnits(users) {
		return
	}
	b.users[tenantID] = users
	for key, l := range b.lanes {
		if key.tenantID == tenantID && l.idle() {
			b.drop(key, l)
		}
	}
}

func (b *Budget) now() int64 { return b.set.Clock.Now().UnixNano() }

// poke makes Run look again.
func (b *Budget) poke() {
	select {
	case b.kick <- struct{}{}:
	default:
	}
}

// Run leases and hands out units until ctx is done. It waits for all it started and returns nil; an
// Acquire that still waits then returns ErrStopped. Call it once.
func (b *Budget) Run(ctx context.Context) error {
	defer b.wg.Wait()
	defer b.stop()
	const idle = time.Minute
	timer := b.set.Clock.NewTimer(idle)
	defer timer.Stop()
	for {
		b.mu.Lock()
		now := b.now()
		wake := b.pass(ctx, now)
		b.mu.Unlock()
		timer.Reset(min(time.Duration(wake-now), idle))
		select {
		case <-ctx.Done():
			return nil
		case <-b.kick:
		case <-timer.C:
		}
	}
}

func (b *Budget) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped = true
	for _, l := range b.order {
		for class := range l.queues {
			for _, w := range l.queues[class] {
				w.ready <- ErrStopped
			}
			l.queues[class] = nil
		}
	}
}
