package entraflow

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/entraflow/entraflow/pkg/app"
	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/natsserver"
	"github.com/entraflow/entraflow/pkg/clickhouse"
	"github.com/entraflow/entraflow/pkg/clickhouse/embedded"
	"github.com/entraflow/entraflow/pkg/config"
	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/collector"
	"github.com/entraflow/entraflow/services/directorysync"
	"github.com/entraflow/entraflow/services/gateway"
	"github.com/entraflow/entraflow/services/simulator"
	"github.com/entraflow/entraflow/services/sink"
	"github.com/entraflow/entraflow/services/streamer"
)

// ownerOnly is the mode of the data directory and its credentials.
const ownerOnly = 0o700

const (
	eventStream     = eventv1.EventStream
	deadStream      = eventv1.DeadLetterStream
	directoryStream = directoryv1.ObjectStream

	// clickhouseUser is who may query the embedded engine over HTTP, and only read.
	clickhouseUser = "reader"

	simulatedNamespace   = "simulator"
	simulatedHub         = "entra"
	simulatedIntegration = "simulator"
)

// open makes the data directory and opens the stores.
func (e *Entraflow) open(ctx context.Context) (_ *opened, err error) {
	if err := os.MkdirAll(e.cfg.credentials(), ownerOnly); err != nil {
		return nil, fmt.Errorf("making data directory: %w", err)
	}
	o := &opened{}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.close(ctx))
		}
	}()
	if err := e.openNATS(ctx, o); err != nil {
		return nil, err
	}
	// Under the lock of the store: the mark of another run that goes on stays what it is.
	if o.lostMachine, err = begin(e.cfg.DataDir); err != nil {
		return nil, err
	}
	o.dataDir = e.cfg.DataDir
	if err := e.openClickHouse(ctx, o); err != nil {
		return nil, err
	}
	return o, nil
}

func (e *Entraflow) openNATS(ctx context.Context, o *opened) (err error) {
	o.nats, err = natsserver.New(e.cfg.NATS, natsserver.Settings{
		Store: filepath.Join(e.cfg.DataDir, "nats"), Credentials: e.cfg.credentials(), Logger: e.set.For("nats").Logger,
	})
	if err != nil {
		return err
	}
	if err := o.nats.Start(ctx); err != nil {
		return err
	}
	o.closers = append(o.closers, func(context.Context) error {
		o.nats.Shutdown()
		return nil
	})
	o.operator, err = bus.Connect(ctx, o.nats.Config(bus.UserOperator), bus.Settings{
		Service: e.Name(), InProcess: o.nats, Logger: e.set.Logger, Clock: e.set.Clock,
	})
	if err != nil {
		return err
	}
	o.closers = append(o.closers, func(context.Context) error {
		o.operator.Close()
		return nil
	})
	return nil
}

func (e *Entraflow) openClickHouse(ctx context.Context, o *opened) error {
	password, err := config.EnsureSecretFile(filepath.Join(e.cfg.credentials(), "clickhouse.password"))
	if err != nil {
		return err
	}
	store := e.cfg.Sink.ClickHouse
	store.DSN = config.Secret{}
	o.store, err = clickhouse.Open(ctx, store, clickhouse.Settings{
		Users: []embedded.User{{Name: clickhouseUser, Password: password, ReadOnly: true}},
	})
	if err != nil {
		return err
	}
	o.closers = append(o.closers, o.store.Close)
	return nil
}

