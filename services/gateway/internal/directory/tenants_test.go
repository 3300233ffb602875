package directory

import (
	"context"
	"errors"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/entraflow/entraflow/pkg/app/apptest"
	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/grpcserver"
	"github.com/entraflow/entraflow/pkg/telemetry"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/token"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errAsked = errors.New("asked")

// asked is a store that keeps which tenants it was asked about.
type asked struct{ tenants [][]string }

func (a *asked) Query(_ context.Context, _ string, args ...any) (driver.Rows, error) {
	for _, arg := range args {
		if named, ok := arg.(driver.NamedValue); ok && named.Name == "tenants" {
			a.tenants = append(a.tenants, named.Value.([]string)) //nolint:errcheck // a fault of the test
		}
	}
	return nil, errAsked
}

// methods calls every method about a tenant; empty names none.
func methods(c controlv1.DirectoryServiceClient, tenant string) map[string]func(context.Context) error {
	ids := named(tenant)
	return map[string]func(context.Context) error{
		"SearchUsers": func(ctx context.Context) error {
			_, err := c.SearchUsers(ctx, &controlv1.SearchUsersRequest{TenantIds: ids})
			return err
		},
		"SearchUsers of a class": func(ctx context.Context) error {
			_, err := c.SearchUsers(ctx, &controlv1.SearchUsersRequest{TenantIds: ids, Classes: []controlv1.UserClass{controlv1.UserClass_USER_CLASS_ADMIN}})
			return err
		},
		"GetUser": func(ctx context.Context) error {
			_, err := c.GetUser(ctx, &controlv1.GetUserRequest{User: "ada", TenantId: tenant})
			return err
		},
		"ListGroups": func(ctx context.Context) error {
			_, err := c.ListGroups(ctx, &controlv1.ListGroupsRequest{TenantIds: ids})
			return err
		},
		"ListMembers": func(ctx context.Context) error {
			_, err := c.ListMembers(ctx, &controlv1.ListMembersRequest{GroupId: "g", TenantId: tenant})
			return err
		},
		"ListApplications": func(ctx context.Context) error {
			_, err := c.ListApplications(ctx, &controlv1.ListApplicationsRequest{TenantIds: ids})
			return err
		},
		"ListHistory": func(ctx context.Context) error {
			_, err := c.ListHistory(ctx, &controlv1.ListHistoryRequest{Object: "user", Id: "ada", TenantId: tenant})
			return err
		},
	}
}

// serve runs the service for one caller.
func serve(t *testing.T, store querier, identity grpcserver.Identity) controlv1.DirectoryServiceClient {
	t.Helper()
	pages, err := token.NewCodec(config.NewSecret("secret"), "directory page")
	require.NoError(t, err)
	service := NewServer(DefaultConfig(), Settings{
		Store: store, Tokens: pages, Clock: clock.Real(), Metrics: NewMetrics(telemetry.NewMetrics(nil, "test")),
	})
	set := apptest.Settings(t)
	server, err := grpcserver.New(grpcserver.DefaultConfig(), grpcserver.Settings{
		Service: "test", Logger: set.Logger, Registry: prometheus.NewRegistry(),
		Authenticator: grpcserver.StaticToken{Token: config.NewSecret("token"), Identity: identity},
		Register:      func(r grpc.ServiceRegistrar) { controlv1.RegisterDirectoryServiceServer(r, service) },
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
	return controlv1.NewDirectoryServiceClient(conn)
}

// Whoever may see one tenant asks about that one alone, whatever the method.
func TestCallersSeeTheirTenants(t *testing.T) {
	mine := grpcserver.Identity{Subject: "x", Tenants: []string{"mine"}}
	all := grpcserver.Identity{Subject: "x", AllTenants: true}
	count := controlv1.DirectoryService_ServiceDesc.Methods
	for name, tc := range map[string]struct {
		tenant string
		caller grpcserver.Identity
		want   []string
		code   codes.Code
	}{
		"own, not named":      {"", mine, []string{"mine"}, codes.Unavailable},
		"own, named":          {"MINE", mine, []string{"mine"}, codes.Unavailable},
		"another's":           {"yours", mine, nil, codes.PermissionDenied},
		"nobody's":            {"", grpcserver.Identity{Subject: "x"}, nil, codes.PermissionDenied},
		"all, not named":      {"", all, []string{}, codes.Unavailable},
		"one of all, by name": {"yours", all, []string{"yours"}, codes.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			store := &asked{}
			calls := methods(serve(t, store, tc.caller), tc.tenant)
			require.Len(t, calls, len(count)+1, "every method, and one twice")
			ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer token")
			for method, call := range calls {
				store.tenants = nil
				require.Equal(t, tc.code, status.Code(call(ctx)), method)
				if tc.want == nil {
					require.Empty(t, store.tenants, method)
					continue
				}
				require.Equal(t, [][]string{tc.want}, store.tenants, method)
			}
		})
	}
	for method, call := range methods(serve(t, &asked{}, all), "") {
		require.Equal(t, codes.Unauthenticated, status.Code(call(t.Context())), method)
	}
}
