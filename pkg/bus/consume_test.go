package bus_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/bustest"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

var errFlaky = errors.New("not today")

// fill publishes n events.
func fill(t *testing.T, b *bustest.Bus, n, size int) {
	t.Helper()
	batch := bustest.Publisher(t, b.Connect(t, bus.UserStreamer)).NewBatch()
	for i := range n {
		require.NoError(t, batch.Publish(t.Context(), event(i, size), bus.PublishOptions{MessageID: messageID(i)}))
	}
	require.NoError(t, batch.Wait(t.Context()))
}

func consumer(t *testing.T, conn *bus.Conn, stream string) *bus.Consumer {
	t.Helper()
	c, err := bus.NewConsumer(conn, bus.DefaultConsumerConfig(), bus.ConsumerSettings{Stream: stream, Durable: bus.UserSink})
	require.NoError(t, err)
	return c
}

// run runs until the returned function is called, which reports Run's error.
func run(t *testing.T, running func(context.Context) error) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- running(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { _ = stop() })
	return stop
}

// ackWait shortens the wait of the durable for a sign of life.
func ackWait(t *testing.T, b *bustest.Bus, wait time.Duration) {
	t.Helper()
	js := b.Connect(t, bus.UserOperator).JetStream()
	durable, err := js.Consumer(t.Context(), "EVENTS", bus.UserSink)
	require.NoError(t, err)
	cfg := durable.CachedInfo().Config
	cfg.AckWait = wait
	_, err = js.UpdateConsumer(t.Context(), "EVENTS", cfg)
	require.NoError(t, err)
}

func durableInfo(t *testing.T, conn *bus.Conn, stream string) *jetstream.ConsumerInfo {
	t.Helper()
	durable, err := conn.JetStream().Consumer(t.Context(), stream, bus.UserSink)
	require.NoError(t, err)
	return durable.CachedInfo()
}

// eventually waits for a condition that takes requests to find out.
func eventually(t *testing.T, holds func() bool, what string) {
	t.Helper()
	require.Eventually(t, holds, 20*time.Second, 10*time.Millisecond, what)
}

func letters(t *testing.T, b *bustest.Bus) []*eventv1.DeadLetter {
	t.Helper()
	var all []*eventv1.DeadLetter
	for letter, err := range bus.ListDeadLetters(t.Context(), b.Connect(t, bus.UserOperator), bus.DeadLetterFilter{}) {
		require.NoError(t, err)
		all = append(all, letter.Letter)
	}
	return all
}

func TestRunAcknowledges(t *testing.T) {
	b := bustest.New(t)
	fill(t, b, 5000, 100)
	conn := b.Connect(t, bus.UserSink)
	var seen sync.Map
	stop := run(t, func(ctx context.Context) error {
		return consumer(t, conn, "EVENTS").Run(ctx, func(_ context.Context, d *bus.Delivery) error {
			e, err := d.Event()
			if err != nil {
				t.Error(err)
				return err
			}
			assert.Equal(t, 1, d.Attempt)
			assert.Equal(t, "events.v1.signin."+tenant, d.Subject)
			assert.WithinDuration(t, time.Now(), d.Timestamp, time.Minute)
			_, again := seen.LoadOrStore(e.GetId(), d.Sequence)
			assert.False(t, again)
			return nil
		})
	})
	eventually(t, func() bool { return durableInfo(t, conn, "EVENTS").AckFloor.Stream == 5000 }, "all acknowledged")
	require.NoError(t, stop())
}

