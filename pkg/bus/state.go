package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

const (
	// lastAtOnce is how many subjects are asked for in one request. The server answers at most 1,024.
	lastAtOnce = 256
	// lastTries is how often a request is made whose answer did not come whole.
	lastTries = 5
	// knownAtOnce is how many headers are fetched at once.
	knownAtOnce = 2000
	// knownIdle removes the consumer of a Known that was killed.
	knownIdle = 30 * time.Second
)

// State is the last message of a subject of a stream of state.
type State struct {
	// Sequence is what the next message of the subject expects (PublishOptions.ExpectedLastSubjectSequence).
	Sequence uint64
	// Deleted says that it is a tombstone.
	Deleted bool
	Data    []byte
}

// Last returns the last message of each subject, by subject; those that have none are missing. It tries until it
// works, some times at least, or ctx is done.
func Last(ctx context.Context, conn *Conn, stream string, subjects []string) (map[string]State, error) {
	found := make(map[string]State, len(subjects))
	for len(subjects) > 0 {
		n := min(lastAtOnce, len(subjects))
		if err := persistLast(ctx, conn, stream, subjects[:n], found); err != nil {
			return nil, fmt.Errorf("reading state from %s: %w", stream, err)
		}
		subjects = subjects[n:]
	}
	return found, nil
}

func persistLast(ctx context.Context, conn *Conn, stream string, subjects []string, into map[string]State) error {
	for attempt := 0; ; attempt++ {
		err := last(ctx, conn, stream, subjects, into)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case attempt+1 >= lastTries:
			return err
		}
		conn.metrics.retries.WithLabelValues(conn.set.Service, string(causeServer)).Inc()
		pause(ctx, retryDelay(attempt))
	}
}

func last(ctx context.Context, conn *Conn, stream string, subjects []string, into map[string]State) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	messages, err := jetstreamext.GetLastMsgsFor(ctx, conn.js, stream, subjects)
	if err != nil {
		return err
	}
	for message, err := range messages {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			return nil
		}
		if err != nil {
			return err
		}
		into[message.Subject] = State{
			Sequence: message.Sequence, Deleted: message.Header.Get(HeaderDeleted) == headerTrue, Data: message.Data,
		}
	}
	return nil
}

// Known calls handle with each subject that the filter matches and its last message's sequence, tombstones too, as
// the stream was when it began; it fetches headers alone. It returns the first error of handle.
func Known(ctx context.Context, conn *Conn, stream, filter string, handle func(subject string, sequence uint64, deleted bool) error) error {
	consumer, err := conn.js.CreateConsumer(ctx, stream, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, AckPolicy: jetstream.AckNonePolicy, HeadersOnly: true,
		FilterSubject: filter, InactiveThreshold: knownIdle, MemoryStorage: true, Replicas: 1,
	})
	if err != nil {
		return fmt.Errorf("listing state of %s: %w", stream, err)
	}
	name := consumer.CachedInfo().Name
	defer func() {
		leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
		defer cancel()
		_ = conn.js.DeleteConsumer(leaving, stream, name) // it goes by itself otherwise
	}()
	for left := consumer.CachedInfo().NumPending; left > 0; {
		left, err = knownBatch(ctx, consumer, left, handle)
		if err != nil {
			return fmt.Errorf("listing state of %s: %w", stream, err)
		}
	}
	return nil
}

// knownBatch handles some messages and returns how many are left.
func knownBatch(
	ctx context.Context, consumer jetstream.Consumer, left uint64, handle func(string, uint64, bool) error,
) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	batch, err := consumer.Fetch(int(min(left, knownAtOnce)), jetstream.FetchContext(ctx)) //nolint:gosec // some thousands
	if err != nil {
		return left, err
	}
	for message := range batch.Messages() {
		meta, err := message.Metadata()
		if err != nil {
			return left, err
		}
		deleted := message.Headers().Get(HeaderDeleted) == headerTrue
		if err := handle(message.Subject(), meta.Sequence.Stream, deleted); err != nil {
			return left, err
		}
		// What was replaced meanwhile may not come: then fewer come than were counted.
		if left--; left == 0 || meta.NumPending == 0 {
			return 0, nil
		}
	}
	if err := batch.Error(); err != nil {
		return left, err
	}
	return left, context.Cause(ctx)
}
