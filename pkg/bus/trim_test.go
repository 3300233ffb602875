package bus_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/bustest"
)

func TestBlobsAreKeptForTheUnread(t *testing.T) {
	b := bustest.New(t)
	publisher := bustest.Publisher(t, b.Connect(t, bus.UserStreamer))
	large := event(1, 9<<20)
	_, err := publisher.Publish(t.Context(), large, bus.PublishOptions{})
	require.NoError(t, err)
	require.NotNil(t, large.GetRawBlob())

	sink := b.Connect(t, bus.UserSink)
	blobs := bus.NewBlobs(sink)
	const maxAge, refreshAge = 500 * time.Millisecond, 100 * time.Millisecond
	timer := time.NewTimer(2 * maxAge)
	<-timer.C
	require.NoError(t, bus.TrimBlobs(t.Context(), sink, maxAge, refreshAge))
	_, err = blobs.Resolve(t.Context(), large)
	require.NoError(t, err, "old, but the message that refers to it is unread")

	stop := run(t, func(ctx context.Context) error {
		return consumer(t, sink, "EVENTS").Run(ctx, func(context.Context, *bus.Delivery) error { return nil })
	})
	eventually(t, func() bool { return durableInfo(t, sink, "EVENTS").AckFloor.Stream == 1 }, "read")
	require.NoError(t, stop())
	young, err := blobs.Put(t.Context(), []byte("young"))
	require.NoError(t, err)
	require.NoError(t, bus.TrimBlobs(t.Context(), sink, maxAge, refreshAge))
	_, err = blobs.Resolve(t.Context(), large)
	require.ErrorIs(t, err, jetstream.ErrObjectNotFound)
	_, err = blobs.Load(t.Context(), young)
	require.NoError(t, err)

	_, err = publisher.Publish(t.Context(), event(1, 9<<20), bus.PublishOptions{})
	require.NoError(t, err)
	_, err = blobs.Resolve(t.Context(), large)
	require.NoError(t, err, "what comes again is stored again")
}
