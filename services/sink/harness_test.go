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

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{bus: bustest.New(tb), store: clickhousetest.New(tb), registry: prometheus.NewRegistry()}
	w.conn = w.bus.Connect(tb, bus.UserStreamer)
	w.publisher = bustest.Publisher(tb, w.conn)
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

func (w *world) service(tb testing.TB, cfg sink.Config) *sink.Sink {
	tb.Helper()
	s, err := sink.New(cfg, sink.Settings{
		Settings:  app.Settings{Registry: w.registry},
		InProcess: w.bus.Server,
		Engine:    w.store.Engine,
	})
	require.NoError(tb, err)
	return s
}

// start runs a sink until stop is called or the test ends.
func (w *world) start(tb testing.TB, change ...func(*sink.Config)) (stop func()) {
	tb.Helper()
	cfg := w.config()
	for _, c := range change {
		c(&cfg)
	}
	group := lifecycle.NewGroup(lifecycle.DefaultDrain, w.service(tb, cfg))
	ctx, cancel := context.WithCancel(tb.Context())
	done := make(chan error, 1)
	go func() { done <- group.Run(ctx) }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			require.NoError(tb, <-done)
		}
	}
	tb.Cleanup(stop)
	select {
	case <-group.Ready():
	case err := <-done:
		require.FailNow(tb, "sink ended", "error: %v", err)
	case <-time.After(patience):
		require.FailNow(tb, "sink did not get ready")
	}
	return stop
}

func (w *world) publish(tb testing.TB, messages ...bus.Message) {
	tb.Helper()
	for _, m := range messages {
		ack, err := w.publisher.Publish(tb.Context(), m, bus.PublishOptions{})
		require.NoError(tb, err)
		if m.BusStream() == eventv1.EventStream {
			w.last = ack.Sequence
		}
	}
}

// flood publishes events without waiting for each.
func (w *world) flood(tb testing.TB, events []*eventv1.Event) {
	tb.Helper()
	var failed atomic.Int64
	acks := make(chan uint64, len(events))
	for _, e := range events {
		require.NoError(tb, w.publisher.PublishAsync(tb.Context(), e, bus.PublishOptions{}, func(ack bus.Ack, err error) {
			if err != nil {
				failed.Add(1)
			}
			acks <- ack.Sequence
		}))
	}
	for range events {
		w.last = max(w.last, <-acks)
	}
	require.Zero(tb, failed.Load())
}

// stored waits until the sink has acknowledged everything published so far.
func (w *world) stored(tb testing.TB) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	require.NoError(tb, bus.Stored(ctx, w.conn.JetStream(), eventv1.EventStream, w.last))
}

// delivered waits until every event published so far was delivered at least once.
func (w *world) delivered(tb testing.TB) {
	tb.Helper()
	require.Eventually(tb, func() bool { return w.durable(tb).Delivered.Stream >= w.last }, patience, 5*time.Millisecond)
}

func (w *world) durable(tb testing.TB) *jetstream.ConsumerInfo {
	tb.Helper()
	consumer, err := w.conn.JetStream().Consumer(tb.Context(), eventv1.EventStream, bus.UserSink)
	require.NoError(tb, err)
	return consumer.CachedInfo()
}

func (w *world) count(tb testing.TB, query string) uint64 {
	tb.Helper()
	var n uint64
	require.NoError(tb, w.store.Conn().QueryRow(tb.Context(), query).Scan(&n))
	return n
}

// eventually waits until a query gives the number.
func (w *world) eventually(tb testing.TB, want uint64, query string) {
	tb.Helper()
	require.Eventually(tb, func() bool { return w.count(tb, query) == want }, patience, 20*time.Millisecond, query)
}

func (w *world) metric(tb testing.TB, name string) int {
	tb.Helper()
	families, err := w.registry.Gather()
	require.NoError(tb, err)
	total := 0.0
	for _, family := range families {
		if family.GetName() == name {
			for _, m := range family.GetMetric() {
				total += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return int(total)
}

// server serves the engine of a world on a port that can be closed and opened again, as a ClickHouse
// that is restarted.
type server struct {
	address string
	handler http.Handler
	http    *http.Server
	done    chan struct{}
}

func (w *world) serve(tb testing.TB) *server {
	tb.Helper()
	s := &server{address: "127.0.0.1:0", handler: &httputil.ReverseProxy{
		Rewrite:   func(*httputil.ProxyRequest) {},
		Transport: embedded.RoundTripper(w.store.Engine()),
	}}
	s.open(tb)
	tb.Cleanup(func() { s.close(tb) })
	return s
}

func (s *server) open(tb testing.TB) {
	tb.Helper()
	var lc net.ListenConfig
	listener, err := lc.Listen(tb.Context(), "tcp", s.address)
	require.NoError(tb, err)
	s.address = listener.Addr().String()
	s.http, s.done = &http.Server{Handler: s.handler}, make(chan struct{})
	go func() {
		defer close(s.done)
		_ = s.http.Serve(listener)
	}()
}

func (s *server) close(tb testing.TB) {
	tb.Helper()
	if s.http == nil {
		return
	}
	require.NoError(tb, s.http.Close())
	<-s.done
	s.http = nil
}

// by makes a sink reach the engine through the server.
func (s *server) by(cfg *sink.Config) {
	cfg.ClickHouse.DSN = config.NewSecret("http://" + s.address)
}
