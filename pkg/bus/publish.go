package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"
	"google.golang.org/protobuf/proto"
)

// Errors of publishing. All others that a caller sees come from ctx or say that the server refused
// the message for good.
var (
	// ErrTooLarge is returned for a message that does not fit even with its raw bytes in a blob.
	ErrTooLarge = errors.New("message too large")
	// ErrWrongSequence is returned if ExpectedLastSubjectSequence was not the subject's last.
	ErrWrongSequence = errors.New("wrong last sequence")
	// ErrDenied is returned if the user may not publish to the subject.
	ErrDenied = errors.New("publication denied")
	// ErrRefused is returned for a message that the server refuses whenever it is sent.
	ErrRefused = errors.New("publication refused")
	// ErrClosed is returned for what was in flight when Close gave up, and after Close.
	ErrClosed = errors.New("publisher closed")
)

// Ack says that a message is stored.
type Ack struct {
	Stream   string
	Sequence uint64
	// Duplicate is true if the stream had the message already; Sequence is its sequence then.
	Duplicate bool
}

// PublishOptions are what a message itself does not say.
type PublishOptions struct {
	// MessageID is the Nats-Msg-Id: the stream drops a second message with the same one within its
	// duplicate window. It names one delivery of one version (HubMessageID, GraphMessageID,
	// DeadLetterMessageID), never the event. Empty sends none.
	MessageID string
	// ExpectedLastSubjectSequence, if set, makes the server refuse the message with
	// ErrWrongSequence unless the subject's last message has this sequence (0: no message).
	ExpectedLastSubjectSequence *uint64
}

// Publisher publishes messages and reports each one's PubAck. It is safe for concurrent use.
//
// It pipelines: up to MaxInFlight messages and MaxInFlightBytes bytes wait for their PubAck, and
// whoever wants to publish more waits. What fails for a while (no leader, no answer, the connection
// lost, the stream full) it sends again with back-off, under the same message id, until the server
// has it or the context of the call is done. So a message may be stored twice if its duplicate
// window passes in between, and messages may overtake each other; it is never reported as stored if it is not.
type Publisher struct {
	conn   *Conn
	count  *semaphore.Weighted
	bytes  *semaphore.Weighted
	limit  int64
	prefix string // of reply subjects
	sub    *nats.Subscription
	stop   chan struct{}
	swept  sync.WaitGroup

	mu     sync.Mutex
	slots  []slot
	free   []uint32
	held   int64 // bytes in flight
	closed bool
	idle   chan struct{} // closed while nothing is in flight

	counters                map[string]publishCounters // by stream; never changed
	inFlight, inFlightBytes prometheus.Gauge
}

// NewPublisher returns a publisher on the connection with the bounds of its config. Close it before
// the connection.
func NewPublisher(conn *Conn) (*Publisher, error) {
	p := &Publisher{
		conn:   conn,
		count:  semaphore.NewWeighted(int64(conn.cfg.MaxInFlight)),
		bytes:  semaphore.NewWeighted(int64(conn.cfg.MaxInFlightBytes)),
		limit:  int64(conn.cfg.MaxInFlightBytes),
		prefix: InboxPrefix(conn.cfg.User) + ".pub." + nuid.Next() + ".",
		stop:   make(chan struct{}),
		slots:  make([]slot, conn.cfg.MaxInFlight),
		free:   make([]uint32, 0, conn.cfg.MaxInFlight),
		idle:   make(chan struct{}),

		counters:      newPublishCounters(conn.metrics, conn.set.Service),
		inFlight:      conn.metrics.inFlight.WithLabelValues(conn.set.Service),
		inFlightBytes: conn.metrics.inFlightBytes.WithLabelValues(conn.set.Service),
	}
	close(p.idle)
	for i := range p.slots {
		p.slots[i].index = uint32(i) // MaxInFlight is far below
		p.slots[i].headers = newHeaderSet()
		p.free = append(p.free, p.slots[i].index)
	}
	sub, err := conn.nats.Subscribe(p.prefix+"*", p.answered)
	if err != nil {
		return nil, fmt.Errorf("subscribing to acknowledgements: %w", err)
	}
	// As many acknowledgements may wait as messages are in flight, and a dropped one costs a timeout.
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return nil, fmt.Errorf("subscribing to acknowledgements: %w", err)
	}
	p.sub = sub
	conn.watchDenied(p)
	p.swept.Go(p.sweep)
	return p, nil
}

// Publish publishes m and waits until the stream has it. On error it must be taken as not stored,
// though it may be: if ctx ends first nobody knows. If m is an Event or DeadLetter too large for a
// message, its raw bytes move to the object store and m is changed to refer to them.
func (p *Publisher) Publish(ctx context.Context, m Message, o PublishOptions) (Ack, error) {
	r := make(results, 1)
	if err := p.PublishAsync(ctx, m, o, r.done); err != nil {
		return Ack{}, err
	}
	return r.wait(ctx, m.BusStream())
}

