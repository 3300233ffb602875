package bus

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// sweep sends again what is due and gives up what nobody waits for, until the publisher stops.
func (p *Publisher) sweep() {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	reconnects := p.conn.nats.Stats().Reconnects
	for {
		select {
		case <-p.stop:
			return
		case <-ticker.C:
		}
		now := time.Now()
		if seen := p.conn.nats.Stats().Reconnects; seen != reconnects {
			reconnects = seen
			p.hasten(now)
		}
		due, cancelled := p.inspect(now)
		for _, s := range cancelled {
			p.report(s.slot, s.generation, Ack{}, context.Canceled)
		}
		for _, s := range due {
			p.send(s)
		}
	}
}

// hasten makes everything in flight due: what was sent over a lost connection may not have arrived,
// nor may its PubAck. What arrived is a duplicate by its message id.
func (p *Publisher) hasten(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.slots {
		if s := &p.slots[i]; s.busy && s.due.After(now) {
			s.due = now
		}
	}
}

// occupant is a message in a slot, whatever becomes of the slot.
type occupant struct {
	slot       *slot
	generation uint32
}

// inspect finds what to send again, with the sending flag set, and what was cancelled.
func (p *Publisher) inspect(now time.Time) (due []*slot, cancelled []occupant) {
	connected := p.conn.nats.Status() == nats.CONNECTED
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.free) == len(p.slots) {
		return nil, nil
	}
	for i := range p.slots {
		s := &p.slots[i]
		if !s.busy || s.reported {
			continue
		}
		select {
		case <-s.cancelled:
			cancelled = append(cancelled, occupant{s, s.generation})
			continue
		default:
		}
		if !connected || s.sending || now.Before(s.due) {
			continue
		}
		if s.attempt == 0 {
			p.conn.metrics.retries.WithLabelValues(p.conn.set.Service, string(causeTimeout)).Inc()
		}
		s.sending, s.due = true, now.Add(ackTimeout)
		due = append(due, s)
	}
	return due, cancelled
}

// fail ends every message in flight that the condition holds for.
func (p *Publisher) fail(err error, holds func(*slot) bool) {
	var failed []occupant
	p.mu.Lock()
	for i := range p.slots {
		if s := &p.slots[i]; s.busy && !s.reported && holds(s) {
			failed = append(failed, occupant{s, s.generation})
		}
	}
	p.mu.Unlock()
	for _, s := range failed {
		p.report(s.slot, s.generation, Ack{}, err)
	}
}

// publishCounters are the metrics of one stream, found once and not for every message.
type publishCounters struct{ stored, duplicates, refused prometheus.Counter }

func (c publishCounters) count(ack Ack, err error) {
	switch {
	case err != nil:
		c.refused.Inc()
	case ack.Duplicate:
		c.duplicates.Inc()
	default:
		c.stored.Inc()
	}
}

func newPublishCounters(m *metrics, service string) map[string]publishCounters {
	counters := map[string]publishCounters{}
	for _, stream := range Streams() {
		counters[stream.Name] = publishCounters{
			stored:     m.published.WithLabelValues(service, stream.Name),
			duplicates: m.duplicates.WithLabelValues(service, stream.Name),
			refused:    m.refused.WithLabelValues(service, stream.Name),
		}
	}
	return counters
}

// retryDelay is how long to wait after an attempt, from 0.
func retryDelay(attempt int) time.Duration {
	const first, last = 20 * time.Millisecond, 2 * time.Second
	return jitter(min(first<<min(attempt, 10), last))
}

// jitter spreads what would otherwise come back all at once: half of d to d.
func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d/2+1) // nothing secret
}

// streamName returns the name without an allocation if it is one of the topology's.
func streamName(name []byte) string {
	switch string(name) {
	case eventv1.EventStream:
		return eventv1.EventStream
	case eventv1.DeadLetterStream:
		return eventv1.DeadLetterStream
	default:
		return string(name)
	}
}
