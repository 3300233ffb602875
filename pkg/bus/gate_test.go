package bus_test

import (
	"context"
	"fmt"
	"runtime"
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

func gate(t *testing.T, conn *bus.Conn) *bus.Gate {
	t.Helper()
	g, err := bus.NewGate(conn, bus.GateConfig{Interval: 20 * time.Millisecond}, "EVENTS", "DEAD")
	require.NoError(t, err)
	run(t, g.Run)
	return g
}

// Four producers send three times what EVENTS holds while the sink is stopped, two of them past the
// gate. Then the sink starts.
func TestNothingFallsOffUnread(t *testing.T) {
	const limit, messages, size = 64 * config.MiB, 130_000, 1400
	b := bustest.New(t, bustest.Limit("EVENTS", bus.Limits{MaxBytes: limit}))
	conn := b.Connect(t, bus.UserStreamer)
	g := gate(t, conn)
	publisher := bustest.Publisher(t, conn)

	var next, sent atomic.Int64
	var producers sync.WaitGroup
	for p := range 4 {
		batch := publisher.NewBatch()
		producers.Go(func() {
			for n := next.Add(1); n <= messages; n = next.Add(1) {
				if p%2 == 0 && g.Wait(t.Context()) != nil {
					return
				}
				if batch.Publish(t.Context(), event(int(n), size), bus.PublishOptions{MessageID: messageID(int(n))}) != nil {
					break // it is the batch's error too
				}
				sent.Add(1)
			}
			assert.NoError(t, batch.Wait(t.Context()))
		})
	}
	eventually(t, func() bool { return !g.Open() }, "the gate closes")
	eventually(t, func() bool {
		before := sent.Load()
		time.Sleep(300 * time.Millisecond) //nolint:forbidigo // that nothing moves can only be seen by waiting
		return sent.Load() == before
	}, "the stream is full")
	full := state(t, conn, "EVENTS")
	require.LessOrEqual(t, full.Bytes, uint64(limit))
	require.EqualValues(t, 1, full.FirstSeq, "nothing was removed")
	require.Less(t, sent.Load(), int64(messages)/2)
	require.Less(t, heap(), uint64(200*config.MiB))

	seen, dups := map[string]bool{}, 0
	var mu sync.Mutex
	sink := b.Connect(t, bus.UserSink)
	options := bus.BatchOptions{MaxMessages: 5000, MaxBytes: 8 * config.MiB, MaxDelay: 50 * time.Millisecond, MaxInFlight: 2}
	stop := run(t, func(ctx context.Context) error {
		return consumer(t, sink, "EVENTS").RunBatches(ctx, options, func(_ context.Context, batch []*bus.Delivery) {
			mu.Lock()
			defer mu.Unlock()
			for _, d := range batch {
				e, err := d.Event()
				if err != nil {
					t.Error(err)
					continue
				}
				if seen[e.GetSourceId()] {
					dups++
				}
				seen[e.GetSourceId()] = true
				d.Ack()
			}
		})
	})
	producers.Wait()
	eventually(t, func() bool {
		s := state(t, conn, "EVENTS")
		return durableInfo(t, sink, "EVENTS").AckFloor.Stream == s.LastSeq && g.Open() && s.Bytes < uint64(limit)*60/100
	}, "all read, room again")
	require.NoError(t, stop())
	require.Less(t, heap(), uint64(300*config.MiB))
	require.Len(t, seen, messages)
	for n := 1; n <= messages; n++ {
		require.True(t, seen[fmt.Sprint(n)], "message %d", n)
	}
	t.Logf("%d seen again", dups)
}

func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

func TestGateWaits(t *testing.T) {
	b := bustest.New(t)
	conn := b.Connect(t, bus.UserStreamer)
	g, err := bus.NewGate(conn, bus.DefaultGateConfig(), "EVENTS")
	require.NoError(t, err)
	require.False(t, g.Open(), "closed until it has looked")
	soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, g.Wait(soon), context.DeadlineExceeded)
	run(t, g.Run)
	require.NoError(t, g.Wait(t.Context()))
	require.True(t, g.Open())
	_, err = bus.NewGate(conn, bus.DefaultGateConfig(), "NOTHING")
	require.Error(t, err)
}

func TestGateClosesByAge(t *testing.T) {
	b := bustest.New(t, bustest.Limit("EVENTS", bus.Limits{MaxAge: 3 * time.Second, DuplicateWindow: time.Second}))
	conn := b.Connect(t, bus.UserStreamer)
	g := gate(t, conn)
	require.NoError(t, g.Wait(t.Context()))
	fill(t, b, 10, 100)
	eventually(t, func() bool { return !g.Open() }, "the oldest unread message is nearly too old")
	timer := time.NewTimer(3 * time.Second)
	<-timer.C
	require.EqualValues(t, 10, state(t, conn, "EVENTS").Msgs, "too old, but unread")

	sink := b.Connect(t, bus.UserSink)
	stop := run(t, func(ctx context.Context) error {
		return consumer(t, sink, "EVENTS").Run(ctx, func(context.Context, *bus.Delivery) error { return nil })
	})
	eventually(t, g.Open, "read")
	require.NoError(t, stop())
}

func TestAgeIsTrimmedOnceRead(t *testing.T) {
	b := bustest.New(t, bustest.Limit("EVENTS", bus.Limits{MaxAge: 2 * time.Second, DuplicateWindow: time.Second}))
	fill(t, b, 10, 100)
	sink := b.Connect(t, bus.UserSink)
	handle := func(context.Context, *bus.Delivery) error { return nil }
	stop := run(t, func(ctx context.Context) error { return consumer(t, sink, "EVENTS").Run(ctx, handle) })
	eventually(t, func() bool { return durableInfo(t, sink, "EVENTS").AckFloor.Stream == 10 }, "read")
	require.NoError(t, stop())
	timer := time.NewTimer(2 * time.Second)
	<-timer.C
	fill(t, b, 5, 50) // other message ids than those above would be needed within the window
	stop = run(t, func(ctx context.Context) error { return consumer(t, sink, "EVENTS").Run(ctx, handle) })
	eventually(t, func() bool { return state(t, sink, "EVENTS").FirstSeq == 11 }, "only the young are left")
	require.NoError(t, stop())
}
