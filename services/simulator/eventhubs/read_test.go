package eventhubs_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/Azure/go-amqp"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/services/simulator/eventhubs"
	wire "github.com/entraflow/entraflow/services/simulator/internal/amqp"
)

// clock steps a second with each reading, so that appends have distinct times.
type clock struct{ seconds atomic.Int64 }

var clockStart = time.UnixMilli(1_700_000_000_000)

func (c *clock) now() time.Time { return clockStart.Add(time.Duration(c.seconds.Add(1)) * time.Second) }

// TestStartPositions reads from each kind of position, exclusive and inclusive, on a plain and a geo hub.
func TestStartPositions(t *testing.T) {
	type start = azeventhubs.StartPosition
	names := []string{"e0", "e1", "e2", "e3"}
	tests := map[string]struct {
		start func(events) start
		want  []string
	}{
		"after sequence":     {func(e events) start { return start{SequenceNumber: &e[1].SequenceNumber} }, names[2:]},
		"from sequence":      {func(e events) start { return start{SequenceNumber: &e[1].SequenceNumber, Inclusive: true} }, names[1:]},
		"after offset":       {func(e events) start { return start{Offset: &e[1].Offset} }, names[2:]},
		"from offset":        {func(e events) start { return start{Offset: &e[1].Offset, Inclusive: true} }, names[1:]},
		"after time":         {func(e events) start { return start{EnqueuedTime: e[1].EnqueuedTime} }, names[2:]},
		"from time":          {func(e events) start { return start{EnqueuedTime: e[1].EnqueuedTime, Inclusive: true} }, names[1:]},
		"time between":       {func(e events) start { return start{EnqueuedTime: between(e)} }, names[2:]},
		"time between, from": {func(e events) start { return start{EnqueuedTime: between(e), Inclusive: true} }, names[2:]},
		"before everything":  {func(events) start { return start{EnqueuedTime: new(time.UnixMilli(0))} }, names},
		"earliest":           {func(events) start { return earliest }, names},
		"after the last":     {func(e events) start { return start{SequenceNumber: &e[3].SequenceNumber} }, nil},
		"from the next":      {func(events) start { return start{SequenceNumber: new(int64(4)), Inclusive: true} }, nil},
		"after last offset":  {func(e events) start { return start{Offset: &e[3].Offset} }, nil},
		"latest":             {func(events) start { return start{Latest: new(true)} }, nil},
		"latest, inclusive":  {func(events) start { return start{Latest: new(true), Inclusive: true} }, names[3:]},
	}
	for _, geo := range []bool{false, true} {
		for name, tt := range tests {
			t.Run(fmt.Sprintf("%s, geo %t", name, geo), func(t *testing.T) {
				cfg := testConfig(1)
				cfg.Namespaces[0].Hubs[0].GeoReplication = geo
				var c clock
				s := newPipeServer(t, cfg, eventhubs.Settings{Now: c.now})
				for _, name := range names {
					_, err := s.hub.Append("0", eventhubs.Event{Body: []byte(name)})
					require.NoError(t, err)
				}
				ctx, consumer := timeout(t), s.consumer(connectionAll)
				first := s.reader(consumer, "0", azeventhubs.PartitionClientOptions{StartPosition: earliest})
				all := receive(ctx, t, first, len(names))
				require.Equal(t, geo, strings.HasPrefix(all[0].Offset, "2:"), all[0].Offset)
				require.NoError(t, first.Close(ctx))

				reader := s.reader(consumer, "0", azeventhubs.PartitionClientOptions{StartPosition: tt.start(all)})
				require.Equal(t, tt.want, readUpTo(ctx, t, s, reader))
			})
		}
	}
}

type events = []*azeventhubs.ReceivedEventData

// between is a time between events 1 and 2.
func between(e events) *time.Time { return new(e[1].EnqueuedTime.Add(time.Millisecond)) }

// readUpTo reads what comes before an event that it appends once the reader is attached.
func readUpTo(ctx context.Context, t *testing.T, s *pipeServer, reader *azeventhubs.PartitionClient) []string {
	t.Helper()
	const end = "end"
	result := make(chan []string, 1)
	go func() {
		defer close(result)
		var got []string
		for {
			batch, err := reader.ReceiveEvents(ctx, 1, nil)
			if err != nil {
				return
			}
			if string(batch[0].Body) == end {
				result <- got
				return
			}
			got = append(got, bodies(batch)...)
		}
	}()
	waitForReaders(t, s, 1)
	_, err := s.hub.Append("0", eventhubs.Event{Body: []byte(end)})
	require.NoError(t, err)
	got, ok := <-result
	require.True(t, ok, "reading failed")
	return got
}

