package grpcserver_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/entraflow/entraflow/pkg/grpcserver"
)

// requireStatus checks the code and reason of a status, and that it has a request id.
func requireStatus(t *testing.T, code codes.Code, reason string, err error) *errdetails.ErrorInfo {
	t.Helper()
	require.Equal(t, code, status.Code(err), "%v", err)
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			require.Equal(t, reason, info.GetReason())
			require.Equal(t, "entraflow", info.GetDomain())
			require.NotEmpty(t, info.GetMetadata()["request_id"])
			return info
		}
	}
	require.FailNow(t, "a status without ErrorInfo", "%v", err)
	return nil
}

func TestErrorsBecomeStatuses(t *testing.T) {
	unknownTenant := grpcserver.NewError(codes.NotFound, "TENANT_UNKNOWN", "no such tenant", "add an integration")
	cases := map[string]struct {
		err     error
		code    codes.Code
		reason  string
		message string
		remedy  string
	}{
		"shown": {unknownTenant, codes.NotFound, "TENANT_UNKNOWN", "no such tenant", "add an integration"},
		"shown, wrapped, with a cause": {
			fmt.Errorf("secret: %w", unknownTenant.Because(errors.New("secret"))),
			codes.NotFound, "TENANT_UNKNOWN", "no such tenant", "add an integration",
		},
		"unknown": {
			errors.New("secret"), codes.Internal, "INTERNAL", "something went wrong inside", "report the request_id",
		},
		"shown as success": {
			grpcserver.NewError(codes.OK, "OK", "secret", ""),
			codes.Internal, "INTERNAL", "something went wrong inside", "report the request_id",
		},
		"status of generated code": {
			status.Error(codes.Unimplemented, "secret"),
			codes.Unimplemented, "UNIMPLEMENTED", "the call was refused: Unimplemented", "",
		},
		"status of another call": {
			fmt.Errorf("asking: %w", status.Error(codes.NotFound, "secret")),
			codes.Internal, "INTERNAL", "something went wrong inside", "report the request_id",
		},
		"inner deadline": {
			fmt.Errorf("secret: %w", context.DeadlineExceeded),
			codes.DeadlineExceeded, "DEADLINE_EXCEEDED", "the call took too long", "ask for less, or allow more time",
		},
		"inner cancel": {
			fmt.Errorf("secret: %w", context.Canceled),
			codes.Unavailable, "CALL_ABANDONED", "the server abandoned the call", "call again",
		},
	}
	var returned error
	m := &methods{
		empty:  func(context.Context) error { return returned },
		stream: func(context.Context, func() error) error { return returned },
	}
	client := start(t, m, nil).dial(t, insecure.NewCredentials())
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			returned = tc.err
			_, unary := client.EmptyCall(authorized(t), &grpc_testing.Empty{})
			stream, err := client.StreamingOutputCall(authorized(t), &grpc_testing.StreamingOutputCallRequest{})
			require.NoError(t, err)
			for _, err := range []error{unary, drainStream(stream)} {
				info := requireStatus(t, tc.code, tc.reason, err)
				require.Equal(t, tc.message, status.Convert(err).Message())
				require.Equal(t, tc.remedy, info.GetMetadata()["remedy"])
				require.NotContains(t, status.Convert(err).Proto().String(), "secret")
			}
		})
	}
}

func TestAPanicIsAnInternalError(t *testing.T) {
	m := &methods{
		empty:  func(context.Context) error { panic("secret") },
		stream: func(context.Context, func() error) error { panic("secret") },
	}
	client := start(t, m, nil).dial(t, insecure.NewCredentials())
	_, err := client.EmptyCall(authorized(t), &grpc_testing.Empty{})
	requireStatus(t, codes.Internal, "INTERNAL", err)
	require.NotContains(t, err.Error(), "secret")
	stream, err := client.StreamingOutputCall(authorized(t), &grpc_testing.StreamingOutputCallRequest{})
	require.NoError(t, err)
	requireStatus(t, codes.Internal, "INTERNAL", drainStream(stream))
}

func TestAnErrorWithACauseIsStillThatError(t *testing.T) {
	cause := errors.New("cause")
	err := grpcserver.ErrUnauthenticated.Because(cause)
	require.ErrorIs(t, err, grpcserver.ErrUnauthenticated)
	require.ErrorIs(t, err, cause)
	require.NotErrorIs(t, err, grpcserver.NewError(codes.Unauthenticated, "OTHER", "", ""))
	require.Equal(t, grpcserver.ErrUnauthenticated.Error(), err.Error())
}