func TestRunSettlesFailures(t *testing.T) {
	b := bustest.New(t)
	fill(t, b, 4, 100)
	operator := b.Connect(t, bus.UserOperator)
	_, err := operator.JetStream().Publish(t.Context(), "events.v1.signin._", []byte("no protobuf"))
	require.NoError(t, err)

	conn := b.Connect(t, bus.UserSink)
	var flaky atomic.Int32
	stop := run(t, func(ctx context.Context) error {
		return consumer(t, conn, "EVENTS").Run(ctx, func(_ context.Context, d *bus.Delivery) error {
			e, err := d.Event()
			switch {
			case err != nil:
				return err
			case e.GetSourceId() == "0":
				return fmt.Errorf("storing: %w", bus.Permanent("row_refused", errors.New("column too wide")))
			case e.GetSourceId() == "1" && flaky.Add(1) == 1:
				return errFlaky
			case e.GetSourceId() == "2" && d.Attempt == 1:
				panic("the handler is broken")
			}
			return nil
		})
	})
	eventually(t, func() bool { return durableInfo(t, conn, "EVENTS").AckFloor.Stream == 5 }, "all settled")
	require.NoError(t, stop())
	require.EqualValues(t, 2, flaky.Load(), "a failed message comes again")

	got := letters(t, b)
	require.Len(t, got, 2)
	m := event(0, 100)
	data, err := proto.Marshal(m)
	require.NoError(t, err)
	want := &eventv1.DeadLetter{
		Id: "x", Service: "sink", Origin: "EVENTS", TenantId: tenant, Integration: "contoso", Reason: "row_refused",
		Detail: "storing: row_refused: column too wide", Raw: data, Attempts: 1,
		Place: &eventv1.DeadLetter_Stream{Stream: &eventv1.StreamPlace{
			Stream: "EVENTS", Sequence: 1, Subject: m.BusSubject(), Durable: "sink",
		}},
	}
	byReason := map[string]*eventv1.DeadLetter{got[0].GetReason(): got[0], got[1].GetReason(): got[1]}
	refused := byReason["row_refused"]
	require.WithinDuration(t, time.Now(), refused.GetFailedAt().AsTime(), time.Minute)
	require.Equal(t, messageID(0), refused.GetStream().GetHeaders()["Nats-Msg-Id"])
	require.Len(t, refused.GetId(), 32)
	require.Empty(t, cmp.Diff(want, refused, protocmp.Transform(),
		protocmp.IgnoreFields(want, "id", "failed_at"), protocmp.IgnoreFields(want.GetStream(), "headers")))
	require.Equal(t, []byte("no protobuf"), byReason[bus.ReasonPayloadInvalid].GetRaw())
}

func TestRunBuriesTheLastAttempt(t *testing.T) {
	b := bustest.New(t)
	fill(t, b, 1, 100)
	conn := b.Connect(t, bus.UserSink)
	stream, _ := bus.FindStream("EVENTS")
	durable, _ := stream.Durable(bus.UserSink)
	// A message delivered before but for one attempt, as if the service had died each time.
	worn, err := conn.JetStream().Consumer(t.Context(), "EVENTS", bus.UserSink)
	require.NoError(t, err)
	for range durable.MaxDeliver - 1 {
		m, err := worn.Next()
		require.NoError(t, err)
		require.NoError(t, m.Nak())
	}
	stop := run(t, func(ctx context.Context) error {
		return consumer(t, conn, "EVENTS").Run(ctx, func(context.Context, *bus.Delivery) error { return errFlaky })
	})
	eventually(t, func() bool { return durableInfo(t, conn, "EVENTS").AckFloor.Stream == 1 }, "terminated")
	require.NoError(t, stop())
	got := letters(t, b)
	require.Len(t, got, 1)
	require.Equal(t, bus.ReasonTooManyAttempts, got[0].GetReason())
	require.Equal(t, "not today", got[0].GetDetail())
	require.EqualValues(t, durable.MaxDeliver, got[0].GetAttempts())
}

func TestLastAttemptSurvivesTheService(t *testing.T) {
	b := bustest.New(t)
	fill(t, b, 1, 100)
	ackWait(t, b, time.Second)
	conn := b.Connect(t, bus.UserSink)
	worn, err := conn.JetStream().Consumer(t.Context(), "EVENTS", bus.UserSink)
	require.NoError(t, err)
	for range 10 { // more than MaxDeliver, the last one taken to the grave
		m, err := worn.Next()
		require.NoError(t, err)
		require.NoError(t, m.Nak())
	}
	_, err = worn.Next()
	require.NoError(t, err)

	var attempt atomic.Int64
	stop := run(t, func(ctx context.Context) error {
		return consumer(t, conn, "EVENTS").Run(ctx, func(_ context.Context, d *bus.Delivery) error {
			attempt.Store(int64(d.Attempt))
			return nil
		})
	})
	eventually(t, func() bool { return attempt.Load() == 12 }, "the message is not dropped")
	require.NoError(t, stop())
	require.Empty(t, letters(t, b))
}

func TestRunKeepsLongHandlersAlive(t *testing.T) {
	b := bustest.New(t)
	fill(t, b, 10, 100) // two wait for a worker all the while
	ackWait(t, b, time.Second)
	conn := b.Connect(t, bus.UserSink)
	var handled atomic.Int64
	release := make(chan struct{})
	stop := run(t, func(ctx context.Context) error {
		return consumer(t, conn, "EVENTS").Run(ctx, func(_ context.Context, d *bus.Delivery) error {
			assert.Equal(t, 1, d.Attempt, "delivered again while being worked on")
			<-release
			handled.Add(1)
			return nil
		})
	})
	timer := time.NewTimer(3 * time.Second)
	<-timer.C
	require.Zero(t, durableInfo(t, conn, "EVENTS").NumRedelivered)
	close(release)
	eventually(t, func() bool { return durableInfo(t, conn, "EVENTS").AckFloor.Stream == 10 }, "all acknowledged")
	require.NoError(t, stop())
	require.EqualValues(t, 10, handled.Load())
}

