// Package rest serves the API over HTTP as its proto files bind it: JSON, server-sent events, and the OpenAPI document
// with a page that shows it.
//
// It is a front of the gRPC server in the same process: it opens nothing but its listener, knows no token and decides
// nothing. Every request becomes a call, and goes through what every call goes through. Of the headers only the token
// and the trace get there; the client's address and user agent are added, as metadata that means something from inside
// the process alone.
package rest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/netutil"
	"google.golang.org/grpc"

	"github.com/entraflow/entraflow/pkg/lifecycle"
	"github.com/entraflow/entraflow/pkg/telemetry"
)

// Metrics are those of the front; calls are counted by the gRPC server.
type Metrics struct {
	// Requests counts requests by route and HTTP status.
	Requests *prometheus.CounterVec
}

// NewMetrics makes the metrics.
func NewMetrics(m *telemetry.Metrics) Metrics {
	return Metrics{Requests: m.Counter("http_requests", "HTTP requests that were answered, by route and status.", "route", "code")}
}

// Settings are what the service gives to the front.
type Settings struct {
	// Dial connects to the gRPC server; the front closes the connection.
	Dial    func() (*grpc.ClientConn, error)
	Logger  *slog.Logger
	Metrics Metrics
	// SendTimeout is how long a client may leave what was sent unread until it is cut off.
	SendTimeout time.Duration
	// KeepAlive is the silence after which server-sent events get a comment.
	KeepAlive time.Duration
}

// Server is a lifecycle.Service. When it is stopped its streams end at once, with Unavailable and SERVER_STOPPING; other
// requests end by themselves.
type Server struct {
	cfg   Config
	set   Settings
	ready chan struct{}
	bound net.Addr // set before ready is closed
}

// New returns a front. It opens nothing. cfg must have an address.
func New(cfg Config, set Settings) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Server{cfg: cfg, set: set, ready: make(chan struct{})}, nil
}

// Name returns "http".
func (s *Server) Name() string { return "http" }

// Ready is closed once the front listens.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Addr returns where the front listens. It must not be called before Ready is closed.
func (s *Server) Addr() net.Addr { return s.bound }

// Run serves until ctx is done. It fails with grpcserver.ErrPlaintext for an address outside loopback without TLS.
func (s *Server) Run(ctx context.Context) (err error) {
	listener, err := s.cfg.TLS.Listen(ctx, s.cfg.Address, s.cfg.AllowPlaintextOnPublicAddress)
	if err != nil {
		return err
	}
	conn, err := s.set.Dial()
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	stopping := make(chan struct{})
	handler, err := newFront(ctx, s.cfg, s.set, conn, stopping)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	s.bound = listener.Addr()
	server := s.httpServer(handler)
	served := make(chan error, 1)
	go func() { served <- server.Serve(s.secured(netutil.LimitListener(listener, s.cfg.MaxConnections))) }()
	close(s.ready)
	select {
	case err := <-served:
		close(stopping)
		return errors.Join(fmt.Errorf("serving: %w", err), server.Close())
	case <-ctx.Done():
	}
	close(stopping)
	err = drain(ctx, server)
	if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("serving: %w", ended))
	}
	return err
}

func (s *Server) secured(listener net.Listener) net.Listener {
	cfg := s.cfg.TLS.Server()
	if cfg == nil {
		return listener
	}
	cfg.NextProtos = []string{"h2", "http/1.1"}
	if each := cfg.GetConfigForClient; each != nil {
		cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			own, err := each(hello)
			if own != nil {
				own.NextProtos = cfg.NextProtos
			}
			return own, err
		}
	}
	return tls.NewListener(listener, cfg)
}

// maxConcurrentStreams bounds the requests under way on one connection; more wait with the client.
const maxConcurrentStreams = 32

func (s *Server) httpServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: s.cfg.ReadHeaderTimeout,
		ReadTimeout:       s.cfg.ReadTimeout,
		IdleTimeout:       s.cfg.IdleTimeout,
		MaxHeaderBytes:    int(s.cfg.MaxHeader),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxConcurrentStreams,
			// What comes from a connection that stands still has no bound of its own else.
			WriteByteTimeout: s.set.SendTimeout, SendPingTimeout: s.set.SendTimeout, PingTimeout: s.set.SendTimeout,
		},
		DisableGeneralOptionsHandler: true,
		// Its lines name addresses of clients; what matters is counted, and panics are logged by the handler.
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
}

// drain lets requests end, and cuts off those that outlast the budget.
func drain(ctx context.Context, server *http.Server) error {
	budget, cancel := lifecycle.Draining(ctx)
	defer cancel()
	if err := server.Shutdown(budget); err != nil {
		return errors.Join(fmt.Errorf("draining requests: %w", context.Cause(budget)), server.Close())
	}
	return nil
}
