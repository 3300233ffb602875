package connect_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/bustest"
	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/grpcserver"
	"github.com/entraflow/entraflow/pkg/integrations"
	"github.com/entraflow/entraflow/pkg/runs"
	"github.com/entraflow/entraflow/pkg/seal"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	statev1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/state/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/connect"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience = 20 * time.Second
	tenantA  = "aaaaaaaa-0000-4000-8000-000000000001"
	tenantB  = "bbbbbbbb-0000-4000-8000-000000000002"
	clientID = "cccccccc-0000-4000-8000-000000000003"
	secret   = "s3cr3t~never.to.be.seen"
)

// world is the methods over a bus and gRPC, with a token for all tenants and one for tenantA alone.
type world struct {
	t      *testing.T
	bus    *bustest.Bus
	sealer *seal.Sealer
	logs   *logs
	client controlv1.IntegrationServiceClient // sees every tenant
	only   controlv1.IntegrationServiceClient // sees tenantA
	stop   context.CancelFunc
	// seen is everything that came out: answers and errors as text.
	seen *logs
}

type tokens map[string]grpcserver.Identity

func (t tokens) Authenticate(_ context.Context, proof grpcserver.Proof) (grpcserver.Identity, error) {
	identity, ok := t[proof.Token]
	if !ok {
		return identity, grpcserver.ErrUnauthenticated
	}
	return identity, nil
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, bus: bustest.New(t), logs: &logs{}, seen: &logs{}}
	var err error
	w.sealer, err = seal.Open(t.Context(), seal.Config{KeyFile: filepath.Join(t.TempDir(), "seal.key")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.sealer.Close()) })
	conn := w.bus.Connect(t, bus.UserGateway)
	logger := slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	methods := connect.NewServer(connect.Settings{
		Conn: conn, Sealer: w.sealer, Publisher: bustest.Publisher(t, conn), Ask: connect.AskOver(conn),
		Clock: clock.Clock{}, Logger: logger,
	})
	cfg := grpcserver.DefaultConfig()
	cfg.Address = "127.0.0.1:0"
	server, err := grpcserver.New(cfg, grpcserver.Settings{
		Service: "gateway", Logger: logger,
		Authenticator: tokens{
			"all": {Subject: "all", AllTenants: true}, "a": {Subject: "a", Tenants: []string{tenantA}},
		},
		Register: func(r grpc.ServiceRegistrar) { controlv1.RegisterIntegrationServiceServer(r, methods) },
	})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context())) // stopped before the bus is
	w.stop = stop
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-done)
		w.requireNoSecret()
	})
	<-server.Ready()
	w.client, w.only = w.dial(server.Addr(), "all"), w.dial(server.Addr(), "a")
	return w
}

func (w *world) dial(address net.Addr, token string) controlv1.IntegrationServiceClient {
	w.t.Helper()
	bearer := func(ctx context.Context) context.Context {
		return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	conn, err := grpc.NewClient(address.String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, o ...grpc.CallOption) error {
			err := invoke(bearer(ctx), method, req, reply, cc, o...)
			w.record(reply, err)
			return err
		}),
		grpc.WithStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, stream grpc.Streamer, o ...grpc.CallOption) (grpc.ClientStream, error) {
			return stream(bearer(ctx), desc, cc, method, o...)
		}))
	require.NoError(w.t, err)
	w.t.Cleanup(func() { require.NoError(w.t, conn.Close()) })
	return controlv1.NewIntegrationServiceClient(conn)
}

// record keeps what a client gets.
func (w *world) record(reply any, err error) {
	if m, ok := reply.(proto.Message); ok && err == nil {
		if data, err := proto.Marshal(m); err == nil { // not as text: that would redact
			_, _ = w.seen.Write(data)
		}
	}
	if err != nil {
		data, _ := proto.Marshal(status.Convert(err).Proto())
		_, _ = w.seen.Write(data)
	}
}

// requireNoSecret looks for a secret in all that came out.
func (w *world) requireNoSecret() {
	w.t.Helper()
	for _, text := range []string{w.seen.String(), w.logs.String()} {
		require.NotContains(w.t, text, secret)
		require.NotContains(w.t, text, "SharedAccessKey")
	}
}

