package gateway_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/entraflow/entraflow/pkg/app/apptest"
	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/bustest"
	"github.com/entraflow/entraflow/pkg/clickhouse"
	"github.com/entraflow/entraflow/pkg/clickhouse/clickhousetest"
	"github.com/entraflow/entraflow/pkg/clickhouse/embedded"
	"github.com/entraflow/entraflow/pkg/clickhouse/migrations"
	"github.com/entraflow/entraflow/pkg/clickhouse/tables"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/lifecycle"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/gateway"
)

// patience bounds every wait of these tests.
const patience = 30 * time.Second

// world is a bus, a store and a gateway over them.
type world struct {
	bus     *bustest.Bus
	store   *clickhouse.Store
	cfg     gateway.Config
	gateway *gateway.Service
	metrics *prometheus.Registry
	stop    func()
	conn    *grpc.ClientConn
}

// newWorld starts a gateway; change may change its config before.
func newWorld(tb testing.TB, change ...func(*gateway.Config)) *world {
	tb.Helper()
	w := prepareWorld(tb, change...)
	w.start(tb)
	return w
}

// prepareWorld is newWorld without starting the gateway.
func prepareWorld(tb testing.TB, change ...func(*gateway.Config)) *world {
	tb.Helper()
	w := &world{bus: bustest.New(tb), store: clickhousetest.New(tb)}
	require.NoError(tb, clickhouse.Migrate(tb.Context(), w.store.Conn(), migrations.Files, clickhouse.MigrateOptions{
		Schema: w.store.Schema(migrations.Settings{EventDays: 20_000, DeadLetterDays: 20_000, AuditDays: 20_000}.Map()),
	}))
	w.cfg = gateway.DefaultConfig()
	w.cfg.GRPC.Address, w.cfg.HTTP.Address = "127.0.0.1:0", "127.0.0.1:0"
	w.cfg.TokenFile = filepath.Join(tb.TempDir(), "credentials", "gateway.token")
	w.cfg.Seal.KeyFile = filepath.Join(filepath.Dir(w.cfg.TokenFile), "seal.key")
	w.cfg.NATS = w.bus.Server.Config(bus.UserGateway)
	w.cfg.ClickHouse.Database = w.store.Database()
	w.cfg.ProbeInterval = 100 * time.Millisecond
	for _, c := range change {
		c(&w.cfg)
	}
	return w
}

func (w *world) settings(tb testing.TB) gateway.Settings {
	tb.Helper()
	return gateway.Settings{
		Settings: apptest.Settings(tb),
		Engine:   func() *embedded.Engine { return w.store.Engine() },
	}
}

// start runs the gateway until the test ends or stop is called, and connects to it with its token.
func (w *world) start(tb testing.TB) {
	tb.Helper()
	w.run(tb, w.settings(tb))
	w.conn = w.dial(tb, w.token(tb))
}

func (w *world) run(tb testing.TB, set gateway.Settings) {
	tb.Helper()
	service, err := gateway.New(w.cfg, set)
	require.NoError(tb, err)
	w.gateway = service
	w.metrics, _ = set.Registry.(*prometheus.Registry)
	ctx, cancel := context.WithCancel(tb.Context())
	group := lifecycle.NewGroup(set.Drain, service)
	done := make(chan error, 1)
	go func() { done <- group.Run(ctx) }()
	stopped := false
	w.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			require.NoError(tb, err)
		case <-time.After(patience):
			require.FailNow(tb, "the gateway did not stop")
		}
	}
	tb.Cleanup(w.stop)
	select {
	case <-group.Ready():
	case err := <-done:
		done <- err
		require.FailNow(tb, "the gateway ended", "error: %v", err)
	case <-time.After(patience):
		require.FailNow(tb, "the gateway did not get ready")
	}
}

// metric returns the sum of a metric's values over all its labels.
func (w *world) metric(tb testing.TB, name string) (sum float64) {
	tb.Helper()
	families, err := w.metrics.Gather()
	require.NoError(tb, err)
	for _, family := range families {
		if family.GetName() == "entraflow_gateway_"+name {
			for _, m := range family.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

func (w *world) token(tb testing.TB) string {
	tb.Helper()
	token, err := config.ReadSecret(w.cfg.TokenFile)
	require.NoError(tb, err)
	return token.Reveal()
}

// dial connects with a token, or with none.
func (w *world) dial(tb testing.TB, token string, options ...grpc.DialOption) *grpc.ClientConn {
	tb.Helper()
	options = append(options, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(int(32*config.MiB))))
	if token != "" {
		options = append(options,
			grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, o ...grpc.CallOption) error {
				return invoke(bearer(ctx, token), method, req, reply, cc, o...)
			}),
			grpc.WithStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, stream grpc.Streamer, o ...grpc.CallOption) (grpc.ClientStream, error) {
				return stream(bearer(ctx, token), desc, cc, method, o...)
			}))
	}
	conn, err := grpc.NewClient(w.gateway.Addr().String(), options...)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, conn.Close()) })
	return conn
}

func bearer(ctx context.Context, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

// insert stores events, each batch as a part of its own.
func (w *world) insert(tb testing.TB, events ...*eventv1.Event) {
	tb.Helper()
	signIns := tables.NewEvents().For(&eventv1.Event{Payload: &eventv1.Event_SignIn{}})[0]
	rows := make([]tables.Row[*eventv1.Event], 0, len(events))
	for _, e := range events {
		rows = append(rows, tables.Row[*eventv1.Event]{Message: e, Sequence: 1, StoredAt: time.Now()})
	}
	require.NoError(tb, tables.NewInserter(w.store.Conn(), signIns).Insert(tb.Context(), rows))
}

// publisher publishes as the streamer.
func (w *world) publisher(t *testing.T) *bus.Publisher {
	t.Helper()
	return bustest.Publisher(t, w.bus.Connect(t, bus.UserStreamer))
}
