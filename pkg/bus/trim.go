package bus

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

const (
	trimEvery = 250 * time.Millisecond
	// trimAgeEvery is how often the age is looked at; it may be exceeded by as much.
	trimAgeEvery = time.Minute
	// trimAbove and trimTo are shares of MaxBytes in per cent. What was read may keep half of a
	// stream; the other half is for a backlog while the trimming service is away.
	trimAbove = 55
	trimTo    = 50
	percent   = 100
)

// trimmer removes from a stream what is beyond its MaxBytes and MaxAge, as far as every required
// durable has acknowledged it. It runs in the service whose durable Trims.
//
// The server's own limits know no readers: with the policy DiscardOld, and with max_age under any
// policy, it removes the oldest messages, read or not, without a word. So streams have DiscardNew and
// no max_age: what does not fit is refused, the publisher tries again until there is room, and
// room is made only here. Nothing unread can be lost, however many producers race past the Gate.
//
// No lease is needed. A trimmer that was frozen and comes back removes what was acknowledged then, and
// acknowledgements are never taken back.
type trimmer struct {
	conn                       *Conn
	stream                     Stream
	aged                       time.Time // when the age was last looked at
	blobs                      bool      // trim the blobs too, with these two:
	blobMaxAge, blobRefreshAge time.Duration
}

func newTrimmer(conn *Conn, stream Stream) *trimmer {
	return &trimmer{
		conn: conn, stream: stream, blobs: stream.Name == eventv1.EventStream,
		blobMaxAge: findBucket(BucketBlobs).MaxAge, blobRefreshAge: BlobRefreshAge,
	}
}

func (t *trimmer) run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := t.trim(ctx); err != nil && ctx.Err() == nil {
			t.conn.set.Logger.Warn("trimming failed", slog.String("stream", t.stream.Name), slog.Any("err", err))
		}
		pause(ctx, trimEvery)
	}
}

// trim looks once.
func (t *trimmer) trim(ctx context.Context) error {
	stream, err := t.conn.js.Stream(ctx, t.stream.Name) // asks for its info
	if err != nil {
		return err
	}
	info := stream.CachedInfo()
	upTo := beyondBytes(info)
	if time.Since(t.aged) >= trimAgeEvery {
		t.aged = time.Now()
		old, err := beyondAge(ctx, t.conn, info, maxAgeOf(info.Config))
		if err != nil {
			return err
		}
		upTo = max(upTo, old)
		if t.blobs {
			if err := t.trimBlobs(ctx); err != nil {
				return fmt.Errorf("trimming blobs: %w", err)
			}
		}
	}
	if upTo <= info.State.FirstSeq {
		return nil
	}
	floor, err := lowestFloor(ctx, t.conn, t.stream)
	if err != nil {
		return err
	}
	return t.purge(ctx, stream, min(upTo, floor+1))
}

// trimBlobs is trim for the object store: there nobody acknowledges, and what no unread message can refer
// to may go.
func (t *trimmer) trimBlobs(ctx context.Context) error {
	stream, err := t.conn.js.Stream(ctx, findBucket(BucketBlobs).stream())
	if err != nil {
		return err
	}
	info := stream.CachedInfo()
	old, err := beyondAge(ctx, t.conn, info, t.blobMaxAge)
	if err != nil {
		return err
	}
	upTo := max(beyondBytes(info), old)
	if upTo <= info.State.FirstSeq {
		return nil
	}
	spared := time.Now()
	for _, s := range Streams() {
		if !s.Blobs {
			continue
		}
		oldest, err := oldestUnread(ctx, t.conn, s)
		if err != nil {
			return err
		}
		if oldest.Before(spared) {
			spared = oldest
		}
	}
	// Twice: a message is published some time after its blob is stored.
	allowed, err := beyondAge(ctx, t.conn, info, time.Since(spared)+2*t.blobRefreshAge)
	if err != nil {
		return err
	}
	return t.purge(ctx, stream, min(upTo, allowed))
}

// purge removes what is before a sequence.
func (t *trimmer) purge(ctx context.Context, stream jetstream.Stream, upTo uint64) error {
	state := stream.CachedInfo().State
	if upTo <= state.FirstSeq {
		return nil
	}
	if err := stream.Purge(ctx, jetstream.WithPurgeSequence(upTo)); err != nil {
		return err
	}
	t.conn.metrics.trimmed.WithLabelValues(stream.CachedInfo().Config.Name).Add(float64(upTo - state.FirstSeq))
	return nil
}

// beyondBytes returns the sequence that the oldest messages end before that are too much, taking
// each for as large as the average. The next look corrects it.
func beyondBytes(info *jetstream.StreamInfo) uint64 {
	limit, state := info.Config.MaxBytes, info.State
	bytes := int64(state.Bytes) // far below
	if limit <= 0 || state.Msgs == 0 || bytes <= limit/percent*trimAbove {
		return 0
	}
	excess := uint64(bytes - limit/percent*trimTo) // positive
	return state.FirstSeq + max(excess/(state.Bytes/state.Msgs+1), 1)
}

// beyondAge returns the sequence of the first message that is young enough, or 0 if all are.
func beyondAge(ctx context.Context, conn *Conn, info *jetstream.StreamInfo, maxAge time.Duration) (uint64, error) {
	if maxAge == 0 || info.State.Msgs == 0 || time.Since(info.State.FirstTime) < maxAge {
		return 0, nil
	}
	oldest := time.Now().Add(-maxAge)
	if info.State.LastTime.Before(oldest) {
		return info.State.LastSeq + 1, nil
	}
	first, err := find(ctx, conn, info.Config.Name, findRequest{StartTime: &oldest})
	return first.Sequence, err
}

// oldestUnread returns when the stream got the first message that some required durable has not
// acknowledged, or the time now if there is none.
func oldestUnread(ctx context.Context, conn *Conn, s Stream) (time.Time, error) {
	now := time.Now()
	stream, err := conn.js.Stream(ctx, s.Name)
	if err != nil {
		return now, err
	}
	floor, err := lowestFloor(ctx, conn, s)
	if err != nil {
		return now, err
	}
	state := stream.CachedInfo().State
	if state.Msgs == 0 || floor >= state.LastSeq {
		return now, nil
	}
	message, err := find(ctx, conn, s.Name, findRequest{Sequence: max(floor+1, state.FirstSeq), Subject: ">"})
	return message.Time, err
}

// maxAgeOf reads what Ensure wrote.
func maxAgeOf(cfg jetstream.StreamConfig) time.Duration {
	age, err := time.ParseDuration(cfg.Metadata[metadataMaxAge])
	if err != nil {
		return 0 // not made by Ensure: it keeps everything
	}
	return age
}
