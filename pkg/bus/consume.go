package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/lifecycle"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// ConsumerConfig bounds what a Consumer holds.
type ConsumerConfig struct {
	// Workers is how many handlers Run runs at once.
	Workers int `yaml:"workers"`
	// Buffer bounds the messages that wait for a handler, and BufferBytes their bytes.
	Buffer      int          `yaml:"buffer"`
	BufferBytes config.Bytes `yaml:"buffer_bytes"`
}

// DefaultConsumerConfig suits handlers that take milliseconds.
func DefaultConsumerConfig() ConsumerConfig {
	return ConsumerConfig{Workers: 4, Buffer: 1024, BufferBytes: 32 * config.MiB}
}

// Validate names every fault by its key.
func (c ConsumerConfig) Validate() error {
	var p config.Problems
	p.Check(c.Workers > 0, "workers", "must be positive")
	p.Check(c.Buffer > 0, "buffer", "must be positive")
	p.Check(c.BufferBytes > 0, "buffer_bytes", "must be positive")
	return p.Err()
}

// ConsumerSettings say which durable a Consumer is.
type ConsumerSettings struct {
	Stream  string
	Durable string
}

// Consumer reads a stream as one of its durables. Several, in several processes, may share a durable:
// each message goes to one of them. Run or RunBatches is called once.
type Consumer struct {
	cfg     ConsumerConfig
	conn    *Conn
	stream  Stream
	durable Durable
	metrics consumeCounters
}

// NewConsumer returns a consumer for a durable of the topology. It opens nothing.
func NewConsumer(conn *Conn, cfg ConsumerConfig, set ConsumerSettings) (*Consumer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("consuming %s: %w", set.Stream, err)
	}
	stream, ok := FindStream(set.Stream)
	if !ok {
		return nil, fmt.Errorf("consuming: no stream %q in the topology", set.Stream)
	}
	durable, ok := stream.Durable(set.Durable)
	if !ok {
		return nil, fmt.Errorf("consuming: stream %s has no durable %q", set.Stream, set.Durable)
	}
	metrics := newConsumeCounters(conn.metrics, stream.Name, durable.Name)
	return &Consumer{cfg: cfg, conn: conn, stream: stream, durable: durable, metrics: metrics}, nil
}

// Run hands each message to handler, Workers at a time, until ctx is done. Then it takes nothing
// more, gives back what no handler has begun, and waits for the rest; handlers get a context that
// outlives ctx by the drain budget.
//
// nil acknowledges the message. An error has it delivered again after a growing delay. An error
// marked Permanent, or any at the last attempt, makes it a dead letter; only when that is stored is
// the message terminated. A panic is an error. While a handler works the server is told so.
func (c *Consumer) Run(ctx context.Context, handler func(context.Context, *Delivery) error) error {
	return c.consume(ctx, c.cfg.Buffer, c.cfg.BufferBytes, func(drain context.Context, s *session) {
		var workers sync.WaitGroup
		for range c.cfg.Workers {
			workers.Go(func() { s.work(ctx, drain, handler) })
		}
		workers.Wait()
	})
}

// session is one Run: what all its goroutines share.
type session struct {
	*Consumer
	held    *held
	puller  *puller
	letters *DeadLetters
}

// consume pulls until ctx is done, while work empties the queue; it waits for everything it started.
func (c *Consumer) consume(
	ctx context.Context, messages int, bytes config.Bytes, work func(context.Context, *session),
) error {
	drain, cancel := lifecycle.Draining(ctx)
	defer cancel()
	ackWait, err := c.ackWait(ctx)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("consuming %s: %w", c.stream.Name, err)
	}
	publisher, err := NewPublisher(c.conn)
	if err != nil {
		return fmt.Errorf("consuming %s: %w", c.stream.Name, err)
	}
	s := &session{
		Consumer: c,
		held:     newHeld(c.conn.nats, ackWait),
		letters:  NewDeadLetters(c.conn, publisher),
	}
	s.puller = newPuller(c, messages, int(bytes), s.held)

	var pulling, beating sync.WaitGroup
	var pullErr error
	pulling.Go(func() { pullErr = s.puller.run(ctx) })
	beat, stopBeating := context.WithCancel(context.WithoutCancel(ctx))
	beating.Go(func() { s.held.run(beat) })
	if c.durable.Trims {
		beating.Go(func() { newTrimmer(c.conn, c.stream).run(ctx) })
	}

	work(drain, s)
	pulling.Wait()
	// Dead letters first: their messages are terminated once they are stored.
	closeErr := publisher.Close(drain)
	stopBeating()
	beating.Wait()
	flush, cancelFlush := context.WithTimeout(drain, requestTimeout)
	defer cancelFlush()
	_ = c.conn.nats.FlushWithContext(flush) // acknowledgements are buffered; a lost one is no loss
	if err := errors.Join(pullErr, closeErr); err != nil {
		return fmt.Errorf("consuming %s: %w", c.stream.Name, err)
	}
	return nil
}

