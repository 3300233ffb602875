package session

import (
	"context"
	"errors"
	"log/slog"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/entra/budget"
	"github.com/entraflow/entraflow/pkg/integrations"
	"github.com/entraflow/entraflow/pkg/lease"
	"github.com/entraflow/entraflow/pkg/lifecycle"
	"github.com/entraflow/entraflow/pkg/runs"
	"github.com/entraflow/entraflow/pkg/seal"
	"github.com/entraflow/entraflow/pkg/shift"
	statev1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/state/v1"
)

// BaseSettings say what a service that works for Entra's tenants opens.
type BaseSettings struct {
	// Conn is the service's; its name is the service's everywhere.
	Conn *bus.Conn
	// Instance tells this replica from the others: see shift.Instance.
	Instance string
	Sealer   *seal.Sealer
	// Gate looks at Streams.
	Gate    bus.GateConfig
	Streams []string
	// BudgetScale multiplies Microsoft's limits; 0 knows none.
	BudgetScale float64
	Clock       clock.Clock
	Logger      *slog.Logger
	Registerer  prometheus.Registerer
}

// Base is what such a service has of the bus. It needs no closing.
type Base struct {
	Gate         *bus.Gate
	Checkpoints  jetstream.KeyValue
	Budget       *budget.Budget
	Integrations *integrations.Store
	Runs         *runs.Store

	set BaseSettings
}

// OpenBase waits for the buckets until ctx is done.
func OpenBase(ctx context.Context, set BaseSettings) (*Base, error) {
	b := &Base{set: set}
	var err error
	if b.Gate, err = bus.NewGate(set.Conn, set.Gate, set.Streams...); err != nil {
		return nil, err
	}
	if b.Checkpoints, err = set.Conn.Bucket(ctx, bus.BucketCheckpoints); err != nil {
		return nil, err
	}
	budgets, err := set.Conn.Bucket(ctx, bus.BucketBudgets)
	if err != nil {
		return nil, err
	}
	if b.Integrations, err = integrations.Open(ctx, set.Conn, set.Sealer); err != nil {
		return nil, err
	}
	if b.Runs, err = runs.Open(ctx, set.Conn); err != nil {
		return nil, err
	}
	b.Budget, err = budget.New(budget.Settings{
		// Two services in one process are two who share a limit.
		KV: budget.JetStream(budgets), Replica: set.Conn.Service() + "-" + set.Instance, Service: set.Conn.Service(), Scale: set.BudgetScale,
		Clock: set.Clock, Registerer: set.Registerer,
	})
	if err != nil {
		return nil, err
	}
	return b, nil
}

// Settings are those of the service's sessions, but for what they read.
func (b *Base) Settings() Settings {
	return Settings{
		Service: b.set.Conn.Service(), Integrations: b.Integrations, Runs: b.Runs, Budget: b.Budget,
		Clock: b.set.Clock, Logger: b.set.Logger, Registerer: b.set.Registerer,
	}
}

// CursorKey is where the cursor of a data type is in the bucket checkpoints. An integration that is made again for another
// tenant begins anew.
func (b *Base) CursorKey(integration, tenant, dataType string) string {
	return bus.Key(b.set.Conn.Service(), integration, tenant, dataType)
}

// Tasks are what the service does as long as it runs: it keeps to Microsoft's limits, watches its streams, takes commands
// of the verb and works for the integrations that are this replica's. known is called once, when the integrations there
// are were seen.
func (b *Base) Tasks(sessions Settings, work Work, verb string, known func()) ([]lifecycle.Task, error) {
	commands, err := bus.NewConsumer(b.set.Conn, bus.DefaultConsumerConfig(), bus.ConsumerSettings{
		Stream: statev1.CommandStream, Durable: b.set.Conn.Service(),
	})
	if err != nil {
		return nil, err
	}
	handle := b.Runs.Handler(verb, func(ctx context.Context, integration string) error {
		_, err := b.Integrations.Get(ctx, integration)
		return err
	})
	tenants := shift.New(shift.Settings{
		Conn: b.set.Conn, Instance: b.set.Instance, Integrations: b.Integrations, Logger: b.set.Logger,
		Concerns:  func(r integrations.Record) bool { return r.Integration.GetEntra() != nil },
		NewWorker: func(r integrations.Record) shift.Worker { return NewWorker(r, sessions, work) },
		Forget:    b.forget,
		Known:     known,
	})
	return []lifecycle.Task{
		{What: "keeping to limits", Run: b.Budget.Run},
		{What: "watching streams", Run: b.Gate.Run},
		{What: "taking commands", Run: func(ctx context.Context) error { return commands.Run(ctx, handle) }},
		{What: "sharing tenants", Run: tenants.Run},
	}, nil
}

// forget removes the runs and cursors of an integration that is gone.
func (b *Base) forget(ctx context.Context, integration string) error {
	return errors.Join(
		b.Runs.Forget(ctx, integration),
		lease.ForgetCursors(ctx, b.Checkpoints, bus.Key(b.set.Conn.Service(), integration)),
	)
}
