// Package throttle limits requests as Microsoft Graph documents it (graph.md §2.3, §3.5) and counts them. A limit is a
// sliding window: the costs of the last so many seconds, refused requests included, must not exceed it. That is the
// strictest reading of "n requests per t seconds": a client that keeps within it keeps within a token bucket, too. The
// package reads the clock it is given and nothing else.
package throttle

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"time"
)

// Mode says whether limits are kept.
type Mode string

// The modes.
const (
	On  Mode = "on"
	Off Mode = "off"
)

// Settings can change at any time.
type Settings struct {
	Mode Mode
	// Scale multiplies all limits; a limit is never less than one request.
	Scale float64
}

// Limit is one documented limit.
type Limit struct {
	// Bucket names the workload in the counters.
	Bucket string
	// Amount is how much may be spent within Window.
	Amount float64
	Window time.Duration
	// PerTenant and PerApp say what has a window of its own.
	PerTenant, PerApp bool
	// NoRetryAfter says that a refusal does not tell how long to wait.
	NoRetryAfter bool
}

// Charge is what a request costs of a limit.
type Charge struct {
	Limit Limit
	Cost  float64
}

// Decision is what Take returns.
type Decision struct {
	OK bool
	// RetryAfter is when to come back, in whole seconds, at least one; 0 if the limit does not tell.
	RetryAfter time.Duration
	// Used is the largest used share of a limit, 1 being all of it.
	Used float64
	// Limit is the one that refused.
	Limit Limit
}

// Counter counts one bucket's requests of an app in a tenant.
type Counter struct {
	Bucket string `json:"bucket"`
	Tenant string `json:"tenant"`
	App    string `json:"app"`
	// Requests are all, Throttled those refused because of a limit, Faults the 429s that faults gave.
	Requests  uint64 `json:"requests"`
	Throttled uint64 `json:"throttled"`
	Faults    uint64 `json:"faults"`
	// First and Last are the times of the first and last request.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

type windowKey struct {
	bucket, tenant, app string
	window              time.Duration
}

type counterKey struct{ bucket, tenant, app string }

// Throttle is safe for concurrent use.
type Throttle struct {
	now      func() time.Time
	mu       sync.Mutex
	settings Settings
	windows  map[windowKey]*window
	counters map[counterKey]*Counter
}

// New returns a Throttle that tells the time by now.
func New(s Settings, now func() time.Time) *Throttle {
	return &Throttle{now: now, settings: s, windows: map[windowKey]*window{}, counters: map[counterKey]*Counter{}}
}

// Set changes the settings. What was spent stays spent.
func (t *Throttle) Set(s Settings) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.settings = s
}

// Settings returns the settings.
func (t *Throttle) Settings() Settings {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.settings
}

// Take spends a request's charges for an app in a tenant and counts it in bucket. A refused request is charged, too.
func (t *Throttle) Take(bucket, tenant, app string, charges []Charge) Decision {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	c := t.counter(bucket, tenant, app, now)
	c.Requests++
	if t.settings.Mode == Off {
		return Decision{OK: true}
	}
	d := Decision{OK: true}
	for _, charge := range charges {
		key := windowKey{bucket: charge.Limit.Bucket, window: charge.Limit.Window}
		if charge.Limit.PerTenant {
			key.tenant = tenant
		}
		if charge.Limit.PerApp {
			key.app = app
		}
		w := t.windows[key]
		if w == nil {
			w = &window{length: charge.Limit.Window}
			t.windows[key] = w
		}
		amount := max(charge.Limit.Amount*t.settings.Scale, charge.Cost)
		w.expire(now)
		d.Used = max(d.Used, (w.sum+charge.Cost)/amount)
		if over := w.sum + charge.Cost - amount; over > 1e-9 {
			wait := time.Duration(0)
			if !charge.Limit.NoRetryAfter {
				wait = max(time.Duration(math.Ceil(w.until(over, now).Seconds()))*time.Second, time.Second)
			}
			if d.OK || wait > d.RetryAfter {
				d.OK, d.RetryAfter, d.Limit = false, wait, charge.Limit
			}
		}
		w.add(charge.Cost, now)
	}
	if !d.OK {
		c.Throttled++
	}
	return d
}

// CountFault counts a 429 that a fault gave instead of Take.
func (t *Throttle) CountFault(bucket, tenant, app string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.counter(bucket, tenant, app, t.now())
	c.Requests++
	c.Faults++
}

func (t *Throttle) counter(bucket, tenant, app string, now time.Time) *Counter {
	key := counterKey{bucket, tenant, app}
	c := t.counters[key]
	if c == nil {
		c = &Counter{Bucket: bucket, Tenant: tenant, App: app, First: now}
		t.counters[key] = c
	}
	c.Last = now
	return c
}

// Counters returns all counters in the order of bucket, tenant and app.
func (t *Throttle) Counters() []Counter {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]Counter, 0, len(t.counters))
	for _, c := range t.counters {
		all = append(all, *c)
	}
	slices.SortFunc(all, func(a, b Counter) int {
		return cmp.Or(cmp.Compare(a.Bucket, b.Bucket), cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.App, b.App))
	})
	return all
}

// ResetCounters forgets the counters, not what was spent.
func (t *Throttle) ResetCounters() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.counters)
}

// maxSpends bounds a window's memory: spends closer than a thousandth of it count as one.
const maxSpends = 1000

type spend struct {
	at   time.Time
	cost float64
}

// window holds the spends of the last length, oldest first.
type window struct {
	length time.Duration
	spends []spend
	sum    float64
}

func (w *window) expire(now time.Time) {
	n := 0
	for n < len(w.spends) && now.Sub(w.spends[n].at) >= w.length {
		w.sum -= w.spends[n].cost
		n++
	}
	w.spends = slices.Delete(w.spends, 0, n)
	if len(w.spends) == 0 {
		w.sum = 0 // what rounding left
	}
}

func (w *window) add(cost float64, now time.Time) {
	w.sum += cost
	if n := len(w.spends); n > 0 && now.Sub(w.spends[n-1].at) < w.length/maxSpends {
		w.spends[n-1].cost += cost
		return
	}
	w.spends = append(w.spends, spend{now, cost})
}

// until returns how long it takes for so much to leave the window.
func (w *window) until(amount float64, now time.Time) time.Duration {
	for _, s := range w.spends {
		if amount -= s.cost; amount <= 1e-9 {
			return s.at.Add(w.length).Sub(now)
		}
	}
	return w.length
}
