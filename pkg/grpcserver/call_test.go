package grpcserver_test

import (
	"context"
	"crypto/tls"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/entraflow/entraflow/pkg/grpcserver"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// book keeps what was recorded.
type book struct {
	mu    sync.Mutex
	calls []*grpcserver.Call
	codes []codes.Code
	fails error
}

func (b *book) record(_ context.Context, call *grpcserver.Call, refused grpcserver.Shown) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	code := codes.OK
	if refused != nil {
		code = refused.GRPCCode()
	}
	b.calls, b.codes = append(b.calls, call), append(b.codes, code)
	return b.fails
}

func (b *book) last() (*grpcserver.Call, codes.Code) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls[len(b.calls)-1], b.codes[len(b.codes)-1]
}

var errNoBook = grpcserver.NewError(codes.Unavailable, "AUDIT_UNAVAILABLE", "not recorded", "")

func TestEachCallIsRecordedOnceBeforeItsAnswer(t *testing.T) {
	var b book
	m := &methods{
		empty: func(ctx context.Context) error {
			grpcserver.Touch(ctx, "contoso", "fabrikam", "contoso")
			return nil
		},
		stream: func(_ context.Context, send func() error) error {
			b.mu.Lock()
			require.Len(t, b.calls, 1, "nothing is recorded before there is an answer")
			b.mu.Unlock()
			if err := send(); err != nil {
				return err
			}
			b.mu.Lock()
			require.Len(t, b.calls, 2)
			b.mu.Unlock()
			return send()
		},
	}
	s := start(t, m, func(_ *grpcserver.Config, set *grpcserver.Settings) { set.Record = b.record })
	client := s.dial(t, insecure.NewCredentials())
	var header metadata.MD
	_, err := client.EmptyCall(authorized(t), &grpc_testing.Empty{}, grpc.Header(&header))
	require.NoError(t, err)
	call, code := b.last()
	require.Equal(t, codes.OK, code)
	require.Equal(t, []string{"contoso", "fabrikam"}, call.Touched())
	require.Equal(t, "127.0.0.1", call.Address)
	require.Equal(t, "grpc", call.Transport)
	require.Contains(t, call.UserAgent, "grpc-go")
	require.Equal(t, "operator", call.Identity.Subject)
	require.Equal(t, []string{call.RequestID}, header.Get(grpcserver.RequestIDKey))
	require.NotNil(t, call.Request)

	stream, err := client.StreamingOutputCall(authorized(t), &grpc_testing.StreamingOutputCallRequest{})
	require.NoError(t, err)
	require.NoError(t, drainStream(stream))
	require.Len(t, b.calls, 2, "a stream is one entry")

	_, err = client.EmptyCall(t.Context(), &grpc_testing.Empty{})
	requireStatus(t, codes.Unauthenticated, "UNAUTHENTICATED", err)
	call, code = b.last()
	require.Equal(t, codes.Unauthenticated, code)
	require.Empty(t, call.Identity.Subject)
}

func TestNoAnswerGoesOutThatWasNotRecorded(t *testing.T) {
	b := book{fails: errNoBook}
	m := &methods{
		empty:  func(context.Context) error { return nil },
		stream: func(_ context.Context, send func() error) error { return send() },
	}
	s := start(t, m, func(_ *grpcserver.Config, set *grpcserver.Settings) { set.Record = b.record })
	client := s.dial(t, insecure.NewCredentials())
	_, err := client.EmptyCall(authorized(t), &grpc_testing.Empty{})
	requireStatus(t, codes.Unavailable, "AUDIT_UNAVAILABLE", err)
	stream, err := client.StreamingOutputCall(authorized(t), &grpc_testing.StreamingOutputCallRequest{})
	require.NoError(t, err)
	_, err = stream.Recv()
	requireStatus(t, codes.Unavailable, "AUDIT_UNAVAILABLE", err)
}

// A client on the network must not pass for the REST front.
func TestOnlyTheFrontSpeaksForOthers(t *testing.T) {
	var b book
	m := &methods{empty: func(context.Context) error { return nil }}
	s := start(t, m, func(_ *grpcserver.Config, set *grpcserver.Settings) { set.Record = b.record })
	ctx := metadata.AppendToOutgoingContext(authorized(t), grpcserver.ClientAddressKey, "203.0.113.1", grpcserver.UserAgentKey, "x")
	_, err := s.dial(t, insecure.NewCredentials()).EmptyCall(ctx, &grpc_testing.Empty{})
	require.NoError(t, err)
	call, _ := b.last()
	require.Equal(t, "127.0.0.1", call.Address)
	require.Equal(t, "grpc", call.Transport)
	require.NotEqual(t, "x", call.UserAgent)
}