// waitForReaders waits until partition 0 has n readers.
func waitForReaders(t *testing.T, s *pipeServer, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return len(s.hub.State().Partitions[0].Readers) == n }, 10*time.Second, time.Millisecond)
}

func TestPositionsThatAreRefused(t *testing.T) {
	tests := map[string]struct {
		geo       bool
		start     azeventhubs.StartPosition
		condition string
		text      string
	}{
		"sequence beyond the end": {
			start: azeventhubs.StartPosition{SequenceNumber: new(int64(7))}, condition: "com.microsoft:argument-error",
			text: "The supplied sequence number '7' is invalid. The last sequence number in the system is '0'",
		},
		"offset beyond the end": {
			start: azeventhubs.StartPosition{Offset: new("5000")}, condition: "com.microsoft:argument-error",
			text: "The supplied offset '5000' is invalid. The last offset in the system is '0'",
		},
		"plain offset on a geo hub": {
			geo: true, start: azeventhubs.StartPosition{Offset: new("0")},
			condition: "com.microsoft:georeplication:invalid-offset",
		},
		"offset that is none": {start: azeventhubs.StartPosition{Offset: new("x")}, condition: "com.microsoft:argument-error"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(1)
			cfg.Namespaces[0].Hubs[0].GeoReplication = tt.geo
			s := newPipeServer(t, cfg, eventhubs.Settings{})
			_, err := s.hub.Append("0", eventhubs.Event{Body: []byte("x")})
			require.NoError(t, err)
			reader := s.reader(s.consumer(connectionAll), "0", azeventhubs.PartitionClientOptions{StartPosition: tt.start})
			_, err = reader.ReceiveEvents(timeout(t), 1, nil)
			requireCondition(t, err, tt.condition)
			require.ErrorContains(t, err, tt.text)
		})
	}
}

func TestBadAddresses(t *testing.T) {
	s := newPipeServer(t, testConfig(2), eventhubs.Settings{})
	ctx := timeout(t)
	c, err := s.client(ctx, &amqp.ConnOptions{SASLType: amqp.SASLTypePlain("all", "c2VjcmV0")})
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	session, err := c.NewSession(ctx, nil)
	require.NoError(t, err)
	for address, condition := range map[string]string{
		"none": "amqp:not-found", "hub/ConsumerGroups/none/Partitions/0": "amqp:not-found",
		"hub/ConsumerGroups/$Default/Partitions/2": "com.microsoft:argument-out-of-range",
		"hub/ConsumerGroups/$Default/Partitions/x": "com.microsoft:argument-out-of-range",
		"hub/Partitions/0":                         "amqp:not-allowed", "hub/a/b": "amqp:not-found", "hub/ConsumerGroups": "amqp:not-found",
	} {
		_, err := session.NewReceiver(ctx, address, nil)
		requireCondition(t, err, condition)
	}
	_, err = session.NewReceiver(ctx, "hub/ConsumerGroups/$Default/Partitions/0", &amqp.ReceiverOptions{
		Filters: []amqp.LinkFilter{amqp.NewSelectorFilter("colour = 'red'")},
	})
	requireCondition(t, err, "com.microsoft:argument-error")
}

// TestClientWindow gives credit for all events, but a window of three frames, then of two more: a small event takes
// one frame, the fourth event three.
func TestClientWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPipeServer(t, testConfig(1), eventhubs.Settings{})
		for n := range 6 {
			body := []byte("small")
			if n == 3 {
				body = make([]byte, 150_000)
			}
			_, err := s.hub.Append("0", eventhubs.Event{Body: body})
			require.NoError(t, err)
		}
		c := loginRaw(t, s, 3)
		c.send(0, &wire.Attach{
			Name: "raw", Receiver: true, Target: wire.Terminus{Present: true, Address: "here"},
			Source: wire.Terminus{Present: true, Address: "hub/ConsumerGroups/$Default/Partitions/0"},
		})
		c.expect(&wire.Attach{})
		flow := func(seen, window uint32) {
			c.send(0, &wire.Flow{
				NextIncomingID: wire.Some(seen), IncomingWindow: window, Handle: wire.Some[uint32](0),
				DeliveryCount: wire.Some[uint32](0), LinkCredit: wire.Some[uint32](100),
			})
		}
		flow(0, 3)
		require.Equal(t, 3, c.transfers())
		flow(3, 2)
		require.Equal(t, 3, c.transfers(), "a message that no window of this client could hold goes out all the same")
		flow(6, 1)
		require.Equal(t, 1, c.transfers())
		flow(7, 10)
		require.Equal(t, 1, c.transfers(), "that is the last event")
	})
}

