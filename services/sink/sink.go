// Package sink stores what travels on the bus: every stream of the topology goes into ClickHouse.
//
// It reads the streams that the topology gives it and the object store of blobs; it writes the
// tables of pkg/clickhouse/migrations, which it migrates at start, and dead letters. It inserts
// before it acknowledges, so a row may be written twice and never not at all; the tables keep the
// greatest version of each id. It never changes a record and never answers anybody.
package sink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/entraflow/entraflow/pkg/app"
	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/clickhouse"
	"github.com/entraflow/entraflow/pkg/clickhouse/embedded"
	"github.com/entraflow/entraflow/pkg/lifecycle"
	"github.com/entraflow/entraflow/services/sink/internal/intake"
)

// Settings are what the program gives the sink.
type Settings struct {
	app.Settings
	// InProcess reaches a NATS server in this process; nil goes by Config.NATS.URL.
	InProcess nats.InProcessConnProvider
	// Engine returns the ClickHouse engine that runs in this process. Run calls it unless the config
	// has a DSN; the sink does not close it. Nil starts an engine as Config.ClickHouse says.
	Engine func() *embedded.Engine
}

// Sink is a lifecycle.Service.
type Sink struct {
	cfg     Config
	set     Settings
	metrics intake.Metrics
	ready   chan struct{}
}

// New returns a sink. It opens nothing.
func New(cfg Config, set Settings) (*Sink, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("checking sink configuration: %w", err)
	}
	if set.Logger == nil {
		set.Logger = slog.New(slog.DiscardHandler)
	}
	if err := checkStreams(); err != nil {
		return nil, err
	}
	metrics, err := newMetrics(set.Registry)
	if err != nil {
		return nil, err
	}
	return &Sink{cfg: cfg, set: set, metrics: metrics, ready: make(chan struct{})}, nil
}

// Name implements lifecycle.Service.
func (s *Sink) Name() string { return "sink" }

// Ready is closed once the tables are migrated and messages are taken.
func (s *Sink) Ready() <-chan struct{} { return s.ready }

// Run stores until ctx is done, then finishes the batches it holds. While ClickHouse is away it
// waits, at start too; it returns an error if the embedded engine cannot start, the schema cannot be
// migrated or NATS refuses the user.
func (s *Sink) Run(ctx context.Context) error {
	conn, err := bus.Connect(ctx, s.cfg.NATS, bus.Settings{
		Service: s.Name(), InProcess: s.set.InProcess,
		Logger: s.set.Logger, Registerer: s.set.Registry, Clock: s.set.Clock,
	})
	if err != nil {
		return lifecycle.OrDone(ctx, err)
	}
	defer conn.Close()
	store, err := s.open(ctx, conn)
	if err != nil {
		return lifecycle.OrDone(ctx, err)
	}
	return errors.Join(s.consume(ctx, conn, store), s.close(ctx, store))
}

// consume stores every stream until ctx is done.
func (s *Sink) consume(ctx context.Context, conn *bus.Conn, store *clickhouse.Store) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	set := intake.Settings{
		Store: store, Blobs: bus.NewBlobs(conn), Metrics: s.metrics, RecentIDs: s.cfg.RecentIDs,
		Outage: intake.NewOutage(intake.BackOff(s.cfg.Retry), ctx.Done(), s.set.Logger, s.metrics.Up),
	}
	var consumers sync.WaitGroup
	for _, stream := range streams() {
		consumer, err := bus.NewConsumer(conn, bus.DefaultConsumerConfig(), bus.ConsumerSettings{Stream: stream, Durable: s.Name()})
		if err != nil {
			return err
		}
		handle := intakes()[stream](s.cfg.Batch.limits(), set)
		consumers.Go(func() {
			if err := consumer.RunBatches(ctx, s.cfg.Batch.options(), handle); err != nil {
				cancel(err)
			}
		})
	}
	close(s.ready)
	consumers.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// Program is the command line program.
func Program() app.Service[Config] {
	return app.Service[Config]{
		Name:    "sink",
		Short:   "store every stream in ClickHouse",
		Long:    "Reads the streams of NATS JetStream and stores them in ClickHouse, insert before acknowledgment.",
		Default: DefaultConfig,
		New: func(c Config, set app.Settings) (lifecycle.Service, error) {
			return New(c, Settings{Settings: set})
		},
	}
}
