package caller_test

import (
	"context"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/entraflow/entraflow/pkg/app/apptest"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/grpcserver"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/caller"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo answers with what the caller may see: the tenants as page token.
type echo struct {
	controlv1.UnimplementedSignInServiceServer

	tenants chan []string
}

func (e echo) SearchSignIns(ctx context.Context, req *controlv1.SearchSignInsRequest) (*controlv1.SearchSignInsResponse, error) {
	tenants, err := caller.Tenants(ctx, req.GetFilter().GetTenantIds())
	if err != nil {
		return nil, err
	}
	e.tenants <- tenants
	return &controlv1.SearchSignInsResponse{}, nil
}

func TestACallerSeesItsTenants(t *testing.T) {
	all := grpcserver.Identity{AllTenants: true}
	some := grpcserver.Identity{Tenants: []string{"a", "b"}}
	cases := map[string]struct {
		identity  grpcserver.Identity
		requested []string
		want      []string
		code      codes.Code
	}{
		"all, any":          {all, nil, nil, codes.OK},
		"all, some":         {all, []string{"B", "a", "b"}, []string{"a", "b"}, codes.OK},
		"some, any":         {some, nil, []string{"a", "b"}, codes.OK},
		"some, one of them": {some, []string{"A"}, []string{"a"}, codes.OK},
		"some, another":     {some, []string{"a", "c"}, nil, codes.PermissionDenied},
		"none":              {grpcserver.Identity{}, nil, nil, codes.PermissionDenied},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			e := echo{tenants: make(chan []string, 1)}
			client := controlv1.NewSignInServiceClient(serve(t, tc.identity, e))
			ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer token")
			_, err := client.SearchSignIns(ctx, &controlv1.SearchSignInsRequest{
				Filter: &controlv1.SignInFilter{TenantIds: tc.requested},
			})
			require.Equal(t, tc.code, status.Code(err), "%v", err)
			if err == nil {
				require.Equal(t, tc.want, <-e.tenants)
			}
		})
	}
}

// serve runs a server that knows one caller.
func serve(t *testing.T, identity grpcserver.Identity, e echo) *grpc.ClientConn {
	t.Helper()
	set := apptest.Settings(t)
	server, err := grpcserver.New(grpcserver.DefaultConfig(), grpcserver.Settings{
		Service: "test", Logger: set.Logger, Registry: prometheus.NewRegistry(),
		Authenticator: grpcserver.StaticToken{Token: config.NewSecret("token"), Identity: identity},
		Register:      func(r grpc.ServiceRegistrar) { controlv1.RegisterSignInServiceServer(r, e) },
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	<-server.Ready()
	conn, err := grpc.NewClient(server.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

func TestWithoutACallerThereIsNothing(t *testing.T) {
	_, err := caller.Tenants(t.Context(), nil)
	require.ErrorIs(t, err, grpcserver.ErrUnauthenticated)
}
