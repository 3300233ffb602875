package hub

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/decode"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/streamer/internal/checkpoint"
)

const (
	// wholeMessage is the record index of a dead letter that holds a whole message.
	wholeMessage = -1
	// reasonTenantMismatch is the reason of a record whose tenant the hub may not carry.
	reasonTenantMismatch = "tenant_mismatch"
)

// delivery is one message on its way through the decoder.
type delivery struct {
	*message
	partition *partition
	origin    decode.Origin
	// suspect says that the stream refused a record of the message before: publish one at a time.
	suspect bool
}

// handle publishes the records of a message, waiting where the bounds say so. It does not wait for PubAcks.
// An error means that the message is not done and reading must end.
func (p *partition) handle(ctx, lasting context.Context, e *azeventhubs.ReceivedEventData, received time.Time) error {
	position := checkpoint.Position{Sequence: e.SequenceNumber, Offset: e.Offset}
	if e.EnqueuedTime != nil {
		position.EnqueuedAt = *e.EnqueuedTime
	}
	m, err := p.mark.begin(ctx, position, received)
	if err != nil {
		return err
	}
	d := delivery{message: m, partition: p, suspect: p.hub.isSuspect(p.id, e.SequenceNumber)}
	d.origin = decode.Origin{
		Integration: p.hub.cfg.Integration, TenantID: p.hub.onlyTenant(),
		ObservedAt: p.hub.set.Clock.Now(), Clock: position.EnqueuedAt,
		Partition: p.number, Sequence: e.SequenceNumber,
	}
	p.lag.received(e.SequenceNumber)
	p.follow(e.SequenceNumber)
	if err := d.publishAll(ctx, lasting, e); err != nil {
		m.abandon()
		return err
	}
	m.sent()
	if d.suspect {
		p.hub.acquit(p.id, e.SequenceNumber)
	}
	p.metrics.messages.Inc()
	return nil
}

func (d *delivery) publishAll(ctx, lasting context.Context, e *azeventhubs.ReceivedEventData) error {
	body, fault := bodyOf(e)
	if fault != nil {
		return d.bury(lasting, decode.Record{Raw: body, Index: wholeMessage}, "", fault)
	}
	decoder, err := d.partition.hub.set.Decoders.take(ctx)
	if err != nil {
		return err
	}
	defer d.partition.hub.set.Decoders.giveBack(decoder)
	records := decoder.Split(body)
	if len(records) == 0 {
		d.partition.metrics.empty.Inc()
	}
	for _, record := range records {
		if err := d.publish(lasting, decoder, record); err != nil {
			return err
		}
	}
	d.partition.metrics.records.Add(float64(len(records)))
	return nil
}

// publish publishes one record as what it is.
func (d *delivery) publish(ctx context.Context, decoder *decode.Decoder, record decode.Record) error {
	if record.Err != nil {
		return d.bury(ctx, record, "", record.Err)
	}
	d.origin.Index = record.Index
	event, err := decoder.HubRecord(record.Raw, d.origin)
	if err != nil {
		fault, ok := errors.AsType[*decode.Error](err)
		if !ok {
			fault = &decode.Error{Reason: decode.ReasonPayloadInvalid, Detail: err.Error()}
		}
		return d.bury(ctx, record, "", fault)
	}
	hub := d.partition.hub
	if !hub.allows(event.GetTenantId()) {
		return d.bury(ctx, record, event.GetTenantId(), &decode.Error{
			Reason: reasonTenantMismatch,
			Detail: "the hub may not carry records of this tenant; if it should, add the tenant to the hub's tenants in the streamer's config and replay the dead letter",
		})
	}
	options := bus.PublishOptions{
		MessageID: bus.HubMessageID(hub.name.namespace, hub.name.hub, d.partition.id, d.position.Sequence, record.Index),
	}
	err = d.send(ctx, event, options)
	if err != nil && isRecordsFault(err) {
		return d.bury(ctx, record, event.GetTenantId(), &decode.Error{
			Reason: decode.ReasonPayloadInvalid,
			Detail: "the stream refuses the event: it is too large even without its raw bytes",
		})
	}
	return err
}

// send puts a record in flight. With a suspect it waits for the answer, so as to know which record it is for.
func (d *delivery) send(ctx context.Context, m bus.Message, options bus.PublishOptions) error {
	publisher := d.partition.hub.set.Publisher
	if d.suspect {
		_, err := publisher.Publish(ctx, m, options)
		return err
	}
	d.add()
	err := publisher.PublishAsync(ctx, m, options, d.stored)
	if err != nil {
		d.retract()
	}
	return err
}

// bury publishes a record as a dead letter.
func (d *delivery) bury(ctx context.Context, record decode.Record, tenant string, fault *decode.Error) error {
	p := d.partition
	letter := &eventv1.DeadLetter{
		Origin: p.hub.name.hub, TenantId: strings.ToLower(tenant), Integration: p.hub.cfg.Integration,
		Reason: fault.Reason, Detail: fault.Detail, Raw: record.Raw, Attempts: 1,
		Place: &eventv1.DeadLetter_Hub{Hub: &eventv1.HubPlace{
			Namespace: p.hub.name.namespace, Hub: p.hub.name.hub, ConsumerGroup: p.hub.name.group, Partition: p.id,
			SequenceNumber: d.position.Sequence, Offset: d.position.Offset,
			RecordIndex: int32(record.Index), //nolint:gosec // decode.Limits bounds it
			EnqueuedAt:  timestamppb.New(d.position.EnqueuedAt),
		}},
	}
	if err := d.send(ctx, letter, p.hub.set.DeadLetters.Seal(letter)); err != nil {
		return err
	}
	p.metrics.dead.WithLabelValues(fault.Reason).Inc()
	return nil
}
