package grpcserver_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/entraflow/entraflow/pkg/app/apptest"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/grpcserver"
	"github.com/entraflow/entraflow/pkg/lifecycle"
	"github.com/entraflow/entraflow/pkg/lifecycle/lifecycletest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const rightToken = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// methods is a service whose methods do what a test says.
type methods struct {
	grpc_testing.UnimplementedTestServiceServer
	empty  func(ctx context.Context) error
	stream func(ctx context.Context, send func() error) error
	duplex func(grpc.BidiStreamingServer[grpc_testing.StreamingOutputCallRequest, grpc_testing.StreamingOutputCallResponse]) error
}

func (m *methods) EmptyCall(ctx context.Context, _ *grpc_testing.Empty) (*grpc_testing.Empty, error) {
	return &grpc_testing.Empty{}, m.empty(ctx)
}

func (m *methods) StreamingOutputCall(
	_ *grpc_testing.StreamingOutputCallRequest,
	stream grpc.ServerStreamingServer[grpc_testing.StreamingOutputCallResponse],
) error {
	return m.stream(stream.Context(), func() error {
		return stream.Send(&grpc_testing.StreamingOutputCallResponse{})
	})
}

func (m *methods) FullDuplexCall(
	stream grpc.BidiStreamingServer[grpc_testing.StreamingOutputCallRequest, grpc_testing.StreamingOutputCallResponse],
) error {
	return m.duplex(stream)
}

func settings(t *testing.T, m *methods) grpcserver.Settings {
	t.Helper()
	set := apptest.Settings(t)
	return grpcserver.Settings{
		Service: "gateway", Logger: set.Logger, Registry: set.Registry,
		Authenticator: grpcserver.StaticToken{
			Token:    config.NewSecret(rightToken),
			Identity: grpcserver.Identity{Subject: "operator", Tenants: []string{"contoso"}},
		},
		Register: func(r grpc.ServiceRegistrar) { grpc_testing.RegisterTestServiceServer(r, m) },
	}
}

// server is a running server, with its group, which stops it.
type server struct {
	*grpcserver.Server
	registry *prometheus.Registry
	stop     func() error
}

func start(t *testing.T, m *methods, change func(*grpcserver.Config, *grpcserver.Settings)) *server {
	t.Helper()
	cfg, set := grpcserver.DefaultConfig(), settings(t, m)
	drain := lifecycle.DefaultDrain
	if change != nil {
		change(&cfg, &set)
	}
	return serve(t, cfg, set, drain)
}

func serve(t *testing.T, cfg grpcserver.Config, set grpcserver.Settings, drain time.Duration) *server {
	t.Helper()
	s, err := grpcserver.New(cfg, set)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	group := lifecycle.NewGroup(drain, s)
	go func() { done <- group.Run(ctx) }()
	stopped := false
	stop := func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-done
	}
	t.Cleanup(func() { require.NoError(t, stop()) })
	select {
	case <-group.Ready():
	case err := <-done:
		require.FailNow(t, "the server did not get ready", "%v", err)
	}
	registry, ok := set.Registry.(*prometheus.Registry)
	require.True(t, ok)
	return &server{Server: s, registry: registry, stop: stop}
}

func (s *server) dial(t *testing.T, creds credentials.TransportCredentials) grpc_testing.TestServiceClient {
	t.Helper()
	return grpc_testing.NewTestServiceClient(s.connect(t, creds))
}

func (s *server) connect(t *testing.T, creds credentials.TransportCredentials) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(s.Addr().String(), grpc.WithTransportCredentials(creds))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

func withToken(ctx context.Context, values ...string) context.Context {
	return metadata.NewOutgoingContext(ctx, metadata.MD{"authorization": values})
}

func authorized(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return withToken(ctx, "Bearer "+rightToken)
}

func TestServerIsASoundService(t *testing.T) {
	lifecycletest.Run(t, func(t *testing.T) lifecycle.Service {
		t.Helper()
		s, err := grpcserver.New(grpcserver.DefaultConfig(), settings(t, &methods{}))
		require.NoError(t, err)
		return s
	})
}

