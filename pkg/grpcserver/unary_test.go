package grpcserver_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"

	"github.com/entraflow/entraflow/pkg/grpcserver"
)

// begin makes a call whose message does not come: five bytes say that it has one byte, and there are no more. It returns
// the trailers that end it, or the error of ctx.
func (s *server) begin(ctx context.Context, method string, authorization ...string) (http.Header, error) {
	body, more := io.Pipe()
	defer func() { _ = more.Close() }()
	go func() { _, _ = more.Write([]byte{0, 0, 0, 0, 1}) }() // it fails when the call has ended
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.Addr().String()+method, body)
	if err != nil {
		return nil, err
	}
	r.Header = http.Header{"Content-Type": {"application/grpc"}, "Te": {"trailers"}, "Authorization": authorization}
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	if _, err = io.Copy(io.Discard, answer.Body); err != nil {
		return nil, err
	}
	if answer.Header.Get("Grpc-Status") != "" {
		return answer.Header, nil
	}
	return answer.Trailer, nil
}

// Whoever has no token must not make the server wait for a message.
func TestACallerIsJudgedBeforeTheMessageComes(t *testing.T) {
	var b book
	s := start(t, &methods{}, func(c *grpcserver.Config, set *grpcserver.Settings) {
		c.RequestTimeout, set.Record = time.Hour, b.record
	})
	for name, authorization := range map[string][]string{"no token": nil, "another token": {"Bearer x"}} {
		for _, method := range []string{
			grpc_testing.TestService_EmptyCall_FullMethodName, grpc_testing.TestService_StreamingOutputCall_FullMethodName,
			"/grpc.health.v1.Health/Check",
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			trailer, err := s.begin(ctx, method, authorization...)
			require.NoError(t, err, "%s: %s", name, method)
			require.Equal(t, "16", trailer.Get("Grpc-Status"))
			call, code := b.last()
			require.Equal(t, method, call.Method)
			require.Equal(t, codes.Unauthenticated, code)
		}
	}
}

func TestAMessageComesInTime(t *testing.T) {
	s := start(t, &methods{}, func(c *grpcserver.Config, _ *grpcserver.Settings) { c.RequestTimeout = 50 * time.Millisecond })
	for _, method := range []string{
		grpc_testing.TestService_EmptyCall_FullMethodName, grpc_testing.TestService_StreamingOutputCall_FullMethodName,
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		trailer, err := s.begin(ctx, method, "Bearer "+rightToken)
		require.NoError(t, err)
		require.Equal(t, "4", trailer.Get("Grpc-Status"))
		require.Equal(t, "the request did not come whole in time", trailer.Get("Grpc-Message"))
	}
}

// A call that waits for its message keeps nobody from stopping.
func TestStopEndsACallWhoseMessageDoesNotCome(t *testing.T) {
	known := make(chan struct{})
	s := serve(t, grpcserver.DefaultConfig(), func() grpcserver.Settings {
		set := settings(t, &methods{})
		set.Authenticator = told{set.Authenticator, known}
		return set
	}(), time.Minute)
	ended := make(chan string, 1)
	go func() {
		trailer, err := s.begin(t.Context(), grpc_testing.TestService_EmptyCall_FullMethodName, "Bearer "+rightToken)
		if err != nil {
			ended <- err.Error()
			return
		}
		ended <- trailer.Get("Grpc-Message")
	}()
	<-known
	began := time.Now()
	require.NoError(t, s.stop())
	require.Less(t, time.Since(began), 20*time.Second)
	require.Equal(t, "the server is stopping", <-ended)
}

// told is an Authenticator that says when it was asked.
type told struct {
	grpcserver.Authenticator
	asked chan struct{}
}

func (a told) Authenticate(ctx context.Context, proof grpcserver.Proof) (grpcserver.Identity, error) {
	defer close(a.asked)
	return a.Authenticator.Authenticate(ctx, proof)
}

// A record of who may not call says what was asked for.
func TestARefusalForWantOfARoleIsRecordedWithItsRequest(t *testing.T) {
	var b book
	s := start(t, &methods{}, func(_ *grpcserver.Config, set *grpcserver.Settings) {
		set.Record = b.record
		set.Authorize = func(string, grpcserver.Identity) (grpcserver.Identity, error) {
			return grpcserver.Identity{}, grpcserver.NewError(codes.PermissionDenied, "ROLE_MISSING", "no", "")
		}
	})
	_, err := s.dial(t, insecure.NewCredentials()).UnaryCall(authorized(t), &grpc_testing.SimpleRequest{FillUsername: true})
	requireStatus(t, codes.PermissionDenied, "ROLE_MISSING", err)
	call, _ := b.last()
	request, ok := call.Request.(*grpc_testing.SimpleRequest)
	require.True(t, ok)
	require.True(t, request.GetFillUsername())
}
