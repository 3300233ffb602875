package subscribe

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/bustest"
	"github.com/entraflow/entraflow/pkg/grpcserver"
	"github.com/entraflow/entraflow/pkg/telemetry"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

const patience = 30 * time.Second

// lookups is JetStream that tells of each look-up of a stream, which the hub and the feeds do first of all.
type lookups struct {
	jetstream.JetStream
	seen atomic.Pointer[func(context.Context)]
}

func (l *lookups) Stream(ctx context.Context, name string) (jetstream.Stream, error) {
	if seen := l.seen.Load(); seen != nil {
		(*seen)(ctx)
	}
	return l.JetStream.Stream(ctx, name)
}

// world is a Server over a bus, without gRPC.
type world struct {
	*Server

	lookups   *lookups
	publisher *bus.Publisher
	logs      *bytes.Buffer // to be read after Wait
}

func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	b := bustest.New(t)
	cfg := DefaultConfig()
	cfg.KeepAlive = 100 * time.Millisecond
	change(&cfg)
	require.NoError(t, cfg.Validate())
	w := &world{
		lookups:   &lookups{JetStream: b.Connect(t, bus.UserGateway).JetStream()},
		publisher: bustest.Publisher(t, b.Connect(t, bus.UserStreamer)), logs: &bytes.Buffer{},
	}
	metrics := telemetry.NewMetrics(prometheus.NewRegistry(), "gateway")
	w.Server = NewServer(cfg, Settings{
		JetStream: w.lookups, Tokens: newCodec(t), Metrics: NewMetrics(metrics),
		Logger: slog.New(slog.NewTextHandler(w.logs, nil)),
	})
	require.NoError(t, metrics.Err())
	t.Cleanup(w.Wait)
	return w
}

// publish publishes sign-ins with these numbers as ids, from first up to last.
func (w *world) publish(t *testing.T, first, last int) {
	t.Helper()
	for n := first; n <= last; n++ {
		_, err := w.publisher.Publish(t.Context(), &eventv1.Event{
			Id: fmt.Sprint(n), TenantId: "t", Kind: "signin", Payload: &eventv1.Event_SignIn{SignIn: &eventv1.SignIn{}},
		}, bus.PublishOptions{})
		require.NoError(t, err)
	}
}

// client is a caller of Subscribe that reads each response by itself: until then its Send blocks.
type client struct {
	grpc.ServerStream

	ctx       context.Context //nolint:containedctx // a stream's
	cancel    context.CancelFunc
	responses chan []byte
	ended     chan error
	sent      func() // before each Send
}

func (c *client) Context() context.Context { return c.ctx }

func (c *client) Send(response *controlv1.SubscribeResponse) error {
	c.sent()
	content, err := proto.Marshal(response)
	if err != nil {
		return err
	}
	select {
	case c.responses <- content:
		return nil
	case <-c.ctx.Done():
		return c.ctx.Err()
	}
}

// call subscribes as somebody. The call is over when the test ends.
func (w *world) call(t *testing.T, subject string, req *controlv1.SubscribeRequest, sent func()) *client {
	t.Helper()
	ctx, cancel := context.WithCancel(grpcserver.WithCaller(t.Context(), grpcserver.Identity{Subject: subject, AllTenants: true}))
	c := &client{ctx: ctx, cancel: cancel, responses: make(chan []byte), ended: make(chan error, 1), sent: sent}
	t.Cleanup(cancel)
	w.running.Go(func() { c.ended <- w.Subscribe(req, c) })
	return c
}

// receive returns the next response.
func (c *client) receive(t *testing.T) *controlv1.SubscribeResponse {
	t.Helper()
	response := &controlv1.SubscribeResponse{}
	select {
	case content := <-c.responses:
		require.NoError(t, proto.Unmarshal(content, response))
	case err := <-c.ended:
		require.FailNow(t, "the subscription ended", "error: %v", err)
	case <-time.After(patience):
		require.FailNow(t, "no response")
	}
	return response
}

// ids reads until n events came and returns their ids.
func (c *client) ids(t *testing.T, n int) (ids []string) {
	t.Helper()
	for len(ids) < n {
		for _, e := range c.receive(t).GetEvents() {
			ids = append(ids, e.GetId())
		}
	}
	return ids
}

// end returns the error with which the call ends.
func (c *client) end(t *testing.T) error {
	t.Helper()
	select {
	case err := <-c.ended:
		return err
	case <-time.After(patience):
		require.FailNow(t, "the subscription did not end")
		return nil
	}
}

func nothing() {}

// past asks for everything there is.
func past() *controlv1.SubscribeRequest {
	return &controlv1.SubscribeRequest{Begin: &controlv1.SubscribeRequest_StartTime{StartTime: &timestamppb.Timestamp{}}}
}

// The hub outlives the call that needed it first, and so must not hold what that call holds.
func TestTheHubHasNoCaller(t *testing.T) {
	w := newWorld(t, func(*Config) {})
	asked := make(chan bool, 100)
	seen := func(ctx context.Context) {
		_, called := grpcserver.Caller(ctx)
		asked <- called
	}
	w.lookups.seen.Store(&seen)
	ctx := grpcserver.WithCaller(t.Context(), grpcserver.Identity{Subject: "first", AllTenants: true})
	_, leave, err := w.enter(ctx)
	require.NoError(t, err)
	leave()
	w.Wait()
	require.NotEmpty(t, asked)
	for range len(asked) {
		require.False(t, <-asked)
	}
}