// results carries the only result of a publication to whoever waits for it.
type results chan result

type result struct {
	ack Ack
	err error
}

func (r results) done(ack Ack, err error) { r <- result{ack, err} }

func (r results) wait(ctx context.Context, stream string) (Ack, error) {
	select {
	case result := <-r:
		return result.ack, result.err
	case <-ctx.Done():
		return Ack{}, fmt.Errorf("publishing to %s: %w", stream, context.Cause(ctx))
	}
}

// publishStored publishes bytes that were a message before.
func (p *Publisher) publishStored(ctx context.Context, stream, subject string, headers map[string]string, data []byte) error {
	s, err := p.take(ctx, int64(len(data)))
	if err != nil {
		return fmt.Errorf("publishing to %s: %w", stream, err)
	}
	s.stream, s.subject, s.data = stream, subject, append(s.data[:0], data...)
	s.headers.replace(headers)
	r := make(results, 1)
	p.start(s, ctx.Done(), r.done)
	_, err = r.wait(ctx, stream)
	return err
}

// PublishAsync waits until there is room for m, sends it and returns; m may be reused then. If it
// returns nil, done is called exactly once, with the PubAck or an error as Publish returns it. Sending
// again ends with ctx, so give it one that outlives the call. done runs on the goroutine that reads
// acknowledgements: it must not block and must not publish.
func (p *Publisher) PublishAsync(ctx context.Context, m Message, o PublishOptions, done func(Ack, error)) error {
	size := proto.Size(m)
	if size > p.maxData() {
		if err := p.outsource(ctx, m); err != nil {
			return err
		}
		if size = proto.Size(m); size > p.maxData() {
			return fmt.Errorf("publishing to %s: %w: %d bytes without raw", m.BusStream(), ErrTooLarge, size)
		}
	}
	s, err := p.take(ctx, int64(size))
	if err != nil {
		return fmt.Errorf("publishing to %s: %w", m.BusStream(), err)
	}
	s.data, err = proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(s.data[:0], m)
	if err != nil {
		p.giveBack(s)
		return fmt.Errorf("publishing to %s: encoding: %w", m.BusStream(), err)
	}
	s.subject, s.stream = m.BusSubject(), m.BusStream()
	s.headers.fill(ctx, m, o)
	p.start(s, ctx.Done(), done)
	return nil
}

// Wait waits until nothing is in flight.
func (p *Publisher) Wait(ctx context.Context) error {
	for {
		p.mu.Lock()
		idle, inFlight := p.idle, len(p.slots)-len(p.free)
		p.mu.Unlock()
		if inFlight == 0 {
			return nil
		}
		select {
		case <-idle:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %d acknowledgements: %w", inFlight, context.Cause(ctx))
		}
	}
}

// Close takes nothing more and waits for what is in flight until ctx is done; what is left then
// fails with ErrClosed, which Close returns too.
func (p *Publisher) Close(ctx context.Context) error {
	p.mu.Lock()
	already := p.closed
	p.closed = true
	p.mu.Unlock()
	if already {
		return nil
	}
	err := p.Wait(ctx)
	close(p.stop)
	p.swept.Wait()
	p.conn.forgetDenied(p)
	_ = p.sub.Unsubscribe() // fails only if the connection is closed
	p.fail(ErrClosed, func(*slot) bool { return true })
	if err != nil {
		return errors.Join(ErrClosed, err)
	}
	return nil
}

// Batch waits for the PubAcks of several messages together.
type Batch struct {
	publisher *Publisher
	mu        sync.Mutex
	open      int
	err       error
	changed   chan struct{}
}

// NewBatch returns an empty batch. It is safe for concurrent use; Wait ends it.
func (p *Publisher) NewBatch() *Batch {
	return &Batch{publisher: p, changed: make(chan struct{}, 1)}
}

// Publish is PublishAsync into the batch. Its error is also the batch's.
func (b *Batch) Publish(ctx context.Context, m Message, o PublishOptions) error {
	b.mu.Lock()
	b.open++
	b.mu.Unlock()
	err := b.publisher.PublishAsync(ctx, m, o, b.done)
	if err != nil {
		b.done(Ack{}, err)
	}
	return err
}

// Wait waits for every message of the batch and returns the first error. Only if it returns nil
// may the source be told that they are done with.
func (b *Batch) Wait(ctx context.Context) error {
	for {
		b.mu.Lock()
		open, err := b.open, b.err
		b.mu.Unlock()
		if open == 0 || err != nil {
			return err
		}
		select {
		case <-b.changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %d acknowledgements: %w", open, context.Cause(ctx))
		}
	}
}

func (b *Batch) done(_ Ack, err error) {
	b.mu.Lock()
	b.open--
	if b.err == nil {
		b.err = err
	}
	wake := b.open == 0 || err != nil
	b.mu.Unlock()
	if wake {
		select {
		case b.changed <- struct{}{}:
		default:
		}
	}
}
