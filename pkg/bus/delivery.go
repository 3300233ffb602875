package bus

import (
	"container/list"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// Delivery is one delivery of a message of a stream. It belongs to the handler until it returns,
// and only one goroutine may use it. Ack, Retry, Dead and Fail say what becomes of it; the last word
// counts, and without one a batch's delivery is retried.
type Delivery struct {
	Subject string
	Headers nats.Header
	// Data is the encoded message. It may be kept.
	Data      []byte
	Stream    string
	Sequence  uint64
	Timestamp time.Time // when the stream got it
	// Attempt counts deliveries from 1. Not each one was a failure: the service may have died.
	Attempt int

	reply string
	seen  time.Time     // when the server last heard of it
	place *list.Element // in held

	decided        decision
	reason, detail string // of a dead letter
}

type decision int

const (
	undecided decision = iota
	acked
	retried
	dead
)

// Event decodes the message. The error is permanent: the same bytes will fail again.
func (d *Delivery) Event() (*eventv1.Event, error) {
	event := new(eventv1.Event)
	if err := d.Decode(event); err != nil {
		return nil, err
	}
	return event, nil
}

// Decode decodes the message into m. The error is permanent.
func (d *Delivery) Decode(m proto.Message) error {
	if err := proto.Unmarshal(d.Data, m); err != nil {
		return Permanent(ReasonPayloadInvalid, fmt.Errorf("decoding %s: %w", m.ProtoReflect().Descriptor().FullName(), err))
	}
	return nil
}

// Ack says that the message is done with, durably.
func (d *Delivery) Ack() { d.decided = acked }

// Retry says that it is to be delivered again, later; at the last attempt it becomes a dead letter
// with err's text as detail. What fails for everyone, such as a store that is away, is not for
// Retry: the handler should wait.
func (d *Delivery) Retry(err error) {
	if err == nil {
		err = errNoCause
	}
	d.decided, d.detail = retried, err.Error()
}

// Dead gives the message up: it is copied to DEAD under the reason, a fixed token, with a
// detail for a person that holds no part of the record.
func (d *Delivery) Dead(reason, detail string) { d.decided, d.reason, d.detail = dead, reason, detail }

// Fail is Dead if err is Permanent, else Retry.
func (d *Delivery) Fail(err error) {
	if reason, ok := IsPermanent(err); ok {
		d.Dead(reason, err.Error())
		return
	}
	d.Retry(err)
}

var errNoCause = errors.New("no cause given")