func TestRunDrains(t *testing.T) {
	b := bustest.New(t)
	fill(t, b, 100, 100)
	conn := b.Connect(t, bus.UserSink)
	begun, release := make(chan struct{}, 100), make(chan struct{})
	var finished atomic.Int64
	stop := run(t, func(ctx context.Context) error {
		return consumer(t, conn, "EVENTS").Run(ctx, func(drain context.Context, _ *bus.Delivery) error {
			begun <- struct{}{}
			<-ctx.Done()
			<-release
			finished.Add(1)
			return drain.Err()
		})
	})
	for range 4 {
		<-begun
	}
	time.AfterFunc(300*time.Millisecond, func() { close(release) })
	require.NoError(t, stop())
	require.EqualValues(t, 4, finished.Load(), "what was begun is finished, nothing else is begun")

	// The rest was given back: it comes at once and not after AckWait.
	began := time.Now()
	var rest atomic.Int64
	stop = run(t, func(ctx context.Context) error {
		return consumer(t, conn, "EVENTS").Run(ctx, func(context.Context, *bus.Delivery) error {
			rest.Add(1)
			return nil
		})
	})
	eventually(t, func() bool { return durableInfo(t, conn, "EVENTS").AckFloor.Stream == 100 }, "all acknowledged")
	require.NoError(t, stop())
	require.EqualValues(t, 96, rest.Load())
	require.Less(t, time.Since(began), 10*time.Second)
}

func TestRunSurvivesLostAcksAndTheServer(t *testing.T) {
	b := bustest.New(t)
	fill(t, b, 2000, 100)
	ackWait(t, b, time.Second)
	cfg := b.Server.Config(bus.UserSink)
	conn := b.ConnectWith(t, cfg, bus.Settings{Service: bus.UserSink})
	var deliveries atomic.Int64
	seen := sync.Map{}
	half := make(chan struct{})
	stop := run(t, func(ctx context.Context) error {
		return consumer(t, conn, "EVENTS").Run(ctx, func(_ context.Context, d *bus.Delivery) error {
			if deliveries.Add(1) == 1000 {
				close(half)
			}
			seen.Store(d.Sequence, true)
			return nil
		})
	})
	<-half
	b.Server.Shutdown() // what was acknowledged last may be lost with it
	ackWait(t, bustest.Open(t, b.Directory, listen(cfg.URL)), time.Second)
	eventually(t, func() bool { return durableInfo(t, conn, "EVENTS").AckFloor.Stream == 2000 }, "all acknowledged")
	require.NoError(t, stop())
	distinct := 0
	seen.Range(func(any, any) bool { distinct++; return true })
	require.Equal(t, 2000, distinct)
}

func TestDeadLettersOfDeadEnd(t *testing.T) {
	b := bustest.New(t)
	streamer := b.Connect(t, bus.UserStreamer)
	writer := bus.NewDeadLetters(streamer, bustest.Publisher(t, streamer))
	require.NoError(t, writer.Write(t.Context(), &eventv1.DeadLetter{Origin: "hub", Reason: "unreadable_json", Raw: []byte("{")}))
	conn := b.Connect(t, bus.UserSink)
	stop := run(t, func(ctx context.Context) error {
		return consumer(t, conn, "DEAD").Run(ctx, func(context.Context, *bus.Delivery) error {
			return bus.Permanent("row_refused", errFlaky)
		})
	})
	eventually(t, func() bool { return durableInfo(t, conn, "DEAD").AckFloor.Stream == 1 }, "terminated")
	require.NoError(t, stop())
	require.EqualValues(t, 1, state(t, conn, "DEAD").Msgs, "it stays, and none was written about it")
}

func TestStored(t *testing.T) {
	b := bustest.New(t)
	fill(t, b, 10, 100)
	gateway := b.Connect(t, bus.UserGateway)
	soon, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := bus.Stored(soon, gateway.JetStream(), "EVENTS", 7)
	require.ErrorIs(t, err, bus.ErrNotStored)
	require.Error(t, bus.Stored(t.Context(), gateway.JetStream(), "EVENTS", 7), "a deadline is needed")

	conn := b.Connect(t, bus.UserSink)
	stop := run(t, func(ctx context.Context) error {
		return consumer(t, conn, "EVENTS").Run(ctx, func(context.Context, *bus.Delivery) error { return nil })
	})
	later, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	require.NoError(t, bus.Stored(later, gateway.JetStream(), "EVENTS", 10))
	require.NoError(t, stop())
}
