// Package shift shares the integrations among the replicas of a service: each is worked for by one replica at a time,
// under a lease, and every replica has about as many as the others.
//
// It reads the buckets integrations and leases and writes leases, each service under its own name, so that services that
// work for the same integration do not meet. What the work is, it leaves to a Worker.
package shift

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/integrations"
	"github.com/entraflow/entraflow/pkg/lease"
)

// Worker does a service's work for one integration.
type Worker interface {
	// Set says how the integration is now. It does not block, and may be called whether Run runs or not.
	Set(record integrations.Record)
	// Run works until ctx is done, or returns why it cannot go on. It is called each time the lease is had, never twice at
	// once. The lease stays the caller's. The cause of ctx is lease.ErrLost when the lease was lost.
	Run(ctx context.Context, held *lease.Lease) error
}

// Settings say who shares what.
type Settings struct {
	// Conn is the service's; its name is that of the leases.
	Conn *bus.Conn
	// Instance tells this replica from the others: see Instance.
	Instance     string
	Integrations *integrations.Store
	// Concerns reports whether an integration is the service's business.
	Concerns func(record integrations.Record) bool
	// NewWorker makes the worker of an integration. It must not block.
	NewWorker func(record integrations.Record) Worker
	// Forget removes what the service left in buckets of an integration that is gone. It is called after the integration's
	// worker has ended, by every replica, for integrations that were never this service's as well.
	Forget func(ctx context.Context, id string) error
	// Known is called once, when the integrations there are were seen.
	Known  func()
	Logger *slog.Logger
}

// Instance returns the configured name of this process among its replicas; if that is empty, host and process.
func Instance(configured, service string) string {
	if configured != "" {
		return configured
	}
	host, err := os.Hostname()
	if err != nil {
		host = service
	}
	return host + "-" + strconv.Itoa(os.Getpid())
}

// Shift is the integrations of this replica: one goroutine for each waits until it may have its lease, gets it and then
// works.
type Shift struct {
	set Settings
	// poll is how often a lease that somebody else has is asked for.
	poll    time.Duration
	share   share
	workers sync.WaitGroup

	mu   sync.Mutex
	jobs map[string]*job
}

// job is an integration that this replica knows of, whether it works for it or not.
type job struct {
	id     string
	worker Worker
	cancel context.CancelFunc
	ended  chan struct{}
}

// New returns a shift. It opens nothing.
func New(set Settings) *Shift {
	return &Shift{set: set, share: newShare(), jobs: map[string]*job{}}
}

// Run works for the integrations that are this replica's until ctx is done; it returns nil then. It fails if it cannot
// learn which integrations there are. Either way all work has ended and all leases are given back when it returns. Call
// it once.
func (s *Shift) Run(ctx context.Context) error {
	const pollsPerTTL = 8
	leases, err := s.set.Conn.Bucket(ctx, bus.BucketLeases)
	if err != nil {
		return err
	}
	status, err := leases.Status(ctx)
	if err != nil {
		return fmt.Errorf("looking at bucket leases: %w", err)
	}
	s.poll = status.TTL() / pollsPerTTL
	ctx, cancel := context.WithCancel(ctx)
	defer s.workers.Wait()
	var sharing sync.WaitGroup
	defer sharing.Wait()
	defer cancel()
	sharing.Go(func() { s.sharing(ctx, leases) })
	var known sync.Once
	return s.set.Integrations.Watch(ctx, func(change integrations.Change) {
		if change == (integrations.Change{}) {
			known.Do(s.set.Known)
			return
		}
		s.apply(ctx, change)
	})
}

// apply begins, changes or ends the work for an integration.
func (s *Shift) apply(ctx context.Context, change integrations.Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.jobs[change.ID]
	switch {
	case change.Err != nil:
		s.set.Logger.Error("an integration cannot be read", slog.String("integration", change.ID), slog.Any("err", change.Err))
	case change.Record == nil:
		delete(s.jobs, change.ID)
		s.workers.Go(func() { s.forget(ctx, change.ID, known) })
	case !s.set.Concerns(*change.Record):
		if known != nil { // it was once; what is left of that is the same integration's
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

func (s *Shift) begin(ctx context.Context, record integrations.Record) {
	ctx, cancel := context.WithCancel(ctx)
	j := &job{id: record.ID, worker: s.set.NewWorker(record), cancel: cancel, ended: make(chan struct{})}
	s.jobs[record.ID] = j
	s.workers.Go(func() {
		defer close(j.ended)
		defer cancel()
		for ctx.Err() == nil {
			s.serve(ctx, j)
			// Replicas that began together need not ask together for ever.
			pause(ctx, s.poll/2+rand.N(s.poll)) //nolint:gosec // jitter
		}
	})
}

// serve works for an integration if its lease can be had, until ctx is done, the lease is lost, or it is one too many.
func (s *Shift) serve(ctx context.Context, j *job) {
	if !s.share.reserve() {
		return
	}
	defer s.share.unreserve()
	held, err := lease.TryAcquire(ctx, s.set.Conn, lease.Settings{Name: "tenant-" + j.id, Holder: s.set.Instance})
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
	s.set.Logger.Info("working for a tenant", slog.String("integration", j.id))
	err = j.worker.Run(ctx, held)
	if cause := context.Cause(ctx); err == nil && (errors.Is(cause, lease.ErrLost) || errors.Is(cause, errSurplus)) {
		err = cause
	}
	if err != nil {
		s.set.Logger.Info("a tenant was given up", slog.String("integration", j.id), slog.Any("err", err))
	}
}

// forget ends the work for an integration that is gone and removes what it left in the buckets.
func (s *Shift) forget(ctx context.Context, id string, known *job) {
	if known != nil {
		known.cancel()
		<-known.ended
	}
	// Somebody may have made it again meanwhile.
	if _, err := s.set.Integrations.Get(ctx, id); !errors.Is(err, integrations.ErrNotFound) {
		return
	}
	if err := s.set.Forget(ctx, id); err != nil && ctx.Err() == nil {
		s.set.Logger.Warn("forgetting an integration failed", slog.String("integration", id), slog.Any("err", err))
	}
}

// sharing says that this replica is there and looks who else is, until ctx is done.
func (s *Shift) sharing(ctx context.Context, leases jetstream.KeyValue) {
	var announcing sync.WaitGroup
	defer announcing.Wait()
	announcing.Go(func() {
		set := lease.Settings{Name: replicaPrefix + s.set.Instance, Holder: s.set.Instance}
		// Its only error is that ctx is done.
		_ = lease.Run(ctx, s.set.Conn, set, func(ctx context.Context, _ *lease.Lease) error {
			<-ctx.Done()
			return nil
		})
	})
	for ctx.Err() == nil {
		n, err := countReplicas(ctx, s.set.Conn.Service(), leases)
		switch {
		case err == nil:
			if given := s.share.look(n); given > 0 {
				s.set.Logger.Info("giving tenants to other replicas", slog.Int("tenants", given), slog.Int("replicas", n))
			}
		case ctx.Err() == nil:
			s.set.Logger.Warn("counting replicas failed", slog.Any("err", err))
		}
		pause(ctx, s.poll)
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d) // leases are in real time
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
