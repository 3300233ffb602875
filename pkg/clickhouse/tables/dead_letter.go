package tables

import (
	"slices"
	"strings"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// NewDeadLetters returns the table dead_letters.
func NewDeadLetters() *Table[*eventv1.DeadLetter] {
	columns := deadLetterColumns()
	columns = append(columns, hubPlaceColumns()...)
	return &Table[*eventv1.DeadLetter]{
		name: DeadLetters, sources: append(columns, streamPlaceColumns()...),
		compare: func(a, b Row[*eventv1.DeadLetter]) int { return strings.Compare(a.Message.GetId(), b.Message.GetId()) },
	}
}

func deadLetterColumns() []source[*eventv1.DeadLetter] {
	type letter = eventv1.DeadLetter
	d := partOf(func(d *letter) *letter { return d })
	return []source[*letter]{
		d.text("id", (*letter).GetId),
		d.time("failed_at", (*letter).GetFailedAt),
		scalar("stored_at", typeTime, func(r *Row[*letter]) int64 { return r.StoredAt.UnixMilli() }),
		scalar("dead_sequence", typeUint, func(r *Row[*letter]) uint64 { return r.Sequence }),
		d.text("service", (*letter).GetService),
		d.text("origin", (*letter).GetOrigin),
		d.text("tenant_id", (*letter).GetTenantId),
		d.text("integration", (*letter).GetIntegration),
		d.text("reason", (*letter).GetReason),
		d.text("detail", (*letter).GetDetail),
		scalar("attempts", typeUint32, func(r *Row[*letter]) uint32 { return r.Message.GetAttempts() }),
		rawColumn[*letter](),
		d.text("raw_blob", func(d *letter) string { return d.GetRawBlob().GetName() }),
	}
}

func hubPlaceColumns() []source[*eventv1.DeadLetter] {
	type place = eventv1.HubPlace
	p := partOf((*eventv1.DeadLetter).GetHub)
	return []source[*eventv1.DeadLetter]{
		p.text("hub_namespace", (*place).GetNamespace),
		p.text("hub", (*place).GetHub),
		p.text("hub_consumer_group", (*place).GetConsumerGroup),
		p.text("hub_partition", (*place).GetPartition),
		p.maybeInt("hub_sequence_number", func(p *place) *int64 { return &p.SequenceNumber }),
		p.text("hub_offset", (*place).GetOffset),
		p.maybeInt("hub_record_index", func(p *place) *int64 {
			index := int64(p.GetRecordIndex())
			return &index
		}),
		p.maybeTime("hub_enqueued_at", (*place).GetEnqueuedAt),
	}
}

func streamPlaceColumns() []source[*eventv1.DeadLetter] {
	type place = eventv1.StreamPlace
	p := partOf((*eventv1.DeadLetter).GetStream)
	return []source[*eventv1.DeadLetter]{
		p.text("stream", (*place).GetStream),
		scalar("stream_sequence", nullable(typeUint), maybe(p, func(p *place) *uint64 { return &p.Sequence })),
		p.text("stream_subject", (*place).GetSubject),
		p.text("stream_durable", (*place).GetDurable),
		array("stream_headers.name", typeString, func(buf []string, r *Row[*eventv1.DeadLetter]) []string {
			return appendNames(buf, r.Message.GetStream().GetHeaders())
		}),
		array("stream_headers.value", typeString, func(buf []string, r *Row[*eventv1.DeadLetter]) []string {
			headers := r.Message.GetStream().GetHeaders()
			buf = appendNames(buf, headers)
			for i, name := range buf {
				buf[i] = headers[name]
			}
			return buf
		}),
	}
}

// appendNames appends the names of headers, sorted.
func appendNames(buf []string, headers map[string]string) []string {
	for name := range headers {
		buf = append(buf, name)
	}
	slices.Sort(buf)
	return buf
}