func TestNewRefuses(t *testing.T) {
	cases := map[string]struct {
		change func(*grpcserver.Config, *grpcserver.Settings)
		want   string
	}{
		"every interface": {
			func(c *grpcserver.Config, _ *grpcserver.Settings) { c.Address = ":0" },
			"address: must be on loopback, or have tls",
		},
		"network": {
			func(c *grpcserver.Config, _ *grpcserver.Settings) { c.Address = "10.0.0.1:0" },
			"address: must be on loopback, or have tls",
		},
		"half of tls": {
			func(c *grpcserver.Config, _ *grpcserver.Settings) { c.TLS.CertFile = "a" },
			"tls.cert_file: needs key_file beside it, and that this one",
		},
		"no bounds": {func(c *grpcserver.Config, _ *grpcserver.Settings) {
			*c = grpcserver.Config{Address: c.Address}
		}, "max_request: must be positive and below 2GiB\nmax_header: must be between 1KiB and 1MiB\nmax_connections: must be positive\nrequest_timeout: must be positive\nmax_connection_calls: must be positive\n" +
			"max_streams: must be positive\nrecheck_streams: must be positive\nper_caller.rate: must be positive\nper_caller.burst: must be positive\nper_caller.max_calls: must be positive\nper_caller.max_streams: must be positive\nkeepalive.time: must be at least 1s\nkeepalive.timeout: must be positive\n" +
			"keepalive.max_idle: must be positive\nkeepalive.max_age: must be positive\nkeepalive.max_age_grace: must be positive\nkeepalive.min_client_time: must be positive"},
		"no authenticator": {
			func(_ *grpcserver.Config, s *grpcserver.Settings) { s.Authenticator = nil },
			"grpcserver: settings without an Authenticator",
		},
		"public method that is none": {
			func(_ *grpcserver.Config, s *grpcserver.Settings) { s.Public = []string{"/grpc.health.v1.Health/Chek"} },
			"grpcserver: public method /grpc.health.v1.Health/Chek does not exist",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			cfg, set := grpcserver.DefaultConfig(), settings(t, &methods{})
			tc.change(&cfg, &set)
			_, err := grpcserver.New(cfg, set)
			require.EqualError(t, err, tc.want)
		})
	}
}

func TestRunFails(t *testing.T) {
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, taken.Close()) }()
	cases := map[string]struct {
		change func(*grpcserver.Config)
		want   string
	}{
		"address in use": {func(c *grpcserver.Config) { c.Address = taken.Addr().String() }, "address already in use"},
		"no certificate": {func(c *grpcserver.Config) {
			c.TLS = grpcserver.TLSConfig{CertFile: "none.pem", KeyFile: "none.key"}
		}, "loading the certificate: open none.pem: no such file or directory"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			cfg := grpcserver.DefaultConfig()
			tc.change(&cfg)
			s, err := grpcserver.New(cfg, settings(t, &methods{}))
			require.NoError(t, err)
			require.ErrorContains(t, s.Run(t.Context()), tc.want)
		})
	}
}

func TestTLS(t *testing.T) {
	certFile, keyFile, roots := writeCertificate(t)
	m := &methods{empty: func(context.Context) error { return nil }}
	s := start(t, m, func(c *grpcserver.Config, _ *grpcserver.Settings) {
		c.Address, c.TLS = "0.0.0.0:0", grpcserver.TLSConfig{CertFile: certFile, KeyFile: keyFile}
	})
	_, port, err := net.SplitHostPort(s.Addr().String())
	require.NoError(t, err)
	conn, err := grpc.NewClient(net.JoinHostPort("127.0.0.1", port),
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13})))
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	_, err = grpc_testing.NewTestServiceClient(conn).EmptyCall(authorized(t), &grpc_testing.Empty{})
	require.NoError(t, err)
}

func writeCertificate(t *testing.T) (certFile, keyFile string, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	require.NoError(t, os.WriteFile(certFile, certPEM, 0o600))
	require.NoError(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
	roots = x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(certPEM))
	return certFile, keyFile, roots
}

