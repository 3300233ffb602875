package collector

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/integrations"
	"github.com/entraflow/entraflow/pkg/lease"
	"github.com/entraflow/entraflow/services/collector/internal/tenant"
)

// shift is the tenants of this replica: one goroutine for each integration waits until it may have its lease, gets it
// and then collects it.
type shift struct {
	conn     *bus.Conn
	cfg      Config
	instance string
	set      tenant.Settings
	// poll is how often a lease that somebody else has is asked for.
	poll    time.Duration
	share   share
	workers sync.WaitGroup

	mu   sync.Mutex
	jobs map[string]*job
}

// job is an integration that this replica knows of, whether it collects it or not.
type job struct {
	id     string
	worker *tenant.Worker
	cancel context.CancelFunc
	ended  chan struct{}
}

func newShift(conn *bus.Conn, cfg Config, instance string, set tenant.Settings, leaseTTL time.Duration) *shift {
	const pollsPerTTL = 8
	return &shift{
		conn: conn, cfg: cfg, instance: instance, set: set, poll: leaseTTL / pollsPerTTL,
		share: newShare(), jobs: map[string]*job{},
	}
}

// apply begins, changes or ends the work on an integration.
func (s *shift) apply(ctx context.Context, change integrations.Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.jobs[change.ID]
	switch {
	case change.Err != nil:
		s.set.Logger.Error("an integration cannot be read", slog.String("integration", change.ID), slog.Any("err", change.Err))
	case change.Record == nil:
		delete(s.jobs, change.ID)
		s.workers.Go(func() { s.forget(ctx, change.ID, known) })
	case change.Record.Integration.GetEntra() == nil:
		if known != nil { // it was one of Entra's; what is left of that is the same integration's
			delete(s.jobs, change.ID)
			known.cancel()
		}
	case known != nil:
		known.worker.Set(*change.Record)
	default:
		s.begin(ctx, *change.Record)
	}
	s.share.count(len(s.jobs))
}

func (s *shift) begin(ctx context.Context, record integrations.Record) {
	ctx, cancel := context.WithCancel(ctx)
	j := &job{id: record.ID, worker: tenant.NewWorker(record, s.cfg.Tenant, s.set), cancel: cancel, ended: make(chan struct{})}
	s.jobs[record.ID] = j
	s.workers.Go(func() {
		defer close(j.ended)
		defer cancel()
		for ctx.Err() == nil {
			s.serve(ctx, j)
			// Replicas that began together need not ask together for ever.
			s.pause(ctx, s.poll/2+rand.N(s.poll)) //nolint:gosec // jitter
		}
	})
}

// serve collects a tenant if its lease can be had, until ctx is done, the lease is lost, or the tenant is one too many.
func (s *shift) serve(ctx context.Context, j *job) {
	if !s.share.reserve() {
		return
	}
	defer s.share.unreserve()
	held, err := lease.TryAcquire(ctx, s.conn, lease.Settings{Name: "tenant-" + j.id, Holder: s.instance})
	if err != nil {
		if !errors.Is(err, lease.ErrTaken) && ctx.Err() == nil {
			s.set.Logger.Warn("a lease cannot be had", slog.String("integration", j.id), slog.Any("err", err))
		}
		return
	}
	defer held.Release(context.WithoutCancel(ctx)) // it is held until given back, whatever ctx says
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel(nil)
	watching.Go(func() {
		select {
		case <-held.Lost():
			cancel(lease.ErrLost)
		case <-ctx.Done():
		}
	})
	s.share.begin(j.id, func() { cancel(errSurplus) })
	defer s.share.end(j.id)
	s.set.Logger.Info("collecting", slog.String("integration", j.id))
	err = j.worker.Run(ctx, held)
	if cause := context.Cause(ctx); err == nil && (errors.Is(cause, lease.ErrLost) || errors.Is(cause, errSurplus)) {
		err = cause
	}
	if err != nil {
		s.set.Logger.Info("a tenant was given up", slog.String("integration", j.id), slog.Any("err", err))
	}
}

func (s *shift) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d) // leases are in real time
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// forget ends the work on an integration that is gone and removes what it left in the buckets.
func (s *shift) forget(ctx context.Context, id string, known *job) {
	if known != nil {
		known.cancel()
		<-known.ended
	}
	// Somebody may have made it again meanwhile.
	if _, err := s.set.Integrations.Get(ctx, id); !errors.Is(err, integrations.ErrNotFound) {
		return
	}
	if err := s.set.Runs.Forget(ctx, id); err != nil && ctx.Err() == nil {
		s.set.Logger.Warn("forgetting runs failed", slog.String("integration", id), slog.Any("err", err))
	}
	if err := s.forgetCursors(ctx, id); err != nil && ctx.Err() == nil {
		s.set.Logger.Warn("forgetting cursors failed", slog.String("integration", id), slog.Any("err", err))
	}
}

func (s *shift) forgetCursors(ctx context.Context, id string) error {
	keys, err := s.set.Checkpoints.ListKeysFiltered(ctx, tenant.CursorPrefix(id)+".>")
	if err != nil {
		return err
	}
	var failed error
	for key := range keys.Keys() { // read to its end, or its goroutine stays
		failed = errors.Join(failed, s.set.Checkpoints.Purge(ctx, key))
	}
	return failed
}

// wait returns once all work has ended.
func (s *shift) wait() { s.workers.Wait() }
