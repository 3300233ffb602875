package grpcserver_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/interop/grpc_testing"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"

	"github.com/entraflow/entraflow/pkg/grpcserver"
)

func TestNoMethodWorksWithoutAValidToken(t *testing.T) {
	called := false
	m := &methods{
		empty:  func(context.Context) error { called = true; return nil },
		stream: func(context.Context, func() error) error { called = true; return nil },
	}
	s := start(t, m, nil)
	conn := s.connect(t, insecure.NewCredentials())
	client := grpc_testing.NewTestServiceClient(conn)
	tokens := map[string][]string{
		"none": nil, "empty": {""}, "scheme alone": {"Bearer"}, "empty token": {"Bearer "}, "wrong": {"Bearer " + strings.Repeat("0", 64)},
		"other scheme": {"Basic " + rightToken}, "bare": {rightToken}, "prefix": {"Bearer " + rightToken[:63]},
		"longer": {"Bearer " + rightToken + "0"}, "two": {"Bearer " + rightToken, "Bearer " + rightToken},
	}
	calls := map[string]func(context.Context) error{
		"unary": func(ctx context.Context) error {
			_, err := client.EmptyCall(ctx, &grpc_testing.Empty{})
			return err
		},
		"stream": func(ctx context.Context) error {
			stream, err := client.StreamingOutputCall(ctx, &grpc_testing.StreamingOutputCallRequest{})
			require.NoError(t, err)
			return drainStream(stream)
		},
		"health": func(ctx context.Context) error {
			_, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{})
			return err
		},
		"reflection": func(ctx context.Context) error { return reflect(ctx, t, conn) },
		"unknown": func(ctx context.Context) error {
			return conn.Invoke(ctx, "/no.Service/Method", &grpc_testing.Empty{}, &grpc_testing.Empty{})
		},
	}
	for tokenName, values := range tokens {
		for callName, call := range calls {
			t.Run(tokenName+"/"+callName, func(t *testing.T) {
				requireStatus(t, codes.Unauthenticated, "UNAUTHENTICATED", call(withToken(t.Context(), values...)))
			})
		}
	}
	require.False(t, called)

	for callName, call := range calls {
		t.Run("right/"+callName, func(t *testing.T) {
			err := call(authorized(t))
			if callName == "unknown" {
				requireStatus(t, codes.Unimplemented, "METHOD_UNKNOWN", err)
				return
			}
			require.NoError(t, err)
		})
	}
	require.NoError(t, testutil.GatherAndCompare(s.registry, strings.NewReader(`
# HELP entraflow_gateway_grpc_calls_total gRPC calls that ended, by method and status code.
# TYPE entraflow_gateway_grpc_calls_total counter
entraflow_gateway_grpc_calls_total{code="OK",method="/grpc.health.v1.Health/Check"} 1
entraflow_gateway_grpc_calls_total{code="OK",method="/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"} 1
entraflow_gateway_grpc_calls_total{code="OK",method="/grpc.testing.TestService/EmptyCall"} 1
entraflow_gateway_grpc_calls_total{code="OK",method="/grpc.testing.TestService/StreamingOutputCall"} 1
entraflow_gateway_grpc_calls_total{code="Unauthenticated",method="/grpc.health.v1.Health/Check"} 10
entraflow_gateway_grpc_calls_total{code="Unauthenticated",method="/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"} 10
entraflow_gateway_grpc_calls_total{code="Unauthenticated",method="/grpc.testing.TestService/EmptyCall"} 10
entraflow_gateway_grpc_calls_total{code="Unauthenticated",method="/grpc.testing.TestService/StreamingOutputCall"} 10
entraflow_gateway_grpc_calls_total{code="Unauthenticated",method="unknown"} 10
entraflow_gateway_grpc_calls_total{code="Unimplemented",method="unknown"} 1
`), "entraflow_gateway_grpc_calls_total"))
}