// TestDrain uses go-amqp, since the SDK never drains.
func TestDrain(t *testing.T) {
	s := newPipeServer(t, testConfig(1), eventhubs.Settings{})
	ctx := timeout(t)
	_, err := s.hub.Append("0", eventhubs.Event{Body: []byte("one")})
	require.NoError(t, err)
	c, err := s.client(ctx, &amqp.ConnOptions{SASLType: amqp.SASLTypePlain("all", "c2VjcmV0")})
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	session, err := c.NewSession(ctx, nil)
	require.NoError(t, err)
	receiver, err := session.NewReceiver(ctx, "hub/ConsumerGroups/$Default/Partitions/0", &amqp.ReceiverOptions{Credit: -1})
	require.NoError(t, err)
	require.NoError(t, receiver.IssueCredit(5))
	m, err := receiver.Receive(ctx, nil)
	require.NoError(t, err)
	require.Equal(t, "one", string(m.GetData()))
	require.NoError(t, receiver.DrainCredit(ctx, nil))
	_, err = s.hub.Append("0", eventhubs.Event{Body: []byte("two")})
	require.NoError(t, err)
	require.Nil(t, receiver.Prefetched(), "no credit is left")
	require.NoError(t, receiver.IssueCredit(1))
	m, err = receiver.Receive(ctx, nil)
	require.NoError(t, err)
	require.Equal(t, "two", string(m.GetData()))
}

func TestRetention(t *testing.T) {
	cfg := testConfig(1)
	cfg.Namespaces[0].Hubs[0].RetentionBytes = 256 * eventhubs.KiB
	s := newPipeServer(t, cfg, eventhubs.Settings{})
	ctx := timeout(t)
	const events, size = 1000, 1024
	body := make([]byte, size)
	first, err := s.hub.Append("0", eventhubs.Event{Body: body})
	require.NoError(t, err)
	for range events - 1 {
		_, err := s.hub.Append("0", eventhubs.Event{Body: body})
		require.NoError(t, err)
	}
	consumer := s.consumer(connectionAll)
	props, err := consumer.GetPartitionProperties(ctx, "0", nil)
	require.NoError(t, err)
	require.Equal(t, int64(events-1), props.LastEnqueuedSequenceNumber)
	require.InDelta(t, events-256*eventhubs.KiB/(size+100), props.BeginningSequenceNumber, 40)
	state := s.hub.State().Partitions[0]
	require.Equal(t, props.BeginningSequenceNumber, state.EventsTrimmed)
	require.LessOrEqual(t, state.BytesKept, int64(256*eventhubs.KiB))

	for name, start := range map[string]azeventhubs.StartPosition{
		"earliest": earliest, "sequence trimmed": {SequenceNumber: &first.First}, "offset trimmed": {Offset: new("0"), Inclusive: true},
	} {
		got := receive(ctx, t, s.reader(consumer, "0", azeventhubs.PartitionClientOptions{StartPosition: start}), 1)
		require.Equal(t, props.BeginningSequenceNumber, got[0].SequenceNumber, name)
	}
}

// TestReaderOvertakenByRetention trims what a slow reader has not seen: it goes on with what is left.
func TestReaderOvertakenByRetention(t *testing.T) {
	cfg := testConfig(1)
	cfg.Namespaces[0].Hubs[0].RetentionBytes = 64 * eventhubs.KiB
	s := newPipeServer(t, cfg, eventhubs.Settings{})
	ctx := timeout(t)
	reader := s.reader(s.consumer(connectionAll), "0", azeventhubs.PartitionClientOptions{StartPosition: earliest, Prefetch: -1})
	_, err := s.hub.Append("0", eventhubs.Event{Body: []byte("first")})
	require.NoError(t, err)
	require.Len(t, receive(ctx, t, reader, 1), 1)
	for range 1000 {
		_, err := s.hub.Append("0", eventhubs.Event{Body: make([]byte, 1024)})
		require.NoError(t, err)
	}
	got := receive(ctx, t, reader, 1)
	require.Equal(t, s.hub.State().Partitions[0].Begin, got[0].SequenceNumber)
	require.Greater(t, got[0].SequenceNumber, int64(1))
}
