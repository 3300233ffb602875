package tables

import (
	"cmp"
	"strings"

	"github.com/entraflow/entraflow/pkg/decode"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// envelopeColumns are the columns that every table of events has.
func envelopeColumns() []source[*eventv1.Event] {
	type event = eventv1.Event
	e := partOf(func(e *event) *event { return e })
	return []source[*event]{
		e.text("tenant_id", (*event).GetTenantId),
		e.time("occurred_at", (*event).GetOccurredAt),
		e.text("id", (*event).GetId),
		scalar("version", typeUint, func(r *Row[*event]) uint64 { return r.Message.GetVersion() }),
		e.text("kind", (*event).GetKind),
		e.text("data_type", decode.DataType),
		e.text("category", (*event).GetCategory),
		e.text("source", func(e *event) string { return sourceName(e.GetSource()) }),
		e.text("source_id", (*event).GetSourceId),
		e.text("integration", (*event).GetIntegration),
		e.time("observed_at", (*event).GetObservedAt),
		scalar("stored_at", typeTime, func(r *Row[*event]) int64 { return r.StoredAt.UnixMilli() }),
		scalar("stream_sequence", typeUint, func(r *Row[*event]) uint64 { return r.Sequence }),
		e.texts("notes", (*event).GetNotes),
		rawColumn[*event](),
	}
}

// compareEvents is the order of the key (tenant_id, occurred_at, id).
func compareEvents(a, b Row[*eventv1.Event]) int {
	x, y := a.Message, b.Message
	return cmp.Or(
		strings.Compare(x.GetTenantId(), y.GetTenantId()),
		cmp.Compare(unixMilli(x.GetOccurredAt()), unixMilli(y.GetOccurredAt())),
		strings.Compare(x.GetId(), y.GetId()),
	)
}

// Key is the form in which user principal names are searched: lower case.
func Key(userPrincipalName string) string { return strings.ToLower(userPrincipalName) }

const (
	sourceGraph    = "graph"
	sourceEventHub = "event_hub"
)

// sourceName is the source as the column source spells it.
func sourceName(s eventv1.Source) string {
	switch s {
	case eventv1.Source_SOURCE_GRAPH:
		return sourceGraph
	case eventv1.Source_SOURCE_EVENT_HUB:
		return sourceEventHub
	default:
		return ""
	}
}
