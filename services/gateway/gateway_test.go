package gateway_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/entraflow/entraflow/pkg/app/apptest"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/lifecycle"
	"github.com/entraflow/entraflow/pkg/lifecycle/lifecycletest"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/gateway"
)

func TestLifecycle(t *testing.T) {
	w := prepareWorld(t)
	lifecycletest.Run(t, func(t *testing.T) lifecycle.Service {
		t.Helper()
		service, err := gateway.New(w.cfg, w.settings(t))
		require.NoError(t, err)
		return service
	})
}

func TestConfigFaultsAreNamed(t *testing.T) {
	cases := map[string]struct {
		change func(*gateway.Config)
		want   string
	}{
		"store":        {func(*gateway.Config) {}, "clickhouse.dsn: must be set"},
		"public":       {func(c *gateway.Config) { c.GRPC.Address = "0.0.0.0:7300" }, "grpc.address: must be on loopback, or have tls"},
		"token file":   {func(c *gateway.Config) { c.TokenFile = "" }, "token_file: must be set"},
		"dsn":          {func(c *gateway.Config) { c.ClickHouse.DSN = config.NewSecret("ftp://x") }, "clickhouse.dsn: must be clickhouse://, http:// or https:// with a host"},
		"probe":        {func(c *gateway.Config) { c.ProbeInterval = 0 }, "probe_interval: must be positive"},
		"seal":         {func(c *gateway.Config) { c.Seal.KeyURL = "ftp://x" }, "seal.key_url: must begin with hashivault://, azurekeyvault:// or awskms://"},
		"search":       {func(c *gateway.Config) { c.Search.FetchRows = 0 }, "search.fetch_rows: must be between 1 and 1000"},
		"subscription": {func(c *gateway.Config) { c.Subscribe.BufferBytes = config.MiB }, "subscribe.buffer_bytes: must be at least 9MiB, to hold the largest message"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			cfg := gateway.DefaultConfig()
			tc.change(&cfg)
			_, err := gateway.New(cfg, gateway.Settings{Settings: apptest.Settings(t)})
			require.EqualError(t, err, tc.want)
		})
	}
}

// serving waits until the health service says so of a service.
func (w *world) serving(t *testing.T, service string, want healthv1.HealthCheckResponse_ServingStatus) {
	t.Helper()
	client := healthv1.NewHealthClient(w.conn)
	require.Eventually(t, func() bool {
		answer, err := client.Check(t.Context(), &healthv1.HealthCheckRequest{Service: service})
		return err == nil && answer.GetStatus() == want
	}, patience, 20*time.Millisecond, service)
}

func TestWithoutAStoreEventsStillCome(t *testing.T) {
	w := prepareWorld(t, func(c *gateway.Config) {
		// Nobody listens on port 1.
		c.ClickHouse.DSN, c.ClickHouse.DialTimeout = config.NewSecret("http://127.0.0.1:1"), 100*time.Millisecond
	})
	set := w.settings(t)
	set.Engine = nil
	w.run(t, set)
	w.conn = w.dial(t, w.token(t))

	_, err := controlv1.NewSignInServiceClient(w.conn).SearchSignIns(t.Context(), &controlv1.SearchSignInsRequest{})
	away := status.Convert(err)
	require.Equal(t, codes.Unavailable, away.Code())
	require.Equal(t, "the store cannot be reached", away.Message())
	require.Len(t, away.Details(), 2)
	info, ok := away.Details()[0].(*errdetails.ErrorInfo)
	require.True(t, ok)
	require.Equal(t, "STORE_UNAVAILABLE", info.GetReason())
	require.Equal(t, "try again in some seconds; the gateway's log has the cause", info.GetMetadata()["remedy"])

	w.serving(t, controlv1.SignInService_ServiceDesc.ServiceName, healthv1.HealthCheckResponse_NOT_SERVING)
	w.serving(t, controlv1.DirectoryService_ServiceDesc.ServiceName, healthv1.HealthCheckResponse_NOT_SERVING)
	w.serving(t, controlv1.EventService_ServiceDesc.ServiceName, healthv1.HealthCheckResponse_SERVING)
	s := w.subscribe(t, &controlv1.SubscribeRequest{})
	publish(t, w.publisher(t), signIn("1", tenantA))
	require.Equal(t, []string{"1"}, s.names(t, 1))
}

func TestHealthFollowsNATS(t *testing.T) {
	w := newWorld(t)
	w.serving(t, controlv1.SignInService_ServiceDesc.ServiceName, healthv1.HealthCheckResponse_SERVING)
	w.serving(t, controlv1.EventService_ServiceDesc.ServiceName, healthv1.HealthCheckResponse_SERVING)
	w.bus.Server.Shutdown()
	w.serving(t, controlv1.EventService_ServiceDesc.ServiceName, healthv1.HealthCheckResponse_NOT_SERVING)
	w.serving(t, controlv1.SignInService_ServiceDesc.ServiceName, healthv1.HealthCheckResponse_SERVING)
	w.serving(t, "", healthv1.HealthCheckResponse_SERVING)
}

// Before the sink has made the tables, the answer is to wait, not a fault.
func TestWithoutTablesTheStoreIsAway(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.store.Conn().Exec(t.Context(), "DROP TABLE sign_ins"))
	_, err := controlv1.NewSignInServiceClient(w.conn).SearchSignIns(t.Context(), &controlv1.SearchSignInsRequest{})
	require.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
	require.NoError(t, w.store.Conn().Exec(t.Context(), "DROP TABLE users"))
	_, err = controlv1.NewDirectoryServiceClient(w.conn).SearchUsers(t.Context(), &controlv1.SearchUsersRequest{})
	require.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
}

func TestItStopsWhileNATSIsAway(t *testing.T) {
	w := prepareWorld(t, func(c *gateway.Config) { c.NATS.URL = "nats://127.0.0.1:1" })
	service, err := gateway.New(w.cfg, w.settings(t))
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	require.NoError(t, service.Run(ctx))
}