func TestAuthorizeDecidesWhatACallerMay(t *testing.T) {
	forbidden := grpcserver.NewError(codes.PermissionDenied, "ROLE_MISSING", "no", "").With("required_role", "admin")
	var seen grpcserver.Identity
	m := &methods{
		empty: func(ctx context.Context) error {
			seen, _ = grpcserver.Caller(ctx)
			return nil
		},
		stream: func(context.Context, func() error) error { return nil },
	}
	s := start(t, m, func(_ *grpcserver.Config, set *grpcserver.Settings) {
		set.Authorize = func(method string, id grpcserver.Identity) (grpcserver.Identity, error) {
			if method != grpc_testing.TestService_EmptyCall_FullMethodName {
				return grpcserver.Identity{}, forbidden
			}
			id.Role, id.Tenants = controlv1.Role_ROLE_HELP_DESK, []string{"fabrikam"}
			return id, nil
		}
	})
	client := s.dial(t, insecure.NewCredentials())
	_, err := client.EmptyCall(authorized(t), &grpc_testing.Empty{})
	require.NoError(t, err)
	require.Equal(t, []string{"fabrikam"}, seen.Tenants)
	require.Equal(t, controlv1.Role_ROLE_HELP_DESK, seen.Role)
	stream, err := client.StreamingOutputCall(authorized(t), &grpc_testing.StreamingOutputCallRequest{})
	require.NoError(t, err)
	info := requireStatus(t, codes.PermissionDenied, "ROLE_MISSING", drainStream(stream))
	require.Equal(t, "admin", info.GetMetadata()["required_role"])
}

func TestACallerIsBounded(t *testing.T) {
	entered, release := make(chan struct{}, 8), make(chan struct{})
	hold := func() { entered <- struct{}{}; <-release }
	m := &methods{
		empty:  func(context.Context) error { hold(); return nil },
		stream: func(context.Context, func() error) error { hold(); return nil },
	}
	var b book
	s := start(t, m, func(c *grpcserver.Config, set *grpcserver.Settings) {
		c.PerCaller = grpcserver.CallerConfig{Rate: 0.001, Burst: 5, MaxCalls: 1, MaxStreams: 1}
		set.Record = b.record
	})
	client := s.dial(t, insecure.NewCredentials())
	ctx := authorized(t)
	done := make(chan error, 2)
	unary := func() error {
		_, err := client.EmptyCall(ctx, &grpc_testing.Empty{})
		return err
	}
	streaming := func() error {
		stream, err := client.StreamingOutputCall(ctx, &grpc_testing.StreamingOutputCallRequest{})
		require.NoError(t, err)
		return drainStream(stream)
	}
	go func() { done <- unary() }()
	go func() { done <- streaming() }()
	<-entered
	<-entered
	requireStatus(t, codes.ResourceExhausted, "TOO_MANY_CALLS", unary())
	requireStatus(t, codes.ResourceExhausted, "TOO_MANY_STREAMS", streaming())
	close(release)
	require.NoError(t, <-done)
	require.NoError(t, <-done)
	require.NoError(t, unary(), "places are free again")
	recorded := len(b.calls)
	requireStatus(t, codes.ResourceExhausted, "RATE_EXCEEDED", unary())
	require.Len(t, b.calls, recorded, "who calls too often does not fill the log")
}

func TestOnceStandsBeforeTheMethod(t *testing.T) {
	called := false
	m := &methods{empty: func(context.Context) error { called = true; return nil }}
	s := start(t, m, func(_ *grpcserver.Config, set *grpcserver.Settings) {
		set.Once = func(context.Context, *grpcserver.Call, func(context.Context) (any, error)) (any, error) {
			return &grpc_testing.Empty{}, nil
		}
	})
	_, err := s.dial(t, insecure.NewCredentials()).EmptyCall(authorized(t), &grpc_testing.Empty{})
	require.NoError(t, err)
	require.False(t, called)
}

// certificates is an Authenticator that knows clients by their certificates.
type certificates struct{}

func (certificates) Authenticate(_ context.Context, proof grpcserver.Proof) (grpcserver.Identity, error) {
	if proof.Certificate == nil {
		return grpcserver.Identity{}, grpcserver.ErrUnauthenticated
	}
	return grpcserver.Identity{Subject: "cert:" + proof.Certificate.SerialNumber.String(), AllTenants: true}, nil
}

