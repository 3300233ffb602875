package bus

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/entraflow/entraflow/pkg/config"
)

// BatchOptions bound a batch and how many are handled at once.
type BatchOptions struct {
	// MaxMessages and MaxBytes end a batch; it has at least one message.
	MaxMessages int
	MaxBytes    config.Bytes
	// MaxDelay ends a batch so long after its first message came, or as soon after it as a handler is free.
	MaxDelay time.Duration
	// MaxInFlight is how many batches are handled at once.
	MaxInFlight int
}

// Validate names every fault by its key.
func (o BatchOptions) Validate() error {
	var p config.Problems
	p.Check(o.MaxMessages > 0, "max_messages", "must be positive")
	p.Check(o.MaxBytes > 0, "max_bytes", "must be positive")
	p.Check(o.MaxDelay > 0, "max_delay", "must be positive")
	p.Check(o.MaxInFlight > 0, "max_in_flight", "must be positive")
	return p.Err()
}

// RunBatches hands batches to handler, up to MaxInFlight at a time, until ctx is done, and then
// drains as Run does. The handler says of each delivery what becomes of it, with the meaning and
// the dead letters of Run; what it says nothing of is retried. The slice is the handler's until it
// returns. In memory are at most MaxInFlight and three more batches.
func (c *Consumer) RunBatches(ctx context.Context, o BatchOptions, handler func(context.Context, []*Delivery)) error {
	if err := o.Validate(); err != nil {
		return fmt.Errorf("consuming %s: %w", c.stream.Name, err)
	}
	return c.consume(ctx, 2*o.MaxMessages, 2*o.MaxBytes, func(drain context.Context, s *session) {
		free := make(chan struct{}, o.MaxInFlight)
		var handlers sync.WaitGroup
		for {
			batch, more := s.gather(ctx, o, free)
			if len(batch) > 0 {
				handlers.Go(func() {
					s.handleBatch(drain, batch, handler)
					<-free
				})
			}
			if !more {
				break
			}
		}
		handlers.Wait()
	})
}

// gather takes a batch out of the queue, and with it one of the free places for handlers; more is false
// once the queue is closed. A batch that is late grows on while no handler is free. What is still in the
// queue when ctx is done is given back.
func (s *session) gather(ctx context.Context, o BatchOptions, free chan<- struct{}) (batch []*Delivery, more bool) {
	var bytes config.Bytes
	var late <-chan time.Time
	var ready chan<- struct{} // free, once the batch is late
	for more = true; more && len(batch) < o.MaxMessages && bytes < o.MaxBytes; {
		select {
		case d, open := <-s.puller.queue:
			if !open {
				more = false
				continue
			}
			s.puller.room.give(len(d.Data))
			if ctx.Err() != nil {
				s.held.giveBack(d)
				continue
			}
			if batch == nil {
				timer := time.NewTimer(o.MaxDelay)
				defer timer.Stop()
				late = timer.C
			}
			batch = append(batch, d)
			bytes += config.Bytes(len(d.Data))
		case <-late:
			ready = free
		case ready <- struct{}{}:
			return batch, true
		}
	}
	if len(batch) > 0 {
		free <- struct{}{}
	}
	return batch, more
}

func (s *session) handleBatch(drain context.Context, batch []*Delivery, handler func(context.Context, []*Delivery)) {
	err := safely(func() error {
		handler(drain, batch)
		return nil
	})
	for _, d := range batch {
		if d.decided == undecided {
			d.Retry(err)
		}
		s.settle(drain, d)
	}
}
