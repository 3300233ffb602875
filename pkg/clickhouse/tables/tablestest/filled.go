// Package tablestest makes events, objects of the directory, dead letters and audit entries to test stores with. It reads and writes nothing.
package tablestest

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// start is the time that filled messages count from.
const start = 1_790_000_000

// Kinds are the kinds of event that have a payload of their own, and one that has none.
func Kinds() []string {
	return []string{"signin", "audit", "risk_detection", "risky_user", "provisioning", "graph_activity"}
}

// Filled returns an event of a kind with every field set, each to a value that no other has: a string
// to its path, a list to two elements. raw_blob is left out, as its bytes are in raw.
func Filled(kind string) *eventv1.Event {
	e := newPayload(kind)
	fill(e.ProtoReflect(), "", new(int64))
	e.RawBlob = nil
	e.Kind = kind
	e.Id = fmt.Sprintf("%032x", len(kind))
	e.TenantId = "11111111-2222-3333-4444-555555555555"
	e.Source = eventv1.Source_SOURCE_EVENT_HUB
	e.Raw = []byte(`{"kind":"` + kind + `"}`)
	if s := e.GetSignIn(); s != nil {
		s.Type = eventv1.SignInType_SIGN_IN_TYPE_NON_INTERACTIVE
	}
	return e
}

// FilledDeadLetter returns a dead letter with every field set, with a place in a hub or in a stream.
func FilledDeadLetter(inHub bool) *eventv1.DeadLetter {
	d := &eventv1.DeadLetter{}
	if inHub {
		d.Place = &eventv1.DeadLetter_Hub{Hub: &eventv1.HubPlace{}}
	} else {
		d.Place = &eventv1.DeadLetter_Stream{Stream: &eventv1.StreamPlace{}}
	}
	fill(d.ProtoReflect(), "", new(int64))
	d.Id = fmt.Sprintf("%032x", 77)
	return d
}

// FilledAuditEntry returns an entry of the audit log with every field set.
func FilledAuditEntry() *controlv1.AuditEntry {
	e := &controlv1.AuditEntry{}
	fill(e.ProtoReflect(), "", new(int64))
	e.Id, e.Address = fmt.Sprintf("%032x", 99), "203.0.113.9"
	return e
}

func newPayload(kind string) *eventv1.Event {
	switch kind {
	case "signin":
		return &eventv1.Event{Payload: &eventv1.Event_SignIn{SignIn: &eventv1.SignIn{}}}
	case "audit":
		return &eventv1.Event{Payload: &eventv1.Event_Audit{Audit: &eventv1.Audit{}}}
	case "risk_detection":
		return &eventv1.Event{Payload: &eventv1.Event_RiskDetection{RiskDetection: &eventv1.RiskDetection{}}}
	case "risky_user":
		return &eventv1.Event{Payload: &eventv1.Event_RiskyUser{RiskyUser: &eventv1.RiskyUser{}}}
	case "provisioning":
		return &eventv1.Event{Payload: &eventv1.Event_Provisioning{Provisioning: &eventv1.Provisioning{}}}
	default:
		return &eventv1.Event{Payload: &eventv1.Event_Other{Other: &eventv1.Other{}}}
	}
}

// fill sets the fields of m, but of a oneof only the member that is set. n counts the values made.
func fill(m protoreflect.Message, path string, n *int64) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		name := strings.TrimPrefix(path+"."+string(field.Name()), ".")
		oneof := field.ContainingOneof()
		switch {
		case oneof != nil && !oneof.IsSynthetic() && m.WhichOneof(oneof) != field:
		case field.IsMap():
			for _, key := range []string{"b", "a"} {
				m.Mutable(field).Map().Set(protoreflect.ValueOfString(key).MapKey(), protoreflect.ValueOfString(name+"."+key))
			}
		case field.IsList():
			list := m.Mutable(field).List()
			for j := range 2 {
				list.Append(value(list.NewElement(), field, fmt.Sprintf("%s.%d", name, j), n))
			}
		default:
			m.Set(field, value(m.NewField(field), field, name, n))
		}
	}
}

// value returns a value for a field; empty is a new message if it is one.
func value(empty protoreflect.Value, field protoreflect.FieldDescriptor, path string, n *int64) protoreflect.Value {
	*n++
	switch field.Kind() {
	case protoreflect.StringKind:
		if strings.Contains(path, "ip_address") {
			return protoreflect.ValueOfString(fmt.Sprintf("203.0.113.%d", *n%256))
		}
		return protoreflect.ValueOfString(path)
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(path))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(1)
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(*n)
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(*n))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(uint64(*n))
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(uint32(*n))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(float64(*n) + 0.5)
	case protoreflect.MessageKind:
		return message(empty, path, n)
	default:
		panic("no value for " + field.Kind().String())
	}
}

func message(empty protoreflect.Value, path string, n *int64) protoreflect.Value {
	if stamp, ok := empty.Message().Interface().(*timestamppb.Timestamp); ok {
		proto.Merge(stamp, timestamppb.New(time.Unix(start+*n, 7_000_000)))
		return empty
	}
	fill(empty.Message(), path, n)
	return empty
}
