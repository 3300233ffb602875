package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/entraflow/entraflow/pkg/bus"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

const (
	// perPartition is how many records a second and partition are sent to measure latency.
	perPartition = 100
	// pollRows is how often the store is asked for new rows; it adds up to as much to a latency.
	pollRows = 20 * time.Millisecond
	// warmUp is sent before anything counts.
	warmUp = 5 * time.Second
)

// latencies are sorted.
type latencies struct {
	pubAck, queryable []time.Duration
}

func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(p*float64(len(sorted))))]
}

// latency sends a steady trickle and takes for each record the time from the hub's enqueued time to its
// PubAck (the stream's own time of it) and to the moment a query returns its row.
func latency(ctx context.Context, o Options) (_ latencies, err error) {
	w, err := newWorld(ctx, o)
	if err != nil {
		return latencies{}, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	p, err := w.start(ctx, o, ChildProduct)
	if err != nil {
		return latencies{}, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()

	sending, stop := context.WithTimeout(ctx, warmUp+o.LatencyFor)
	defer stop()
	var senders sync.WaitGroup
	sent := make([]error, partitions)
	for i := range partitions {
		senders.Go(func() { sent[i] = w.trickle(sending, i) })
	}
	queryable, err := p.watchRows(sending)
	senders.Wait()
	if err := errors.Join(append(sent, err)...); err != nil {
		return latencies{}, err
	}
	pubAck, err := p.pubAcks(ctx)
	return latencies{pubAck: pubAck, queryable: queryable}, err
}

// trickle sends one record after the other to a partition until ctx is done.
func (w *world) trickle(ctx context.Context, partition int) error {
	producer, err := azeventhubs.NewProducerClientFromConnectionString(w.connection, hubName, nil)
	if err != nil {
		return fmt.Errorf("connecting to hub: %w", err)
	}
	defer producer.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing is left to lose
	ticker := time.NewTicker(time.Second / perPartition)
	defer ticker.Stop()
	for n := partition; ; n += partitions {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := send(ctx, producer, partition, message(n, 1, sizeCommon, time.Now())); err != nil {
			// The SDK may see the deadline a moment before the context does.
			if ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) {
				return nil
			}
			return err
		}
	}
}

// watchRows polls for new rows until ctx is done and returns how long each was on its way.
func (p *product) watchRows(ctx context.Context) ([]time.Duration, error) {
	var all []time.Duration
	ticker := time.NewTicker(pollRows)
	defer ticker.Stop()
	began, last := time.Now(), uint64(0)
	for {
		select {
		case <-ctx.Done():
			slices.Sort(all)
			return all, nil
		case <-ticker.C:
		}
		answer, err := p.query(ctx, "SELECT stream_sequence, version FROM sign_ins WHERE stream_sequence > "+strconv.FormatUint(last, 10))
		seen := time.Now()
		if err != nil {
			if ctx.Err() != nil {
				continue
			}
			return nil, err
		}
		for line := range strings.Lines(answer) {
			sequence, version, err := parseRow(line)
			if err != nil {
				return nil, err
			}
			last = max(last, sequence)
			if seen.Sub(began) > warmUp {
				all = append(all, seen.Sub(enqueuedAt(version)))
			}
		}
	}
}

func parseRow(line string) (sequence, version uint64, err error) {
	left, right, _ := strings.Cut(strings.TrimSpace(line), "\t")
	if sequence, err = strconv.ParseUint(left, 10, 64); err != nil {
		return 0, 0, fmt.Errorf("reading row: %w", err)
	}
	if version, err = strconv.ParseUint(right, 10, 64); err != nil {
		return 0, 0, fmt.Errorf("reading row: %w", err)
	}
	return sequence, version, nil
}

// enqueuedAt is when the hub took the record: the clock in its version.
func enqueuedAt(version uint64) time.Time { return bus.ParseVersion(version).Clock }

// pubAcks reads the stream and returns how long each event was on its way into it.
func (p *product) pubAcks(ctx context.Context) ([]time.Duration, error) {
	stream, err := p.bus.JetStream().Stream(ctx, eventv1.EventStream)
	if err != nil {
		return nil, fmt.Errorf("reading stream: %w", err)
	}
	state := stream.CachedInfo().State
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return nil, fmt.Errorf("reading stream: %w", err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		return nil, fmt.Errorf("reading stream: %w", err)
	}
	defer messages.Stop()
	var all []time.Duration
	for {
		message, err := messages.Next()
		if err != nil {
			return nil, fmt.Errorf("reading stream: %w", err)
		}
		metadata, err := message.Metadata()
		if err != nil {
			return nil, fmt.Errorf("reading stream: %w", err)
		}
		var event eventv1.Event
		if err := proto.Unmarshal(message.Data(), &event); err != nil {
			return nil, fmt.Errorf("reading stream: %w", err)
		}
		if metadata.Timestamp.Sub(state.FirstTime) > warmUp {
			all = append(all, metadata.Timestamp.Sub(enqueuedAt(event.GetVersion())))
		}
		if metadata.Sequence.Stream >= state.LastSeq {
			slices.Sort(all)
			return all, nil
		}
	}
}
