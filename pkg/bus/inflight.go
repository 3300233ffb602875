package bus

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// sweepEvery is how often messages in flight are looked through for what is due.
	sweepEvery = 20 * time.Millisecond
	// ackTimeout is how long a PubAck may take before the message is sent again.
	ackTimeout = 10 * time.Second
	// headerReserve is kept free in a message for its headers.
	headerReserve = 16 << 10
	// keepBuffer is the largest buffer a slot keeps for its next message.
	keepBuffer = 64 << 10
)

// slot holds one message from being taken until it is reported. The publisher's mutex guards it but for
// subject, stream, headers and data: those belong to the one who took it, then, while sending, to the sender.
type slot struct {
	index      uint32
	generation uint32 // of messages in this slot; part of the reply subject
	busy       bool
	sending    bool // the sender uses it: it must not be reused
	reported   bool // nobody waits for an answer any more
	settled    bool // done has returned: it may be reused
	attempt    int
	due        time.Time // when to send again
	size       int64
	done       func(Ack, error)
	cancelled  <-chan struct{}

	stream, subject, reply string
	headers                headerSet
	data                   []byte
}

func (p *Publisher) maxData() int { return int(p.conn.nats.MaxPayload()) - headerReserve }

// take waits for room and returns a slot that belongs to the caller until start or giveBack.
func (p *Publisher) take(ctx context.Context, size int64) (*slot, error) {
	size = min(size, p.limit)
	if err := p.count.Acquire(ctx, 1); err != nil {
		return nil, context.Cause(ctx)
	}
	if err := p.bytes.Acquire(ctx, size); err != nil {
		p.count.Release(1)
		return nil, context.Cause(ctx)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		p.count.Release(1)
		p.bytes.Release(size)
		return nil, ErrClosed
	}
	if len(p.free) == len(p.slots) {
		p.idle = make(chan struct{})
	}
	last := len(p.free) - 1
	s := &p.slots[p.free[last]]
	p.free = p.free[:last]
	s.size = size
	s.generation++
	p.account(size)
	return s, nil
}

// giveBack returns a slot that was never started.
func (p *Publisher) giveBack(s *slot) {
	p.mu.Lock()
	p.recycle(s)
	p.mu.Unlock()
}

// start puts the message in flight and sends it.
func (p *Publisher) start(s *slot, cancelled <-chan struct{}, done func(Ack, error)) {
	s.reply = p.prefix + strconv.FormatUint(uint64(s.generation)<<32|uint64(s.index), 36)
	p.mu.Lock()
	s.busy, s.sending = true, true
	s.done, s.cancelled = done, cancelled
	s.due = time.Now().Add(ackTimeout)
	p.mu.Unlock()
	p.send(s)
}

// send sends a message whose sending flag the caller has set.
func (p *Publisher) send(s *slot) {
	generation := s.generation
	err := p.conn.nats.PublishMsg(&nats.Msg{Subject: s.subject, Reply: s.reply, Header: s.headers.header, Data: s.data})
	p.mu.Lock()
	s.sending = false
	if s.settled {
		p.recycle(s)
	}
	p.mu.Unlock()
	if err != nil {
		cause, err := sendCause(err)
		p.failed(s, generation, cause, err)
	}
}

// answered handles what came to a reply subject.
func (p *Publisher) answered(m *nats.Msg) {
	token, err := strconv.ParseUint(strings.TrimPrefix(m.Subject, p.prefix), 36, 64)
	index, generation := token&math.MaxUint32, token>>32
	if err != nil || index >= uint64(len(p.slots)) {
		return // not one of ours
	}
	s := &p.slots[index]
	ack, cause, err := parseAck(m)
	if err != nil {
		p.failed(s, uint32(generation), cause, err) // shifted right by 32
		return
	}
	p.report(s, uint32(generation), ack, nil) // shifted right by 32
}

// failed reports the error if sending again cannot help, else plans to send again.
func (p *Publisher) failed(s *slot, generation uint32, cause retryCause, err error) {
	if cause == causeFinal {
		p.report(s, generation, Ack{}, err)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !s.current(generation) {
		return
	}
	s.due = time.Now().Add(retryDelay(s.attempt))
	s.attempt++
	p.conn.metrics.retries.WithLabelValues(p.conn.set.Service, string(cause)).Inc()
}

// report ends a message: it tells whoever published it and makes room for the next.
func (p *Publisher) report(s *slot, generation uint32, ack Ack, err error) {
	p.mu.Lock()
	if !s.current(generation) {
		p.mu.Unlock() // answered twice: sent again while the first answer was under way
		return
	}
	s.reported = true
	done, stream := s.done, s.stream
	p.mu.Unlock()

	p.counters[stream].count(ack, err)
	if err != nil {
		err = fmt.Errorf("publishing to %s: %w", stream, err)
	}
	done(ack, err)

	p.mu.Lock()
	defer p.mu.Unlock()
	s.settled = true
	if !s.sending {
		p.recycle(s)
	}
}

// current reports whether an answer to this generation is still waited for.
func (s *slot) current(generation uint32) bool {
	return s.busy && !s.reported && s.generation == generation
}

// recycle returns the slot and its share of the bounds. The mutex must be held.
func (p *Publisher) recycle(s *slot) {
	s.busy, s.reported, s.settled, s.attempt = false, false, false, 0
	s.done, s.cancelled = nil, nil
	if cap(s.data) > keepBuffer {
		s.data = nil
	}
	p.free = append(p.free, s.index)
	if len(p.free) == len(p.slots) {
		close(p.idle)
	}
	p.count.Release(1)
	p.bytes.Release(s.size)
	p.account(-s.size)
}

// account keeps the gauges. The mutex must be held.
func (p *Publisher) account(size int64) {
	p.held += size
	p.inFlight.Set(float64(len(p.slots) - len(p.free)))
	p.inFlightBytes.Set(float64(p.held))
}
