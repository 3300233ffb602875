package bus_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/bustest"
	"github.com/entraflow/entraflow/pkg/config"
)

func TestRunBatches(t *testing.T) {
	b := bustest.New(t)
	fill(t, b, 1000, 100)
	conn := b.Connect(t, bus.UserSink)
	options := bus.BatchOptions{MaxMessages: 300, MaxBytes: config.MiB, MaxDelay: 50 * time.Millisecond, MaxInFlight: 2}
	var mu sync.Mutex
	var sizes []int
	seen := map[uint64]int{}
	stop := run(t, func(ctx context.Context) error {
		return consumer(t, conn, "EVENTS").RunBatches(ctx, options, func(_ context.Context, batch []*bus.Delivery) {
			mu.Lock()
			defer mu.Unlock()
			sizes = append(sizes, len(batch))
			for _, d := range batch {
				seen[d.Sequence]++
				switch {
				case d.Sequence == 10:
					d.Dead("row_refused", "too wide")
				case d.Sequence == 20 && d.Attempt == 1:
					d.Retry(errFlaky)
				case d.Sequence == 30 && d.Attempt == 1: // says nothing
				default:
					d.Ack()
				}
			}
			if seen[40] == 1 && batch[0].Sequence <= 40 && batch[len(batch)-1].Sequence >= 40 {
				panic("after the words")
			}
		})
	})
	eventually(t, func() bool { return durableInfo(t, conn, "EVENTS").AckFloor.Stream == 1000 }, "all settled")
	require.NoError(t, stop())
	mu.Lock()
	defer mu.Unlock()
	for _, size := range sizes {
		require.LessOrEqual(t, size, 300)
	}
	require.Len(t, seen, 1000)
	for sequence, times := range seen {
		want := 1
		if sequence == 20 || sequence == 30 {
			want = 2
		}
		require.Equal(t, want, times, "message %d", sequence)
	}
	got := letters(t, b)
	require.Len(t, got, 1)
	require.Equal(t, "too wide", got[0].GetDetail())
}

func TestRunBatchesIsBoundedInBytes(t *testing.T) {
	b := bustest.New(t)
	fill(t, b, 24, 5<<20) // 120 MiB
	conn := b.Connect(t, bus.UserSink)
	options := bus.BatchOptions{MaxMessages: 1000, MaxBytes: 8 * config.MiB, MaxDelay: 50 * time.Millisecond, MaxInFlight: 1}
	var handled, most atomic.Int64
	stop := run(t, func(ctx context.Context) error {
		return consumer(t, conn, "EVENTS").RunBatches(ctx, options, func(_ context.Context, batch []*bus.Delivery) {
			assert.LessOrEqual(t, len(batch), 2)
			most.Store(max(most.Load(), int64(durableInfo(t, conn, "EVENTS").NumAckPending)))
			for _, d := range batch {
				d.Ack()
			}
			handled.Add(int64(len(batch)))
		})
	})
	eventually(t, func() bool { return handled.Load() == 24 }, "all handled")
	require.NoError(t, stop())
	require.LessOrEqual(t, most.Load(), int64(9), "messages that are out at once")
}

func TestALateBatchGrowsWhileNoHandlerIsFree(t *testing.T) {
	b := bustest.New(t)
	conn := b.Connect(t, bus.UserSink)
	options := bus.BatchOptions{MaxMessages: 1000, MaxBytes: config.MiB, MaxDelay: time.Millisecond, MaxInFlight: 1}
	var sizes []int
	var handled atomic.Int64
	busy, resume := make(chan struct{}), make(chan struct{})
	stop := run(t, func(ctx context.Context) error {
		return consumer(t, conn, "EVENTS").RunBatches(ctx, options, func(_ context.Context, batch []*bus.Delivery) {
			sizes = append(sizes, len(batch))
			if len(sizes) == 1 {
				close(busy)
				<-resume
			}
			for _, d := range batch {
				d.Ack()
			}
			handled.Add(int64(len(batch)))
		})
	})
	fill(t, b, 1, 10)
	<-busy
	for _, n := range []int{21, 41, 61} { // with what was there before, which is not stored again
		fill(t, b, n, 10)
		eventually(t, func() bool { return durableInfo(t, conn, "EVENTS").NumAckPending == n }, "all delivered")
	}
	close(resume)
	eventually(t, func() bool { return handled.Load() == 61 }, "all handled")
	require.NoError(t, stop())
	require.Greater(t, sizes[1], 20, "more than the first that came")
}

func BenchmarkBatchConsume(b *testing.B) {
	server := bustest.New(b)
	publisher := bustest.Publisher(b, server.Connect(b, bus.UserStreamer))
	batch := publisher.NewBatch()
	for n := range b.N {
		require.NoError(b, batch.Publish(b.Context(), event(n, 700), bus.PublishOptions{MessageID: messageID(n)}))
	}
	require.NoError(b, batch.Wait(b.Context()))
	conn := server.Connect(b, bus.UserSink)
	c, err := bus.NewConsumer(conn, bus.DefaultConsumerConfig(), bus.ConsumerSettings{Stream: "EVENTS", Durable: bus.UserSink})
	require.NoError(b, err)
	b.ReportAllocs()
	b.ResetTimer()
	stop := reportCPU(b)
	ctx, cancel := context.WithCancel(b.Context())
	var handled atomic.Int64
	options := bus.BatchOptions{MaxMessages: 10_000, MaxBytes: 32 * config.MiB, MaxDelay: 100 * time.Millisecond, MaxInFlight: 2}
	err = c.RunBatches(ctx, options, func(_ context.Context, batch []*bus.Delivery) {
		for _, d := range batch {
			d.Ack()
		}
		if handled.Add(int64(len(batch))) >= int64(b.N) {
			cancel()
		}
	})
	require.NoError(b, err)
	stop()
	cancel()
}
