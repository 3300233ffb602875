package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"github.com/entraflow/entraflow/services/streamer/internal/checkpoint"
)

var errProcessorEnded = errors.New("processor ended")

// session is the life of one client and its Processor: a Processor that has ended cannot be started again.
type session struct {
	hub       *Hub
	client    *azeventhubs.ConsumerClient
	processor *azeventhubs.Processor
	store     *checkpoint.Store

	mu      sync.Mutex
	running map[string]*partition
	closed  map[string]time.Time // when a partition was last closed
}

func (h *Hub) store() *checkpoint.Store {
	return checkpoint.New(h.set.Checkpoints, checkpoint.Settings{
		Timeout: h.tuning.StoreTimeout, StepBack: h.tuning.StepBack,
		Retries: h.set.Metrics.Retries.WithLabelValues(h.labels...),
	})
}

// session connects and reads until ctx is done, the connection is old, or something ends it.
func (h *Hub) session(ctx, lasting context.Context) error {
	client, err := h.connect(ctx)
	if err != nil {
		return err
	}
	defer closeClient(ctx, client)
	store := h.store()
	earliest := true
	processor, err := azeventhubs.NewProcessor(client, store, &azeventhubs.ProcessorOptions{
		// Greedy takes a fair share at once; balanced takes one partition each interval.
		LoadBalancingStrategy:       azeventhubs.ProcessorStrategyGreedy,
		UpdateInterval:              h.tuning.ClaimInterval,
		PartitionExpirationDuration: h.tuning.ClaimExpiry,
		// The SDK's default is the latest: what came before the first start would be lost.
		StartPositions: azeventhubs.StartPositions{Default: azeventhubs.StartPosition{Earliest: &earliest}},
		Prefetch:       int32(h.cfg.Prefetch), //nolint:gosec // Validate bounds it
	})
	if err != nil {
		return fmt.Errorf("making processor: %w", err)
	}
	s := &session{
		hub: h, client: client, processor: processor, store: store,
		running: make(map[string]*partition), closed: make(map[string]time.Time),
	}
	return s.run(ctx, lasting)
}

func (s *session) run(ctx, lasting context.Context) error {
	work, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	// The Processor outlives the partitions: it gives up their ownership when it ends, and until
	// their positions are saved nobody else should start from older ones.
	balance, release := context.WithCancel(lasting)
	defer release()
	var tasks sync.WaitGroup
	tasks.Go(func() {
		if err := s.processor.Run(balance); err != nil {
			stop(fmt.Errorf("%w: %w", errProcessorEnded, err))
		}
		stop(errProcessorEnded)
	})
	tasks.Go(func() { s.watch(work, stop) })
	old := time.AfterFunc(spread(s.hub.tuning.RecycleAfter, s.hub.tuning.RecycleAfter/10), func() { stop(errRecycle) })
	defer old.Stop()

	var partitions sync.WaitGroup
	for {
		client := s.processor.NextPartitionClient(work)
		if client == nil {
			break
		}
		partitions.Go(func() { s.read(work, lasting, client) })
	}
	partitions.Wait()
	s.end(ctx, release, &tasks)
	return context.Cause(work)
}

// end gives up ownership and waits for the session's goroutines.
func (s *session) end(ctx context.Context, release func(), tasks *sync.WaitGroup) {
	s.store.Close()
	release()
	done := make(chan struct{})
	go func() {
		tasks.Wait()
		close(done)
	}()
	select {
	case <-done:
		return
	case <-time.After(closeTimeout):
	}
	// The Processor waits up to a minute for good-byes; without a connection it gets none.
	closeClient(ctx, s.client)
	<-done
}

// read reads one partition until it is lost or work is done.
func (s *session) read(work, lasting context.Context, client *azeventhubs.ProcessorPartitionClient) {
	id := client.PartitionID()
	p := newPartition(s, client)
	s.mu.Lock()
	s.running[id] = p
	s.mu.Unlock()
	s.showOwned()
	s.hub.log.Info("partition taken", slog.String("partition", id))

	err := p.run(work, lasting)
	closing, cancel := context.WithTimeout(lasting, closeTimeout)
	defer cancel()
	_ = client.Close(closing) // the position is saved; the link ends with the connection at the latest

	s.mu.Lock()
	if s.running[id] == p {
		delete(s.running, id)
	}
	s.closed[id] = time.Now()
	s.mu.Unlock()
	s.showOwned()
	s.hub.set.Metrics.dropLag(s.hub.labels, id)
	if work.Err() == nil {
		p.metrics.failures.Inc()
		s.hub.log.Info("partition left", slog.String("partition", id), slog.Any("err", err))
	}
}

func (s *session) showOwned() {
	s.mu.Lock()
	n := len(s.running)
	s.mu.Unlock()
	m := s.hub.set.Metrics
	m.Owned.WithLabelValues(s.hub.labels...).Set(float64(n))
	if n > 0 {
		m.Connected.WithLabelValues(s.hub.labels...).Set(1)
	}
}