func TestClientsAreKnownByCertificates(t *testing.T) {
	certFile, keyFile, roots := writeCertificate(t)
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	require.NoError(t, err)
	strangerCert, strangerKey, _ := writeCertificate(t)
	stranger, err := tls.LoadX509KeyPair(strangerCert, strangerKey)
	require.NoError(t, err)
	m := &methods{empty: func(context.Context) error { return nil }}
	for _, required := range []bool{false, true} {
		s := start(t, m, func(c *grpcserver.Config, set *grpcserver.Settings) {
			c.TLS = grpcserver.TLSConfig{CertFile: certFile, KeyFile: keyFile, ClientCAFile: certFile, RequireClientCertificate: required}
			set.Authenticator = certificates{}
		})
		call := func(certificates ...tls.Certificate) error {
			conn, err := grpc.NewClient(net.JoinHostPort("127.0.0.1", port(t, s.Addr())), grpc.WithTransportCredentials(
				credentials.NewTLS(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13, Certificates: slices.Clone(certificates)})))
			require.NoError(t, err)
			defer func() { require.NoError(t, conn.Close()) }()
			_, err = grpc_testing.NewTestServiceClient(conn).EmptyCall(t.Context(), &grpc_testing.Empty{})
			return err
		}
		require.NoError(t, call(pair))
		require.Equal(t, codes.Unavailable, status.Code(call(stranger)), "signed by nobody we know: no handshake")
		if required {
			require.Equal(t, codes.Unavailable, status.Code(call()), "no handshake")
		} else {
			requireStatus(t, codes.Unauthenticated, "UNAUTHENTICATED", call())
		}
	}
}

func port(t *testing.T, addr net.Addr) string {
	t.Helper()
	_, port, err := net.SplitHostPort(addr.String())
	require.NoError(t, err)
	return port
}

func TestAPublicAddressNeedsTLSOrSoManyWords(t *testing.T) {
	cfg := grpcserver.DefaultConfig()
	cfg.Address = "0.0.0.0:0"
	require.ErrorContains(t, cfg.Validate(), "must be on loopback, or have tls")
	cfg.AllowPlaintextOnPublicAddress = true
	require.NoError(t, cfg.Validate())
	s := start(t, &methods{}, func(c *grpcserver.Config, _ *grpcserver.Settings) { *c = cfg })
	require.NotNil(t, s.Addr())
}

// fading is an Authenticator whose answer a test changes.
type fading struct {
	answer atomic.Pointer[func() (grpcserver.Identity, error)]
}

func (f *fading) Authenticate(context.Context, grpcserver.Proof) (grpcserver.Identity, error) {
	return (*f.answer.Load())()
}

func (f *fading) set(identity grpcserver.Identity, err error) {
	answer := func() (grpcserver.Identity, error) { return identity, err }
	f.answer.Store(&answer)
}

func TestAStreamEndsWithItsCallersAccess(t *testing.T) {
	identity := grpcserver.Identity{Subject: "a", Tenants: []string{"contoso"}}
	narrower := identity
	narrower.Tenants = nil
	away := grpcserver.NewError(codes.Unavailable, "ISSUER_UNAVAILABLE", "", "")
	m := &methods{stream: func(ctx context.Context, send func() error) error {
		if err := send(); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	}}
	var f fading
	s := start(t, m, func(c *grpcserver.Config, set *grpcserver.Settings) {
		c.RecheckStreams = 10 * time.Millisecond
		set.Authenticator = &f
	})
	client := s.dial(t, insecure.NewCredentials())
	for name, tc := range map[string]struct {
		identity grpcserver.Identity
		err      error
		code     codes.Code
		reason   string
	}{
		"revoked":  {grpcserver.Identity{}, grpcserver.ErrUnauthenticated, codes.Unauthenticated, "UNAUTHENTICATED"},
		"narrowed": {narrower, nil, codes.Aborted, "ACCESS_CHANGED"},
	} {
		t.Run(name, func(t *testing.T) {
			f.set(identity, nil)
			stream, err := client.StreamingOutputCall(authorized(t), &grpc_testing.StreamingOutputCallRequest{})
			require.NoError(t, err)
			_, err = stream.Recv()
			require.NoError(t, err)
			f.set(grpcserver.Identity{}, away)
			ended := make(chan error, 1)
			go func() {
				_, err := stream.Recv()
				ended <- err
			}()
			select {
			case err := <-ended:
				require.FailNow(t, "ended though nothing is known", "%v", err)
			case <-time.After(50 * time.Millisecond):
			}
			f.set(tc.identity, tc.err)
			requireStatus(t, tc.code, tc.reason, <-ended)
		})
	}
}
