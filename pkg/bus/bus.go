// Package bus carries messages between services over NATS JetStream: what the streams are, how a
// message gets an id and a version, how it is published until the server has it, and how it is
// consumed until it is either done with or in DEAD with a reason.
//
// It reads and writes the streams, buckets and subjects of the table in topology.go, as far as the
// NATS user it connects as may. It never decodes a source's records, never judges an event, and never
// drops a message: one leaves a stream unread only by Term after its dead letter was stored.
package bus

import "google.golang.org/protobuf/proto"

// Message is a protobuf message with the options of entraflow.bus.v1; protoc-gen-entraflow
// generates both methods.
type Message interface {
	proto.Message
	// BusStream is the JetStream stream that carries the message.
	BusStream() string
	// BusSubject is the subject the message travels under; it depends on the message's fields.
	BusSubject() string
}
