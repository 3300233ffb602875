package eventhubs_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/Azure/go-amqp"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/services/simulator/eventhubs"
)

// readAll reads n events of partition 0 from the start.
func readAll(t *testing.T, s *pipeServer, n int) []*azeventhubs.ReceivedEventData {
	t.Helper()
	reader := s.reader(s.consumer(connectionAll), "0", azeventhubs.PartitionClientOptions{StartPosition: earliest})
	return receive(timeout(t), t, reader, n)
}

// TestKeysKeepTheirPartition sends each key several times, alone and in batches, from several connections.
func TestKeysKeepTheirPartition(t *testing.T) {
	const partitions, keys, rounds = 4, 40, 3
	s := newPipeServer(t, testConfig(partitions), eventhubs.Settings{})
	ctx := timeout(t)
	for range rounds {
		producer := s.producer(connectionAll)
		for k := range keys {
			key := fmt.Sprintf("key-%d", k)
			require.NoError(t, send(ctx, t, producer, azeventhubs.EventDataBatchOptions{PartitionKey: &key}, key, key))
		}
	}
	where := make(map[string]string)
	used := make(map[string]bool)
	consumer := s.consumer(connectionAll)
	for _, p := range s.hub.State().Partitions {
		reader := s.reader(consumer, p.ID, azeventhubs.PartitionClientOptions{StartPosition: earliest})
		for _, e := range receive(ctx, t, reader, int(p.EventsIn)) {
			require.NotNil(t, e.PartitionKey)
			require.Equal(t, string(e.Body), *e.PartitionKey)
			before, known := where[*e.PartitionKey]
			require.True(t, !known || before == p.ID, "%s is on %s and %s", e.Body, before, p.ID)
			where[*e.PartitionKey] = p.ID
			used[p.ID] = true
		}
	}
	require.Len(t, where, keys)
	require.Len(t, used, partitions, "keys spread")
	// The mapping is part of what recorded runs rely on.
	require.Equal(t, map[string]string{"key-0": "1", "key-1": "2", "key-2": "3"}, map[string]string{
		"key-0": where["key-0"], "key-1": where["key-1"], "key-2": where["key-2"],
	})
}

func TestNoKeyGoesRound(t *testing.T) {
	s := newPipeServer(t, testConfig(4), eventhubs.Settings{})
	producer := s.producer(connectionAll)
	for range 8 {
		require.NoError(t, send(timeout(t), t, producer, azeventhubs.EventDataBatchOptions{}, "x"))
	}
	for _, p := range s.hub.State().Partitions {
		require.Equal(t, int64(2), p.EventsIn)
	}
}

// TestLargeEvents sends events of several frames in each direction.
func TestLargeEvents(t *testing.T) {
	s := newPipeServer(t, testConfig(1), eventhubs.Settings{})
	producer := s.producer(connectionAll)
	var want []string
	for _, size := range []int{1, 65_000, 65_536, 66_000, 200_000, 1_000_000} {
		want = append(want, strings.Repeat(string(rune('a'+len(want))), size))
	}
	for _, body := range want {
		require.NoError(t, send(timeout(t), t, producer, azeventhubs.EventDataBatchOptions{}, body))
	}
	got := bodies(readAll(t, s, len(want)))
	for i := range want {
		require.Equal(t, sha256.Sum256([]byte(want[i])), sha256.Sum256([]byte(got[i])), "event %d of %d bytes came as %d", i, len(want[i]), len(got[i]))
	}
}

// TestWindowIsRenewed has a session window of few frames, which one message already exceeds half of.
func TestWindowIsRenewed(t *testing.T) {
	cfg := testConfig(1)
	cfg.SessionWindow = 8
	s := newPipeServer(t, cfg, eventhubs.Settings{})
	producer := s.producer(connectionAll)
	for range 20 {
		require.NoError(t, send(timeout(t), t, producer, azeventhubs.EventDataBatchOptions{}, strings.Repeat("x", 400_000)))
	}
	require.Equal(t, int64(20), s.hub.State().Partitions[0].EventsIn)
}

// TestCreditIsRenewed has a credit of two messages for a link that sends twenty, at once and by and by.
func TestCreditIsRenewed(t *testing.T) {
	cfg := testConfig(1)
	cfg.LinkCredit = 2
	s := newPipeServer(t, cfg, eventhubs.Settings{})
	producer := s.producer(connectionAll)
	done := make(chan error, 20)
	for range 20 {
		go func() { done <- sendNumbered(t.Context(), producer, "0", 0, 1) }()
	}
	for range 20 {
		require.NoError(t, <-done)
	}
	require.Equal(t, int64(20), s.hub.State().Partitions[0].EventsIn)
}

// plainSession is a go-amqp session with all claims.
func plainSession(t *testing.T, s *pipeServer) *amqp.Session {
	t.Helper()
	c, err := s.client(timeout(t), &amqp.ConnOptions{SASLType: amqp.SASLTypePlain("all", "c2VjcmV0")})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	session, err := c.NewSession(timeout(t), nil)
	require.NoError(t, err)
	return session
}

