package bus

import (
	"context"
	"strconv"

	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// DeadLetters writes dead letters in the name of the connection's service. It is safe for concurrent use.
type DeadLetters struct {
	conn      *Conn
	publisher *Publisher
}

// NewDeadLetters returns a writer that publishes through p and never closes it.
func NewDeadLetters(conn *Conn, p *Publisher) *DeadLetters {
	return &DeadLetters{conn: conn, publisher: p}
}

// Seal completes a dead letter, setting id, service and failed_at, and returns the options to publish
// it with. Everything else is the caller's: origin, reason, detail, raw and place. Write does both; Seal
// is for a Batch.
func (d *DeadLetters) Seal(letter *eventv1.DeadLetter) PublishOptions {
	letter.Service = d.conn.set.Service
	letter.Id = deadLetterID(letter)
	letter.FailedAt = timestamppb.New(d.conn.set.Clock.Now())
	letter.Attempts = max(letter.GetAttempts(), 1)
	d.conn.metrics.dead.WithLabelValues(letter.GetService(), letter.GetOrigin(), letter.GetReason()).Inc()
	return PublishOptions{MessageID: DeadLetterMessageID(letter)}
}

// Write seals a dead letter and stores it. On nil it is in DEAD; only then may the source be told that the
// record is done with. Writing the same failure again stores nothing new within the duplicate window.
func (d *DeadLetters) Write(ctx context.Context, letter *eventv1.DeadLetter) error {
	_, err := d.publisher.Publish(ctx, letter, d.Seal(letter))
	return err
}

func (d *DeadLetters) writeAsync(ctx context.Context, letter *eventv1.DeadLetter, done func(Ack, error)) error {
	return d.publisher.PublishAsync(ctx, letter, d.Seal(letter), done)
}

// DeadLetterMessageID is the Nats-Msg-Id of a sealed dead letter.
func DeadLetterMessageID(letter *eventv1.DeadLetter) string { return "dead:" + letter.GetId() }

// deadLetterID names the delivery that failed: stream, sequence and durable, or the place in the hub.
// Where there is neither it names the bytes.
func deadLetterID(letter *eventv1.DeadLetter) string {
	switch place := letter.GetPlace().(type) {
	case *eventv1.DeadLetter_Stream:
		s := place.Stream
		return idOf(tagDeadStream, s.GetStream(), strconv.FormatUint(s.GetSequence(), 10), s.GetDurable())
	case *eventv1.DeadLetter_Hub:
		h := place.Hub
		return idOf(tagDeadHub, h.GetNamespace(), h.GetHub(), h.GetConsumerGroup(), h.GetPartition(),
			strconv.FormatInt(h.GetSequenceNumber(), 10), strconv.FormatInt(int64(h.GetRecordIndex()), 10))
	default:
		return idOfBytes(letter.GetRaw(), tagDeadBytes, letter.GetOrigin(), letter.GetService())
	}
}
