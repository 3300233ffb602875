package clock

import "time"

// Timer is time.Timer on a Clock. A value received from C is a signal: ask the clock's Now
// for the time.
type Timer struct {
	C     <-chan time.Time
	timer *time.Timer
	clock Clock
}

// Stop prevents the timer from firing; see time.Timer.
func (t *Timer) Stop() bool { return t.timer.Stop() }

// Reset makes the timer fire once d has passed on its clock; see time.Timer.
func (t *Timer) Reset(d time.Duration) bool { return t.timer.Reset(t.clock.real(d)) }

// Ticker is time.Ticker on a Clock. A value received from C is a signal: ask the clock's Now
// for the time.
type Ticker struct {
	C      <-chan time.Time
	ticker *time.Ticker
	clock  Clock
}

// Stop ends the ticks; it does not close C.
func (t *Ticker) Stop() { t.ticker.Stop() }

// Reset makes the ticker fire every d of its clock from now on. It panics if d is not positive.
func (t *Ticker) Reset(d time.Duration) { t.ticker.Reset(t.clock.interval(d)) }
