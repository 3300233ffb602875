package grpcserver_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"

	"github.com/entraflow/entraflow/pkg/grpcserver"
)

type reflectionStream = grpc.BidiStreamingClient[reflectionv1.ServerReflectionRequest, reflectionv1.ServerReflectionResponse]

// idle opens a reflection stream, whose method then waits for the client.
func idle(t *testing.T, s *server) reflectionStream {
	t.Helper()
	stream, err := reflectionv1.NewServerReflectionClient(s.connect(t, insecure.NewCredentials())).ServerReflectionInfo(authorized(t))
	require.NoError(t, err)
	require.NoError(t, stream.Send(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{},
	}))
	answer, err := stream.Recv()
	require.NoError(t, err)
	require.NotEmpty(t, answer.GetListServicesResponse().GetService())
	return stream
}

func TestStopEndsAStreamThatWaitsForItsClient(t *testing.T) {
	s := serve(t, grpcserver.DefaultConfig(), settings(t, &methods{}), time.Minute)
	stream := idle(t, s)
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	_, err := stream.Recv()
	requireStatus(t, codes.Unavailable, "SERVER_STOPPING", err)
	select {
	case err := <-stopped:
		require.NoError(t, err)
	case <-time.After(20 * time.Second):
		require.FailNow(t, "it waits for the client")
	}
}

func TestLostAccessEndsAStreamThatWaitsForItsClient(t *testing.T) {
	var f fading
	f.set(grpcserver.Identity{Subject: "a"}, nil)
	s := start(t, &methods{}, func(c *grpcserver.Config, set *grpcserver.Settings) {
		c.RecheckStreams = 10 * time.Millisecond
		set.Authenticator = &f
	})
	stream := idle(t, s)
	f.set(grpcserver.Identity{}, grpcserver.ErrUnauthenticated)
	_, err := stream.Recv()
	requireStatus(t, codes.Unauthenticated, "UNAUTHENTICATED", err)
}
