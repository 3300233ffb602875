// Package grpcserver is the frame of every gRPC server: listener, TLS, tokens, bounds, errors.
//
// It listens on loopback, or elsewhere with TLS alone, and lets no method run without a valid
// bearer token unless the caller lists it as public. What leaves it as an error is a status
// with google.rpc.ErrorInfo (without, where gRPC itself refuses a message); inner text never
// does. A message is read once its caller is known. It knows nothing of the services it carries.
package grpcserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"

	"buf.build/go/protovalidate"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/netutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/lifecycle"
)

// Settings is what a service gives to its server.
type Settings struct {
	// Service names the service in metrics.
	Service  string
	Logger   *slog.Logger
	Registry prometheus.Registerer
	// Clock tells when calls come.
	Clock clock.Clock
	// Authenticator judges tokens and certificates. It must be set.
	Authenticator Authenticator
	// Authorize returns the caller's identity with Role, Tenants and AllTenants as the method lets it in, or refuses it.
	// Nil lets every known caller in, as its identity has it.
	Authorize func(method string, caller Identity) (Identity, error)
	// Record writes a call of a method that exists down, before anything of its answer goes to the client: refused is
	// what the client will see, nil for success. For a stream it comes once, before the first answer. If it fails, the
	// call does. Nil writes nothing.
	Record func(ctx context.Context, call *Call, refused Shown) error
	// Once calls handle, or returns the answer that an earlier call with the same request had. Nil always calls.
	Once func(ctx context.Context, call *Call, handle func(context.Context) (any, error)) (any, error)
	// Public are the full methods, as /package.Service/Method, that need no token.
	Public []string
	// Register adds the services; health and reflection are there already.
	Register func(grpc.ServiceRegistrar)
}

// Server is a lifecycle.Service. It stops without cutting off unary calls: streams end at
// once with Unavailable and SERVER_STOPPING, so that their clients connect elsewhere.
type Server struct {
	cfg       Config
	set       Settings
	public    map[string]bool
	methods   map[string]bool
	validator protovalidate.Validator
	metrics   metrics
	streams   *streams
	callers   *callers
	health    *health.Server
	grpc      *grpc.Server
	inProcess inProcess
	ready     chan struct{}
	bound     net.Addr // set before ready is closed
}

// New builds a server. It refuses a config that is not valid, public methods that do not
// exist, and settings without an Authenticator.
func New(cfg Config, set Settings) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if set.Authenticator == nil {
		return nil, errors.New("grpcserver: settings without an Authenticator")
	}
	validator, err := protovalidate.New()
	if err != nil {
		return nil, fmt.Errorf("building the request validator: %w", err)
	}
	m, err := newMetrics(set.Registry, set.Service)
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, set: set, validator: validator, metrics: m, streams: newStreams(cfg.MaxStreams),
		callers: newCallers(cfg.PerCaller),
		health:  health.NewServer(), ready: make(chan struct{}),
	}
	s.grpc = grpc.NewServer(s.options()...)
	s.inProcess = newInProcess(s.callOptions())
	for _, bare := range []*grpc.Server{s.grpc, s.inProcess.server} {
		server := registrar{Server: bare, frame: s}
		healthv1.RegisterHealthServer(server, s.health)
		reflection.Register(server)
		if set.Register != nil {
			set.Register(server)
		}
	}
	return s, s.listMethods()
}

// callOptions are what every call goes through, however it came.
func (s *Server) callOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(int(s.cfg.MaxRequest)),
		grpc.StreamInterceptor(s.stream),
		// Without it unknown methods would answer before a token is asked for.
		grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error { return errUnknownMethod }),
	}
}

func (s *Server) options() []grpc.ServerOption {
	options := append(s.callOptions(),
		grpc.MaxHeaderListSize(uint32(s.cfg.MaxHeader)),
		grpc.MaxConcurrentStreams(s.cfg.MaxConnectionCalls),
		grpc.ConnectionTimeout(s.cfg.Keepalive.Timeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle: s.cfg.Keepalive.MaxIdle, Time: s.cfg.Keepalive.Time, Timeout: s.cfg.Keepalive.Timeout,
			MaxConnectionAge: s.cfg.Keepalive.MaxAge, MaxConnectionAgeGrace: s.cfg.Keepalive.MaxAgeGrace,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: s.cfg.Keepalive.MinClientTime}),
	)
	if secure := s.cfg.TLS.Server(); secure != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(secure)))
	}
	return options
}

// listMethods notes which methods there are, and which of them are public.
func (s *Server) listMethods() error {
	s.methods, s.public = map[string]bool{}, map[string]bool{}
	for service, info := range s.grpc.GetServiceInfo() {
		for _, method := range info.Methods {
			s.methods["/"+service+"/"+method.Name] = true
		}
	}
	for _, method := range s.set.Public {
		if !s.methods[method] {
			return fmt.Errorf("grpcserver: public method %s does not exist", method)
		}
		s.public[method] = true
	}
	return nil
}

// Name returns "grpc".
func (s *Server) Name() string { return "grpc" }

// Ready is closed once the server listens.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Methods returns the full methods that there are, in no order.
func (s *Server) Methods() []string { return slices.Collect(maps.Keys(s.methods)) }

// Addr returns where the server listens. It must not be called before Ready is closed.
func (s *Server) Addr() net.Addr { return s.bound }

// SetServing sets what the health service says of a service, by its full name.
func (s *Server) SetServing(service string, serving bool) {
	status := healthv1.HealthCheckResponse_NOT_SERVING
	if serving {
		status = healthv1.HealthCheckResponse_SERVING
	}
	s.health.SetServingStatus(service, status)
}

// Run serves until ctx is done.
func (s *Server) Run(ctx context.Context) error {
	listener, err := s.cfg.TLS.Listen(ctx, s.cfg.Address, s.cfg.AllowPlaintextOnPublicAddress)
	if err != nil {
		return err
	}
	s.bound = listener.Addr()
	served := make(chan error, 1)
	go func() { served <- s.grpc.Serve(netutil.LimitListener(listener, s.cfg.MaxConnections)) }()
	inside := make(chan error, 1)
	go func() { inside <- s.inProcess.serve() }()
	close(s.ready)
	select {
	case err := <-served:
		s.grpc.Stop()
		s.inProcess.server.Stop()
		return errors.Join(fmt.Errorf("serving: %w", err), <-inside)
	case <-ctx.Done():
	}
	err = s.drain(ctx)
	// It is ErrServerStopped if the stop came before Serve.
	for _, ended := range []error{<-served, <-inside} {
		if ended != nil && !errors.Is(ended, grpc.ErrServerStopped) {
			err = errors.Join(err, fmt.Errorf("serving: %w", ended))
		}
	}
	return err
}

// drain lets calls end, and cuts off those that outlast the budget.
func (s *Server) drain(ctx context.Context) error {
	budget, cancel := lifecycle.Draining(ctx)
	defer cancel()
	s.health.Shutdown()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.grpc.GracefulStop()
		s.inProcess.server.GracefulStop()
	}()
	s.streams.stop()
	select {
	case <-stopped:
		return nil
	case <-budget.Done():
		s.grpc.Stop()
		s.inProcess.server.Stop()
		<-stopped
		return fmt.Errorf("draining calls: %w", context.Cause(budget))
	}
}