func TestStopLetsCallsEndAndEndsStreams(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	m := &methods{
		empty: func(context.Context) error {
			close(entered)
			<-release
			return nil
		},
		stream: func(ctx context.Context, send func() error) error {
			if err := send(); err != nil {
				return err
			}
			<-ctx.Done()
			return ctx.Err()
		},
	}
	s := start(t, m, nil)
	client := s.dial(t, insecure.NewCredentials())
	stream, err := client.StreamingOutputCall(authorized(t), &grpc_testing.StreamingOutputCallRequest{})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.NoError(t, err)
	called := make(chan error, 1)
	ctx := authorized(t)
	go func() {
		_, err := client.EmptyCall(ctx, &grpc_testing.Empty{})
		called <- err
	}()
	<-entered

	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	_, err = stream.Recv()
	requireStatus(t, codes.Unavailable, "SERVER_STOPPING", err)
	select {
	case err := <-stopped:
		require.FailNow(t, "stopped before the call ended", "%v", err)
	case err := <-called:
		require.FailNow(t, "the call was cut off", "%v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	require.NoError(t, <-called)
	require.NoError(t, <-stopped)
}

func TestStopCutsOffWhatOutlastsTheBudget(t *testing.T) {
	entered := make(chan struct{})
	m := &methods{empty: func(ctx context.Context) error {
		close(entered)
		<-ctx.Done()
		return ctx.Err()
	}}
	s := serve(t, grpcserver.DefaultConfig(), settings(t, m), 50*time.Millisecond)
	client := s.dial(t, insecure.NewCredentials())
	called := make(chan error, 1)
	ctx := authorized(t)
	go func() {
		_, err := client.EmptyCall(ctx, &grpc_testing.Empty{})
		called <- err
	}()
	<-entered
	err := s.stop()
	require.ErrorIs(t, err, lifecycle.ErrDrainBudget)
	require.EqualError(t, err, "grpc: draining calls: drain budget exceeded")
	require.Error(t, <-called)
}

func TestBounds(t *testing.T) {
	m := &methods{
		empty:  func(context.Context) error { return nil },
		stream: func(ctx context.Context, send func() error) error { return errors.Join(send(), wait(ctx)) },
		duplex: func(s grpc.BidiStreamingServer[grpc_testing.StreamingOutputCallRequest, grpc_testing.StreamingOutputCallResponse]) error {
			_, err := s.Recv()
			return err
		},
	}
	s := start(t, m, func(c *grpcserver.Config, _ *grpcserver.Settings) { c.MaxRequest, c.MaxStreams = config.KiB, 1 })
	client := s.dial(t, insecure.NewCredentials())
	large := &grpc_testing.StreamingOutputCallRequest{Payload: &grpc_testing.Payload{Body: make([]byte, 2*config.KiB)}}

	duplex, err := client.FullDuplexCall(authorized(t))
	require.NoError(t, err)
	require.NoError(t, duplex.Send(large))
	_, err = duplex.Recv()
	require.Equal(t, codes.ResourceExhausted, status.Code(err)) // gRPC itself answers

	ctx, cancel := context.WithCancel(authorized(t))
	first, err := client.StreamingOutputCall(ctx, &grpc_testing.StreamingOutputCallRequest{})
	require.NoError(t, err)
	_, err = first.Recv()
	require.NoError(t, err)
	second, err := client.StreamingOutputCall(authorized(t), &grpc_testing.StreamingOutputCallRequest{})
	require.NoError(t, err)
	_, err = second.Recv()
	requireStatus(t, codes.ResourceExhausted, "TOO_MANY_STREAMS", err)

	cancel()
	require.Eventually(t, func() bool {
		again, err := client.StreamingOutputCall(authorized(t), &grpc_testing.StreamingOutputCallRequest{})
		require.NoError(t, err)
		_, err = again.Recv()
		return err == nil
	}, 10*time.Second, 10*time.Millisecond, "the place of a stream that ended is free")
}

func wait(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func drainStream(stream interface {
	Recv() (*grpc_testing.StreamingOutputCallResponse, error)
},
) error {
	for {
		if _, err := stream.Recv(); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}
