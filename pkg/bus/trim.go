package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"
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
	conn   *Conn
	stream Stream
	aged   time.Time // when the age was last looked at
}

func newTrimmer(conn *Conn, stream Stream) *trimmer { return &trimmer{conn: conn, stream: stream} }

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
	upTo := t.beyondBytes(info)
	if time.Since(t.aged) >= trimAgeEvery {
		t.aged = time.Now()
		old, err := t.beyondAge(ctx, info)
		if err != nil {
			return err
		}
		upTo = max(upTo, old)
	}
	if upTo <= info.State.FirstSeq {
		return nil
	}
	floor, err := lowestFloor(ctx, t.conn, t.stream)
	if err != nil {
		return err
	}
	upTo = min(upTo, floor+1)
	if upTo <= info.State.FirstSeq {
		return nil
	}
	if err := stream.Purge(ctx, jetstream.WithPurgeSequence(upTo)); err != nil {
		return err
	}
	t.conn.metrics.trimmed.WithLabelValues(t.stream.Name).Add(float64(upTo - info.State.FirstSeq))
	return nil
}

// beyondBytes returns the sequence that the oldest messages end before that are too much, taking each for
// as large as the average. The next look corrects it.
func (t *trimmer) beyondBytes(info *jetstream.StreamInfo) uint64 {
	limit, state := info.Config.MaxBytes, info.State
	bytes := int64(state.Bytes) //nolint:gosec // far below
	if limit <= 0 || state.Msgs == 0 || bytes <= limit/percent*trimAbove {
		return 0
	}
	excess := uint64(bytes - limit/percent*trimTo) //nolint:gosec // positive
	return state.FirstSeq + max(excess/(state.Bytes/state.Msgs+1), 1)
}

// beyondAge returns the sequence of the first message that is young enough.
func (t *trimmer) beyondAge(ctx context.Context, info *jetstream.StreamInfo) (uint64, error) {
	maxAge := maxAgeOf(info.Config)
	if maxAge == 0 || info.State.Msgs == 0 || time.Since(info.State.FirstTime) < maxAge {
		return 0, nil
	}
	oldest := time.Now().Add(-maxAge)
	if info.State.LastTime.Before(oldest) {
		return info.State.LastSeq + 1, nil
	}
	first, err := find(ctx, t.conn, t.stream.Name, findRequest{StartTime: &oldest})
	return first.Sequence, err
}

// maxAgeOf reads what Ensure wrote.
func maxAgeOf(cfg jetstream.StreamConfig) time.Duration {
	age, err := time.ParseDuration(cfg.Metadata[metadataMaxAge])
	if err != nil {
		return 0 // not made by Ensure: it keeps everything
	}
	return age
}

// findRequest is JetStream's request for a message: the first not older than StartTime, or the first of
// Subject from Sequence on. nats.go has no function for the former.
type findRequest struct {
	StartTime *time.Time `json:"start_time,omitempty"`
	Sequence  uint64     `json:"seq,omitempty"`
	Subject   string     `json:"next_by_subj,omitempty"`
	NoHeaders bool       `json:"no_hdr"`
}

// found is where a message stands and since when.
type found struct {
	Sequence uint64    `json:"seq"`
	Time     time.Time `json:"time"`
}

func find(ctx context.Context, conn *Conn, stream string, request findRequest) (found, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	request.NoHeaders = true
	text, err := json.Marshal(request)
	if err != nil {
		return found{}, err
	}
	m, err := conn.nats.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+stream, text)
	if err != nil {
		return found{}, fmt.Errorf("finding a message: %w", err)
	}
	var answer struct {
		Message found               `json:"message"`
		Error   *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return found{}, fmt.Errorf("finding a message: %w", err)
	}
	if answer.Error != nil {
		return found{}, fmt.Errorf("finding a message: %w", answer.Error)
	}
	return answer.Message, nil
}
