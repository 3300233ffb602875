package intake

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/entraflow/entraflow/pkg/clickhouse"
)

// BackOff says how long to wait before the store is tried again: First, then twice as long each time
// up to Max.
type BackOff struct{ First, Max time.Duration }

// Outage knows whether the store is away, says so once, and paces the tries of all who wait for it.
type Outage struct {
	backOff  BackOff
	stopping <-chan struct{}
	logger   *slog.Logger
	up       interface{ Set(float64) }

	mu    sync.Mutex
	since time.Time
}

// NewOutage returns an outage that is over. When stopping is closed nobody waits any more.
func NewOutage(b BackOff, stopping <-chan struct{}, logger *slog.Logger, up interface{ Set(float64) }) *Outage {
	up.Set(1)
	return &Outage{backOff: b, stopping: stopping, logger: logger, up: up}
}

func (o *Outage) begin(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.since.IsZero() {
		return
	}
	o.since = time.Now()
	o.up.Set(0)
	o.logger.Warn("store takes no rows", slog.String("fault", clickhouse.Classify(err).String()), errAttr(err))
}

func (o *Outage) over() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since.IsZero() {
		return
	}
	o.logger.Info("store takes rows again", slog.Duration("duration", time.Since(o.since)))
	o.since = time.Time{}
	o.up.Set(1)
}

// wait waits before the next try and reports whether there is to be one.
func (o *Outage) wait(ctx context.Context, attempt int) bool {
	delay := min(o.backOff.First<<min(attempt, 20), o.backOff.Max)
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	case <-o.stopping:
		return false
	}
}
