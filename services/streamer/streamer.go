// Package streamer takes Entra records from Azure Event Hubs in real time.
//
// It reads the hubs of its config and of the bucket integrations over AMQP, with the right to listen and no other, and
// writes EVENTS, DEAD and the buckets checkpoints and blobs. It opens the credentials of integrations with the master
// key, and answers whether a hub can be read. It decodes records and judges none; a record that it
// cannot read, or that the hub may not carry, becomes a dead letter and holds up nothing. It never
// saves a position before everything up to it is stored, and takes nothing while a stream is nearly full.
package streamer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	"github.com/entraflow/entraflow/pkg/app"
	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/lifecycle"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	statev1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/state/v1"
	"github.com/entraflow/entraflow/services/streamer/internal/fleet"
	"github.com/entraflow/entraflow/services/streamer/internal/hub"
)

// Dialer makes connections to hubs in place of the SDK's own.
type Dialer = hub.Dialer

// Settings is what the program sets.
type Settings struct {
	app.Settings
	// InProcess, if set, connects to an embedded NATS server without a socket.
	InProcess nats.InProcessConnProvider
	// StepBack makes Run begin some time (Tuning.StepBack) before the saved positions: for a start after a power
	// cut, which the streams may have survived less well than the positions. No other streamer may read the hubs
	// at that time.
	StepBack bool
	// Dial, if set, connects to the hubs, such as by net.Pipe to a simulator in the same process.
	Dial Dialer
}

// Streamer is a lifecycle.Service.
type Streamer struct {
	cfg     Config
	set     Settings
	metrics *hub.Metrics
	ready   chan struct{}
}

// New checks the config and builds a streamer. It opens nothing.
func New(cfg Config, set Settings) (*Streamer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	metrics, err := newMetrics(set.Registry)
	if err != nil {
		return nil, err
	}
	if cfg.Instance == "" {
		cfg.Instance = nuid.Next()
	}
	return &Streamer{cfg: cfg, set: set, metrics: metrics, ready: make(chan struct{})}, nil
}

// Name is the service's name.
func (s *Streamer) Name() string { return "streamer" }

// Ready is closed once the streamer is connected to NATS and reads, or tries to read, its hubs.
func (s *Streamer) Ready() <-chan struct{} { return s.ready }

// Run reads until ctx is done. Then it takes nothing more, waits for the PubAcks of what it has published,
// saves positions and gives its partitions up. It returns nil even if PubAcks are missing when the
// time is over: those records are still in the hub. Hubs that cannot be reached end nothing.
func (s *Streamer) Run(ctx context.Context) error {
	lasting, cancel := s.lasting(ctx)
	defer cancel()
	conn, err := s.connect(ctx)
	if err != nil {
		return lifecycle.OrDone(ctx, err)
	}
	defer conn.Close()
	shared, publisher, err := s.open(ctx, conn)
	if err != nil {
		return lifecycle.OrDone(ctx, err)
	}
	// What has no PubAck by then was given up by its hub already.
	defer publisher.Close(lasting) //nolint:errcheck // see above
	gate, err := bus.NewGate(conn, s.cfg.Gate, eventv1.EventStream, eventv1.DeadLetterStream)
	if err != nil {
		return fmt.Errorf("making gate: %w", err)
	}
	shared.Gate = gate
	keys := fleet.NewKeys(s.cfg.Seal)
	defer keys.Close() //nolint:errcheck // nothing is left to be written
	return s.read(ctx, lasting, gate, fleet.Settings{
		Conn: conn, Keys: keys, Namespaces: s.cfg.Namespaces, Tuning: s.cfg.Tuning, Shared: shared, Configured: s.cfg.Hubs,
	})
}

// read runs the hubs and what they share.
func (s *Streamer) read(ctx, lasting context.Context, gate *bus.Gate, set fleet.Settings) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var tasks sync.WaitGroup
	tasks.Go(func() {
		if err := gate.Run(ctx); err != nil {
			stop(fmt.Errorf("watching streams: %w", err))
		}
	})
	for _, cfg := range s.cfg.Hubs {
		reader := hub.New(cfg, s.cfg.Tuning, set.Shared)
		tasks.Go(func() { reader.Run(ctx, lasting) })
	}
	if len(s.cfg.Hubs) == 0 {
		s.set.Logger.Info("only hubs of integrations are read", slog.String("key", "streamer.hubs"))
	}
	integrated := fleet.New(set)
	tasks.Go(func() { integrated.Run(ctx, lasting) })
	tester := fleet.Tester{Keys: set.Keys, Namespaces: set.Namespaces, Dial: s.set.Dial, Clock: s.set.Clock}
	tasks.Go(func() {
		newQuestion := func() *statev1.TestRequest { return &statev1.TestRequest{} }
		if err := bus.Answer(ctx, set.Conn, bus.QuestionTestHub, newQuestion, tester.Test); err != nil {
			stop(fmt.Errorf("answering tests of hubs: %w", err))
		}
	})
	close(s.ready)
	<-ctx.Done()
	tasks.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// lasting returns a context for publishing: it ends a while after ctx, so that what is in flight when ctx
// is done gets its PubAck.
func (s *Streamer) lasting(ctx context.Context) (context.Context, context.CancelFunc) {
	draining, cancel := lifecycle.Draining(ctx)
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(s.cfg.DrainTimeout, cancel)
		context.AfterFunc(draining, func() { timer.Stop() })
	})
	return draining, func() {
		stop()
		cancel()
	}
}

func (s *Streamer) connect(ctx context.Context) (*bus.Conn, error) {
	return bus.Connect(ctx, s.cfg.NATS, bus.Settings{
		Service: s.Name(), InProcess: s.set.InProcess,
		Logger: s.set.Logger, Registerer: s.set.Registry, Clock: s.set.Clock,
	})
}

// open makes what the hubs share but for the gate. The caller closes the publisher.
func (s *Streamer) open(ctx context.Context, conn *bus.Conn) (hub.Settings, *bus.Publisher, error) {
	checkpoints, err := conn.Bucket(ctx, bus.BucketCheckpoints)
	if err != nil {
		return hub.Settings{}, nil, err
	}
	publisher, err := bus.NewPublisher(conn)
	if err != nil {
		return hub.Settings{}, nil, fmt.Errorf("making publisher: %w", err)
	}
	return hub.Settings{
		Publisher: publisher, DeadLetters: bus.NewDeadLetters(conn, publisher),
		Checkpoints: checkpoints, Decoders: hub.NewDecoders(s.cfg.Tuning), Metrics: s.metrics,
		Logger: s.set.Logger, Clock: s.set.Clock, Instance: s.cfg.Instance,
		StepBack: s.set.StepBack, Dial: s.set.Dial,
	}, publisher, nil
}

// Program is the command line program.
func Program() app.Service[Config] {
	return app.Service[Config]{
		Name:    "streamer",
		Short:   "take Entra records from Azure Event Hubs",
		Long:    "Reads Event Hubs and publishes their records as events over NATS JetStream.",
		Default: DefaultConfig,
		New: func(c Config, set app.Settings) (lifecycle.Service, error) {
			return New(c, Settings{Settings: set})
		},
	}
}
