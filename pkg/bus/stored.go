package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// ErrNotStored is returned by Stored if the sink did not get so far in time.
var ErrNotStored = errors.New("not stored yet")

const (
	storedFirstWait = 5 * time.Millisecond
	storedLastWait  = 250 * time.Millisecond
)

// Stored waits until the sink has stored everything of the stream up to the sequence, so that
// whoever asks ClickHouse because of that message finds what it speaks of. It returns nil then,
// and ErrNotStored when ctx, which must have a deadline, is done before.
func Stored(ctx context.Context, js jetstream.JetStream, stream string, sequence uint64) error {
	if _, ok := ctx.Deadline(); !ok {
		return errors.New("waiting for the sink: no deadline")
	}
	for wait := storedFirstWait; ; wait = min(2*wait, storedLastWait) {
		floor, err := ackFloor(ctx, js, stream, UserSink)
		if err == nil && floor >= sequence {
			return nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("waiting for the sink: %s %d, at %d: %w", stream, sequence, floor, errors.Join(ErrNotStored, err))
		}
	}
}

func ackFloor(ctx context.Context, js jetstream.JetStream, stream, durable string) (uint64, error) {
	consumer, err := js.Consumer(ctx, stream, durable) // asks for its info
	if err != nil {
		return 0, err
	}
	return consumer.CachedInfo().AckFloor.Stream, nil
}
