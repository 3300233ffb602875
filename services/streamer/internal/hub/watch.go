package hub

import (
	"context"
	"fmt"
	"time"

	"github.com/entraflow/entraflow/services/streamer/internal/checkpoint"
)

// watch looks after what the Processor does not tell: partitions it claimed and could not open, and
// how far the hub is ahead.
func (s *session) watch(ctx context.Context, stop context.CancelCauseFunc) {
	stalls := time.NewTicker(max(s.hub.tuning.StallTimeout/10, time.Millisecond))
	defer stalls.Stop()
	lags := time.NewTicker(s.hub.tuning.LagInterval)
	defer lags.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-stalls.C:
			if p, ok := s.stalled(now); ok {
				stop(fmt.Errorf("partition %s was claimed but could not be opened", p.ID))
			}
		case <-lags.C:
			s.measure(ctx)
		}
	}
}

// stalled finds a partition that is ours and has not been read for the timeout. The Processor logs why
// it could not open one nowhere but in the SDK's own log, and after some errors it never tries again.
func (s *session) stalled(now time.Time) (checkpoint.Partition, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p, since := range s.store.Owned() {
		if closed := s.closed[p.ID]; closed.After(since) {
			since = closed
		}
		if s.running[p.ID] == nil && now.Sub(since) > s.hub.tuning.StallTimeout {
			return p, true
		}
	}
	return checkpoint.Partition{}, false
}

// measure asks the hub for the last sequence number of each partition that is read.
func (s *session) measure(ctx context.Context) {
	s.mu.Lock()
	running := make([]*partition, 0, len(s.running))
	for _, p := range s.running {
		running = append(running, p)
	}
	s.mu.Unlock()
	for _, p := range running {
		ctx, cancel := context.WithTimeout(ctx, s.hub.tuning.LagInterval)
		properties, err := s.client.GetPartitionProperties(ctx, p.id, nil)
		cancel()
		if err != nil {
			continue // the reader meets the same error and has more to say about it
		}
		p.lag.saw(properties.BeginningSequenceNumber, properties.LastEnqueuedSequenceNumber)
	}
}
