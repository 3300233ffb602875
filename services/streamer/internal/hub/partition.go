package hub

import (
	"context"
	"errors"
	"hash/fnv"
	"log/slog"
	"strconv"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/services/streamer/internal/checkpoint"
)

// partition reads one partition for as long as this reader owns it.
type partition struct {
	hub     *Hub
	client  *azeventhubs.ProcessorPartitionClient
	id      string
	number  int
	cursor  *checkpoint.Cursor
	mark    *watermark
	lag     lag
	metrics partitionMetrics
	// fail ends reading; it is set before anything is published.
	fail context.CancelCauseFunc
	// next is the sequence number after the last one taken or checkpointed, if that is known. Only
	// receive uses it.
	next      int64
	nextKnown bool
	missing   bool // messages were missing, and the log has it
}

func newPartition(s *session, client *azeventhubs.ProcessorPartitionClient) *partition {
	h, id := s.hub, client.PartitionID()
	p := &partition{
		hub: h, client: client, id: id, number: PartitionNumber(id),
		cursor:  s.store.Cursor(checkpoint.Partition{Namespace: h.name.namespace, Hub: h.name.hub, Group: h.name.group, ID: id}),
		metrics: h.set.Metrics.partition(h.labels, id),
	}
	p.lag.gauge = p.metrics.lag
	p.mark = newWatermark(h.tuning.MaxOpenMessages,
		func(took time.Duration) { p.metrics.acked.Observe(took.Seconds()) }, p.refused)
	return p
}

// PartitionNumber makes a number of a partition's id, which is one but is nowhere promised to be.
func PartitionNumber(id string) int {
	if n, err := strconv.Atoi(id); err == nil && n >= 0 {
		return n
	}
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(id)) // a hash never fails
	return int(hash.Sum32() >> 1)
}

// run reads until ctx is done or the partition is lost, and returns why. It returns when the fate of
// everything it has published is known and the position is saved, or lasting is done.
func (p *partition) run(ctx, lasting context.Context) error {
	ctx, p.fail = context.WithCancelCause(ctx)
	defer p.fail(nil)
	p.load(ctx)
	saved := make(chan struct{})
	go func() {
		defer close(saved)
		p.saveEvery(ctx, lasting)
	}()
	err := p.receive(ctx, lasting)
	if ctx.Err() == nil {
		p.fail(err)
	}
	<-saved
	p.mark.wait(lasting)
	_ = p.save(lasting) // what is not saved comes again
	return context.Cause(ctx)
}

// load learns where reading begins. That is only for metrics, so errors do not matter.
func (p *partition) load(ctx context.Context) {
	if position, ok, err := p.cursor.Load(ctx); ok && err == nil {
		p.lag.checkpointed(position.Sequence)
		p.next, p.nextKnown = position.Sequence+1, true
	}
}

// follow counts messages between the last one and this one: the hub had them no longer, since its
// retention is over, or never gave them to us.
func (p *partition) follow(sequence int64) {
	if p.nextKnown && sequence > p.next {
		p.metrics.skipped.Add(float64(sequence - p.next))
		if !p.missing {
			p.hub.log.Warn("messages missing", slog.String("partition", p.id),
				slog.Int64("first_sequence", p.next), slog.Int64("count", sequence-p.next))
		}
		p.missing = true
	}
	p.next, p.nextKnown = sequence+1, true
}

// receive takes messages until an error or the end of ctx.
func (p *partition) receive(ctx, lasting context.Context) error {
	// ReceiveEvents waits until it has as many as asked for, or its context is done. So wait for one, then
	// take what else is there with a context that is done already: neither a slow hub nor a fast
	// one waits for a batch to fill.
	done, cancel := context.WithCancel(ctx)
	cancel()
	for {
		if err := p.hub.set.Gate.Wait(ctx); err != nil {
			return err
		}
		if err := p.take(ctx, lasting, ctx, 1); err != nil {
			return err
		}
		if err := p.take(ctx, lasting, done, p.hub.tuning.ReceiveBatch); err != nil {
			return err
		}
	}
}

// take handles up to count messages, waiting for them no longer than until wait is done.
func (p *partition) take(ctx, lasting, wait context.Context, count int) error {
	events, err := p.client.ReceiveEvents(wait, count, nil)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	received := time.Now()
	for _, e := range events {
		if err := p.handle(ctx, lasting, e, received); err != nil {
			return err
		}
	}
	return nil
}

// saveEvery saves the position in intervals until ctx is done.
func (p *partition) saveEvery(ctx, lasting context.Context) {
	ticker := time.NewTicker(p.hub.tuning.CheckpointInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := p.save(lasting); errors.Is(err, checkpoint.ErrFenced) {
			p.fail(err)
			return
		}
	}
}

// save saves the position if there is a new one. An error is told by the count of retries; the next
// interval tries again.
func (p *partition) save(ctx context.Context) error {
	position, ok := p.mark.latest()
	if !ok {
		return nil
	}
	changed, err := p.cursor.Save(ctx, position)
	if err != nil {
		return err
	}
	if changed {
		p.metrics.checkpoints.Inc()
	}
	p.lag.checkpointed(position.Sequence)
	return nil
}

// refused ends reading because a record cannot be published. If it is the record's fault the message is
// taken apart when it comes again.
func (p *partition) refused(m *message, err error) {
	if isRecordsFault(err) {
		p.hub.suspect(p.id, m.position.Sequence)
	}
	p.fail(err)
}

// isRecordsFault reports whether the stream would refuse the same record again, and takes others.
func isRecordsFault(err error) bool {
	return errors.Is(err, bus.ErrTooLarge) || errors.Is(err, bus.ErrRefused)
}
