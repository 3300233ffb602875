// Package clock tells the time to services, so that a test can move or hurry it.
//
// It reads the system's clock and, by configuration, adds an offset and a speed; timers
// follow the speed. It starts no goroutine and changes no state of the process. Drain
// budgets and network timeouts stay on the system's clock: they bound real work.
package clock

import (
	"context"
	"time"
)

// Clock is an immutable value: copy it freely, use it from any goroutine. The zero Clock
// is the real one.
type Clock struct {
	base  time.Time // a real instant, with its monotonic reading
	start time.Time // what this clock showed at base
	speed float64   // 0 in the zero Clock: real time
}

// Real returns the system's clock.
func Real() Clock { return Clock{} }

// New returns a clock that now shows the real time plus offset and runs speed times as fast
// from here on. Like time.NewTicker it panics if speed is not positive.
//
// Clocks of several processes agree if their speed is 1; at another speed use NewAnchored.
func New(offset time.Duration, speed float64) Clock {
	return NewAnchored(time.Now(), offset, speed)
}

// NewAnchored returns a clock that showed anchor plus offset at the real instant anchor and
// runs speed times as fast since then. Processes that share the three values agree on the
// time whenever each of them was started. It panics if speed is not positive.
func NewAnchored(anchor time.Time, offset time.Duration, speed float64) Clock {
	if !(speed > 0) {
		panic("clock: speed must be positive")
	}
	base := time.Now()
	ahead := offset + scale(base.Sub(anchor), speed-1)
	return Clock{base: base, start: base.Add(ahead), speed: speed}
}

// Now returns the time this clock shows, with a monotonic reading that is comparable only
// with other readings of the same clock.
func (c Clock) Now() time.Time {
	if c.speed == 0 {
		return time.Now()
	}
	return c.start.Add(scale(time.Since(c.base), c.speed))
}

// Since returns the time that passed on this clock since t.
func (c Clock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// Until returns the time that passes on this clock until t.
func (c Clock) Until(t time.Time) time.Duration { return t.Sub(c.Now()) }

// After signals once d has passed on this clock. As with every channel of this package the
// value received is a signal: ask Now for the time.
func (c Clock) After(d time.Duration) <-chan time.Time { return time.After(c.real(d)) }

// Sleep waits until d has passed on this clock, or returns ctx's error once ctx is done.
func (c Clock) Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(c.real(d))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// NewTimer returns a timer that fires once d has passed on this clock.
func (c Clock) NewTimer(d time.Duration) *Timer {
	timer := time.NewTimer(c.real(d))
	return &Timer{C: timer.C, timer: timer, clock: c}
}

// NewTicker returns a ticker that fires every d of this clock. It panics if d is not positive.
func (c Clock) NewTicker(d time.Duration) *Ticker {
	ticker := time.NewTicker(c.interval(d))
	return &Ticker{C: ticker.C, ticker: ticker, clock: c}
}

// real converts a duration of this clock into one of the system's.
func (c Clock) real(d time.Duration) time.Duration {
	if c.speed == 0 {
		return d
	}
	return scale(d, 1/c.speed)
}

// interval is real, but at least a nanosecond for a positive d: at a great speed a short
// interval would round to zero, which time.NewTicker refuses.
func (c Clock) interval(d time.Duration) time.Duration {
	if d <= 0 {
		return d
	}
	return max(c.real(d), 1)
}

func scale(d time.Duration, factor float64) time.Duration {
	if factor == 1 {
		return d
	}
	return time.Duration(float64(d) * factor)
}
