package subscribe

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// eventsField is the number of SubscribeResponse.events.
const eventsField = 1

// entry is a message of EVENTS. It is read and encoded when somebody first asks, once for all. Its fields
// do not change but through load; it is safe for concurrent use.
type entry struct {
	sequence     uint64
	delivery     uint64 // its number among the messages of its consumer
	stored       time.Time
	kind, tenant string // as the subject has them, escaped
	data         []byte // the event as it came

	once  sync.Once
	err   error
	event *eventv1.Event         // without its raw bytes
	blob  *eventv1.BlobReference // of its raw bytes
	bare  []byte                 // event as a field of SubscribeResponse
}

// newEntry makes an entry of a message, whose data must not change afterwards.
func newEntry(msg jetstream.Msg) (*entry, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return nil, fmt.Errorf("reading message metadata: %w", err)
	}
	e := &entry{sequence: meta.Sequence.Stream, delivery: meta.Sequence.Consumer, stored: meta.Timestamp, data: msg.Data()}
	if rest, ok := strings.CutPrefix(msg.Subject(), strings.TrimSuffix(eventv1.EventSubjects, "*.*")); ok {
		e.kind, e.tenant, _ = strings.Cut(rest, ".")
	}
	return e, nil
}

// load reads the message. It fails each time if it is no event, and calls failed the first time.
func (e *entry) load(failed func(error)) error {
	e.once.Do(func() {
		// A panic is as good a reason to leave it out for all: once is once, and nobody may get it half read.
		if e.err = recovered(e.read); e.err != nil {
			failed(e.err)
		}
	})
	return e.err
}

func (e *entry) read() error {
	event := &eventv1.Event{}
	if err := proto.Unmarshal(e.data, event); err != nil {
		return fmt.Errorf("decoding event: %w", err)
	}
	e.blob = event.GetRawBlob()
	event.Raw, event.RawBlob = nil, nil
	content, err := proto.Marshal(event)
	if err != nil {
		return fmt.Errorf("encoding event: %w", err)
	}
	e.event, e.bare = event, appendEvent(nil, content)
	return nil
}

// appendEvent appends an encoded event as a field of SubscribeResponse.
func appendEvent(to, event []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(to, eventsField, protowire.BytesType), event)
}

// appendWhole appends the loaded entry with its raw bytes. Those that are in the object store it gets by fetch, unless
// they are longer than limit; if that fails, or they are, the client reads their name. The error tells.
func (e *entry) appendWhole(
	ctx context.Context, to []byte, limit uint64, fetch func(context.Context, *eventv1.BlobReference) ([]byte, error),
) ([]byte, error) {
	if e.blob == nil || e.blob.GetSize() > limit {
		return appendEvent(to, e.data), nil
	}
	raw, err := fetch(ctx, e.blob)
	if err != nil {
		return appendEvent(to, e.data), fmt.Errorf("loading raw record: %w", err)
	}
	whole := proto.CloneOf(e.event)
	whole.Raw = raw
	content, err := proto.Marshal(whole)
	if err != nil {
		return appendEvent(to, e.data), fmt.Errorf("encoding event: %w", err)
	}
	return appendEvent(to, content), nil
}
