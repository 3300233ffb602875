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
	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	statev1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/state/v1"
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
	// HeaderDeleted is an extension of ours: "true" on the tombstones of a stream of state, absent else, so that who
	// reads headers alone knows which objects there are.
	HeaderDeleted = "ce-deleted"

	sourceIntegrations = "/integrations/"
	sourceServices     = "/services/"
	specVersion        = "1.0"
	headerTrue         = "true"
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
	case *directoryv1.Object:
		id := m.GetObject() + "/" + m.GetId() + "@" + strconv.FormatUint(m.GetVersion(), 16)
		return attributes{id, sourceIntegrations + m.GetIntegration(), m.GetTenantId(), m.GetObservedAt()}
	case *eventv1.DeadLetter:
		return attributes{m.GetId(), sourceServices + m.GetService(), m.GetTenantId(), m.GetFailedAt()}
	case *statev1.Command:
		return attributes{m.GetId(), sourceServices + UserGateway, m.GetTenantId(), m.GetCreateTime()}
	default:
		return attributes{}
	}
}

// headerSet is the header of a message in flight. It keeps its map and slices from one message to
// the next: a message has ten of them. The slices of those that every message has are found without the map.
type headerSet struct {
	header                                nats.Header
	kind, id, source, subject, time, once []string
	foreign                               bool // header has more or less than reset gives it
}

func newHeaderSet() headerSet {
	values := make([]string, 6)
	h := headerSet{
		kind: values[0:1:1], id: values[1:2:2], source: values[2:3:3],
		subject: values[3:4:4], time: values[4:5:5], once: values[5:6:6],
	}
	h.reset()
	return h
}

// reset makes it the header of our own messages.
func (h *headerSet) reset() {
	h.header = nats.Header{
		HeaderSpecVersion: {specVersion}, HeaderContentType: {ContentType}, HeaderType: h.kind, HeaderID: h.id,
		HeaderSource: h.source, HeaderSubject: h.subject, HeaderTime: h.time, jetstream.MsgIDHeader: h.once,
	}
}

func (h *headerSet) fill(ctx context.Context, m Message, o PublishOptions) {
	if h.foreign {
		h.reset()
	}
	a := attributesOf(m)
	h.kind[0], h.id[0], h.source[0] = string(m.ProtoReflect().Descriptor().FullName()), a.id, a.source
	h.subject[0], h.time[0] = a.subject, formatTime(a.time)
	h.once[0] = o.MessageID
	traced := trace.SpanContextFromContext(ctx).IsValid()
	deleted := isTombstone(m)
	h.foreign = o.MessageID == "" || o.ExpectedLastSubjectSequence != nil || traced || deleted
	if deleted {
		h.set(HeaderDeleted, headerTrue)
	}
	if o.MessageID == "" {
		delete(h.header, jetstream.MsgIDHeader)
	}
	if o.ExpectedLastSubjectSequence != nil {
		h.set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(*o.ExpectedLastSubjectSequence, 10))
	}
	if traced {
		telemetry.Inject(ctx, h.set)
	}
}

// isTombstone reports whether a message says that its subject's object is gone.
func isTombstone(m Message) bool {
	state, ok := m.(interface{ GetDeleted() bool })
	return ok && state.GetDeleted()
}

// replace makes the header one that was stored before.
func (h *headerSet) replace(header map[string]string) {
	h.header, h.foreign = make(nats.Header, len(header)), true
	for key, value := range header {
		h.set(key, value)
	}
}

func (h *headerSet) set(key, value string) { h.header[key] = []string{value} }

func formatTime(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().Format(time.RFC3339Nano)
}