// ackWait asks the server, which may have been told otherwise than the table says, until it answers.
func (c *Consumer) ackWait(ctx context.Context) (time.Duration, error) {
	for {
		consumer, err := c.conn.js.Consumer(ctx, c.stream.Name, c.durable.Name)
		if err == nil {
			return consumer.CachedInfo().Config.AckWait, nil
		}
		if ctx.Err() != nil || c.conn.nats.IsClosed() {
			return 0, err
		}
		pause(ctx, pullRetry)
	}
}

// work handles one delivery after the other until the queue is closed.
func (s *session) work(ctx, drain context.Context, handler func(context.Context, *Delivery) error) {
	for d := range s.puller.queue {
		s.puller.room.give(len(d.Data))
		if ctx.Err() != nil {
			s.held.giveBack(d)
			continue
		}
		err := safely(func() error { return handler(drain, d) })
		if err == nil {
			d.Ack()
		} else {
			d.Fail(err)
		}
		s.settle(drain, d)
	}
}

// settle does what was decided.
func (s *session) settle(drain context.Context, d *Delivery) {
	switch {
	case d.decided == acked:
		s.metrics.acked.Inc()
		s.held.settle(d, answerAck)
	case d.decided == dead:
		s.bury(drain, d, d.reason)
	case d.Attempt >= s.durable.MaxDeliver:
		s.bury(drain, d, ReasonTooManyAttempts)
	default:
		s.metrics.retried.Inc()
		s.held.settle(d, retryAnswer(s.durable.backOff(d.Attempt)))
	}
}

// backOff is how long to wait after the attempt, from 1.
func (d Durable) backOff(attempt int) time.Duration {
	if len(d.BackOff) == 0 {
		return d.AckWait
	}
	return d.BackOff[min(max(attempt, 1), len(d.BackOff))-1]
}

func retryAnswer(delay time.Duration) []byte {
	return fmt.Appendf(nil, `-NAK {"delay": %d}`, delay.Nanoseconds())
}

// bury stores a dead letter and then terminates the message. Until both are done the message is
// held; if the dead letter cannot be stored the message comes again.
func (s *session) bury(drain context.Context, d *Delivery, reason string) {
	if d.Stream == eventv1.DeadLetterStream {
		// It is in DEAD and stays there: a dead letter about a dead letter would go round for ever.
		s.conn.metrics.deadRefused.WithLabelValues(s.durable.Name, reason).Inc()
		s.conn.set.Logger.Error("dead letter given up", slog.String("durable", s.durable.Name),
			slog.Uint64("sequence", d.Sequence), slog.String("reason", reason), slog.String("detail", d.detail))
		s.held.settle(d, answerTerm)
		return
	}
	err := s.letters.writeAsync(drain, s.letter(d, reason), func(_ Ack, err error) {
		if err != nil {
			s.held.forget(d)
			return
		}
		s.metrics.dead.Inc()
		s.held.settle(d, answerTerm)
	})
	if err != nil {
		s.held.forget(d)
	}
}

// letter is the dead letter of a delivery.
func (s *session) letter(d *Delivery, reason string) *eventv1.DeadLetter {
	headers := make(map[string]string, len(d.Headers))
	for key, values := range d.Headers {
		headers[key] = values[0]
	}
	integration, _ := strings.CutPrefix(headers[HeaderSource], sourceIntegrations)
	return &eventv1.DeadLetter{
		Origin: d.Stream, TenantId: headers[HeaderSubject], Integration: integration,
		Reason: reason, Detail: d.detail, Raw: d.Data,
		Attempts: uint32(d.Attempt), // counts deliveries
		Place: &eventv1.DeadLetter_Stream{Stream: &eventv1.StreamPlace{
			Stream: d.Stream, Sequence: d.Sequence, Subject: d.Subject, Durable: s.durable.Name, Headers: headers,
		}},
	}
}

// safely makes a panic an error.
func safely(handler func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("handler panicked: %v", p)
		}
	}()
	return handler()
}
