package bus_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/bustest"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// stored returns the message of EVENTS with the sequence.
func stored(t *testing.T, b *bustest.Bus, stream string, sequence uint64) *jetstream.RawStreamMsg {
	t.Helper()
	s, err := b.Connect(t, bus.UserOperator).JetStream().Stream(t.Context(), stream)
	require.NoError(t, err)
	m, err := s.GetMsg(t.Context(), sequence)
	require.NoError(t, err)
	return m
}

func state(t *testing.T, conn *bus.Conn, stream string) jetstream.StreamState {
	t.Helper()
	s, err := conn.JetStream().Stream(t.Context(), stream)
	require.NoError(t, err)
	return s.CachedInfo().State
}

func TestPublish(t *testing.T) {
	b := bustest.New(t)
	publisher := bustest.Publisher(t, b.Connect(t, bus.UserStreamer))
	sent := event(1, 100)
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled})
	traced := trace.ContextWithSpanContext(t.Context(), span)

	ack, err := publisher.Publish(traced, sent, bus.PublishOptions{MessageID: messageID(1)})
	require.NoError(t, err)
	require.Equal(t, bus.Ack{Stream: "EVENTS", Sequence: 1}, ack)

	m := stored(t, b, "EVENTS", 1)
	require.Equal(t, "events.v1.signin."+tenant, m.Subject)
	headers := map[string]string{}
	for key, values := range m.Header {
		require.Len(t, values, 1)
		headers[key] = values[0]
	}
	for _, addedByGet := range []string{"Nats-Sequence", "Nats-Stream", "Nats-Subject", "Nats-Time-Stamp"} {
		delete(headers, addedByGet)
	}
	require.Empty(t, cmp.Diff(map[string]string{
		"ce-specversion": "1.0", "ce-id": sent.GetId(), "ce-type": "entraflow.event.v1.Event",
		"ce-source": "/integrations/contoso", "ce-time": "2023-11-14T22:13:21Z", "ce-subject": tenant,
		"content-type": "application/protobuf", "Nats-Msg-Id": messageID(1),
		"traceparent": "00-01000000000000000000000000000000-0200000000000000-01",
	}, headers))
	got := new(eventv1.Event)
	require.NoError(t, proto.Unmarshal(m.Data, got))
	require.Empty(t, cmp.Diff(sent, got, protocmp.Transform()))

	again, err := publisher.Publish(t.Context(), sent, bus.PublishOptions{MessageID: messageID(1)})
	require.NoError(t, err)
	require.Equal(t, bus.Ack{Stream: "EVENTS", Sequence: 1, Duplicate: true}, again)
	newer, err := publisher.Publish(t.Context(), sent, bus.PublishOptions{MessageID: messageID(2)})
	require.NoError(t, err)
	require.Equal(t, bus.Ack{Stream: "EVENTS", Sequence: 2}, newer, "a newer version of the event has another message id")
	require.Empty(t, stored(t, b, "EVENTS", 2).Header.Get("traceparent"), "a trace must not stick to the next message")
}

func TestPublishExpectedSequence(t *testing.T) {
	b := bustest.New(t)
	publisher := bustest.Publisher(t, b.Connect(t, bus.UserStreamer))
	none, wrong := uint64(0), uint64(7)
	_, err := publisher.Publish(t.Context(), event(1, 10), bus.PublishOptions{ExpectedLastSubjectSequence: &none})
	require.NoError(t, err)
	_, err = publisher.Publish(t.Context(), event(1, 10), bus.PublishOptions{ExpectedLastSubjectSequence: &wrong})
	require.ErrorIs(t, err, bus.ErrWrongSequence)
	_, err = publisher.Publish(t.Context(), event(1, 10), bus.PublishOptions{})
	require.NoError(t, err, "the expectation must not stick to the next message")
	m := stored(t, b, "EVENTS", 2)
	require.Empty(t, m.Header.Get("Nats-Expected-Last-Subject-Sequence"))
	require.Empty(t, m.Header.Get("Nats-Msg-Id"))
}

func TestPublishDenied(t *testing.T) {
	b := bustest.New(t)
	publisher := bustest.Publisher(t, b.Connect(t, bus.UserSink))
	_, err := publisher.Publish(t.Context(), event(1, 10), bus.PublishOptions{})
	require.ErrorIs(t, err, bus.ErrDenied)
}

func TestPublishGivesUpWithItsContext(t *testing.T) {
	b := bustest.New(t)
	conn := b.Connect(t, bus.UserStreamer)
	publisher := bustest.Publisher(t, conn)
	require.NoError(t, b.Connect(t, bus.UserOperator).JetStream().DeleteStream(t.Context(), "EVENTS"))

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	require.NoError(t, publisher.PublishAsync(ctx, event(1, 10), bus.PublishOptions{}, func(_ bus.Ack, err error) { done <- err }))
	select {
	case err := <-done:
		require.FailNow(t, "reported although the stream may come back", "%v", err)
	case <-time.After(300 * time.Millisecond):
	}
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	require.NoError(t, publisher.Wait(t.Context()))
}

