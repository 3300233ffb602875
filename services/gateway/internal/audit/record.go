// Package audit writes down who called what, onto the stream AUDIT, and lists it from ClickHouse.
//
// No answer goes out of a call that could not be written down. Entries have no secret and nothing of what was asked for
// or answered but names: whose it was and which thing.
package audit

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/grpcserver"
	"github.com/entraflow/entraflow/pkg/telemetry"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/access"
)

const (
	// recordTimeout bounds how long a call waits to be written down.
	recordTimeout = 5 * time.Second
	// Calls of nobody known: more than so many a second are only counted, for anybody may make them.
	strangerRate, strangerBurst = 5, 50
	// maxTarget bounds what a client named, maxChanged and maxPath the paths of a mask: nobody may write much here.
	maxTarget, maxChanged, maxPath = 320, 20, 64
)

var errUnavailable = grpcserver.NewError(codes.Unavailable, "AUDIT_UNAVAILABLE",
	"the call cannot be written into the audit log, so there is no answer; what it asked for may have been done",
	"look whether it was done, and try again in some seconds; the gateway's log has the cause")

// Publisher publishes an entry and waits until the stream has it; bus.Publisher is one.
type Publisher interface {
	Publish(ctx context.Context, m bus.Message, o bus.PublishOptions) (bus.Ack, error)
}

// Metrics count entries.
type Metrics struct {
	Entries, Failed, Strangers *prometheus.CounterVec
}

// NewMetrics makes the metrics.
func NewMetrics(m *telemetry.Metrics) Metrics {
	return Metrics{
		Entries:   m.Counter("audit_entries", "Calls that were written down."),
		Failed:    m.Counter("audit_failures", "Calls that could not be written down, and had no answer."),
		Strangers: m.Counter("audit_strangers_left_out", "Calls of nobody known that were only counted."),
	}
}

// Recorder writes calls down. It is safe for concurrent use.
type Recorder struct {
	publisher Publisher
	metrics   Metrics
	logger    *slog.Logger
	// strangers bounds the entries of nobody known, refused those of proofs that were somebody's.
	strangers, refused *rate.Limiter
}

// NewRecorder returns a recorder, which does not close the publisher.
func NewRecorder(publisher Publisher, metrics Metrics, logger *slog.Logger) *Recorder {
	return &Recorder{
		publisher: publisher, metrics: metrics, logger: logger,
		strangers: rate.NewLimiter(strangerRate, strangerBurst), refused: rate.NewLimiter(strangerRate, strangerBurst),
	}
}

// Record implements grpcserver.Settings.Record.
func (r *Recorder) Record(ctx context.Context, call *grpcserver.Call, refused grpcserver.Shown) error {
	if row, _ := access.Lookup(call.Method); !row.Audited && (refused == nil || refused.GRPCCode() != codes.PermissionDenied) {
		return nil
	}
	if len(call.Identity.Grants) == 0 && !r.mayWrite(call) {
		r.metrics.Strangers.WithLabelValues().Inc()
		return nil
	}
	// What was done or refused is written down though the client is gone.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	entry := Entry(call, refused)
	if _, err := r.publisher.Publish(ctx, entry, bus.PublishOptions{MessageID: entry.GetId()}); err != nil {
		r.metrics.Failed.WithLabelValues().Inc()
		r.logger.ErrorContext(ctx, "call is not written down", slog.String("action", entry.GetAction()),
			slog.String("request_id", entry.GetId()), slog.Any("err", err))
		return errUnavailable.Because(err)
	}
	r.metrics.Entries.WithLabelValues().Inc()
	return nil
}

// mayWrite bounds what can be written without a proof that is good.
func (r *Recorder) mayWrite(call *grpcserver.Call) bool {
	if call.Identity.Subject == "" {
		return r.strangers.Allow()
	}
	return r.refused.Allow()
}

// Entry is what is written down of a call.
func Entry(call *grpcserver.Call, refused grpcserver.Shown) *controlv1.AuditEntry {
	entry := &controlv1.AuditEntry{
		Id: call.RequestID, Time: timestamppb.New(call.Began), Action: access.Action(call.Method),
		Actor: call.Identity.Subject, ActorDisplayName: call.Identity.DisplayName, Credential: call.Identity.Credential,
		ApiToken: call.Identity.APIToken, Role: call.Identity.Role, Address: text(call.Address),
		Transport: call.Transport, UserAgent: text(call.UserAgent), Code: grpcserver.CodeName(codes.OK), Target: call.Target(),
	}
	if refused != nil {
		entry.Code, entry.Reason = grpcserver.CodeName(refused.GRPCCode()), refused.Reason()
	}
	switch tenants := call.Touched(); len(tenants) {
	case 0:
	case 1:
		entry.TenantId = tenants[0]
	default:
		entry.TenantIds = tenants
	}
	if call.Request != nil {
		describe(entry, call.Request.ProtoReflect())
	}
	return entry
}

// targets are the fields that say what a request is about, the first that is set counts; of two joined by a slash both.
var targets = []string{
	"name", "parent", "integration.name", "integration_id", "user", "group_id", "object/id", "filter.user", "target",
}

func describe(entry *controlv1.AuditEntry, request protoreflect.Message) {
	entry.RequestId = text(field(request, "request_id"))
	if mask, ok := message(request, "update_mask").(*fieldmaskpb.FieldMask); ok {
		for _, path := range mask.GetPaths()[:min(len(mask.GetPaths()), maxChanged)] {
			entry.Changed = append(entry.Changed, strings.ToValidUTF8(path[:min(len(path), maxPath)], ""))
		}
	}
	for _, path := range targets {
		if entry.GetTarget() != "" {
			break
		}
		var parts []string
		for part := range strings.SplitSeq(path, "/") {
			if value := field(request, part); value != "" {
				parts = append(parts, value)
			}
		}
		entry.Target = text(strings.Join(parts, "/"))
		if path == "integration_id" && entry.GetTarget() != "" {
			entry.Target = "integrations/" + entry.GetTarget()
		}
	}
}

// field returns the text of a field by its path. Empty: there is no such field, or it is not set.
func field(m protoreflect.Message, path string) string {
	name, rest, nested := strings.Cut(path, ".")
	f := m.Descriptor().Fields().ByName(protoreflect.Name(name))
	switch {
	case f == nil || f.IsList() || f.IsMap():
		return ""
	case nested && f.Kind() == protoreflect.MessageKind:
		return field(m.Get(f).Message(), rest)
	case !nested && f.Kind() == protoreflect.StringKind:
		return m.Get(f).String()
	default:
		return ""
	}
}

func message(m protoreflect.Message, name protoreflect.Name) proto.Message {
	f := m.Descriptor().Fields().ByName(name)
	if f == nil || f.Kind() != protoreflect.MessageKind || f.IsList() || f.IsMap() || !m.Has(f) {
		return nil
	}
	return m.Get(f).Message().Interface()
}

func text(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxTarget)], "") }