func reflect(ctx context.Context, t *testing.T, conn *grpc.ClientConn) error {
	t.Helper()
	stream, err := reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	require.NoError(t, err)
	_ = stream.Send(&reflectionv1.ServerReflectionRequest{ // Recv has the error
		MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{},
	})
	_ = stream.CloseSend()
	if _, err = stream.Recv(); err != nil {
		return err
	}
	_, err = stream.Recv()
	require.ErrorIs(t, err, io.EOF)
	return nil
}

func TestPublicMethodsNeedNoToken(t *testing.T) {
	m := &methods{empty: func(ctx context.Context) error {
		_, known := grpcserver.Caller(ctx)
		require.False(t, known)
		return nil
	}}
	s := start(t, m, func(_ *grpcserver.Config, set *grpcserver.Settings) {
		set.Public = []string{healthv1.Health_Check_FullMethodName, grpc_testing.TestService_EmptyCall_FullMethodName}
	})
	conn := s.connect(t, insecure.NewCredentials())
	_, err := grpc_testing.NewTestServiceClient(conn).EmptyCall(t.Context(), &grpc_testing.Empty{})
	require.NoError(t, err)
	health := healthv1.NewHealthClient(conn)
	check := func(service string) healthv1.HealthCheckResponse_ServingStatus {
		answer, err := health.Check(t.Context(), &healthv1.HealthCheckRequest{Service: service})
		require.NoError(t, err)
		return answer.GetStatus()
	}
	require.Equal(t, healthv1.HealthCheckResponse_SERVING, check(""))
	s.SetServing("x", false)
	require.Equal(t, healthv1.HealthCheckResponse_NOT_SERVING, check("x"))
	s.SetServing("x", true)
	require.Equal(t, healthv1.HealthCheckResponse_SERVING, check("x"))
	requireStatus(t, codes.Unauthenticated, "UNAUTHENTICATED", reflect(t.Context(), t, conn))
}

func TestMethodsKnowTheirCaller(t *testing.T) {
	var caller grpcserver.Identity
	note := func(ctx context.Context) error {
		caller, _ = grpcserver.Caller(ctx)
		return nil
	}
	m := &methods{empty: note, stream: func(ctx context.Context, _ func() error) error { return note(ctx) }}
	client := start(t, m, nil).dial(t, insecure.NewCredentials())
	want := grpcserver.Identity{Subject: "operator", Tenants: []string{"contoso"}}

	_, err := client.EmptyCall(authorized(t), &grpc_testing.Empty{})
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(want, caller))

	caller = grpcserver.Identity{}
	stream, err := client.StreamingOutputCall(authorized(t), &grpc_testing.StreamingOutputCallRequest{})
	require.NoError(t, err)
	require.NoError(t, drainStream(stream))
	require.Empty(t, cmp.Diff(want, caller))

	require.True(t, want.MaySee("contoso"))
	require.False(t, want.MaySee("fabrikam"))
	require.False(t, grpcserver.Identity{}.MaySee(""))
	require.True(t, grpcserver.Identity{AllTenants: true}.MaySee("fabrikam"))
}

func TestAnEmptyStaticTokenOpensNothing(t *testing.T) {
	_, err := grpcserver.StaticToken{}.Authenticate(t.Context(), grpcserver.Proof{})
	require.ErrorIs(t, err, grpcserver.ErrUnauthenticated)
}

// brokenStore is an Authenticator whose store is away.
type brokenStore struct{}

func (brokenStore) Authenticate(context.Context, grpcserver.Proof) (grpcserver.Identity, error) {
	return grpcserver.Identity{}, errors.New("dialing 10.0.0.1: refused")
}

func TestAnAuthenticatorThatFailsLetsNobodyIn(t *testing.T) {
	m := &methods{empty: func(context.Context) error { return nil }}
	s := start(t, m, func(_ *grpcserver.Config, set *grpcserver.Settings) { set.Authenticator = brokenStore{} })
	_, err := s.dial(t, insecure.NewCredentials()).EmptyCall(authorized(t), &grpc_testing.Empty{})
	requireStatus(t, codes.Internal, "INTERNAL", err)
	require.NotContains(t, err.Error(), "10.0.0.1")
}
