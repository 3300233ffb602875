package bus

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// HeaderReplayOf names, in a message that was published again, the dead letter it was taken from.
const HeaderReplayOf = "entraflow-replay-of"

// listTimeout bounds the wait for the next dead letter while listing.
const listTimeout = 10 * time.Second

// DeadLetterFilter chooses dead letters. Empty fields choose all.
type DeadLetterFilter struct {
	Service, Origin, TenantID string
	Reason                    string
	IDs                       []string
	// Since and Until are about when the dead letter was stored.
	Since, Until time.Time
}

// StoredDeadLetter is a dead letter in its stream.
type StoredDeadLetter struct {
	Sequence uint64
	Stored   time.Time
	Letter   *eventv1.DeadLetter
}

// ListDeadLetters iterates over the dead letters that are in DEAD now, the oldest first. The user must
// be the operator. It ends after the first error.
func ListDeadLetters(ctx context.Context, conn *Conn, f DeadLetterFilter) iter.Seq2[StoredDeadLetter, error] {
	return func(yield func(StoredDeadLetter, error) bool) {
		if err := listDeadLetters(ctx, conn, f, yield); err != nil {
			yield(StoredDeadLetter{}, fmt.Errorf("listing dead letters: %w", err))
		}
	}
}

func listDeadLetters(ctx context.Context, conn *Conn, f DeadLetterFilter, yield func(StoredDeadLetter, error) bool) error {
	cfg := jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{eventv1.DeadLetterFilter(f.Service, f.Origin, f.TenantID)},
	}
	if !f.Since.IsZero() {
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &f.Since
	}
	consumer, err := conn.js.OrderedConsumer(ctx, eventv1.DeadLetterStream, cfg)
	if err != nil {
		return err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return err
	}
	defer messages.Stop()
	for pending := consumer.CachedInfo().NumPending; pending > 0; {
		var stored StoredDeadLetter
		if stored, pending, err = nextDeadLetter(ctx, messages); err != nil {
			return err
		}
		if !f.Until.IsZero() && !stored.Stored.Before(f.Until) {
			return nil
		}
		if f.matches(stored.Letter) && !yield(stored, nil) {
			return nil
		}
	}
	return nil
}

// nextDeadLetter returns the next one, and how many there are after it.
func nextDeadLetter(ctx context.Context, messages jetstream.MessagesContext) (StoredDeadLetter, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	m, err := messages.Next(jetstream.NextContext(ctx))
	if err != nil {
		return StoredDeadLetter{}, 0, err
	}
	meta, err := m.Metadata()
	if err != nil {
		return StoredDeadLetter{}, 0, err
	}
	letter := new(eventv1.DeadLetter)
	if err := proto.Unmarshal(m.Data(), letter); err != nil {
		return StoredDeadLetter{}, 0, fmt.Errorf("decoding dead letter %d: %w", meta.Sequence.Stream, err)
	}
	return StoredDeadLetter{meta.Sequence.Stream, meta.Timestamp, letter}, meta.NumPending, nil
}

func (f DeadLetterFilter) matches(letter *eventv1.DeadLetter) bool {
	return (f.Reason == "" || f.Reason == letter.GetReason()) &&
		(len(f.IDs) == 0 || slices.Contains(f.IDs, letter.GetId()))
}

// ReplayOptions say how dead letters are replayed.
type ReplayOptions struct {
	// Hub takes a record that never became a message: it decodes and publishes raw as if it had just
	// come from the place in the letter, so with the same version, and returns when it is stored. nil skips them.
	Hub func(ctx context.Context, letter *eventv1.DeadLetter, raw []byte) error
	// DryRun counts and does nothing.
	DryRun bool
}

// ReplayResult counts dead letters.
type ReplayResult struct {
	Messages int // published again to their stream
	Records  int // taken by ReplayOptions.Hub
	Skipped  int // nobody takes them, or they are about DEAD itself
	Failed   int // with the errors that Replay returns
}

// Replay publishes dead letters again to where they came from: a message to its subject, with its
// bytes, and so its event id and version, and its headers; a record of a hub through o.Hub. The message id is a
// new one, since the stream may still remember the old one and would drop the message; it is the same for the
// same dead letter, so that replaying twice at once stores one. The dead letters stay in DEAD.
//
// One that fails is counted and does not stop the others; the error joins them all. The user must be
// the operator.
func Replay(ctx context.Context, conn *Conn, p *Publisher, f DeadLetterFilter, o ReplayOptions) (ReplayResult, error) {
	var result ReplayResult
	var errs []error
	for stored, err := range ListDeadLetters(ctx, conn, f) {
		if err != nil {
			return result, errors.Join(append(errs, err)...)
		}
		count, replay := &result.Skipped, func() error { return nil }
		letter := stored.Letter
		switch place := letter.GetPlace().(type) {
		case *eventv1.DeadLetter_Stream:
			if place.Stream.GetStream() != eventv1.DeadLetterStream {
				count, replay = &result.Messages, func() error { return replayMessage(ctx, conn, p, letter) }
			}
		default:
			if o.Hub != nil {
				count, replay = &result.Records, func() error { return replayRecord(ctx, conn, letter, o) }
			}
		}
		if !o.DryRun {
			if err := replay(); err != nil {
				count = &result.Failed
				errs = append(errs, fmt.Errorf("replaying dead letter %s: %w", letter.GetId(), err))
			}
		}
		*count++
	}
	return result, errors.Join(errs...)
}

func replayMessage(ctx context.Context, conn *Conn, p *Publisher, letter *eventv1.DeadLetter) error {
	data, err := bytesOf(ctx, conn, letter)
	if err != nil {
		return err
	}
	place := letter.GetStream()
	headers := maps.Clone(place.GetHeaders())
	// What JetStream itself acts on was about the first publication.
	maps.DeleteFunc(headers, func(key, _ string) bool { return strings.HasPrefix(strings.ToLower(key), "nats-") })
	if headers == nil {
		headers = map[string]string{}
	}
	headers[HeaderReplayOf] = letter.GetId()
	headers[jetstream.MsgIDHeader] = "replay:" + letter.GetId()
	return p.publishStored(ctx, place.GetStream(), place.GetSubject(), headers, data)
}

func replayRecord(ctx context.Context, conn *Conn, letter *eventv1.DeadLetter, o ReplayOptions) error {
	raw, err := bytesOf(ctx, conn, letter)
	if err != nil {
		return err
	}
	return o.Hub(ctx, letter, raw)
}

func bytesOf(ctx context.Context, conn *Conn, letter *eventv1.DeadLetter) ([]byte, error) {
	if letter.GetRawBlob() == nil {
		return letter.GetRaw(), nil
	}
	return NewBlobs(conn).Load(ctx, letter.GetRawBlob())
}
