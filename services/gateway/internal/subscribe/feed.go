package subscribe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

const (
	// requestTimeout bounds a question to JetStream.
	requestTimeout = 5 * time.Second
	// heartbeat is how often the server says that it is there while it has no message; twice that
	// without one means that the consumer is gone.
	heartbeat  = 3 * time.Second
	pullExpiry = 30 * time.Second
	// inactive is when the server removes a consumer that nobody deleted.
	inactive = 30 * time.Second
)

var (
	errIdle = errors.New("no message")
	errLost = errors.New("messages were lost on the way")
	errDown = errors.New("not connected to nats") // at once, where a request would wait for its time
)

// start says where a feed begins: behind a position, at a time, or else with the next message.
type start struct {
	after *position
	time  time.Time
}

// feed reads the chosen messages of EVENTS one after the other, each at least once, over as many
// consumers as it takes: when one is gone, or a message of it did not arrive, the next begins where it
// ended. It has one user.
type feed struct {
	js       jetstream.JetStream
	cfg      Config
	subjects []string
	start    start
	slots    *slots // nil: not counted
	subject  string // whose slot it takes

	position position // what came up to here was returned, or is not chosen
	verified position // the stream held everything behind this place when it was asked last

	slot     bool // it holds one of slots
	begun    bool // the position says where to go on
	consumer jetstream.Consumer
	messages jetstream.MessagesContext // nil: not open
	received uint64                    // messages of this consumer
}

// locate finds the position in the stream as it is now; but for a start at a time, which only open finds. It fails
// with errGone if events behind it are gone.
func (f *feed) locate(ctx context.Context) (jetstream.Stream, error) {
	stream, err := f.stream(ctx)
	if err != nil {
		return nil, err
	}
	info := stream.CachedInfo()
	if !f.begun {
		f.begin(info)
		f.begun = f.start.time.IsZero()
	}
	if !f.position.holds(info.Created, info.State.FirstSeq) {
		return nil, errGone
	}
	// A stream that lost its end gives the numbers to other events.
	f.position.sequence = min(f.position.sequence, info.State.LastSeq)
	f.verified = f.position
	return stream, nil
}

// open makes a consumer behind the position. It fails with errGone if events behind it are gone, and with errFull while
// there are as many consumers as there may be, or as its caller may have.
func (f *feed) open(ctx context.Context) error {
	if err := f.take(); err != nil {
		return err
	}
	err := f.connect(ctx)
	if err != nil {
		f.release()
	}
	return err
}

func (f *feed) take() error {
	if f.slots == nil || f.slot {
		return nil
	}
	if err := f.slots.take(f.subject); err != nil {
		return err
	}
	f.slot = true
	return nil
}

func (f *feed) release() {
	if f.slot {
		f.slots.release(f.subject)
		f.slot = false
	}
}

func (f *feed) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	stream, err := f.locate(ctx)
	if err != nil {
		return err
	}
	byTime := !f.begun
	if f.consumer, err = stream.CreateConsumer(ctx, f.consumerConfig(byTime)); err != nil {
		return fmt.Errorf("creating consumer: %w", err)
	}
	if byTime {
		f.position.sequence = f.consumer.CachedInfo().Delivered.Stream
	}
	f.begun, f.verified, f.received = true, f.position, 0
	f.messages, err = f.consumer.Messages(
		jetstream.PullMaxMessagesWithBytesLimit(f.cfg.Buffer, int(f.cfg.BufferBytes)),
		jetstream.PullHeartbeat(heartbeat), jetstream.PullExpiry(pullExpiry),
		jetstream.WithMessagesErrOnMissingHeartbeat(true),
	)
	if err != nil {
		f.close(ctx)
		return fmt.Errorf("pulling messages: %w", err)
	}
	return nil
}

// stream asks for the stream and its state.
func (f *feed) stream(ctx context.Context) (jetstream.Stream, error) {
	if !f.js.Conn().IsConnected() {
		return nil, errDown
	}
	stream, err := f.js.Stream(ctx, eventv1.EventStream)
	if err != nil {
		return nil, fmt.Errorf("looking up stream: %w", err)
	}
	return stream, nil
}

func (f *feed) begin(info *jetstream.StreamInfo) {
	f.position = position{created: info.Created.UnixNano(), sequence: info.State.LastSeq}
	if f.start.after != nil {
		f.position = *f.start.after
	}
}

func (f *feed) consumerConfig(byTime bool) jetstream.ConsumerConfig {
	cfg := jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: f.position.sequence + 1,
		AckPolicy: jetstream.AckNonePolicy, FilterSubjects: f.subjects,
		InactiveThreshold: inactive, MemoryStorage: true, Replicas: 1,
	}
	if byTime {
		cfg.DeliverPolicy, cfg.OptStartSeq, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, 0, &f.start.time
	}
	return cfg
}

func (f *feed) isOpen() bool { return f.messages != nil }

// next returns the next message; errIdle if none came in time. After another error the feed must be
// closed and opened again.
func (f *feed) next(wait time.Duration) (*entry, error) {
	for {
		msg, err := f.messages.Next(jetstream.NextMaxWait(wait))
		if errors.Is(err, nats.ErrTimeout) {
			return nil, errIdle
		}
		if err != nil {
			return nil, fmt.Errorf("receiving message: %w", err)
		}
		e, err := newEntry(msg)
		if err != nil {
			return nil, err
		}
		if f.received++; e.delivery != f.received {
			return nil, errLost
		}
		f.position.sequence = e.sequence
		if f.covers(e) {
			return e, nil
		}
	}
}

// covers reports whether an entry is not before the time of the start: one in the future does not exist for JetStream.
func (f *feed) covers(e *entry) bool { return !e.stored.Before(f.start.time) }

// advance moves the position over messages that are not chosen. It must be called when the feed is
// idle; an error means that a message did not arrive.
func (f *feed) advance(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if !f.js.Conn().IsConnected() {
		return errDown
	}
	info, err := f.consumer.Info(ctx)
	if err != nil {
		return fmt.Errorf("asking for consumer: %w", err)
	}
	if info.Delivered.Consumer != f.received {
		return errLost
	}
	if info.NumPending == 0 {
		f.position.sequence = max(f.position.sequence, info.Delivered.Stream)
	}
	return nil
}

// verify fails with errGone if the stream dropped events before they could be delivered.
func (f *feed) verify(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	stream, err := f.stream(ctx)
	if err != nil {
		return err
	}
	if info := stream.CachedInfo(); !f.verified.holds(info.Created, info.State.FirstSeq) {
		return errGone
	}
	f.verified = f.position
	return nil
}

// missed fails with errGone if the stream dropped events behind a sequence: a feed of all subjects has passed over
// something there.
func (f *feed) missed(ctx context.Context, sequence uint64) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	stream, err := f.stream(ctx)
	if err != nil {
		return err
	}
	info := stream.CachedInfo()
	if at := (position{created: f.position.created, sequence: sequence}); !at.holds(info.Created, info.State.FirstSeq) {
		return errGone
	}
	return nil
}

// close ends the consumer. The feed may be opened again.
func (f *feed) close(ctx context.Context) {
	f.release()
	if f.messages != nil {
		f.messages.Stop()
		f.messages = nil
	}
	if f.consumer == nil || !f.js.Conn().IsConnected() {
		return
	}
	// Draining: the call may be over. If it fails, the server removes the consumer by itself.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	_ = f.js.DeleteConsumer(ctx, eventv1.EventStream, f.consumer.CachedInfo().Name)
	f.consumer = nil
}
