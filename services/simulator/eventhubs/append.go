package eventhubs

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/entraflow/entraflow/services/simulator/internal/amqp"
	"github.com/entraflow/entraflow/services/simulator/internal/hublog"
)

// Event is an event to be appended in process.
type Event struct {
	Body []byte
	// MessageID and ContentType are left out if empty.
	MessageID   string
	ContentType string
	// PartitionKey is passed on to readers if it is not empty. With AnyPartition it also picks the partition.
	PartitionKey string
	// Properties are the application properties: nil, bool, string, []byte, int, int32, int64, uint32, uint64,
	// float64 or time.Time.
	Properties map[string]any
}

// AnyPartition lets the hub pick: by the first event's key, else in turn.
const AnyPartition = ""

// Receipt tells where appended events went.
type Receipt struct {
	Partition string
	// First is the sequence number of the first event; the others follow.
	First int64
	// EnqueuedAt is the hub's time of the events, in whole milliseconds.
	EnqueuedAt time.Time
}

// Append appends events to one partition ("0", "1" ... or AnyPartition), all or none, without AMQP. It returns
// ErrNotFound, ErrDisabled, or an error for a property of another type. It does not keep the events' slices.
func (h *Hub) Append(partition string, events ...Event) (Receipt, error) {
	return h.appendEvents(partition, events, false)
}

// AppendDistinct is Append with an enqueued time, in milliseconds, later than that of every event before it in the
// hub. The time runs ahead of the clock if it is called more than once a millisecond.
func (h *Hub) AppendDistinct(partition string, events ...Event) (Receipt, error) {
	return h.appendEvents(partition, events, true)
}

func (h *Hub) appendEvents(id string, events []Event, distinct bool) (Receipt, error) {
	if !h.Enabled() {
		return Receipt{}, fmt.Errorf("appending to hub %q: %w", h.cfg.Name, ErrDisabled)
	}
	encoded := make([]hublog.Event, 0, len(events))
	for i := range events {
		e, err := events[i].encode()
		if err != nil {
			return Receipt{}, fmt.Errorf("encoding event %d: %w", i, err)
		}
		encoded = append(encoded, e)
	}
	var p *partition
	switch {
	case id != AnyPartition:
		var err error
		if p, err = h.partition(id); err != nil {
			return Receipt{}, err
		}
	case len(events) > 0:
		p = h.pick(events[0].PartitionKey, events[0].PartitionKey != "")
	default:
		return Receipt{}, nil
	}
	stamp := int64(0)
	if distinct {
		stamp = h.distinctStamp()
	} else {
		stamp = h.stamp()
	}
	first, stamp := p.log.Append(encoded, stamp)
	return Receipt{Partition: p.id, First: first, EnqueuedAt: time.UnixMilli(stamp).UTC()}, nil
}

func (e *Event) encode() (hublog.Event, error) {
	b, err := e.appendProperties(make([]byte, 0, len(e.Body)+128))
	if err != nil {
		return hublog.Event{}, err
	}
	b = amqp.AppendDataSection(b, e.Body)
	return hublog.Event{Bare: b, PartitionKey: e.PartitionKey, HasKey: e.PartitionKey != ""}, nil
}

func (e *Event) appendProperties(b []byte) ([]byte, error) {
	if e.MessageID != "" || e.ContentType != "" {
		var mark int
		b, mark = amqp.OpenProperties(b)
		b = amqp.AppendString(b, e.MessageID)
		for range 5 {
			b = amqp.AppendNull(b)
		}
		b = amqp.AppendSymbol(b, e.ContentType)
		b = amqp.CloseCompound(b, mark, 7)
	}
	if len(e.Properties) == 0 {
		return b, nil
	}
	b, mark := amqp.OpenApplication(b)
	names := make([]string, 0, len(e.Properties))
	for name := range e.Properties {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		var ok bool
		if b, ok = amqp.AppendAny(amqp.AppendString(b, name), e.Properties[name]); !ok {
			return nil, fmt.Errorf("property %s of type %T cannot be sent", strconv.Quote(name), e.Properties[name])
		}
	}
	return amqp.CloseCompound(b, mark, 2*len(names)), nil
}
