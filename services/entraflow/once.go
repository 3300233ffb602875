package entraflow

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	dto "github.com/prometheus/client_model/go"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/services/simulator/tenant"
	"github.com/entraflow/entraflow/services/streamer"
)

const (
	// drainedInterval is how often the streamer's positions are looked at.
	drainedInterval = 100 * time.Millisecond
	// storedTimeout bounds the wait for the sink after the last record was published.
	storedTimeout = 5 * time.Minute
	// streamedMetric and collectedMetric count the records that streamer and collector have read.
	streamedMetric  = "entraflow_streamer_records_total"
	collectedMetric = "entraflow_collector_records_total"
)

// finish waits until everything in the simulated hub is in a stream and everything in the streams is
// in the store, and sums up.
func (e *Entraflow) finish(ctx context.Context, o *opened, s *services, began time.Time) (Summary, error) {
	js := o.operator.JetStream()
	if s.simulator != nil {
		if err := s.drained(ctx, js); err != nil {
			return Summary{}, err
		}
	}
	ends, err := lastSequences(ctx, js)
	if err != nil {
		return Summary{}, err
	}
	wait, cancel := context.WithTimeout(ctx, storedTimeout)
	defer cancel()
	if err := bus.Stored(wait, js, eventStream, ends.events); err != nil {
		return Summary{}, err
	}
	if err := bus.Stored(wait, js, directoryStream, ends.directory); err != nil {
		return Summary{}, err
	}
	if err := bus.Stored(wait, js, deadStream, ends.dead); err != nil {
		return Summary{}, err
	}
	// The sink itself may have added dead letters meanwhile.
	if ends, err = lastSequences(ctx, js); err != nil {
		return Summary{}, err
	}
	if err := bus.Stored(wait, js, deadStream, ends.dead); err != nil {
		return Summary{}, err
	}
	summary := Summary{DeadLetters: ends.dead - s.base.dead, Seconds: secondsSince(began)}
	return summary, e.count(ctx, o, s, &summary)
}

// count fills in what the store, the stream and the metrics say.
func (e *Entraflow) count(ctx context.Context, o *opened, s *services, summary *Summary) (err error) {
	streamed, err := s.counter(streamedMetric)
	if err != nil {
		return err
	}
	collected, err := s.counter(collectedMetric)
	if err != nil {
		return err
	}
	facts, err := newIDs(ctx, o.operator.JetStream(), s.base.events)
	if err != nil {
		return err
	}
	summary.EventsIn = streamed + collected
	summary.Duplicates = summary.EventsIn - min(facts+summary.DeadLetters, summary.EventsIn)
	tenantID := ""
	if s.tenant != nil {
		tenantID = s.announced.Load().Tenant.TenantID
	}
	if summary.Stored, err = storedByType(ctx, o.store.Conn(), tenantID); err != nil {
		return err
	}
	if s.tenant != nil {
		if err := e.countTenant(ctx, o, s, tenantID, summary); err != nil {
			return err
		}
	}
	summary.DeadLetterReasons, err = deadLetterReasons(ctx, o.store.Conn())
	return err
}

// countTenant fills in the truth of the simulated tenant, and what the store has of its directory.
func (e *Entraflow) countTenant(ctx context.Context, o *opened, s *services, id string, summary *Summary) error {
	now := e.set.Clock.Now()
	summary.Truth = s.tenant.Truth(tenant.Query{At: now})
	d, err := s.simulator.Entra().Directory(id)
	if err != nil {
		return fmt.Errorf("counting the simulated directory: %w", err)
	}
	truth, err := directoryTruth(d, now)
	if err != nil {
		return err
	}
	maps.Copy(summary.Truth, truth)
	stored, err := storedDirectory(ctx, o.store.Conn(), id)
	maps.Copy(summary.Stored, stored)
	return err
}

// drained waits until the streamer has saved a position at the end of every partition of the hub.
func (s *services) drained(ctx context.Context, js jetstream.JetStream) error {
	hub, err := s.simulator.EventHubs().Hub("", simulatedHub)
	if err != nil {
		return err
	}
	ticker := time.NewTicker(drainedInterval)
	defer ticker.Stop()
	for {
		positions, err := streamer.Positions(ctx, js, s.hub)
		if err != nil {
			return err
		}
		behind := 0
		for _, partition := range hub.State().Partitions {
			if at, known := positions[partition.ID]; partition.EventsIn > 0 && (!known || at < partition.Last) {
				behind++
			}
		}
		if behind == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the hub to be read: %w", context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

// counter sums a counter of this run over its labels.
func (s *services) counter(name string) (uint64, error) {
	families, err := s.metrics.Gather()
	if err != nil {
		return 0, fmt.Errorf("reading metrics: %w", err)
	}
	var sum float64
	for _, family := range families {
		if family.GetName() != name || family.GetType() != dto.MetricType_COUNTER {
			continue
		}
		for _, metric := range family.GetMetric() {
			sum += metric.GetCounter().GetValue()
		}
	}
	return uint64(sum), nil
}

// newIDs counts the ids of the events behind base that no event in the stream had before.
func newIDs(ctx context.Context, js jetstream.JetStream, base uint64) (uint64, error) {
	stream, err := js.Stream(ctx, eventStream)
	if err != nil {
		return 0, fmt.Errorf("reading stream %s: %w", eventStream, err)
	}
	last := stream.CachedInfo().State.LastSeq
	if last <= base || stream.CachedInfo().State.Msgs == 0 {
		return 0, nil
	}
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{HeadersOnly: true})
	if err != nil {
		return 0, fmt.Errorf("reading ids of %s: %w", eventStream, err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		return 0, fmt.Errorf("reading ids of %s: %w", eventStream, err)
	}
	defer messages.Stop()
	stop := context.AfterFunc(ctx, messages.Stop)
	defer stop()
	var count uint64
	seen := make(map[string]struct{})
	for {
		message, err := messages.Next()
		if err != nil {
			return 0, fmt.Errorf("reading ids of %s: %w", eventStream, err)
		}
		metadata, err := message.Metadata()
		if err != nil {
			return 0, fmt.Errorf("reading ids of %s: %w", eventStream, err)
		}
		id := strings.Clone(message.Headers().Get(bus.HeaderID))
		if _, before := seen[id]; !before && metadata.Sequence.Stream > base {
			count++
		}
		seen[id] = struct{}{}
		if metadata.Sequence.Stream >= last {
			return count, nil
		}
	}
}
