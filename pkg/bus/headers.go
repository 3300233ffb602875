package bus

import (
	"context"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/telemetry"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// Headers of every message: CloudEvents 1.0 attributes in NATS binding form. The W3C trace context,
// traceparent and tracestate, joins them if the publisher's context has one.
const (
	HeaderSpecVersion = "ce-specversion"
	HeaderID          = "ce-id"      // the event's or dead letter's id
	HeaderType        = "ce-type"    // the full name of the protobuf message
	HeaderSource      = "ce-source"  // who says so, as a URI reference
	HeaderTime        = "ce-time"    // when it happened, RFC 3339
	HeaderSubject     = "ce-subject" // whom it is about: the tenant
	HeaderContentType = "content-type"

	headerTraceParent = "traceparent"
	headerTraceState  = "tracestate"

	sourceIntegrations = "/integrations/"
	sourceServices     = "/services/"
	specVersion        = "1.0"
	// ContentType is that of every message.
	ContentType = "application/protobuf"
)

// attributes are what CloudEvents wants to know of a message.
type attributes struct {
	id, source, subject string
	time                *timestamppb.Timestamp
}

// attributesOf knows every message of the topology; a test walks them.
func attributesOf(m Message) attributes {
	switch m := m.(type) {
	case *eventv1.Event:
		return attributes{m.GetId(), sourceIntegrations + m.GetIntegration(), m.GetTenantId(), m.GetOccurredAt()}
	case *eventv1.DeadLetter:
		return attributes{m.GetId(), sourceServices + m.GetService(), m.GetTenantId(), m.GetFailedAt()}
	default:
		return attributes{}
	}
}

// headerSet is the header of a message in flight. It keeps its map and slices from one message to
// the next, since a message has ten of them.
type headerSet struct{ header nats.Header }

func (h *headerSet) fill(ctx context.Context, m Message, o PublishOptions) {
	a := attributesOf(m)
	h.set(HeaderSpecVersion, specVersion)
	h.set(HeaderContentType, ContentType)
	h.set(HeaderType, string(m.ProtoReflect().Descriptor().FullName()))
	h.set(HeaderID, a.id)
	h.set(HeaderSource, a.source)
	h.set(HeaderSubject, a.subject)
	h.set(HeaderTime, formatTime(a.time))
	h.set(jetstream.MsgIDHeader, o.MessageID)
	h.set(jetstream.ExpectedLastSubjSeqHeader, "")
	if o.ExpectedLastSubjectSequence != nil {
		h.set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(*o.ExpectedLastSubjectSequence, 10))
	}
	h.set(headerTraceParent, "")
	h.set(headerTraceState, "")
	if trace.SpanContextFromContext(ctx).IsValid() {
		telemetry.Inject(ctx, h.set)
	}
}

// replace makes the header one that was stored before.
func (h *headerSet) replace(header map[string]string) {
	clear(h.header)
	for key, value := range header {
		h.set(key, value)
	}
}

// set sets a header, or removes it if the value is empty.
func (h *headerSet) set(key, value string) {
	if value == "" {
		delete(h.header, key)
		return
	}
	if values, ok := h.header[key]; ok {
		values[0] = value
		return
	}
	if h.header == nil {
		h.header = make(nats.Header, 12)
	}
	h.header[key] = []string{value}
}

func formatTime(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().Format(time.RFC3339Nano)
}
