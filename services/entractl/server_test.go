package entractl_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/entractl"
)

const token = "0123456789abcdef"

// server is a gateway whose answers a test writes. The real one is asked in services/gateway.
type server struct {
	controlv1.UnimplementedSignInServiceServer
	controlv1.UnimplementedEventServiceServer
	integrations
	directory
	system

	address, tokenFile string
	accepts            func(token string) bool
	health             *health.Server
	search             func(*controlv1.SearchSignInsRequest) (*controlv1.SearchSignInsResponse, error)
	events             func(*controlv1.SearchEventsRequest) (*controlv1.SearchEventsResponse, error)
	subscribe          func(*controlv1.SubscribeRequest, grpc.ServerStreamingServer[controlv1.SubscribeResponse]) error
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{
		tokenFile: filepath.Join(t.TempDir(), "gateway.token"), health: health.NewServer(),
		accepts: func(given string) bool { return given == token },
	}
	require.NoError(t, os.WriteFile(s.tokenFile, []byte(token+"\n"), 0o600))
	grpcServer := grpc.NewServer(
		grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			if err := s.authenticate(ctx); err != nil {
				return nil, err
			}
			return handler(ctx, req)
		}),
		grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			if err := s.authenticate(stream.Context()); err != nil {
				return err
			}
			return handler(srv, stream)
		}))
	controlv1.RegisterSignInServiceServer(grpcServer, s)
	controlv1.RegisterEventServiceServer(grpcServer, s)
	controlv1.RegisterIntegrationServiceServer(grpcServer, s)
	controlv1.RegisterDirectoryServiceServer(grpcServer, s)
	controlv1.RegisterApiTokenServiceServer(grpcServer, s)
	controlv1.RegisterAuditServiceServer(grpcServer, s)
	controlv1.RegisterSystemServiceServer(grpcServer, s)
	healthv1.RegisterHealthServer(grpcServer, s.health)
	var lc net.ListenConfig
	listener, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.address = listener.Addr().String()
	done := make(chan error, 1)
	go func() { done <- grpcServer.Serve(listener) }()
	t.Cleanup(func() {
		grpcServer.Stop()
		// A test that asks nothing may stop it before it begins.
		if err := <-done; !errors.Is(err, grpc.ErrServerStopped) {
			require.NoError(t, err)
		}
	})
	return s
}

func (s *server) authenticate(ctx context.Context) error {
	values := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(values) != 1 || !s.accepts(strings.TrimPrefix(values[0], "Bearer ")) {
		return refuse(codes.Unauthenticated, "a valid bearer token is needed", "")
	}
	return nil
}

// refuse makes an error as the gateway makes them.
func refuse(code codes.Code, message, remedy string) error {
	return refuseAs(code, "TEST", message, remedy)
}

func refuseAs(code codes.Code, reason, message, remedy string) error {
	s, err := status.New(code, message).WithDetails(&errdetails.ErrorInfo{
		Reason: reason, Domain: "entraflow", Metadata: map[string]string{"remedy": remedy},
	})
	if err != nil {
		return err
	}
	return s.Err()
}

func (s *server) SearchSignIns(_ context.Context, req *controlv1.SearchSignInsRequest) (*controlv1.SearchSignInsResponse, error) {
	return s.search(req)
}

func (s *server) SearchEvents(_ context.Context, req *controlv1.SearchEventsRequest) (*controlv1.SearchEventsResponse, error) {
	return s.events(req)
}

func (s *server) Subscribe(req *controlv1.SubscribeRequest, stream grpc.ServerStreamingServer[controlv1.SubscribeResponse]) error {
	return s.subscribe(req, stream)
}

// buffer may be read while the program writes.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// result is what a run of the program left.
type result struct {
	code           int
	stdout, stderr string
}

// run runs the program against the server.
func (s *server) run(ctx context.Context, args ...string) result {
	return run(ctx, map[string]string{"ENTRAFLOW_SERVER": s.address, "ENTRAFLOW_TOKEN_FILE": s.tokenFile}, args...)
}

func run(ctx context.Context, env map[string]string, args ...string) result {
	return start(ctx, env, entractl.Process{Args: args})
}

// answering runs the program as somebody at a terminal who writes answers.
func (s *server) answering(ctx context.Context, answers string, args ...string) result {
	return start(ctx, map[string]string{"ENTRAFLOW_SERVER": s.address, "ENTRAFLOW_TOKEN_FILE": s.tokenFile}, entractl.Process{
		Args: args, Stdin: strings.NewReader(answers), Terminal: entractl.Terminal{In: true},
	})
}

func start(ctx context.Context, env map[string]string, p entractl.Process) result {
	var stdout, stderr buffer
	p.Getenv, p.Stdout, p.Stderr = func(name string) string { return env[name] }, &stdout, &stderr
	code := entractl.Main(ctx, p)
	return result{code, stdout.String(), stderr.String()}
}