// answer is what plays the collector, or the streamer for hubs.
func (w *world) answer(user, question string, handler func(*controlv1.Integration, *controlv1.Credential) *statev1.TestResponse) {
	w.t.Helper()
	conn := w.bus.Connect(w.t, user)
	ctx, stop := context.WithCancel(context.Background()) // stopped before the bus is
	done := make(chan error, 1)
	go func() {
		done <- bus.Answer(ctx, conn, question, func() *statev1.TestRequest { return &statev1.TestRequest{} },
			func(ctx context.Context, q *statev1.TestRequest) (*statev1.TestResponse, error) {
				credential, err := integrations.OpenCredential(ctx, w.sealer, q.GetSealedCredential(), q.GetContext())
				if err != nil {
					return nil, err
				}
				return handler(q.GetIntegration(), credential), nil
			})
	}()
	w.t.Cleanup(func() {
		stop()
		require.NoError(w.t, <-done)
	})
	// The subscription is there once the server has answered what was sent after it.
	require.Eventually(w.t, func() bool { return conn.NATS().NumSubscriptions() > 0 && conn.NATS().Flush() == nil }, patience, time.Millisecond)
}

// stored returns an integration as it is kept, and its credential.
func (w *world) stored(id string) (integrations.Record, *controlv1.Credential) {
	w.t.Helper()
	store, err := integrations.Open(w.t.Context(), w.bus.Connect(w.t, bus.UserCollector), w.sealer)
	require.NoError(w.t, err)
	record, err := store.Get(w.t.Context(), id)
	require.NoError(w.t, err)
	credential, err := store.Credential(w.t.Context(), record)
	require.NoError(w.t, err)
	return record, credential
}

// runs is the bucket as the collector has it.
func (w *world) runs() *runs.Store {
	w.t.Helper()
	store, err := runs.Open(w.t.Context(), w.bus.Connect(w.t, bus.UserCollector))
	require.NoError(w.t, err)
	return store
}

func (w *world) create(id string, i *controlv1.Integration, c *controlv1.Credential) *controlv1.Integration {
	w.t.Helper()
	answer, err := w.client.CreateIntegration(w.t.Context(), &controlv1.CreateIntegrationRequest{
		IntegrationId: id, Integration: i, Credential: c,
	})
	require.NoError(w.t, err)
	return answer.GetIntegration()
}

func entraOf(tenant string) *controlv1.Integration {
	return &controlv1.Integration{
		DisplayName: "Contoso",
		Connection:  &controlv1.Integration_Entra{Entra: &controlv1.EntraConnection{TenantId: tenant, ClientId: clientID}},
	}
}

func hubOf(tenants ...string) *controlv1.Integration {
	return &controlv1.Integration{Connection: &controlv1.Integration_EventHub{EventHub: &controlv1.EventHubConnection{
		Hub: "entra", TenantIds: tenants,
	}}}
}

func secretOf(value string) *controlv1.Credential {
	return &controlv1.Credential{Kind: &controlv1.Credential_ClientSecret{ClientSecret: value}}
}

func stringOf(key string) *controlv1.Credential {
	return &controlv1.Credential{Kind: &controlv1.Credential_ConnectionString{
		ConnectionString: "Endpoint=sb://contoso.servicebus.windows.net;SharedAccessKeyName=k;SharedAccessKey=" + key,
	}}
}

// requireFault checks code, reason and that there is a remedy.
func requireFault(t *testing.T, err error, code codes.Code, reason string) {
	t.Helper()
	require.Error(t, err)
	said := status.Convert(err)
	require.Equal(t, code, said.Code(), "%v", err)
	require.NotEmpty(t, said.Details())
	info, ok := said.Details()[0].(*errdetails.ErrorInfo)
	require.True(t, ok)
	require.Equal(t, reason, info.GetReason(), "%v", err)
	require.NotEmpty(t, info.GetMetadata()["remedy"])
}

// logs collects bytes.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
