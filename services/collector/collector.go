// Package collector reads the logs of Entra tenants through Microsoft Graph: 30 days back at first, then only
// what is new.
//
// It reads the buckets integrations and budgets and the stream COMMANDS, and writes EVENTS, DEAD and the buckets
// checkpoints, runs, budgets, leases and blobs. It answers whether a connection works, because it alone holds the
// credentials. One replica collects a tenant at a time, under a lease. It never saves a window as read before
// everything in it is stored in a stream, and sends nothing to Graph beyond the documented limits.
package collector

import (
	"context"
	"log/slog"

	"github.com/nats-io/nats.go"

	"github.com/entraflow/entraflow/pkg/app"
	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/entra/slots"
	"github.com/entraflow/entraflow/pkg/lifecycle"
	"github.com/entraflow/entraflow/pkg/seal"
	"github.com/entraflow/entraflow/pkg/session"
	"github.com/entraflow/entraflow/pkg/shift"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/collector/internal/tenant"
)

// VerbCollect is the verb of a command that asks for a run.
const VerbCollect = "collect"

// Settings is what the program sets.
type Settings struct {
	app.Settings
	// InProcess, if set, connects to an embedded NATS server without a socket.
	InProcess nats.InProcessConnProvider
	// Cloud, if set, is asked for clouds that the config does not name: those of a simulator in the same process.
	Cloud func(name string) (CloudConfig, bool)
}

// Collector is a lifecycle.Service.
type Collector struct {
	cfg     Config
	set     Settings
	metrics *tenant.Metrics
	ready   chan struct{}
}

// New checks the config and builds a collector. It opens nothing.
func New(cfg Config, set Settings) (*Collector, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if set.Logger == nil {
		set.Logger = slog.New(slog.DiscardHandler)
	}
	metrics, err := tenant.NewMetrics(set.Registry)
	if err != nil {
		return nil, err
	}
	return &Collector{cfg: cfg, set: set, metrics: metrics, ready: make(chan struct{})}, nil
}

// Name is the service's name.
func (c *Collector) Name() string { return "collector" }

// Ready is closed once the collector answers questions and knows the integrations there are.
func (c *Collector) Ready() <-chan struct{} { return c.ready }

// Run collects until ctx is done. Then it takes no more windows, waits for the PubAcks of what it has published and gives
// its tenants up; a window that is not done by then is read again. It returns an error if NATS refuses the user or
// the key of the credentials cannot be had. Tenants that cannot be read end nothing.
func (c *Collector) Run(ctx context.Context) error {
	lasting, cancel := lifecycle.Draining(ctx)
	defer cancel()
	sealer, err := seal.Open(ctx, c.cfg.Seal)
	if err != nil {
		return err
	}
	defer sealer.Close() //nolint:errcheck // nothing is left to send
	conn, err := bus.Connect(ctx, c.cfg.NATS, bus.Settings{
		Service: c.Name(), InProcess: c.set.InProcess,
		Logger: c.set.Logger, Registerer: c.set.Registry, Clock: c.set.Clock,
	})
	if err != nil {
		return lifecycle.OrDone(ctx, err)
	}
	defer conn.Close()
	publisher, err := bus.NewPublisher(conn)
	if err != nil {
		return lifecycle.OrDone(ctx, err)
	}
	defer publisher.Close(lasting) //nolint:errcheck // what has no PubAck is read again
	return c.serve(ctx, conn, publisher, sealer)
}

// serve opens what the service works with and runs everything until ctx is done or a part fails.
func (c *Collector) serve(ctx context.Context, conn *bus.Conn, publisher *bus.Publisher, sealer *seal.Sealer) error {
	base, err := session.OpenBase(ctx, session.BaseSettings{
		Conn: conn, Instance: c.instance(), Sealer: sealer, Gate: c.cfg.Gate,
		Streams:     []string{eventv1.EventStream, eventv1.DeadLetterStream},
		BudgetScale: c.cfg.BudgetScale, Clock: c.set.Clock, Logger: c.set.Logger, Registerer: c.set.Registry,
	})
	if err != nil {
		return lifecycle.OrDone(ctx, err)
	}
	sessions := base.Settings()
	sessions.Endpoints, sessions.DataTypes, sessions.Reads = c.endpoints, tenant.Tested(), tenant.Reads
	sessions.ProbeInterval = c.cfg.Tenant.ProbeInterval
	work := tenant.Work(c.cfg.Tenant, tenant.Settings{
		Base: base, Publisher: publisher, DeadLetters: bus.NewDeadLetters(conn, publisher),
		Slots: slots.New(c.cfg.Pages), Recent: tenant.NewRecent(c.cfg.RecentRecords), Decoders: tenant.NewDecoders(),
		Clock: c.set.Clock, Logger: c.set.Logger, Metrics: c.metrics,
	})
	tasks, err := base.Tasks(sessions, work, VerbCollect, func() { close(c.ready) })
	if err != nil {
		return err
	}
	return lifecycle.RunTasks(ctx, append(tasks, lifecycle.Task{
		What: "answering", Run: func(ctx context.Context) error {
			return bus.Answer(ctx, conn, bus.QuestionTestConnection, newTestRequest, tester{sealer, sessions}.test)
		},
	})...)
}

// instance names this process among its replicas.
func (c *Collector) instance() string { return shift.Instance(c.cfg.Instance, c.Name()) }

// Program is the command line program.
func Program() app.Service[Config] {
	return app.Service[Config]{
		Name:    "collector",
		Short:   "read the logs of Entra tenants through Microsoft Graph",
		Long:    "Reads sign-ins, audits and risk of every configured tenant and publishes them as events over NATS JetStream.",
		Default: DefaultConfig,
		New: func(c Config, set app.Settings) (lifecycle.Service, error) {
			return New(c, Settings{Settings: set})
		},
	}
}
