package collector

import (
	"context"
	"log/slog"
	"sync"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/integrations"
	"github.com/entraflow/entraflow/pkg/lease"
	"github.com/entraflow/entraflow/services/collector/internal/tenant"
)

// shift is the tenants of this replica: one goroutine for each integration waits for its lease and then collects it.
type shift struct {
	conn     *bus.Conn
	cfg      Config
	instance string
	set      tenant.Settings
	workers  sync.WaitGroup

	mu   sync.Mutex
	jobs map[string]*job
}

type job struct {
	worker *tenant.Worker
	cancel context.CancelFunc
	ended  chan struct{}
}

func newShift(conn *bus.Conn, cfg Config, instance string, set tenant.Settings) *shift {
	return &shift{conn: conn, cfg: cfg, instance: instance, set: set, jobs: map[string]*job{}}
}

// apply begins, changes or ends the work on an integration.
func (s *shift) apply(ctx context.Context, change integrations.Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.jobs[change.ID]
	switch {
	case change.Err != nil:
		s.set.Logger.Error("an integration cannot be read", slog.String("integration", change.ID), slog.Any("err", change.Err))
	case change.Record == nil || change.Record.Integration.GetEntra() == nil:
		delete(s.jobs, change.ID)
		s.workers.Go(func() { s.forget(ctx, change.ID, known) })
	case known != nil:
		known.worker.Set(*change.Record)
	default:
		s.begin(ctx, *change.Record)
	}
}

func (s *shift) begin(ctx context.Context, record integrations.Record) {
	ctx, cancel := context.WithCancel(ctx)
	j := &job{worker: tenant.NewWorker(record, s.cfg.Tenant, s.set), cancel: cancel, ended: make(chan struct{})}
	s.jobs[record.ID] = j
	s.workers.Go(func() {
		defer close(j.ended)
		for ctx.Err() == nil {
			err := lease.Run(ctx, s.conn, lease.Settings{Name: "tenant-" + record.ID, Holder: s.instance},
				func(ctx context.Context, held *lease.Lease) error {
					s.set.Logger.Info("collecting", slog.String("integration", record.ID))
					return j.worker.Run(ctx, held)
				})
			if err != nil && ctx.Err() == nil {
				s.set.Logger.Warn("a tenant was given up", slog.String("integration", record.ID), slog.Any("err", err))
				_ = s.set.Clock.Sleep(ctx, s.cfg.Gate.Interval)
			}
		}
	})
}

// forget ends the work on an integration that is gone and removes what it left in the buckets.
func (s *shift) forget(ctx context.Context, id string, known *job) {
	if known != nil {
		known.cancel()
		<-known.ended
	}
	if ctx.Err() != nil {
		return
	}
	if err := s.set.Runs.Forget(ctx, id); err != nil {
		s.set.Logger.Warn("forgetting runs failed", slog.String("integration", id), slog.Any("err", err))
	}
	keys, err := s.set.Checkpoints.ListKeysFiltered(ctx, bus.Key("collector", id)+".*")
	if err != nil {
		s.set.Logger.Warn("forgetting cursors failed", slog.String("integration", id), slog.Any("err", err))
		return
	}
	for key := range keys.Keys() {
		if err := s.set.Checkpoints.Purge(ctx, key); err != nil {
			s.set.Logger.Warn("forgetting cursors failed", slog.String("integration", id), slog.Any("err", err))
		}
	}
}

// wait returns once all work has ended.
func (s *shift) wait() { s.workers.Wait() }
