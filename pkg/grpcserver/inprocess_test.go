package grpcserver_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/entraflow/entraflow/pkg/grpcserver"
)

func dialInside(t *testing.T, s *server) grpc_testing.TestServiceClient {
	t.Helper()
	conn, err := s.DialInProcess()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return grpc_testing.NewTestServiceClient(conn)
}

func TestInProcessCallsNeedATokenAndNoTLS(t *testing.T) {
	var network string
	m := &methods{empty: func(ctx context.Context) error {
		from, ok := peer.FromContext(ctx)
		require.True(t, ok)
		network = from.Addr.Network()
		return nil
	}}
	certFile, keyFile, roots := writeCertificate(t)
	s := start(t, m, func(c *grpcserver.Config, _ *grpcserver.Settings) {
		c.TLS = grpcserver.TLSConfig{CertFile: certFile, KeyFile: keyFile}
	})
	inside := dialInside(t, s)
	_, err := inside.EmptyCall(t.Context(), &grpc_testing.Empty{})
	requireStatus(t, codes.Unauthenticated, "UNAUTHENTICATED", err)
	_, err = inside.EmptyCall(authorized(t), &grpc_testing.Empty{})
	require.NoError(t, err)
	require.Equal(t, grpcserver.InProcess, network)

	_, err = s.dial(t, credentials.NewTLS(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13})).
		EmptyCall(authorized(t), &grpc_testing.Empty{})
	require.NoError(t, err)
	require.Equal(t, "tcp", network)
	network = ""
	_, err = s.dial(t, insecure.NewCredentials()).EmptyCall(authorized(t), &grpc_testing.Empty{})
	require.Equal(t, codes.Unavailable, status.Code(err))
	require.Empty(t, network)
}

// All clients of a front share a connection: one bound for it would be one for all of them.
func TestInProcessCallsAreBoundedTogetherWithOthers(t *testing.T) {
	m := &methods{stream: func(ctx context.Context, send func() error) error { return errors.Join(send(), wait(ctx)) }}
	s := start(t, m, func(c *grpcserver.Config, _ *grpcserver.Settings) { c.MaxConnectionCalls, c.MaxStreams = 1, 3 })
	inside := dialInside(t, s)
	open := func(client grpc_testing.TestServiceClient) error {
		stream, err := client.StreamingOutputCall(authorized(t), &grpc_testing.StreamingOutputCallRequest{})
		require.NoError(t, err)
		_, err = stream.Recv()
		return err
	}
	require.NoError(t, open(inside))
	require.NoError(t, open(inside))
	require.NoError(t, open(s.dial(t, insecure.NewCredentials())))
	requireStatus(t, codes.ResourceExhausted, "TOO_MANY_STREAMS", open(inside))
}

func TestStopEndsInProcessStreams(t *testing.T) {
	m := &methods{stream: func(ctx context.Context, send func() error) error { return errors.Join(send(), wait(ctx)) }}
	s := start(t, m, nil)
	inside := dialInside(t, s)
	stream, err := inside.StreamingOutputCall(authorized(t), &grpc_testing.StreamingOutputCallRequest{})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.NoError(t, err)
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	_, err = stream.Recv()
	requireStatus(t, codes.Unavailable, "SERVER_STOPPING", err)
	require.NoError(t, <-stopped)
	_, err = inside.EmptyCall(authorized(t), &grpc_testing.Empty{})
	require.Equal(t, codes.Unavailable, status.Code(err))
}

func TestListenForAFront(t *testing.T) {
	_, err := grpcserver.TLSConfig{}.Listen(t.Context(), "0.0.0.0:0", false)
	require.ErrorIs(t, err, grpcserver.ErrPlaintext)
	_, err = grpcserver.TLSConfig{CertFile: "none.pem", KeyFile: "none.key"}.Listen(t.Context(), "127.0.0.1:0", false)
	require.ErrorContains(t, err, "loading the certificate")

	certFile, keyFile, _ := writeCertificate(t)
	secured := grpcserver.TLSConfig{CertFile: certFile, KeyFile: keyFile}
	require.True(t, secured.Enabled())
	for name, listen := range map[string]func() (net.Listener, error){
		"loopback": func() (net.Listener, error) {
			return grpcserver.TLSConfig{}.Listen(t.Context(), "127.0.0.1:0", false)
		},
		"allowed": func() (net.Listener, error) { return grpcserver.TLSConfig{}.Listen(t.Context(), "0.0.0.0:0", true) },
		"tls":     func() (net.Listener, error) { return secured.Listen(t.Context(), "0.0.0.0:0", false) },
	} {
		t.Run(name, func(t *testing.T) {
			listener, err := listen()
			require.NoError(t, err)
			require.NoError(t, listener.Close())
		})
	}
}
