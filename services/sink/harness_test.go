package sink_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httputil"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entraflow/entraflow/pkg/app"
	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/bustest"
	"github.com/entraflow/entraflow/pkg/clickhouse"
	"github.com/entraflow/entraflow/pkg/clickhouse/clickhousetest"
	"github.com/entraflow/entraflow/pkg/clickhouse/embedded"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/lifecycle"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/sink"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(clickhousetest.Main(m)) }

// patience bounds every wait; it is only used up by what is broken, also on a busy machine.
const patience = 2 * time.Minute

// world is a bus and a store without a sink.
type world struct {
	bus       *bustest.Bus
	store     *clickhouse.Store
	conn      *bus.Conn // the streamer's
	publisher *bus.Publisher
	registry  *prometheus.Registry
	last      uint64 // sequence of the last event published
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{bus: bustest.New(t), store: clickhousetest.New(t), registry: prometheus.NewRegistry()}
	w.conn = w.bus.Connect(t, bus.UserStreamer)
	w.publisher = bustest.Publisher(t, w.conn)
	return w
}

func (w *world) config() sink.Config {
	cfg := sink.DefaultConfig()
	cfg.NATS = w.bus.Server.Config(bus.UserSink)
	cfg.ClickHouse.Database = w.store.Database()
	cfg.ClickHouse.Embedded.DataDir = "not used"
	cfg.Batch.MaxDelay = 20 * time.Millisecond
	cfg.Retry = sink.RetryConfig{First: 10 * time.Millisecond, Max: 100 * time.Millisecond}
	return cfg
}

func (w *world) service(t testing.TB, cfg sink.Config) *sink.Sink {
	t.Helper()
	s, err := sink.New(cfg, sink.Settings{
		Settings:  app.Settings{Registry: w.registry},
		InProcess: w.bus.Server,
		Engine:    w.store.Engine,
	})
	require.NoError(t, err)
	return s
}

// start runs a sink until stop is called or the test ends.
func (w *world) start(t testing.TB, change ...func(*sink.Config)) (stop func()) {
	t.Helper()
	cfg := w.config()
	for _, c := range change {
		c(&cfg)
	}
	group := lifecycle.NewGroup(lifecycle.DefaultDrain, w.service(t, cfg))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- group.Run(ctx) }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			require.NoError(t, <-done)
		}
	}
	t.Cleanup(stop)
	select {
	case <-group.Ready():
	case err := <-done:
		require.FailNow(t, "sink ended", "error: %v", err)
	case <-time.After(patience):
		require.FailNow(t, "sink did not get ready")
	}
	return stop
}

func (w *world) publish(t testing.TB, messages ...bus.Message) {
	t.Helper()
	for _, m := range messages {
		ack, err := w.publisher.Publish(t.Context(), m, bus.PublishOptions{})
		require.NoError(t, err)
		if m.BusStream() == eventv1.EventStream {
			w.last = ack.Sequence
		}
	}
}

// flood publishes events without waiting for each.
func (w *world) flood(t testing.TB, events []*eventv1.Event) {
	t.Helper()
	var failed atomic.Int64
	acks := make(chan uint64, len(events))
	for _, e := range events {
		require.NoError(t, w.publisher.PublishAsync(t.Context(), e, bus.PublishOptions{}, func(ack bus.Ack, err error) {
			if err != nil {
				failed.Add(1)
			}
			acks <- ack.Sequence
		}))
	}
	for range events {
		w.last = max(w.last, <-acks)
	}
	require.Zero(t, failed.Load())
}

// stored waits until the sink has acknowledged everything published so far.
func (w *world) stored(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, bus.Stored(ctx, w.conn.JetStream(), eventv1.EventStream, w.last))
}

// delivered waits until every event published so far was delivered at least once.
func (w *world) delivered(t testing.TB) {
	t.Helper()
	require.Eventually(t, func() bool { return w.durable(t).Delivered.Stream >= w.last }, patience, 5*time.Millisecond)
}

func (w *world) durable(t testing.TB) *jetstream.ConsumerInfo {
	t.Helper()
	consumer, err := w.conn.JetStream().Consumer(t.Context(), eventv1.EventStream, bus.UserSink)
	require.NoError(t, err)
	return consumer.CachedInfo()
}

func (w *world) count(t testing.TB, query string) uint64 {
	t.Helper()
	var n uint64
	require.NoError(t, w.store.Conn().QueryRow(t.Context(), query).Scan(&n))
	return n
}

// eventually waits until a query gives the number.
func (w *world) eventually(t testing.TB, want uint64, query string) {
	t.Helper()
	require.Eventually(t, func() bool { return w.count(t, query) == want }, patience, 20*time.Millisecond, query)
}

func (w *world) metric(t testing.TB, name string) float64 {
	t.Helper()
	families, err := w.registry.Gather()
	require.NoError(t, err)
	total := 0.0
	for _, family := range families {
		if family.GetName() == name {
			for _, m := range family.GetMetric() {
				total += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return total
}

// server serves the engine of a world on a port that can be closed and opened again, as a ClickHouse
// that is restarted.
type server struct {
	address string
	handler http.Handler
	http    *http.Server
	done    chan struct{}
}

func (w *world) serve(t testing.TB) *server {
	t.Helper()
	s := &server{address: "127.0.0.1:0", handler: &httputil.ReverseProxy{
		Rewrite:   func(*httputil.ProxyRequest) {},
		Transport: embedded.RoundTripper(w.store.Engine()),
	}}
	s.open(t)
	t.Cleanup(func() { s.close(t) })
	return s
}

func (s *server) open(t testing.TB) {
	t.Helper()
	var lc net.ListenConfig
	listener, err := lc.Listen(t.Context(), "tcp", s.address)
	require.NoError(t, err)
	s.address = listener.Addr().String()
	s.http, s.done = &http.Server{Handler: s.handler}, make(chan struct{})
	go func() {
		defer close(s.done)
		_ = s.http.Serve(listener)
	}()
}

func (s *server) close(t testing.TB) {
	t.Helper()
	if s.http == nil {
		return
	}
	require.NoError(t, s.http.Close())
	<-s.done
	s.http = nil
}

// by makes a sink reach the engine through the server.
func (s *server) by(cfg *sink.Config) {
	cfg.ClickHouse.DSN = config.NewSecret("http://" + s.address)
}