func TestPublishSurvivesTheServer(t *testing.T) {
	b := bustest.New(t)
	cfg := b.Server.Config(bus.UserStreamer)
	conn := b.ConnectWith(t, cfg, bus.Settings{Service: bus.UserStreamer}) // over the socket
	publisher := bustest.Publisher(t, conn)

	const messages = 20_000
	batch := publisher.NewBatch()
	var publishing sync.WaitGroup
	started := make(chan struct{})
	publishing.Go(func() {
		for n := range messages {
			if n == messages/4 {
				close(started)
			}
			if batch.Publish(t.Context(), event(n, 500), bus.PublishOptions{MessageID: messageID(n)}) != nil {
				break // it is the batch's error too
			}
		}
		assert.NoError(t, batch.Wait(t.Context()))
	})
	<-started
	b.Server.Shutdown()
	bustest.Open(t, b.Directory, listen(cfg.URL))
	publishing.Wait()
	require.EqualValues(t, messages, state(t, conn, "EVENTS").Msgs, "each message once")
}

func TestPublishWaitsForRoom(t *testing.T) {
	b := bustest.New(t)
	cfg := b.Server.Config(bus.UserStreamer)
	cfg.MaxInFlight = 2
	conn := b.ConnectWith(t, cfg, bus.Settings{Service: bus.UserStreamer, InProcess: b.Server})
	publisher := bustest.Publisher(t, conn)
	require.NoError(t, b.Connect(t, bus.UserOperator).JetStream().DeleteStream(t.Context(), "EVENTS"))

	failed := make(chan error, 2)
	for n := range 2 {
		require.NoError(t, publisher.PublishAsync(t.Context(), event(n, 10), bus.PublishOptions{}, func(_ bus.Ack, err error) { failed <- err }))
	}
	full, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := publisher.PublishAsync(full, event(3, 10), bus.PublishOptions{}, func(bus.Ack, error) { t.Error("never in flight") })
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, publisher.Wait(full), context.DeadlineExceeded)

	require.ErrorIs(t, publisher.Close(full), bus.ErrClosed)
	require.ErrorIs(t, <-failed, bus.ErrClosed)
	require.ErrorIs(t, <-failed, bus.ErrClosed)
	require.NoError(t, publisher.Close(t.Context()), "closing twice")
	require.ErrorIs(t, publisher.PublishAsync(t.Context(), event(3, 10), bus.PublishOptions{}, nil), bus.ErrClosed)
}

func TestBatchReportsTheFailure(t *testing.T) {
	b := bustest.New(t)
	publisher := bustest.Publisher(t, b.Connect(t, bus.UserStreamer))
	batch := publisher.NewBatch()
	require.NoError(t, batch.Wait(t.Context()), "an empty batch is done")
	wrong := uint64(9)
	require.NoError(t, batch.Publish(t.Context(), event(1, 10), bus.PublishOptions{}))
	require.NoError(t, batch.Publish(t.Context(), event(2, 10), bus.PublishOptions{ExpectedLastSubjectSequence: &wrong}))
	require.ErrorIs(t, batch.Wait(t.Context()), bus.ErrWrongSequence)
}

func TestLargeMessagesGoToBlobs(t *testing.T) {
	b := bustest.New(t)
	conn := b.Connect(t, bus.UserStreamer)
	publisher := bustest.Publisher(t, conn)
	large := event(1, 9<<20)
	raw := large.GetRaw()

	ack, err := publisher.Publish(t.Context(), large, bus.PublishOptions{MessageID: messageID(1)})
	require.NoError(t, err)
	_, err = publisher.Publish(t.Context(), event(1, 9<<20), bus.PublishOptions{MessageID: messageID(2)})
	require.NoError(t, err, "the same bytes again")

	m := stored(t, b, ack.Stream, ack.Sequence)
	require.Less(t, len(m.Data), 1000)
	got := new(eventv1.Event)
	require.NoError(t, proto.Unmarshal(m.Data, got))
	sum := sha256.Sum256(raw)
	want := &eventv1.BlobReference{Name: hex.EncodeToString(sum[:]), Size: 9 << 20}
	require.Empty(t, cmp.Diff(want, got.GetRawBlob(), protocmp.Transform()))

	for _, user := range []string{bus.UserStreamer, bus.UserSink, bus.UserGateway} {
		resolved, err := bus.NewBlobs(b.Connect(t, user)).Resolve(t.Context(), got)
		require.NoError(t, err, user)
		require.Equal(t, raw, resolved, user)
	}
	inline := event(2, 100)
	resolved, err := bus.NewBlobs(conn).Resolve(t.Context(), inline)
	require.NoError(t, err)
	require.Equal(t, inline.GetRaw(), resolved)

	_, err = bus.NewBlobs(conn).Load(t.Context(), &eventv1.BlobReference{Name: "absent"})
	require.ErrorIs(t, err, jetstream.ErrObjectNotFound)

	huge := event(3, 10)
	huge.Notes = []string{string(make([]byte, 9<<20))}
	_, err = publisher.Publish(t.Context(), huge, bus.PublishOptions{})
	require.ErrorIs(t, err, bus.ErrTooLarge)
}

func TestConfigValidate(t *testing.T) {
	require.NoError(t, bus.DefaultConfig().Validate())
	require.EqualError(t, bus.Config{TLS: bus.TLSConfig{CertFile: "x"}}.Validate(), "url: must be set\n"+
		"max_in_flight: must be positive\nmax_in_flight_bytes: must be positive\n"+
		"tls: needs cert_file and key_file together")
}
