// Package directorysync keeps the directory of each Entra tenant as state on a stream: users, groups and their members,
// devices, applications, roles and policies, everything at first and then what has changed.
//
// It reads the buckets integrations and budgets and the streams COMMANDS and DIRECTORY, and writes DIRECTORY, DEAD and
// the buckets checkpoints, runs, budgets and leases. What was there before it reads from DIRECTORY itself, a page's
// objects at a time. One replica works for a tenant at a time, under a lease. Only a reading that came to its end says that
// something is gone, and nothing is sent to Graph beyond the documented limits.
package directorysync

import (
	"context"
	"log/slog"

	"github.com/nats-io/nats.go"

	"github.com/entraflow/entraflow/pkg/app"
	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/lifecycle"
	"github.com/entraflow/entraflow/pkg/seal"
	"github.com/entraflow/entraflow/pkg/session"
	"github.com/entraflow/entraflow/pkg/shift"
	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/directorysync/internal/state"
	"github.com/entraflow/entraflow/services/directorysync/internal/tenant"
)

// VerbSync asks for a run.
const VerbSync = "sync"

// Settings is what the program sets.
type Settings struct {
	app.Settings
	// InProcess, if set, connects to an embedded NATS server without a socket.
	InProcess nats.InProcessConnProvider
	// Cloud, if set, is asked for clouds that the config does not name: those of a simulator in the same process.
	Cloud func(name string) (CloudConfig, bool)
}

// DirectorySync is a lifecycle.Service.
type DirectorySync struct {
	cfg     Config
	set     Settings
	metrics *tenant.Metrics
	ready   chan struct{}
}

// New checks the config and builds the service. It opens nothing.
func New(cfg Config, set Settings) (*DirectorySync, error) {
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
	return &DirectorySync{cfg: cfg, set: set, metrics: metrics, ready: make(chan struct{})}, nil
}

// Name is the service's name.
func (d *DirectorySync) Name() string { return bus.UserDirectorySync }

// Ready is closed once the service knows the integrations there are.
func (d *DirectorySync) Ready() <-chan struct{} { return d.ready }

// Run keeps directories up to date until ctx is done. Then it asks for no more pages, waits for the PubAcks of what it
// has published and gives its tenants up; a page that is not stored by then is read again. It returns an error if NATS
// refuses the user or the key of the credentials cannot be had. Tenants that cannot be read end nothing.
func (d *DirectorySync) Run(ctx context.Context) error {
	lasting, cancel := lifecycle.Draining(ctx)
	defer cancel()
	sealer, err := seal.Open(ctx, d.cfg.Seal)
	if err != nil {
		return err
	}
	defer sealer.Close() //nolint:errcheck // nothing is left to send
	conn, err := bus.Connect(ctx, d.cfg.NATS, bus.Settings{
		Service: d.Name(), InProcess: d.set.InProcess,
		Logger: d.set.Logger, Registerer: d.set.Registry, Clock: d.set.Clock,
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
	return d.serve(ctx, conn, publisher, sealer)
}

// serve opens what the service works with and runs everything until ctx is done or a part fails.
func (d *DirectorySync) serve(ctx context.Context, conn *bus.Conn, publisher *bus.Publisher, sealer *seal.Sealer) error {
	base, err := session.OpenBase(ctx, session.BaseSettings{
		Conn: conn, Instance: d.instance(), Sealer: sealer, Gate: d.cfg.Gate,
		Streams:     []string{directoryv1.ObjectStream, eventv1.DeadLetterStream},
		BudgetScale: d.cfg.BudgetScale, Clock: d.set.Clock, Logger: d.set.Logger, Registerer: d.set.Registry,
	})
	if err != nil {
		return lifecycle.OrDone(ctx, err)
	}
	sessions := base.Settings()
	sessions.Endpoints, sessions.DataTypes, sessions.Reads = d.endpoints, tenant.Tested(), tenant.Reads
	sessions.ProbeInterval = d.cfg.Tenant.ProbeInterval
	work := tenant.Work(d.cfg.Tenant, tenant.Settings{
		Base: base, DeadLetters: bus.NewDeadLetters(conn, publisher), Logger: d.set.Logger, Metrics: d.metrics,
		State: state.Settings{Conn: conn, Publisher: publisher, Gate: base.Gate, Clock: d.set.Clock},
	})
	tasks, err := base.Tasks(sessions, work, VerbSync, func() { close(d.ready) })
	if err != nil {
		return err
	}
	return lifecycle.RunTasks(ctx, tasks...)
}

// instance names this process among its replicas.
func (d *DirectorySync) instance() string { return shift.Instance(d.cfg.Instance, d.Name()) }

// endpoints returns where a cloud is.
func (d *DirectorySync) endpoints(cloud string) (entra.Endpoints, error) {
	return d.cfg.Clouds.Endpoints(cloud, d.set.Cloud)
}

// Program is the command line program.
func Program() app.Service[Config] {
	return app.Service[Config]{
		Name:    "directorysync",
		Short:   "keep the directories of Entra tenants up to date",
		Long:    "Reads users, groups, devices, applications, roles and policies of every configured tenant and keeps them as state on NATS JetStream.",
		Default: DefaultConfig,
		New: func(c Config, set app.Settings) (lifecycle.Service, error) {
			return New(c, Settings{Settings: set})
		},
	}
}
