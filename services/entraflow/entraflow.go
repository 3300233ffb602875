// Package entraflow is the whole product in one process: NATS, ClickHouse, collector, directorysync, streamer, sink and
// gateway, and on request a simulated Event Hub and tenant, all with their data in one directory.
//
// It owns that directory and writes credentials into it, mode 0600. It adds no behaviour to the services:
// each is the same code as in its own process and only gets its connections handed over. It is the one
// package that may import several services.
package entraflow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/entraflow/entraflow/pkg/app"
	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/natsserver"
	"github.com/entraflow/entraflow/pkg/clickhouse"
	"github.com/entraflow/entraflow/pkg/lifecycle"
	"github.com/entraflow/entraflow/services/collector"
	"github.com/entraflow/entraflow/services/directorysync"
	"github.com/entraflow/entraflow/services/gateway"
	"github.com/entraflow/entraflow/services/simulator"
	"github.com/entraflow/entraflow/services/simulator/tenant"
	"github.com/entraflow/entraflow/services/sink"
	"github.com/entraflow/entraflow/services/streamer"
)

// Settings is what the program sets.
type Settings struct {
	app.Settings
	// Stdout is where addresses and the first steps are printed.
	Stdout io.Writer
}

// Entraflow is a lifecycle.Service. With Config.Once its Run returns nil by itself.
type Entraflow struct {
	cfg   Config
	set   Settings
	ready chan struct{}
	// saying is held to print: progress of several services is printed at once.
	saying sync.Mutex
	// addresses is set before ready is closed.
	addresses Addresses
}

// Addresses are where a running product listens; empty where it does not.
type Addresses struct {
	// Gateway is host:port; HTTP, the gateway's too, NATS and ClickHouse are URLs.
	Gateway, HTTP, NATS, ClickHouse string
}

// New checks the config and builds the program. It opens nothing.
func New(cfg Config, set Settings) (*Entraflow, error) {
	cfg = cfg.effective()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Entraflow{cfg: cfg, set: set, ready: make(chan struct{})}, nil
}

// Name is the service's name.
func (e *Entraflow) Name() string { return "entraflow" }

// Ready is closed once every service is ready.
func (e *Entraflow) Ready() <-chan struct{} { return e.ready }

// Addresses returns where the product listens. It must not be called before Ready is closed.
func (e *Entraflow) Addresses() Addresses { return e.addresses }

// Run opens the stores, runs the services until ctx is done or, with Config.Once, until everything
// collected or replayed is stored, then stops them along the flow and closes the stores.
func (e *Entraflow) Run(ctx context.Context) (err error) {
	began := time.Now()
	o, err := e.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.close(ctx)) }()
	services, err := e.services(o)
	if err != nil {
		return err
	}
	if services.base, err = lastSequences(ctx, o.operator.JetStream()); err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	group := lifecycle.NewGroup(e.set.Drain, services.inOrder()...)
	ended := make(chan error, 1)
	go func() {
		err := group.Run(ctx)
		stop(err) // a service that failed ends the work, too
		ended <- err
	}()
	select {
	case <-group.Ready():
	case err := <-ended:
		return err
	}
	e.addresses = addressesOf(o, services)
	if err := e.announce(services); err != nil {
		stop(nil)
		return errors.Join(err, <-ended)
	}
	close(e.ready)
	workErr := e.work(ctx, o, services, began)
	// Without Once, work returns when ctx is done.
	stop(nil)
	return errors.Join(workErr, <-ended)
}

// work feeds the simulated hub, and with Once waits until everything is stored and sums up.
func (e *Entraflow) work(ctx context.Context, o *opened, s *services, began time.Time) error {
	if err := e.connect(ctx, s); err != nil {
		return lifecycle.OrDone(ctx, err)
	}
	replayed, err := e.feed(ctx, s)
	if err != nil {
		return lifecycle.OrDone(ctx, err)
	}
	if !e.cfg.Once {
		<-ctx.Done()
		return nil
	}
	summary, err := e.finish(ctx, o, s, began)
	if err != nil {
		return lifecycle.OrDone(ctx, err)
	}
	e.set.Logger.Info("everything replayed is stored", slog.Int64("records", replayed),
		slog.Uint64("dead_letters", summary.DeadLetters), slog.Uint64("duplicates", summary.Duplicates))
	return e.report(summary)
}

// opened is what the services share. close closes it, the other way round.
type opened struct {
	nats     *natsserver.Server
	operator *bus.Conn
	store    *clickhouse.Store
	closers  []func(context.Context) error
	// dataDir has the mark of this run if it is set.
	dataDir string
	// lostMachine says that the run before ended with its machine.
	lostMachine bool
}

func (o *opened) close(ctx context.Context) error {
	// The drain budget of the services is spent; closing the stores is bounded by their own.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	var errs []error
	for _, closer := range slices.Backward(o.closers) {
		errs = append(errs, closer(ctx))
	}
	if err := errors.Join(errs...); err != nil || o.dataDir == "" {
		return err
	}
	return end(o.dataDir)
}

// closeTimeout bounds closing the stores after the services have stopped.
const closeTimeout = 15 * time.Second

// services are the parts that run as a group.
type services struct {
	simulator *simulator.Simulator // nil without Config.Simulator
	hub       streamer.HubConfig   // the simulated hub
	tenant    *tenant.Tenant       // the simulated tenant; nil without one
	announced atomic.Pointer[simulator.Announcement]
	// collector and directorysync are nil if they run elsewhere.
	collector     *collector.Collector
	directorysync *directorysync.DirectorySync
	streamer      *streamer.Streamer
	sink          *sink.Sink
	gateway       *gateway.Service
	http          *storeListener
	metrics       *prometheus.Registry
	base          bases
}

// bases are where the streams ended before this run.
type bases struct{ events, dead, directory uint64 }

// inOrder lists the services along the flow, and Microsoft's side behind them.
func (s *services) inOrder() []lifecycle.Service {
	var flow []lifecycle.Service
	if s.collector != nil {
		flow = append(flow, s.collector)
	}
	if s.directorysync != nil {
		flow = append(flow, s.directorysync)
	}
	flow = append(flow, s.streamer, s.sink, s.http, s.gateway)
	if s.simulator != nil {
		// It is there before those who read a tenant of an earlier run at once, and until they have stopped.
		flow = append(flow, s.simulator)
	}
	return flow
}

// lastSequences tells where the streams end.
func lastSequences(ctx context.Context, js jetstream.JetStream) (bases, error) {
	events, err := lastSequence(ctx, js, eventStream)
	if err != nil {
		return bases{}, err
	}
	dead, err := lastSequence(ctx, js, deadStream)
	if err != nil {
		return bases{}, err
	}
	directory, err := lastSequence(ctx, js, directoryStream)
	return bases{events, dead, directory}, err
}

func lastSequence(ctx context.Context, js jetstream.JetStream, name string) (uint64, error) {
	stream, err := js.Stream(ctx, name)
	if err != nil {
		return 0, fmt.Errorf("reading stream %s: %w", name, err)
	}
	return stream.CachedInfo().State.LastSeq, nil
}
