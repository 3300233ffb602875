package grpcserver_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/grpcserver"
)

func TestConnectionsAreBounded(t *testing.T) {
	s := start(t, &methods{empty: func(context.Context) error { return nil }},
		func(c *grpcserver.Config, _ *grpcserver.Settings) { c.MaxConnections = 1 })
	dial := func() net.Conn {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	first := dial()
	_, err := first.Read(make([]byte, 1))
	require.NoError(t, err, "the server speaks first")
	second := dial()
	require.NoError(t, second.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
	_, err = second.Read(make([]byte, 1))
	require.ErrorContains(t, err, "timeout")
	require.NoError(t, first.Close())
	require.NoError(t, second.SetReadDeadline(time.Now().Add(20*time.Second)))
	_, err = second.Read(make([]byte, 1))
	require.NoError(t, err)
}

func TestHeadersAreBounded(t *testing.T) {
	s := start(t, &methods{empty: func(context.Context) error { return nil }},
		func(c *grpcserver.Config, _ *grpcserver.Settings) { c.MaxHeader = 4 * config.KiB })
	client := s.dial(t, insecure.NewCredentials())
	_, err := client.EmptyCall(authorized(t), &grpc_testing.Empty{})
	require.NoError(t, err)
	ctx := metadata.AppendToOutgoingContext(authorized(t), "x-long", strings.Repeat("a", int(4*config.KiB)))
	_, err = client.EmptyCall(ctx, &grpc_testing.Empty{})
	require.Equal(t, codes.Internal, status.Code(err), "gRPC itself refuses")
	require.ErrorContains(t, err, "maximum size")
}

// A certificate that was good when a connection was made must not open it for ever.
func TestConnectionsEndWithAge(t *testing.T) {
	m := &methods{
		empty:  func(context.Context) error { return nil },
		stream: func(ctx context.Context, send func() error) error { return errors.Join(send(), wait(ctx)) },
	}
	s := start(t, m, func(c *grpcserver.Config, _ *grpcserver.Settings) {
		c.Keepalive.MaxAge, c.Keepalive.MaxAgeGrace = 50*time.Millisecond, 50*time.Millisecond
	})
	client := s.dial(t, insecure.NewCredentials())
	stream, err := client.StreamingOutputCall(authorized(t), &grpc_testing.StreamingOutputCallRequest{})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.NoError(t, err)
	before, ok := peer.FromContext(stream.Context())
	require.True(t, ok)
	_, err = stream.Recv()
	require.Equal(t, codes.Unavailable, status.Code(err))
	var after peer.Peer
	require.Eventually(t, func() bool { // a call may meet the end of its connection
		_, err := client.EmptyCall(authorized(t), &grpc_testing.Empty{}, grpc.Peer(&after))
		return err == nil
	}, 10*time.Second, time.Millisecond)
	require.NotEqual(t, before.LocalAddr.String(), after.LocalAddr.String())
}