// services builds the services on what is open.
func (e *Entraflow) services(o *opened) (_ *services, err error) {
	s := &services{metrics: prometheus.NewRegistry()}
	// The program's registry shows them, and a summary can read them.
	if err := e.set.Registry.Register(s.metrics); err != nil {
		return nil, fmt.Errorf("registering metrics: %w", err)
	}
	set := e.set.Settings
	set.Registry = s.metrics

	cfg := e.cfg
	if cfg.Simulator {
		if err := e.simulate(s, &cfg); err != nil {
			return nil, err
		}
	}
	engine := o.store.Engine
	cfg.Collector.NATS = o.connection(cfg.Collector.NATS, bus.UserCollector)
	cfg.DirectorySync.NATS = o.connection(cfg.DirectorySync.NATS, bus.UserDirectorySync)
	cfg.Streamer.NATS = o.connection(cfg.Streamer.NATS, bus.UserStreamer)
	cfg.Sink.NATS = o.connection(cfg.Sink.NATS, bus.UserSink)
	cfg.Gateway.NATS = o.connection(cfg.Gateway.NATS, bus.UserGateway)

	streaming := streamer.Settings{
		Settings: set.For("streamer"), InProcess: o.nats,
		StepBack: o.lostMachine && cfg.NATS.Durability == natsserver.DurabilityProcess,
	}
	if s.simulator != nil {
		streaming.Dial = e.dial(s.simulator)
	}
	if err := s.readers(cfg, set, o); err != nil {
		return nil, err
	}
	if s.streamer, err = streamer.New(cfg.Streamer, streaming); err != nil {
		return nil, err
	}
	if s.sink, err = sink.New(cfg.Sink, sink.Settings{Settings: set.For("sink"), InProcess: o.nats, Engine: engine}); err != nil {
		return nil, err
	}
	if s.gateway, err = gateway.New(cfg.Gateway, gateway.Settings{Settings: set.For("gateway"), InProcess: o.nats, Engine: engine}); err != nil {
		return nil, err
	}
	s.http = newStoreListener(cfg.ClickHouse.Listen, engine(), e.set.Drain)
	return s, nil
}

// readers builds what reads tenants through Graph, unless it runs elsewhere.
func (s *services) readers(cfg Config, set app.Settings, o *opened) (err error) {
	if !slices.Contains(cfg.Elsewhere, bus.UserCollector) {
		s.collector, err = collector.New(cfg.Collector, collector.Settings{
			Settings: set.For(bus.UserCollector), InProcess: o.nats, Cloud: s.cloud,
		})
		if err != nil {
			return err
		}
	}
	if !slices.Contains(cfg.Elsewhere, bus.UserDirectorySync) {
		s.directorysync, err = directorysync.New(cfg.DirectorySync, directorysync.Settings{
			Settings: set.For(bus.UserDirectorySync), InProcess: o.nats, Cloud: s.cloud,
		})
	}
	return err
}

// connection signs a service in to the embedded server and keeps the bounds it was configured with.
func (o *opened) connection(cfg bus.Config, user string) bus.Config {
	own := o.nats.Config(user)
	own.MaxInFlight, own.MaxInFlightBytes = cfg.MaxInFlight, cfg.MaxInFlightBytes
	return own
}

// simulate builds the simulator and adds its hub to what the streamer reads.
func (e *Entraflow) simulate(s *services, cfg *Config) (err error) {
	// The hub lives in memory. Its sequence numbers and offsets start behind those of any run before, as
	// those of a hub do: a checkpoint or message id of an earlier run never covers a new record. Offsets
	// count bytes, so they start at nanoseconds: no run takes a gigabyte a second.
	first := e.set.Clock.Now().UnixNano()
	cfg.Simulated.Namespaces = []simulator.NamespaceConfig{{
		Name: simulatedNamespace, Hosts: []string{"localhost"}, Tokens: "refused",
	}}
	cfg.Simulated.Hubs = []simulator.HubSpec{{HubConfig: simulator.HubConfig{
		Name: simulatedHub, Partitions: 4, FirstSequence: first,
	}}}
	if cfg.simulatesTenant() {
		if s.tenant, err = e.simulatedTenant(cfg); err != nil {
			return err
		}
	}
	s.simulator, err = simulator.New(cfg.Simulated, simulator.Settings{
		Settings: e.set.For("simulator"), Announce: func(a simulator.Announcement) { s.announced.Store(&a) },
	})
	if err != nil {
		return err
	}
	connection, err := s.simulator.EventHubs().ConnectionString("", simulatedNamespace, false)
	if err != nil {
		return err
	}
	s.hub = streamer.DefaultHub()
	s.hub.Integration, s.hub.Tenants = simulatedIntegration, []string{streamer.AnyTenant}
	s.hub.EventHub, s.hub.ConnectionString = simulatedHub, config.NewSecret(connection)
	cfg.Streamer.Hubs = append(cfg.Streamer.Hubs, s.hub)
	return nil
}
