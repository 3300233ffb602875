// Package gateway answers programs and people over gRPC and HTTP: searches of what is stored, what the directories of
// tenants have, events as they come, what is connected, who may call and who called.
//
// It reads ClickHouse, the stream EVENTS, the object store blobs and the bucket runs. It writes the buckets
// integrations, credentials sealed, api_tokens, hashes alone, and requests, the streams COMMANDS and AUDIT, and the files
// of its token and of the master key; it asks the collector and the streamer to test connections. It opens no credential
// and no connection to Microsoft.
// It listens on loopback unless it has a certificate, and no method, health and reflection included, works
// without a token or certificate whose role may call it: internal/access says which may. Every call that changes or
// reveals something is in the audit log before its answer goes out. What a client sends is bound to parameters or compared; it never becomes part of a
// statement, and of a subject only by the builders of proto and bus.
package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/entraflow/entraflow/pkg/app"
	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/clickhouse/embedded"
	"github.com/entraflow/entraflow/pkg/grpcserver"
	"github.com/entraflow/entraflow/pkg/lifecycle"
	"github.com/entraflow/entraflow/pkg/seal"
)

// Settings are what the program gives the gateway.
type Settings struct {
	app.Settings
	// InProcess reaches a NATS server in this process; nil goes by Config.NATS.URL.
	InProcess nats.InProcessConnProvider
	// Engine returns the ClickHouse engine that runs in this process; it is called by Run, and the
	// gateway does not close it. Nil goes by Config.ClickHouse.
	Engine func() *embedded.Engine
}

// Service is the gateway. Run may be called once.
type Service struct {
	cfg     Config
	set     Settings
	metrics metrics
	ready   chan struct{}
	// Set before ready is closed; boundHTTP stays nil without HTTP.
	bound, boundHTTP net.Addr
}

var errNoStore = errors.New("clickhouse.dsn: must be set")

// New returns a gateway. It opens nothing.
func New(cfg Config, set Settings) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.ClickHouse.DSN.IsZero() && set.Engine == nil {
		return nil, errNoStore
	}
	if set.Logger == nil {
		set.Logger = slog.New(slog.DiscardHandler)
	}
	metrics, err := newMetrics(set.Registry)
	if err != nil {
		return nil, err
	}
	return &Service{cfg: cfg, set: set, metrics: metrics, ready: make(chan struct{})}, nil
}

// Name implements lifecycle.Service.
func (s *Service) Name() string { return "gateway" }

// Ready is closed once clients are served.
func (s *Service) Ready() <-chan struct{} { return s.ready }

// Addr returns where the gateway listens. It must not be called before Ready is closed.
func (s *Service) Addr() net.Addr { return s.bound }

// Run serves until ctx is done, then lets searches end and tells subscribers to connect elsewhere. It
// waits for NATS at its start; while ClickHouse or the buckets are away, the methods that need them say so. It
// returns an error if the token file or the master key is no such, NATS refuses the user, or the address is taken.
func (s *Service) Run(ctx context.Context) error {
	secret, err := grpcserver.EnsureToken(s.cfg.TokenFile)
	if err != nil {
		return err
	}
	conn, err := bus.Connect(ctx, s.cfg.NATS, bus.Settings{
		Service: s.Name(), InProcess: s.set.InProcess,
		Logger: s.set.Logger, Registerer: s.set.Registry, Clock: s.set.Clock,
	})
	if err != nil {
		if ctx.Err() != nil {
			return nil // asked to stop before it had begun
		}
		return err
	}
	defer conn.Close()
	sealer, err := seal.Open(ctx, s.cfg.Seal)
	if err != nil {
		return err
	}
	defer sealer.Close() //nolint:errcheck // nothing is left to be written
	publisher, err := bus.NewPublisher(conn)
	if err != nil {
		return err
	}
	defer publisher.Close(context.WithoutCancel(ctx)) //nolint:errcheck // each method waits for what it publishes
	store := newStore(s.cfg.ClickHouse, s.set)
	needs := &dependencies{up: s.metrics.up}
	server, events, err := s.build(parts{
		secret: secret, conn: conn, sealer: sealer, publisher: publisher, store: store, needs: needs,
	})
	if err != nil {
		return err
	}
	err = s.serve(ctx, server, probe{
		interval: s.cfg.ProbeInterval, store: store, conn: conn, server: server, needs: needs,
	})
	events.Wait()
	return errors.Join(err, store.close(ctx))
}

// serve runs the server and what goes on beside it until ctx is done.
func (s *Service) serve(ctx context.Context, server *grpcserver.Server, probe probe) error {
	beside, stop := context.WithCancel(ctx)
	var tasks sync.WaitGroup
	probed := make(chan struct{})
	tasks.Go(func() { probe.run(beside, probed) })
	listening := make(chan struct{})
	tasks.Go(func() { s.announce(beside, listening, probed) })
	err := s.listen(ctx, server, func() { close(listening) })
	stop()
	tasks.Wait()
	return err
}

// announce closes ready once the servers listen and the store was asked for: searches then work, if
// it is there.
func (s *Service) announce(ctx context.Context, listening, probed <-chan struct{}) {
	for _, done := range []<-chan struct{}{listening, probed} {
		select {
		case <-done:
		case <-ctx.Done():
			return
		}
	}
	attrs := []any{slog.String("address", s.bound.String())}
	if s.boundHTTP != nil {
		attrs = append(attrs, slog.String("http_address", s.boundHTTP.String()))
	}
	s.set.Logger.Info("serving", attrs...)
	close(s.ready)
}

// Program is the command line program.
func Program() app.Service[Config] {
	return app.Service[Config]{
		Name:    "gateway",
		Short:   "serve searches, the directory, live events and integrations over gRPC and HTTP",
		Long:    "Answers searches and questions about the directory from ClickHouse, streams events from NATS and keeps integrations, for clients over gRPC and HTTP.",
		Default: DefaultConfig,
		New: func(c Config, set app.Settings) (lifecycle.Service, error) {
			return New(c, Settings{Settings: set})
		},
		Flags: []app.Flag{
			{Name: "address", Key: "gateway.grpc.address", Usage: "host:port of the gRPC server"},
			{Name: "http-address", Key: "gateway.http.address", Usage: "host:port of the HTTP server, empty for none"},
			{Name: "token-file", Key: "gateway.token_file", Usage: "file of the bearer token"},
		},
	}
}