func TestRejectedMessages(t *testing.T) {
	s := newPipeServer(t, testConfig(1), eventhubs.Settings{})
	ctx := timeout(t)
	sender, err := plainSession(t, s).NewSender(ctx, "hub", nil)
	require.NoError(t, err)
	require.Equal(t, uint64(eventhubs.MiB), sender.MaxMessageSize())

	garbage := goodMessage()
	garbage.Format = 0x80013700
	garbage.Data = [][]byte{{0xff, 0xff}}
	err = sender.Send(ctx, garbage, nil)
	requireCondition(t, err, "amqp:decode-error")

	empty := &amqp.Message{Format: 0x80013700, Value: "no data section"}
	requireCondition(t, sender.Send(ctx, empty, nil), "amqp:decode-error")

	require.NoError(t, sender.Send(ctx, goodMessage(), nil), "the link goes on")
	require.Equal(t, int64(1), s.hub.State().Partitions[0].EventsIn, "a batch goes in as a whole or not at all")
	require.Equal(t, int64(2), s.State().DeliveriesRejected)
}

func goodMessage() *amqp.Message { return amqp.NewMessage([]byte("good")) }

// TestTooLargeMessage sends in frames what go-amqp would refuse to send.
func TestTooLargeMessage(t *testing.T) {
	cfg := testConfig(1)
	cfg.MaxMessageBytes = 100_000
	s := newPipeServer(t, cfg, eventhubs.Settings{})
	c := newRawSender(t, s)
	require.Equal(t, "amqp:link:message-size-exceeded", c.message(1, bytes.Repeat([]byte{'x'}, 150_000)))
	require.Empty(t, c.message(2, bytes.Repeat([]byte{'x'}, 90_000)))
	require.Equal(t, int64(1), s.hub.State().Partitions[0].EventsIn)
}

// TestAbortedMessage begins a message, aborts it and sends another.
func TestAbortedMessage(t *testing.T) {
	s := newPipeServer(t, testConfig(1), eventhubs.Settings{})
	c := newRawSender(t, s)
	c.transfer(1, transferPart{payload: []byte("half"), more: true})
	c.transfer(1, transferPart{aborted: true})
	require.Empty(t, c.message(2, []byte("whole")))
	require.Equal(t, []string{"whole"}, bodies(readAll(t, s, 1)))
}

// TestTypesSurvive sends properties of each type and annotations of its own, and gets them back.
func TestTypesSurvive(t *testing.T) {
	s := newPipeServer(t, testConfig(1), eventhubs.Settings{})
	properties := map[string]any{
		"string": "s", "int32": int32(-1), "int64": int64(-2), "uint32": uint32(3), "uint64": uint64(4), "bool": true,
		"float": 1.5, "binary": []byte{1}, "time": time.UnixMilli(1234).UTC(), "uint8": uint8(9), "null": nil,
	}
	producer := s.producer(connectionAll)
	batch, err := producer.NewEventDataBatch(timeout(t), nil)
	require.NoError(t, err)
	require.NoError(t, batch.AddAMQPAnnotatedMessage(&azeventhubs.AMQPAnnotatedMessage{
		Body:                  azeventhubs.AMQPAnnotatedMessageBody{Value: map[string]any{"n": int64(1)}},
		ApplicationProperties: maps.Clone(properties),
		MessageAnnotations:    map[any]any{"own": "kept", "x-opt-sequence-number": int64(-99)},
		Header:                &azeventhubs.AMQPAnnotatedMessageHeader{Priority: 7},
		Footer:                map[any]any{"foot": int64(5)},
		Properties:            &azeventhubs.AMQPAnnotatedMessageProperties{GroupID: new("g"), MessageID: "m"},
	}, nil))
	require.NoError(t, producer.SendEventDataBatch(timeout(t), batch, nil))
	e := readAll(t, s, 1)[0]
	require.Empty(t, cmp.Diff(properties, e.Properties))
	require.Equal(t, int64(0), e.SequenceNumber, "a sender cannot set the service's annotations")
	raw := e.RawAMQPMessage
	require.Equal(t, map[string]any{"n": int64(1)}, raw.Body.Value)
	require.Equal(t, "kept", raw.MessageAnnotations["own"])
	require.Equal(t, uint8(7), raw.Header.Priority)
	require.Equal(t, map[any]any{"foot": int64(5)}, raw.Footer)
	require.Equal(t, "g", *raw.Properties.GroupID)
}

func TestAppend(t *testing.T) {
	s := newPipeServer(t, testConfig(2), eventhubs.Settings{})
	receipt, err := s.hub.Append("1", eventhubs.Event{Body: []byte("a")}, eventhubs.Event{
		Body: []byte("b"), MessageID: "id", ContentType: "application/json", PartitionKey: "k",
		Properties: map[string]any{"n": int64(1)},
	})
	require.NoError(t, err)
	require.Equal(t, "1", receipt.Partition)
	require.Equal(t, int64(0), receipt.First)
	reader := s.reader(s.consumer(connectionAll), "1", azeventhubs.PartitionClientOptions{StartPosition: earliest})
	got := receive(timeout(t), t, reader, 2)
	require.Equal(t, []string{"a", "b"}, bodies(got))
	require.Nil(t, got[0].MessageID)
	require.Equal(t, "id", *got[1].MessageID)
	require.Equal(t, "application/json", *got[1].ContentType)
	require.Equal(t, "k", *got[1].PartitionKey)
	require.Equal(t, map[string]any{"n": int64(1)}, got[1].Properties)
	require.Equal(t, receipt.EnqueuedAt, got[1].EnqueuedTime.UTC())

	_, err = s.hub.Append("2", eventhubs.Event{})
	require.ErrorIs(t, err, eventhubs.ErrNotFound)
	_, err = s.hub.Append("0", eventhubs.Event{Properties: map[string]any{"x": struct{}{}}})
	require.ErrorContains(t, err, "cannot be sent")
	s.hub.SetEnabled(false)
	_, err = s.hub.Append("0", eventhubs.Event{})
	require.ErrorIs(t, err, eventhubs.ErrDisabled)
}
