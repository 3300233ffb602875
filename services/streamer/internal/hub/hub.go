// Package hub reads one Event Hub and publishes what is in it.
//
// It reads messages over AMQP, decodes their records, publishes each as an event, or as a dead letter
// if it is none, and saves a partition's position once everything up to it is stored. It shares
// partitions with other readers of its consumer group through the checkpoint store. It never writes to
// the hub and never saves a position beyond a record that is not stored.
package hub

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/clock"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// Publisher is what this package asks of bus.Publisher.
type Publisher interface {
	PublishAsync(context.Context, bus.Message, bus.PublishOptions, func(bus.Ack, error)) error
	Publish(context.Context, bus.Message, bus.PublishOptions) (bus.Ack, error)
}

// Sealer is what this package asks of bus.DeadLetters.
type Sealer interface {
	Seal(*eventv1.DeadLetter) bus.PublishOptions
}

// Gate is what this package asks of bus.Gate.
type Gate interface {
	Wait(context.Context) error
}

// Settings are what the hubs of a streamer share. Nothing in it is closed here.
type Settings struct {
	Publisher   Publisher
	DeadLetters Sealer
	Gate        Gate
	Checkpoints jetstream.KeyValue
	Decoders    *Decoders
	Metrics     *Metrics
	Logger      *slog.Logger
	Clock       clock.Clock
	// Instance tells readers of a group apart. Two at a time must not have the same.
	Instance string
	// StepBack makes Run begin some time before the saved positions.
	StepBack bool
	// Dial, if set, makes the connections.
	Dial Dialer
}

// Hub reads one Event Hub.
type Hub struct {
	cfg     Config
	tuning  Tuning
	set     Settings
	log     *slog.Logger
	name    names
	tenants []string // nil: any
	labels  []string
	suspects
}

// names are the hub's as they stand in message ids and dead letters.
type names struct{ namespace, hub, group string }

// Reasons for the end of a session that are no failure.
var errRecycle = errors.New("connection is old")

// New returns a reader of the hub; cfg and tuning must be valid. It opens nothing.
func New(cfg Config, tuning Tuning, set Settings) *Hub {
	namespace, name := cfg.Name()
	h := &Hub{
		cfg: cfg, tuning: tuning, set: set,
		name:   names{namespace, name, cfg.ConsumerGroup},
		labels: []string{cfg.Integration, name, cfg.ConsumerGroup},
		log: set.Logger.With(slog.String("integration", cfg.Integration), slog.String("hub", name),
			slog.String("consumer_group", cfg.ConsumerGroup)),
	}
	if !slices.Contains(cfg.Tenants, AnyTenant) {
		for _, tenant := range cfg.Tenants {
			h.tenants = append(h.tenants, strings.ToLower(tenant))
		}
	}
	return h
}

// onlyTenant is the tenant of records that name none; empty unless there is exactly one.
func (h *Hub) onlyTenant() string {
	if len(h.tenants) == 1 {
		return h.tenants[0]
	}
	return ""
}

func (h *Hub) allows(tenant string) bool {
	return h.tenants == nil || slices.Contains(h.tenants, tenant)
}

// Run reads until ctx is done, then waits for the PubAcks of what was published and saves positions,
// for as long as lasting, which must outlive ctx, is not done. Whatever goes wrong with the hub it tries
// again with back-off.
func (h *Hub) Run(ctx, lasting context.Context) {
	connected := h.set.Metrics.Connected.WithLabelValues(h.labels...)
	defer h.set.Metrics.Connected.DeleteLabelValues(h.labels...)
	delay := h.tuning.BackOff.First
	if h.set.StepBack {
		h.stepBack(ctx)
	}
	for ctx.Err() == nil {
		began := time.Now()
		connected.Set(0)
		h.set.Metrics.Connections.WithLabelValues(h.labels...).Inc()
		err := h.session(ctx, lasting)
		if ctx.Err() != nil {
			return
		}
		lived := time.Since(began)
		if errors.Is(err, errRecycle) {
			h.log.Info("hub connection renewed", slog.Duration("duration", lived))
			continue
		}
		if lived > h.tuning.BackOff.Last {
			delay = h.tuning.BackOff.First
		}
		h.log.Warn("hub connection lost", slog.Duration("duration", lived), slog.Duration("retry_in", delay), slog.Any("err", err))
		connected.Set(0)
		pause(ctx, delay)
		delay = min(2*delay, h.tuning.BackOff.Last)
	}
}

// stepBack rewinds the positions; nothing may be read before it worked.
func (h *Hub) stepBack(ctx context.Context) {
	for ctx.Err() == nil {
		err := h.store().Rewind(ctx, h.name.namespace, h.name.hub, h.name.group)
		if err == nil {
			h.log.Info("stepped back", slog.Duration("duration", h.tuning.StepBack))
			return
		}
		h.log.Warn("stepping back failed", slog.Duration("retry_in", h.tuning.BackOff.Last), slog.Any("err", err))
		pause(ctx, h.tuning.BackOff.Last)
	}
}

// pause waits for d, give or take a quarter.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(spread(d, d/4))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// spread returns d give or take up to by, so that what started together does not stay together.
func spread(d, by time.Duration) time.Duration {
	return d - by + rand.N(2*by+1) //nolint:gosec // nothing secret
}
